"""What the page says of the scores: tables, gaps between methods with their intervals, and the designs that are hard."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib import metrics
from lib.steps.opamp.spec import Arm
from lib.studies.opamp_transfer.comparison import Outcome, held_out
from lib.studies.opamp_transfer.scope import HARD, besides_hard

REPORTED = ("slewrate_pos", "dc_gain", "ugf", "phase_margin", "cmrr")
FEATURES = {"raw": "raw_features"}  # what a feature set is called on the page
ARM = ["domain", "method", "features", "recipe"]


def interval(values: pd.Series) -> dict[str, float | None]:
    """Return mean and 95 % Student interval over split seeds; None where one split gives no interval."""
    mean, low, high = metrics.t_interval(values)
    return {"value": mean, "low": None if np.isnan(low) else low, "high": None if np.isnan(high) else high}


def score_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row per arm and metric: mean R2 with its interval over split seeds, ln-R2, errors."""
    rows = []
    for (domain, method, features, recipe, metric), part in scores.groupby([*ARM, "metric"], sort=False):
        found = interval(part.r2)
        rest = {k: part[k].mean() for k in ("ln_r2", "mre", "mae", "mse")}
        labels = {
            "domain": domain,
            "method": method,
            "features": FEATURES.get(features, features),
            "recipe": recipe,
            "metric": metric,
        }
        rows.append(labels | {"r2": found["value"], "low": found["low"], "high": found["high"]} | rest)
    return pd.DataFrame(rows)


def averages(scores: pd.DataFrame) -> pd.DataFrame:
    """Return per arm and seed the mean R2 over all metrics (`average`) and over all but the cmrr (`first`), cmrr and inner error."""
    rows = []
    for labels, part in scores.groupby([*ARM, "seed"], sort=False):
        r2, ln = part.set_index("metric").r2, part.set_index("metric").ln_r2
        row = dict(zip([*ARM, "seed"], labels, strict=True))
        row |= {"average": r2.mean(), "first": besides_hard(part).r2.mean()}
        row |= {"cmrr_r2": r2.get(HARD, np.nan), "cmrr_ln_r2": ln.get(HARD, np.nan), "cover_90": part.cover_90.mean()}
        rows.append(row | {"cover_90_raw": part.cover_90_raw.mean(), "inner": part.inner.mean()})
    return pd.DataFrame(rows)


def method_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one row per arm, best inner error first: averages with intervals over split seeds."""
    rows = []
    for labels, part in averages(scores).groupby(ARM, sort=False):
        row = dict(zip(ARM, labels, strict=True))
        for name in ("first", "average"):
            found = interval(part[name])
            row |= {name: found["value"], f"{name}_low": found["low"], f"{name}_high": found["high"]}
        rows.append(row | {k: part[k].mean() for k in ("cmrr_r2", "cmrr_ln_r2", "inner")})
    return measured(pd.DataFrame(rows)).sort_values("inner", ignore_index=True).replace({"features": FEATURES})


def measured(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table without its columns of the cmrr where the data have none."""
    return table.drop(columns=[c for c in table if c.startswith(HARD) and table[c].isna().all()])


def of(table: pd.DataFrame, **labels: str) -> pd.DataFrame:
    """Return the rows with these labels."""
    for name, value in labels.items():
        table = table[table[name] == value]
    return table


def gap(a: pd.DataFrame, b: pd.DataFrame, column: str) -> dict[str, float | None]:
    """Return the mean of a - b over split seeds, paired, with its interval; one row per seed in both."""
    difference = a.set_index("seed")[column] - b.set_index("seed")[column]
    return interval(difference.dropna())


def chosen(scores: pd.DataFrame, domain: str) -> pd.DataFrame:
    """Return the averages of the arm of `domain` with the lowest inner error (ensembles aside), one row per seed."""
    part = averages(scores)
    part = part[(part.domain == domain) & (part.method != "mlp_affine") & ~part.method.str.startswith("ensemble")]
    key = part.groupby(ARM).inner.mean().idxmin()
    return of(part, **dict(zip(ARM, key, strict=True)))


def worst_metric(scores: pd.DataFrame, domain: str) -> dict:
    """Return the method of `domain` whose worst metric is best: method, that metric, mean R2 and interval over seeds, its best metric."""
    part = scores[scores.domain == domain]
    means = part.groupby(["method", "metric"]).r2.mean().unstack()
    method = means.min(axis=1).idxmax()
    metric = means.loc[method].idxmin()
    best = {"metric": means.loc[method].idxmax(), "r2": float(means.loc[method].max())}
    return {
        "method": method,
        "metric": metric,
        "best": best,
        **interval(part[(part.method == method) & (part.metric == metric)].r2),
    }


def calibration_table(scores: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Return the coverage of 50 % and 90 % intervals before and after calibration, per method and metric."""
    part = scores[scores.method.isin(methods) & scores.recipe.isin(["", "compact"]) & (scores.features == "physics")]
    columns = ["cover_50_raw", "cover_50", "cover_90_raw", "cover_90"]
    return part.groupby(["method", "domain", "metric"], sort=False)[columns].mean().reset_index()


def coverage_gap(scores: pd.DataFrame, method: str, level: int = 90) -> dict[str, float | None]:
    """Return coverage minus level of a method, averaged over metrics, with its interval over split seeds."""
    part = scores[scores.method == method].groupby("seed")[f"cover_{level}"].mean()
    return interval(part - level / 100)


def hardest(scores: pd.DataFrame, outcome: Outcome) -> str:
    """Return the metric whose errors are looked at: the cmrr, or where there is none the one with the lowest R2."""
    means = of(scores, method=outcome.arm.method, domain=outcome.arm.domain).groupby("metric").r2.mean()
    return HARD if HARD in means else means.idxmin()


def hard_designs(outcome: Outcome, lab, metric: str, n: int = 10) -> pd.DataFrame:
    """Return the scored designs with the largest squared errors of `metric`: sizes, truth, prediction, share of all errors."""
    held = held_out(lab, outcome)
    part = held[held.metric == metric].copy()
    part["share"] = (part.truth - part.prediction) ** 2
    part["share"] /= part.share.sum()
    part = part.groupby("design").agg({"truth": "first", "prediction": "mean", "share": "sum"}).nlargest(n, "share")
    sizes = lab.prepared.target.loc[part.index, lab.prepared.features]
    part.insert(0, "design_sizes", [", ".join(f"{k} {v:.4g}" for k, v in row.items()) for _, row in sizes.iterrows()])
    return part.reset_index(drop=True)


def budget_table(budgets: pd.DataFrame) -> pd.DataFrame:
    """Return per budget and method the mean over seeds of the first outputs' R2 and of the cmrr's ln-R2, with intervals."""
    rows = []
    for (labels, method, domain), part in budgets.groupby(["labels", "method", "domain"], sort=False):
        first = besides_hard(part).groupby("seed").r2.mean()
        ln = part[part.metric == HARD].ln_r2
        found = interval(first)
        row = {"labels": labels, "method": method, "domain": domain, "first": found["value"], "low": found["low"]}
        rows.append(row | {"high": found["high"], "cmrr_ln_r2": ln.mean() if len(ln) else np.nan})
    return measured(pd.DataFrame(rows))


def budget_gap(budgets: pd.DataFrame, labels: int, method: str) -> dict:
    """Return, at a budget, the first outputs' R2 of transfer `method` minus that of the best target-only method, by seed."""
    part = besides_hard(budgets[budgets.labels == labels])
    by = part.groupby(["domain", "method", "seed"]).r2.mean()
    own = by["target_only"].unstack()
    rival = own.mean(axis=1).idxmax()
    mine = by["transfer"].unstack().loc[method]
    return interval(mine - own.loc[rival]) | {
        "rival": rival,
        "reached": float(mine.mean()),
        "rival_reached": float(own.loc[rival].mean()),
    }


def last_help(budgets: pd.DataFrame, method: str) -> int:
    """Return the largest budget at which the interval of `budget_gap` lies above zero; 0 where there is none."""
    sizes = [n for n in sorted(budgets.labels.unique()) if (budget_gap(budgets, n, method)["low"] or 0) > 0]
    return int(sizes[-1]) if sizes else 0


def effect_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Decompose the gain over a raw target-only network: physics features, the best target-only method, transfer, the ensemble."""
    part = averages(scores)
    steps = {
        "raw_mlp": of(part, method="mlp", domain="target_only", features="raw", recipe="compact"),
        "physics_features": of(part, method="mlp", domain="target_only", features="physics", recipe="compact"),
        "target_best": chosen(scores, "target_only"),
        "transfer": chosen(scores, "transfer"), "ensemble": of(part, method="ensemble_steady"),
    }  # fmt: skip
    rows, before = [], None
    for name, now in steps.items():
        row = {"step": name, "average": now.average.mean(), "first": now["first"].mean(), "cmrr_ln_r2": now.cmrr_ln_r2.mean()}
        found = {"value": np.nan, "low": None, "high": None} if before is None else gap(now, before, "average")
        rows.append(row | {"gain_average": found["value"], "low": found["low"], "high": found["high"]})
        before = now
    return measured(pd.DataFrame(rows))


def reported_path(metric: str) -> str | None:
    """Return where reported.yaml keeps the R2 of `metric`; None for a metric that the documents do not report."""
    return f"opamp_transfer.public.r2.{metric}" if metric in REPORTED else None


def beside_public(scores: pd.DataFrame, arm: Arm, public: dict) -> pd.DataFrame:
    """Put R2 and MAE of the published method, physical units, beside the public logs'; the last row averages R2 over metrics."""
    part = of(scores, method=arm.method, domain=arm.domain, features=arm.features, recipe=arm.recipe)
    means = part.groupby("metric", sort=False)[["r2", "mae"]].mean()
    rows = [{"metric": m, "r2": row.r2, "public_r2": public["r2"].get(m, np.nan), "public_best_r2": np.nan, "mae": row.mae,
             "public_mae": public["mae"].get(m, np.nan)} for m, row in means.iterrows()]  # fmt: skip
    last = {"metric": "average", "r2": means.r2.mean(), "mae": np.nan, "public_mae": np.nan}
    whole = set(means.index) == set(public["r2"])
    names = {"public_r2": "average_r2", "public_best_r2": "best_logged_average_r2"}
    return pd.DataFrame([*rows, last | {k: public[v] if whole else np.nan for k, v in names.items()}])


def strongest_shift(shift: pd.DataFrame) -> dict:
    """Return name and medians of the metric with the largest KS distance between the processes."""
    row = shift.loc[shift.ks.idxmax()]
    return {"name": row.metric, "median_a": row.median_a, "median_b": row.median_b}


def member_names(outcome: Outcome) -> str:
    """Return the arms that predict together in an outcome, joined."""
    return ", ".join(f"{a.method} ({a.features})" for a in outcome.members or (outcome.arm,))
