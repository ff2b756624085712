"""Which noise does a magnitude image carry, and how low can a prediction of the noisy image go?"""

from functools import lru_cache

import numpy as np
from scipy.stats import rice

KINDS = ("rician", "gaussian")


def add_noise(clean, sigma, kind, rng):
    """Return one noisy acquisition of `clean`.

    clean (..., H, W) >= 0; sigma > 0, unit of clean; kind `rician` (the modulus of a signal with Gaussian noise in both
    channels: a magnitude image) or `gaussian`; rng np.random.Generator. Source: Gudbjartsson & Patz 1995.
    """
    check_noise(sigma, kind)
    real = clean + sigma * rng.standard_normal(clean.shape, dtype=np.float32)
    if kind == "gaussian":
        return real.astype(np.float32)
    imaginary = sigma * rng.standard_normal(clean.shape, dtype=np.float32)
    return np.hypot(real, imaginary).astype(np.float32)


def check_noise(sigma, kind):
    """Raise ValueError where the noise is none of ours."""
    if kind not in KINDS:
        raise ValueError(f"noise kind {kind!r} is unknown: use one of {', '.join(KINDS)}")
    if not 0 < sigma < np.inf:
        raise ValueError(f"noise sigma is {sigma}: it must be positive (images are scaled so that the object ends near 1)")


@lru_cache(maxsize=1)
def _rice_median():
    """Return a table of signal against the median of its Rician measurement, both in the unit of sigma."""
    signal = np.linspace(0, 12, 241)
    return signal, rice.median(signal)


def noisy_median(clean, sigma, kind):
    """Return the median of the noisy image given the clean one: what an L1 loss against noisy targets leads to.

    Gaussian: the clean image. Rician: larger where the signal is below about 3 sigma (1.18 sigma where it is zero).
    """
    check_noise(sigma, kind)
    if kind == "gaussian":
        return clean
    signal, median = _rice_median()
    snr = clean / sigma
    far = snr > signal[-1]  # there the excess falls as 1 / (2 snr)
    near = np.interp(np.minimum(snr, signal[-1]), signal, median)
    excess = 1 / (2 * np.maximum(snr, signal[-1]))
    return (sigma * np.where(far, snr + excess, near)).astype(np.float32)


def noise_floor(noisy, clean, sigma, kind):
    """Return per image the least mean absolute error against `noisy` that needs no knowledge of its noise.

    noisy, clean (n, H, W) -> (n,). It is the error of the conditional median, on these very noise values: a prediction
    that gets below it has seen them.
    """
    return np.abs(noisy - noisy_median(clean, sigma, kind)).mean(axis=(-2, -1))
