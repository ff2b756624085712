"""What the page shows of the scores: averages, tables with their intervals over split seeds, and the designs that are hard."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lib import metrics
from lib.steps.opamp.spec import Arm
from lib.studies.opamp_transfer.comparison import ENSEMBLES, Outcome, held_out
from lib.studies.opamp_transfer.data import HARD, Lab

FEATURES = {"raw": "raw_features"}  # what a feature set is called on the page
SHOWN = ("mlp", "resonant", "gp", "fine_tune", "align_hetero", "dual_head", "gp_source_features", "ensemble_steady")
UNCERTAIN = ("target_hetero", "align_hetero", "gp", "gp_source_features", "ensemble_pair", "ensemble_steady")
ARM = ["domain", "method", "features", "recipe"]


def rows(table: pd.DataFrame, **labels: Any) -> pd.DataFrame:
    """Return the rows with these labels."""
    for name, value in labels.items():
        table = table[table[name] == value]
    return table


def besides_hard(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of all metrics but the cmrr; all rows where there is no other metric."""
    rest = frame[frame.metric != HARD]
    return rest if len(rest) else frame


def measured(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table without its columns of the cmrr where the data have none."""
    return table.drop(columns=[c for c in table if c.startswith(HARD) and table[c].isna().all()])


def _interval(values: pd.Series, name: str, low: str = "low", high: str = "high") -> dict[str, float]:
    return dict(zip((name, low, high), metrics.t_interval(values), strict=True))


def score_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row per arm and metric: mean R2 with its interval over split seeds, ln-R2, errors."""
    found = []
    for key, part in scores.groupby([*ARM, "metric"], sort=False):
        means = {k: part[k].mean() for k in ("ln_r2", "mre", "mae", "mse")}
        found.append(dict(zip([*ARM, "metric"], key, strict=True)) | _interval(part.r2, "r2") | means)
    return pd.DataFrame(found).replace({"features": FEATURES})


def averages(scores: pd.DataFrame) -> pd.DataFrame:
    """Return per arm and seed the mean R2 over all metrics (`average`) and over all but the cmrr (`first`), and the rest."""
    found = []
    for key, part in scores.groupby([*ARM, "seed"], sort=False):
        r2, ln = part.set_index("metric").r2, part.set_index("metric").ln_r2
        row = dict(zip([*ARM, "seed"], key, strict=True))
        row |= {"average": r2.mean(), "first": besides_hard(part).r2.mean()}
        row |= {"cmrr_r2": r2.get(HARD, np.nan), "cmrr_ln_r2": ln.get(HARD, np.nan)}
        found.append(row | {k: part[k].mean() for k in ("cover_90", "cover_90_raw", "inner")})
    return pd.DataFrame(found)


def published_means(scores: pd.DataFrame, outcome: Outcome) -> pd.Series:
    """Return the averages of an outcome, over all splits."""
    return rows(averages(scores), **vars(outcome.arm)).mean(numeric_only=True)


def over_splits(scores: pd.DataFrame, *by: str) -> pd.DataFrame:
    """Return the mean over splits of every score, by these columns."""
    return scores.drop(columns="seed").groupby(list(by), as_index=False, sort=False).mean(numeric_only=True)


def method_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row per arm, best inner error first: averages with intervals over split seeds."""
    found = []
    for key, part in averages(scores).groupby(ARM, sort=False):
        row = dict(zip(ARM, key, strict=True))
        for name in ("first", "average"):
            row |= _interval(part[name], name, f"{name}_low", f"{name}_high")
        found.append(row | {k: part[k].mean() for k in ("cmrr_r2", "cmrr_ln_r2", "inner")})
    return measured(pd.DataFrame(found)).sort_values("inner", ignore_index=True).replace({"features": FEATURES})


def chosen(scores: pd.DataFrame, domain: str) -> pd.DataFrame:
    """Return the averages of the arm of `domain` with the lowest inner error (ensembles aside), one row per seed."""
    part = rows(averages(scores), domain=domain)
    part = part[~part.method.isin(("mlp_affine", *ENSEMBLES))]
    key = part.groupby(ARM).inner.mean().idxmin()
    return rows(part, **dict(zip(ARM, key, strict=True)))


def calibration_table(scores: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Return the coverage of 50 % and 90 % intervals before and after calibration, per method and metric."""
    part = scores[scores.method.isin(methods) & scores.recipe.isin(["", "compact"]) & (scores.features == "physics")]
    columns = ["cover_50_raw", "cover_50", "cover_90_raw", "cover_90"]
    return part.groupby(["method", "domain", "metric"], sort=False)[columns].mean().reset_index()


def hardest(scores: pd.DataFrame, outcome: Outcome) -> str:
    """Return the metric whose errors are looked at: the cmrr, or where there is none the one with the lowest R2."""
    means = rows(scores, method=outcome.arm.method, domain=outcome.arm.domain).groupby("metric").r2.mean()
    return HARD if HARD in means else means.idxmin()


def hard_designs(outcome: Outcome, lab: Lab, metric: str, n: int = 10) -> pd.DataFrame:
    """Return the scored designs with the largest squared errors of `metric`: sizes, truth, prediction, share of all errors."""
    part = rows(held_out(lab, outcome), metric=metric).copy()
    part["share"] = (part.truth - part.prediction) ** 2
    part["share"] /= part.share.sum()
    part = part.groupby("design").agg({"truth": "first", "prediction": "mean", "share": "sum"}).nlargest(n, "share")
    sizes = lab.prepared.target.loc[part.index, lab.prepared.features]
    part.insert(0, "design_sizes", [", ".join(f"{k} {v:.4g}" for k, v in row.items()) for _, row in sizes.iterrows()])
    return part.reset_index(drop=True)


def hard_facts(hard: pd.DataFrame, lab: Lab, metric: str) -> dict[str, Any]:
    """Return what `hard_designs` come to: their number, share of all errors and median, and the median of all designs."""
    medians = {"high": hard.truth.median(), "median": lab.prepared.target[metric].median()}
    return {"n": len(hard), "name": metric, "share": hard.share.sum()} | medians


def budget_table(budgets: pd.DataFrame) -> pd.DataFrame:
    """Return per budget and method the mean over seeds of the first outputs' R2 and of the cmrr's ln-R2, with intervals."""
    found = []
    for (labels, method, domain), part in budgets.groupby(["labels", "method", "domain"], sort=False):
        row = {"labels": labels, "method": method, "domain": domain}
        row |= _interval(besides_hard(part).groupby("seed").r2.mean(), "first")
        found.append(row | {"cmrr_ln_r2": rows(part, metric=HARD).ln_r2.mean()})
    return measured(pd.DataFrame(found))


def effect_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Decompose the gain over a raw target-only network: physics features, best target-only method, transfer, ensemble."""
    part = averages(scores)
    mlp = rows(part, method="mlp", domain="target_only", recipe="compact")
    steps = {
        "raw_mlp": rows(mlp, features="raw"), "physics_features": rows(mlp, features="physics"),
        "target_best": chosen(scores, "target_only"), "transfer": chosen(scores, "transfer"),
        "ensemble": rows(part, method="ensemble_steady"),
    }  # fmt: skip
    found, before = [], None
    for name, now in steps.items():
        gain = [np.nan] if before is None else now.set_index("seed").average - before.set_index("seed").average
        row = {"step": name, "average": now.average.mean(), "first": now["first"].mean(), "cmrr_ln_r2": now.cmrr_ln_r2.mean()}
        found.append(row | _interval(gain, "gain_average"))
        before = now
    return measured(pd.DataFrame(found))


def beside_public(scores: pd.DataFrame, arm: Arm, public: dict) -> pd.DataFrame:
    """Put R2 and MAE of the published method, in physical units, beside the public logs'; the last row averages R2."""
    means = rows(scores, **vars(arm)).groupby("metric", sort=False)[["r2", "mae"]].mean()
    found = [{"metric": m, "r2": row.r2, "public_r2": public["r2"].get(m, np.nan), "public_best_r2": np.nan, "mae": row.mae,
              "public_mae": public["mae"].get(m, np.nan)} for m, row in means.iterrows()]  # fmt: skip
    last = {"metric": "average", "r2": means.r2.mean(), "mae": np.nan, "public_mae": np.nan}
    whole = set(means.index) == set(public["r2"])
    names = {"public_r2": "average_r2", "public_best_r2": "best_logged_average_r2"}
    return pd.DataFrame([*found, last | {k: public[v] if whole else np.nan for k, v in names.items()}])
