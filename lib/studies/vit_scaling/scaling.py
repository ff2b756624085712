"""Read a scaling curve: slope, crossing, saturation and a power law, each with an interval over test stars."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.optimize import curve_fit

SATURATED = 0.01  # gain of R2 per doubling of n below which a curve counts as saturated
LEVELS = (0.025, 0.975)


def bootstrap_r2(
    truth: np.ndarray, predictions: Mapping[object, np.ndarray], *, n: int, seed: int = 0
) -> dict[object, np.ndarray]:
    """Return n bootstrap draws of R2 per prediction, the same test stars drawn for all, so that differences are paired."""
    weights = np.random.default_rng(seed).multinomial(len(truth), np.full(len(truth), 1 / len(truth)), n)  # (n, stars)
    mean = weights @ truth / len(truth)
    spread = weights @ truth**2 - len(truth) * mean**2
    return {key: 1 - (weights @ (truth - pred) ** 2) / spread for key, pred in predictions.items()}


def slopes(curve: Mapping[int, float], draws: Mapping[int, np.ndarray]) -> dict[str, float]:
    """Return the gain of R2 per decade of n by least squares, with its 95 % interval; needs two sizes."""
    sizes = sorted(curve)
    if len(sizes) < 2:
        raise ValueError(f"a slope needs at least two training sizes, got {sizes}")
    x = np.log10(sizes)
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    low, high = np.quantile(np.stack([draws[n] for n in sizes], 1) @ weights, LEVELS)
    return {"slope": float(np.array([curve[n] for n in sizes]) @ weights), "low": float(low), "high": float(high)}


def crossing(curve: Mapping[int, float], other: Mapping[int, float]) -> float | None:
    """Return the n from which `curve` stays above `other`, linear in log n between sizes; None where it never does.

    The smallest size is returned where it is above throughout: the crossing lies at or below it.
    """
    sizes = sorted(set(curve) & set(other))
    gap = np.array([curve[n] - other[n] for n in sizes])
    if not len(gap) or gap[-1] <= 0:
        return None
    below = np.flatnonzero(gap <= 0)
    if not len(below):
        return float(sizes[0])
    last = below[-1]
    part = -gap[last] / (gap[last + 1] - gap[last])
    return float(np.exp(np.log(sizes[last]) + part * (np.log(sizes[last + 1]) - np.log(sizes[last]))))


def equivalent_size(curve: Mapping[int, float], r2: float) -> float:
    """Return the n at which a curve first reaches R2, linear in log n between sizes: infinite where it never does.

    The smallest size is returned where the curve starts above: the n lies at or below it.
    """
    sizes = sorted(curve)
    if r2 <= curve[sizes[0]]:
        return float(sizes[0])
    for a, b in pairwise(sizes):
        if curve[b] >= r2:
            part = (r2 - curve[a]) / (curve[b] - curve[a])
            return float(np.exp(np.log(a) + part * (np.log(b) - np.log(a))))
    return float("inf")


def rough(n: float) -> str:
    """Write a number of spectra that is read off a curve, with two significant digits."""
    return f"{float(f'{n:.2g}'):,.0f}"


def power_law(curve: Mapping[int, float]) -> dict[str, float] | None:
    """Fit 1 - R2 = floor + a (n / n_min)^-b; return floor, a, b and the residual rms, or None below four sizes.

    floor in [0, 1], b in [0, 3]; an extrapolation, not a measurement. Source: Hestness et al. 2017, arXiv:1712.00409.
    """
    sizes = sorted(curve)
    if len(sizes) < 4:
        return None
    x, y = np.array(sizes) / sizes[0], 1 - np.array([curve[n] for n in sizes])
    law = lambda x, floor, a, b: floor + a * x**-b  # noqa: E731
    start = (max(min(y[-1] * 0.8, 0.99), 0.0), max(y[0] - 0.8 * y[-1], 1e-3), 0.5)
    try:
        found, _ = curve_fit(law, x, y, start, bounds=((0, 0, 0), (1, 10, 3)), maxfev=20000)
    except RuntimeError:  # curve_fit's word for no convergence
        return None
    rms = float(np.sqrt(np.mean((law(x, *found) - y) ** 2)))
    return {"floor": float(found[0]), "a": float(found[1]), "b": float(found[2]), "n_min": float(sizes[0]), "rms": rms}


def saturation(curve: Mapping[int, float]) -> float | None:
    """Return the first size after which R2 gains less than 0.01 per doubling of n at every step; None where none does."""
    sizes = sorted(curve)
    gains = [(curve[b] - curve[a]) / np.log2(b / a) for a, b in pairwise(sizes)]
    for i, n in enumerate(sizes[:-1]):
        if max(gains[i:]) < SATURATED:
            return float(n)
    return None


def summary(
    curves: Mapping[tuple[str, str], Mapping[int, float]], draws: Mapping[tuple[str, str], Mapping[int, np.ndarray]]
) -> pd.DataFrame:
    """Return one row per (protocol, model): slope per decade with interval, saturation, power law; two sizes at least."""
    rows = []
    for (protocol, model), curve in curves.items():
        if len(curve) < 2:
            continue
        law = power_law(curve) or {"floor": np.nan, "b": np.nan}
        row = {"protocol": protocol, "model": model, "sizes": len(curve), **slopes(curve, draws[protocol, model])}
        saturated = saturation(curve)
        rows.append(
            row | {"saturation_n": np.nan if saturated is None else saturated, "floor": law["floor"], "exponent": law["b"]}
        )
    return pd.DataFrame(rows)
