"""Standard deviations that mean what they say: temperature, coverage, and the precision-weighted ensemble."""

from typing import Any

import numpy as np
from scipy import stats


def temperature(y: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Return the factor (M,) on the standard deviations that maximises the normal likelihood: sqrt(mean(z^2)).

    y, mean, sd  (n, M) of held-out rows.   Source: Laves et al. 2020, eq. 8 (closed form).
    """
    return np.sqrt((((y - mean) / sd) ** 2).mean(0)).clip(min=1e-3)


def quantile_temperature(y: np.ndarray, mean: np.ndarray, sd: np.ndarray, level: float = 0.9) -> np.ndarray:
    """Return the factor (M,) with which a share `level` of the held-out rows lies inside its normal interval.

    Unlike sqrt(mean(z^2)) it does not follow a few extreme errors.   Source: Romano et al. 2019 (conformal, scaled scores).
    """
    n = len(y)
    rank = min(1.0, level * (n + 1) / n)
    return (np.quantile(np.abs((y - mean) / sd), rank, axis=0) / half_width(level)).clip(min=1e-3)


def half_width(level: float) -> float:
    """Return the half width of a central normal interval in standard deviations."""
    return float(stats.norm.ppf(0.5 + level / 2))


def coverage(y: np.ndarray, mean: np.ndarray, sd: np.ndarray, level: float) -> np.ndarray:
    """Return the share (M,) of rows inside the central interval of `level`."""
    return (np.abs(y - mean) <= half_width(level) * sd).mean(0)


def combine(means: Any, sds: Any, errors: Any, *, per_row: bool = True) -> tuple[Any, Any]:
    """Average predictions by precision per row and by inverse squared error per output; return mean and sd (n, M).

    means, sds  (A, n, M) of A models, sds calibrated;  errors (A, M) mean squared errors on held-out rows (arrays or tensors)
    per_row     False: each model's precision is 1 / errors, the same in every row
    The variance is that of the weighted mixture, disagreement included.
    """
    precision = 1 / (sds**2 if per_row else errors[:, None])
    weight = precision / errors[:, None]
    weight = weight / weight.sum(0)
    mean = (weight * means).sum(0)
    return mean, (weight * (sds**2 + (means - mean) ** 2)).sum(0) ** 0.5
