"""What judges the claims beside `lib.evidence`: a value with its interval over split seeds, or why these data cannot tell."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from lib.evidence import Measured, measure, over_seeds, share, why_not
from lib.steps.opamp.arms import Lab
from lib.steps.opamp.data import Prepared
from lib.studies.opamp_transfer.comparison import PAIR, Outcome, held_out
from lib.studies.opamp_transfer.tables import averages, besides_hard, chosen, effect_table, rows

FEW_METHOD = "gp_source_features"  # the transfer method that is asked what a few labels are worth
FAILED = ("gain_below_one", "no_unity_crossing")  # why a design is taken for a failed simulation
TAILED = ("ugf", "cmrr")  # the metrics that the document calls highly skewed


def missing(metric: str) -> Measured:
    """Return that a claim needs a metric which the data do not have."""
    return why_not(f"数据中没有指标 {metric}，无法检验。", f"The data have no metric {metric}: this cannot be tested on them.")


@measure
def furthest(compared: pd.DataFrame) -> Measured:
    """Return the largest Kolmogorov-Smirnov distance between the processes, with name and medians of its column."""
    row = compared.loc[compared.ks.idxmax()]
    facts = {"name": row.metric, "median_a": float(row.median_a), "median_b": float(row.median_b)}
    return Measured(float(row.ks), seeds=0, facts=facts)


@measure
def distance(compared: pd.DataFrame, metric: str) -> Measured:
    """Return the Kolmogorov-Smirnov distance of `metric` between the processes."""
    ks = compared.ks[compared.metric == metric]
    return Measured(float(ks.iloc[0]), seeds=0) if len(ks) else missing(metric)


@measure
def share_below(prepared: Prepared, metric: str, limit: float, process: str = "target") -> Measured:
    """Return the share of a process's designs with `metric` below `limit`, and the lowest value."""
    if metric not in prepared.targets:
        return missing(metric)
    values = getattr(prepared, process)[metric]
    return share(values < limit).saying(lowest=float(values.min()))


@measure
def largest(prepared: Prepared, metric: str) -> Measured:
    """Return the largest value of `metric` among usable designs, and how many designs were dropped as failed simulations."""
    if metric not in prepared.targets:
        return missing(metric)
    both = max(float(frame[metric].max()) for frame in (prepared.source, prepared.target))
    return Measured(both, seeds=0, facts={"dropped": int(prepared.dropped.reason.isin(FAILED).sum())})


@measure
def least_skewed(skewness: pd.DataFrame) -> Measured:
    """Return the smaller skewness of ugf and cmrr as measured, without its sign, and whose it is."""
    return _least(skewness, lambda t: t.skew_raw.abs())


@measure
def least_straightened(skewness: pd.DataFrame) -> Measured:
    """Return by how much log1p lowers the skewness of ugf and cmrr, without its sign: the smaller of the two, and whose."""
    return _least(skewness, lambda t: t.skew_raw.abs() - t.skew_log.abs())


def _least(skewness: pd.DataFrame, of_tails) -> Measured:
    tails = skewness[skewness.metric.isin(TAILED)]
    if tails.empty:
        return why_not("数据中没有 ugf 和 cmrr。", "The data have neither ugf nor cmrr.")
    values = of_tails(tails)
    return Measured(float(values.min()), seeds=0, facts={"name": tails.metric[values.idxmin()]})


@measure
def scaled_mean(lab: Lab, metric: str) -> Measured:
    """Return the mean of `metric` over target designs in the source's standard deviations from the source's mean."""
    if metric not in lab.prepared.targets:
        return missing(metric)
    return Measured(float(lab.bench.y[:, lab.prepared.targets.index(metric)].mean()), seeds=0)


@measure
def source_bias(lab: Lab, outcomes: Sequence[Outcome], method: str, metric: str) -> Measured:
    """Return a source-only method's mean error of `metric` on target designs: its size, in their standard deviations."""
    if metric not in lab.prepared.targets:
        return missing(metric)
    outcome = next(o for o in outcomes if o.arm.domain == "source_only" and o.arm.method == method)
    seeds = rows(held_out(lab, outcome), metric=metric).groupby("seed")
    each = [abs((g.prediction - g.truth).mean()) / g.truth.std() for _, g in seeds]
    return over_seeds(each, needed=1).saying(method=method)


@measure
def worst_metric(scores: pd.DataFrame, domain: str) -> Measured:
    """Return the worst R2 of the method of `domain` whose worst is best; facts: method, metric, and its best metric."""
    part = scores[scores.domain == domain]
    means = part.groupby(["method", "metric"]).r2.mean().unstack()
    method = means.min(axis=1).idxmax()
    name, best = means.loc[method].idxmin(), means.loc[method].idxmax()
    found = over_seeds(rows(part, method=method, metric=name).r2, needed=1)
    return found.saying(method=method, name=name, best=best, best_r2=float(means.loc[method].max()))


@measure
def first_outputs(scores: pd.DataFrame, best: Outcome) -> Measured:
    """Return the mean R2 of the published method over all outputs but the cmrr."""
    part = rows(averages(scores), **vars(best.arm))
    return over_seeds(part["first"], needed=1).saying(method=best.arm.method)


@measure
def coverage_gap(scores: pd.DataFrame, method: str, level: int = 90) -> Measured:
    """Return coverage minus level of a method, averaged over metrics."""
    part = scores[scores.method == method].groupby("seed")[f"cover_{level}"].mean()
    return over_seeds(part - level / 100, needed=1).saying(method=method)


@measure
def paired(one: pd.DataFrame, other: pd.DataFrame, column: str = "r2") -> Measured:
    """Return a score of one arm minus that of another, paired by split; a frame may hold several rows for a split."""
    means = [frame.groupby("seed")[column].mean() for frame in (one, other)]
    return over_seeds((means[0] - means[1]).dropna(), needed=1)


@measure
def transfer_gap(scores: pd.DataFrame) -> Measured:
    """Return the mean R2 of the chosen transfer method (a) minus that of the chosen target-only method (b)."""
    moved, own = chosen(scores, "transfer"), chosen(scores, "target_only")
    return paired(moved, own, "average").saying(a=moved.method.iloc[0], b=own.method.iloc[0])


@measure
def ensemble_gap(scores: pd.DataFrame) -> Measured:
    """Return the mean R2 of the document's ensemble minus that of its better member."""
    part = averages(scores)
    pair, own = rows(part, method="ensemble_pair"), rows(part, features="physics", recipe="compact")
    own = own[own.method.isin(PAIR)]
    if pair.empty:
        return why_not(
            "本次运行没有训练原文集成的两个成员。", "The two members of the document's ensemble were not trained in this run."
        )
    better = own.groupby("method").average.mean().idxmax()
    return paired(pair, rows(own, method=better), "average").saying(member=better)


@measure
def physics_over_transfer(scores: pd.DataFrame) -> Measured:
    """Return what physics features add to the mean R2 minus what transfer then adds."""
    gains = effect_table(scores).set_index("step").gain_average
    facts = {"physics": float(gains["physics_features"]), "transfer": float(gains["transfer"])}
    return Measured(facts["physics"] - facts["transfer"], seeds=scores.seed.nunique(), facts=facts)


@measure
def budget_gap(budgets: pd.DataFrame, labels: int, method: str = FEW_METHOD) -> Measured:
    """Return, at a budget, the first outputs' R2 of transfer `method` minus that of the best target-only method (rival)."""
    if labels not in set(budgets.labels):
        most = int(budgets.labels.max())
        return why_not(f"训练行不足 {labels} 个（跑过的最大预算是 {most} 个标注）。",
                       f"There are fewer than {labels} training rows (the largest budget that was run has {most} labels).")  # fmt: skip
    by = besides_hard(rows(budgets, labels=labels)).groupby(["domain", "method", "seed"]).r2.mean()
    own = by["target_only"].unstack()
    rival = own.mean(axis=1).idxmax()
    mine = by["transfer"].unstack().loc[method]
    found = over_seeds((mine - own.loc[rival]).dropna(), needed=1)
    return found.saying(labels=labels, rival=rival, reached=float(mine.mean()), rival_reached=float(own.loc[rival].mean()))


def last_help(budgets: pd.DataFrame) -> int:
    """Return the largest budget at which the interval of `budget_gap` lies above zero; 0 where there is none."""
    sizes = [n for n in sorted(budgets.labels.unique()) if (budget_gap(budgets, n).low or 0) > 0]
    return int(sizes[-1]) if sizes else 0


@measure
def contrast(frame: pd.DataFrame, column: str, one: Any, other: Any, score: str = "r2", *, parameter: str) -> Measured:
    """Return a score where `column` is `one` minus that where it is `other`; `parameter` decides whether both ran."""
    if one == other or not {one, other} <= set(frame[column]):
        zh, en = ("、".join(map(str, (one, other))), " and ".join(map(str, (one, other))))
        return why_not(f"本次运行没有 {zh} 这两个可以比较的取值（参数 `{parameter}`）。",
                       f"This run does not have {en} as two values to compare (parameter `{parameter}`).")  # fmt: skip
    return paired(rows(frame, **{column: one}), rows(frame, **{column: other}), score)
