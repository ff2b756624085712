"""Pixel masks: which pixels a model sees, chosen by the noise of the training set or read from a file."""

from pathlib import Path

import numpy as np


def keep_least_noisy(error: np.ndarray, ratio: float) -> np.ndarray:
    """Return a mask (L,) that keeps the int(ratio * L) pixels of the lowest median error: 0.85 of 4096 keeps 3481.

    error  (n, L) of training spectra
    """
    if not 0 < ratio <= 1:
        raise ValueError(f"mask_ratio is {ratio}, but it should be above 0 and at most 1.")
    pixels = error.shape[1]
    kept = int(ratio * pixels)
    if kept == 0:
        raise ValueError(f"mask_ratio {ratio} of {pixels} pixels keeps none.")
    mask = np.zeros(pixels, bool)
    mask[np.argsort(np.median(error, axis=0), kind="stable")[:kept]] = True
    return mask


def load_mask(path: str | Path, pixels: int) -> np.ndarray:
    """Read a mask (L,) from `.npy`, or from text with one 0 or 1 per line; 1 keeps the pixel."""
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"Mask file {path} does not exist.")
    try:
        values = np.load(path, allow_pickle=False) if path.suffix == ".npy" else np.loadtxt(path, ndmin=1)
    except ValueError as error:
        raise ValueError(f"Mask file {path} cannot be read ({error}): give .npy or one 0 or 1 per line.") from None
    return check_mask(values, pixels, str(path))


def check_mask(values: np.ndarray, pixels: int, what: str = "The mask") -> np.ndarray:
    """Return `values` as a boolean mask (L,); ValueError where it does not fit the spectra or keeps nothing."""
    values = np.asarray(values)
    if values.shape != (pixels,):
        raise ValueError(f"{what} has shape {values.shape}, but the spectra have {pixels} pixels.")
    if not np.isin(values, (0, 1)).all():
        raise ValueError(f"{what} should hold 0 and 1 only.")
    if not values.any():
        raise ValueError(f"{what} keeps no pixel.")
    return values.astype(bool)
