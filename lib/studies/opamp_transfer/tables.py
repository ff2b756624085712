"""What the page says of the scores: one table, the best and the worst."""

import numpy as np
import pandas as pd

from lib import metrics

REPORTED = ("slewrate_pos", "dc_gain", "ugf", "phase_margin", "cmrr")
HARD = "cmrr"  # one design can carry a third of its sum of squares: averages are given without it as well


def score_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row per domain, method and metric: mean R2 with interval over split seeds, ln-R2, MAE and MSE."""
    rows = []
    for (domain, method, metric), part in scores.groupby(["domain", "method", "metric"], sort=False):
        mean, low, high = metrics.t_interval(part.r2)
        rest = {"ln_r2": part.ln_r2.mean(), "mae": part.mae.mean(), "mse": part.mse.mean()}
        rows.append({"domain": domain, "method": method, "metric": metric, "r2": mean, "low": low, "high": high, **rest})
    return pd.DataFrame(rows)


def worst_metric(scores: pd.DataFrame, domain: str) -> dict:
    """Return the method of `domain` whose worst metric is best: method, that metric, mean R2 and interval over seeds."""
    part = scores[scores.domain == domain]
    means = part.groupby(["method", "metric"]).r2.mean().unstack()
    method = means.min(axis=1).idxmax()
    metric = means.loc[method].idxmin()
    return {"method": method, "metric": metric, **_interval(part[(part.method == method) & (part.metric == metric)].r2)}


def best_target_only(scores: pd.DataFrame) -> dict:
    """Return the target-only method with the highest mean R2 over all metrics but the cmrr, with an interval over seeds."""
    part = scores[(scores.domain == "target_only") & (scores.metric != HARD)]
    means = part.groupby(["method", "seed"]).r2.mean().unstack()
    method = means.mean(axis=1).idxmax()
    return {"method": method, **_interval(means.loc[method])}


def published_average(scores: pd.DataFrame, method: str) -> dict[str, float]:
    """Return the mean R2 over seeds of the target-only `method`, per metric and over all ("all")."""
    part = scores[(scores.domain == "target_only") & (scores.method == method)]
    per_metric = part.groupby("metric", sort=False).r2.mean()
    return {"all": float(per_metric.mean()), **{k: float(v) for k, v in per_metric.items()}}


def reported_path(metric: str) -> str | None:
    """Return where reported.yaml keeps the R2 of `metric`; None for a metric that the documents do not report."""
    return f"opamp_transfer.public.r2.{metric}" if metric in REPORTED else None


def strongest_shift(shift: pd.DataFrame) -> dict:
    """Return name and ratio B/A of the metric whose median changes by the largest factor."""
    row = shift.loc[np.log(shift.ratio.abs()).abs().idxmax()]
    return {"name": row.metric, "ratio": row.ratio}


def _interval(values: pd.Series) -> dict[str, float | None]:
    mean, low, high = metrics.t_interval(values)
    return {"value": mean, "low": None if np.isnan(low) else low, "high": None if np.isnan(high) else high}
