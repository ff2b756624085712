"""Is a star's flux error an error of its label? Their correlation, its table, and what sigma has to do with flux."""

import numpy as np
import pandas as pd
import torch
from scipy import stats

from lib import metrics
from lib.data.views import observe
from lib.studies.vit_scaling.config import Point
from lib.studies.vit_scaling.evaluate import Results
from lib.studies.vit_scaling.scaling import LEVELS

BINS = 5
STARS = 256  # test stars whose sigma is compared with their flux


def mean_sigma(results: Results) -> np.ndarray:
    """Return the mean flux error of each test star over its pixels (n,), in the unit of the flux."""
    stars = range(0, len(results.truth), 512)
    parts = [observe(results.sets.test, a, min(a + 512, len(results.truth))).sigma.mean(1) for a in stars]
    return torch.cat(parts).cpu().numpy()


def bootstrap_spearman(results: Results, point: Point) -> dict[str, float]:
    """Return Spearman's correlation of |label residual| with a star's mean flux error, with its 95 % interval."""
    error = stats.rankdata(mean_sigma(results))
    residual = stats.rankdata(np.abs(results.truth - results.pred(point)))
    rows = np.random.default_rng(results.config.seed).integers(0, len(error), (results.config.fit_draws, len(error)))
    draws = [np.corrcoef(residual[r], error[r])[0, 1] for r in rows]
    low, high = np.quantile(draws, LEVELS)
    return {"value": float(np.corrcoef(residual, error)[0, 1]), "low": float(low), "high": float(high)}


def by_flux_error(results: Results, point: Point) -> pd.DataFrame:
    """Return a point's MAE per quantile bin of the stars' mean flux error: bin, n, mean_sigma, mae_dex."""
    error = mean_sigma(results)
    which = np.digitize(error, np.quantile(error, np.linspace(0, 1, BINS + 1)[1:-1]))
    truth, pred, rows = results.truth, results.pred(point), []
    for b in np.unique(which):
        inside = which == b
        mae = float(metrics.mae(truth[inside], pred[inside]))
        rows.append({"bin": int(b) + 1, "n": int(inside.sum()), "mean_sigma": float(error[inside].mean()), "mae_dex": mae})
    return pd.DataFrame(rows)


def with_flux(results: Results) -> dict[str, float] | None:
    """Return the size of Spearman's correlation of sigma with flux over a star's pixels, mean over test stars.

    None where sigma is that of a reference star: it is the same whatever the star's own flux.
    """
    if results.sets.grid is not None and results.config.error_source == "reference":
        return None
    seen = observe(results.sets.test, 0, min(STARS, len(results.truth)))
    pairs = zip(seen.sigma.cpu().numpy(), seen.flux.cpu().numpy(), strict=True)
    return {"value": float(abs(np.mean([stats.spearmanr(sigma, flux).statistic for sigma, flux in pairs])))}
