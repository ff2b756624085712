"""The only definitions of R2, MAE, RMSE and of the intervals that stand beside them (NumPy arrays or torch tensors)."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

Metric = Callable[[Any, Any], Any]


def r2(y: Any, pred: Any) -> Any:
    """Return the coefficient of determination 1 - SS_res / SS_tot over axis 0; y, pred (n,) or (n, k) of the same shape."""
    _check(y, pred)
    return 1 - ((y - pred) ** 2).sum(0) / ((y - y.mean(0)) ** 2).sum(0)


def mse(y: Any, pred: Any) -> Any:
    """Return the mean squared error over axis 0, in the squared unit of y."""
    _check(y, pred)
    return ((y - pred) ** 2).mean(0)


def rmse(y: Any, pred: Any) -> Any:
    """Return the root of the mean squared error over axis 0, in the unit of y."""
    return mse(y, pred) ** 0.5


def mae(y: Any, pred: Any) -> Any:
    """Return the mean absolute error over axis 0, in the unit of y."""
    _check(y, pred)
    return abs(y - pred).mean(0)


def ln_r2(y: Any, pred: Any) -> Any:
    """Return R2 of ln y, for positive heavy-tailed quantities; predictions are raised to the smallest y."""
    y, pred = np.asarray(y), np.asarray(pred)
    if y.min() <= 0:
        raise ValueError(f"ln-R2 needs positive values, but the smallest is {y.min():.4g}.")
    return r2(np.log(y), np.log(np.maximum(pred, y.min(0))))


def median_relative_error(y: Any, pred: Any) -> Any:
    """Return median |pred - y| / |y| over axis 0, dimensionless."""
    _check(y, pred)
    return np.median(np.abs(np.asarray(pred) - np.asarray(y)) / np.abs(np.asarray(y)), axis=0)


def bootstrap(metric: Metric, y: Any, pred: Any, *, n: int = 1000, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Return the percentile bootstrap interval of `metric(y, pred)` over samples; y, pred (n,)."""
    y, pred = np.asarray(y), np.asarray(pred)
    rows = np.random.default_rng(seed).integers(0, len(y), (len(y), n))
    return _quantiles(metric(y[rows], pred[rows]), level)


def bootstrap_difference(
    metric: Metric, y: Any, pred: Any, other: Any, *, n: int = 1000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Return the paired bootstrap interval of metric(y, pred) - metric(y, other), the same samples drawn for both."""
    y, pred, other = np.asarray(y), np.asarray(pred), np.asarray(other)
    rows = np.random.default_rng(seed).integers(0, len(y), (len(y), n))
    return _quantiles(metric(y[rows], pred[rows]) - metric(y[rows], other[rows]), level)


def repeated_difference(
    metric: Metric, y: Any, preds: Any, others: Any, *, n: int = 1000, level: float = 0.95, seed: int = 0
) -> tuple[float, float, float]:
    """Return mean, low, high of metric(y, pred) - metric(y, other) over training seeds, with both sources of chance.

    y (n,); preds, others (S, n) of S >= 2 seeds, in pairs. Samples: the percentile bootstrap, the same samples for every
    seed; seeds: Student's t of the S differences. The two are independent, so their distances add in squares.
    """
    y, preds, others = np.asarray(y), np.asarray(preds), np.asarray(others)
    if len(preds) < 2 or preds.shape != others.shape:
        raise ValueError(f"Predictions of at least two seeds are needed in pairs, not {preds.shape} and {others.shape}.")
    rows = np.random.default_rng(seed).integers(0, len(y), (len(y), n))
    pairs = list(zip(preds, others, strict=True))
    drawn = np.mean([metric(y[rows], a[rows]) - metric(y[rows], b[rows]) for a, b in pairs], axis=0)
    mean, first, last = t_interval([metric(y, a) - metric(y, b) for a, b in pairs], level)
    low, high = _quantiles(drawn, level)
    return mean, mean - float(np.hypot(mean - low, mean - first)), mean + float(np.hypot(high - mean, last - mean))


def t_interval(values: Any, level: float = 0.95) -> tuple[float, float, float]:
    """Return mean, low, high of repeated measurements (folds, seeds) by Student's t; one value gives NaN bounds."""
    values = np.asarray(values, float)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    half = float(stats.t.ppf(0.5 + level / 2, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)
    return mean, mean - half, mean + half


def _quantiles(draws: np.ndarray, level: float) -> tuple[float, float]:
    low, high = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)


def _check(y: Any, pred: Any) -> None:
    if tuple(y.shape) != tuple(pred.shape):
        raise ValueError(f"Truth and prediction differ in shape: {tuple(y.shape)} and {tuple(pred.shape)}.")
