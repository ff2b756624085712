"""What a denoised image is worth, and whether the noise of its target is in it; classical denoisers, scored alike.

All inside the object, on NumPy arrays.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, denoise_wavelet

from lib.data.images import add_noise, noise_floor, noisy_median
from lib.metrics import mse

OUTPUTS = ("cross_a", "cross_b", "same_a", "same_b")
STRENGTHS = {"NLM": (0.4, 0.6, 0.8, 1.0, 1.2), "TV": (0.5, 0.8, 1.2, 1.8), "wavelet": (0.7, 1.0, 1.4, 2.0)}


def psnr_db(clean, image, mask):
    """Return 10 log10(1 / MSE) inside the mask; the images are scaled to 1."""
    return float(-10 * np.log10(mse(clean[mask], image[mask])))


def ssim(clean, image, mask):
    """Return the structural similarity averaged inside the mask, data range 1 (Wang et al. 2004)."""
    return float(structural_similarity(clean, image, data_range=1.0, full=True)[1][mask].mean())


def slope(y, x):
    """Return the least-squares slope of y on x through the origin: <y, x> / <x, x>."""
    return float((y * x).sum() / (x * x).sum())


def correlation(x, y):
    """Return Pearson's correlation, 0 where one side is constant."""
    x, y = x - x.mean(), y - y.mean()
    scale = np.sqrt((x * x).sum() * (y * y).sum())
    return float((x * y).sum() / scale) if scale > 0 else 0.0


def neighbours(image, mask):
    """Return the correlation of each pixel with the next one in its row, both inside the mask: near 0 for white noise."""
    inside = mask[:, :-1] & mask[:, 1:]
    return correlation(image[:, :-1][inside], image[:, 1:][inside])


def copy_score(image, clean, noisy, mask):
    """Return 1 - MSE(image, noisy) / MSE(clean, noisy): 1 for a copy of the noisy image, 0 for the clean one, < 0 for worse."""
    return float(1 - mse(noisy[mask], image[mask]) / mse(noisy[mask], clean[mask]))


def detail(image, clean, mask):
    """Return the share of the clean image's fine structure (finer than 1.5 px) that the image keeps: 1 all, 0 none (blur)."""
    fine, kept = (x - gaussian_filter(x, 1.5) for x in (clean, image))
    return slope(kept[mask], fine[mask])


@dataclass(frozen=True)
class _Side:
    """One contrast of the held-out images, (n, H, W) each: clean, two noisy acquisitions, and their median."""

    clean: np.ndarray
    noisy: np.ndarray
    again: np.ndarray
    centre: np.ndarray


def evaluate(model, images, sigma, kind, seed, device):
    """Return one row per slice, domain and path (cross, same) of the held-out images, under fresh noise.

    Columns: psnr_db, ssim, detail, l1 and floor (mean absolute error against the noisy target, and its noise floor),
    leak (slope on the target's noise), copy, corr_neighbour (residual against itself, one pixel on), corr_target and
    corr_latent (residual against the noise of the target, and of the image that made the latent; both less the median of the
    noisy image given the clean one, since Rician noise has a mean that follows the signal), noisy_psnr_db and noisy_ssim of
    the noisy image itself, and gain_db over it.
    """
    rng = np.random.default_rng([seed, 7])
    clean = {"a": images.a, "b": images.b}
    noisy, again = ({d: add_noise(clean[d], sigma, kind, rng) for d in clean} for _ in range(2))
    sides = {d: _Side(clean[d], noisy[d], again[d], noisy_median(clean[d], sigma, kind)) for d in clean}
    base = outputs(model, noisy["a"], noisy["b"], device)
    redrawn = {
        "a": outputs(model, again["a"], noisy["b"], device),
        "b": outputs(model, noisy["a"], again["b"], device),
    }
    rows = []
    for domain, other in (("a", "b"), ("b", "a")):
        floor = noise_floor(noisy[domain], clean[domain], sigma, kind)
        for path, source in (("cross", other), ("same", domain)):
            name = f"{path}_{domain}"
            for i, mask in enumerate(images.mask):
                place = {"unit": int(images.z[i]), "domain": domain, "path": path, "floor": float(floor[i])}
                change = redrawn[domain][name][i] - base[name][i]
                rows.append(place | _score(base[name][i], change, sides[domain], sides[source], i, mask))
    return pd.DataFrame(rows)


def _score(image, change, own, source, i, mask):
    """Return the scores of one output; `change`: what it changed by when its target's noise was drawn anew."""
    c, x = own.clean[i], own.noisy[i]
    whole = image - own.centre[i]
    residual, psnr, noisy_psnr = whole[mask], psnr_db(c, image, mask), psnr_db(c, x, mask)
    return {
        "psnr_db": psnr, "gain_db": psnr - noisy_psnr, "ssim": ssim(c, image, mask), "detail": detail(image, c, mask),
        "l1": float(np.abs(image - x).mean()), "leak": slope(change[mask], (own.again[i] - x)[mask]),
        "copy": copy_score(image, c, x, mask), "corr_target": correlation(residual, (x - own.centre[i])[mask]),
        "corr_latent": correlation(residual, (source.noisy[i] - source.centre[i])[mask]),
        "corr_neighbour": neighbours(whole, mask),
        "noisy_psnr_db": noisy_psnr, "noisy_ssim": ssim(c, x, mask),
    }  # fmt: skip


@torch.no_grad()
def outputs(model, noisy_a, noisy_b, device, batch_size=8):
    """Return {cross_a, cross_b, same_a, same_b}, each (n, H, W) float32, of noisy images (n, H, W)."""
    model.eval()
    found = {name: [] for name in OUTPUTS}
    for start in range(0, len(noisy_a), batch_size):
        batch = (torch.from_numpy(x[start : start + batch_size, None]).to(device) for x in (noisy_a, noisy_b))
        out = model(*batch)
        for name in OUTPUTS:
            found[name].append(out[name][:, 0].float().cpu().numpy())
    return {name: np.concatenate(parts) for name, parts in found.items()}


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

    The noise is that of `evaluate` at the same seed, so that the rows can be compared slice by slice.
    """
    rng, rows = np.random.default_rng([seed, 7]), []
    for domain in ("a", "b"):
        clean = getattr(images, domain)
        for c, x, mask, z in zip(clean, add_noise(clean, sigma, kind, rng), images.mask, images.z, strict=True):
            for method, strength in strengths.items():
                y = denoise(x, method, sigma, strength).astype(np.float32)
                scores = {"psnr_db": psnr_db(c, y, mask), "ssim": ssim(c, y, mask), "detail": detail(y, c, mask)}
                rows.append({"method": method, "strength": strength, "unit": int(z), "domain": domain, **scores})
    return pd.DataFrame(rows)
