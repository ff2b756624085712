"""Three classical denoisers of scikit-image, each with its strength chosen on validation slices."""

import numpy as np
import pandas as pd
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, denoise_wavelet

from lib.data.images import add_noise
from lib.studies.noise2noise.measure import detail, psnr_db, ssim

STRENGTHS = {"NLM": (0.4, 0.6, 0.8, 1.0, 1.2), "TV": (0.5, 0.8, 1.2, 1.8), "wavelet": (0.7, 1.0, 1.4, 2.0)}


def denoise(image, method, sigma, strength):
    """Return one image denoised by NLM, TV or wavelet shrinkage; sigma is known, `strength` multiplies it."""
    if method == "NLM":
        return denoise_nl_means(image, patch_size=5, patch_distance=6, h=strength * sigma, sigma=sigma, fast_mode=True)
    if method == "TV":
        return denoise_tv_chambolle(image, weight=strength * sigma)
    if method == "wavelet":
        return denoise_wavelet(image, sigma=strength * sigma, mode="soft", rescale_sigma=False)
    raise ValueError(f"classical method {method!r} is unknown: use one of {', '.join(STRENGTHS)}")


def tune(images, sigma, kind, seed):
    """Return {method: strength} with the best mean PSNR on these images, whose clean versions are used: optimistic."""
    rng = np.random.default_rng([seed, 9])
    rows = [(c, add_noise(c, sigma, kind, rng), m) for c, m in zip(images.a, images.mask, strict=True)]
    best = {}
    for method, strengths in STRENGTHS.items():
        means = [np.mean([psnr_db(c, denoise(x, method, sigma, s), m) for c, x, m in rows]) for s in strengths]
        best[method] = strengths[int(np.argmax(means))]
    return best


def evaluate_classical(images, strengths, sigma, kind, seed):
    """Return one row per method, slice and domain: psnr_db, ssim, detail. One noisy image each: no partner is used.

    The noise is that of `measure.evaluate` at the same seed, so that the rows can be compared slice by slice.
    """
    rng, rows = np.random.default_rng([seed, 7]), []
    for domain in ("a", "b"):
        clean = getattr(images, domain)
        for c, x, mask, z in zip(clean, add_noise(clean, sigma, kind, rng), images.mask, images.z, strict=True):
            for method, strength in strengths.items():
                y = denoise(x, method, sigma, strength).astype(np.float32)
                scores = {"psnr_db": psnr_db(c, y, mask), "ssim": ssim(c, y, mask), "detail": detail(y, c, mask)}
                rows.append({"method": method, "strength": strength, "slice": int(z), "domain": domain, **scores})
    return pd.DataFrame(rows)
