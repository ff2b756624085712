"""What judges the claims: a value with its interval over split seeds, or the reason why these data cannot tell."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from lib.steps.opamp.ablations import NO_CLIP
from lib.steps.opamp.arms import Lab
from lib.steps.opamp.data import Prepared
from lib.studies.opamp_transfer.comparison import Outcome, held_out
from lib.studies.opamp_transfer.config import Config
from lib.studies.opamp_transfer.scope import absent, untested
from lib.studies.opamp_transfer.tables import averages, budget_gap, gap, interval, of

FEW_METHOD = "gp_source_features"  # the transfer method that is asked what a few labels are worth
FAILED = ("gain_below_one", "no_unity_crossing")  # why a design is taken for a failed simulation
TAILED = ("ugf", "cmrr")  # the metrics that the document calls highly skewed
Judged = dict[str, Any]  # value, low, high and what a sentence names; or value None and why_not


def few_labels(config: Config) -> int:
    """Return the label budget of the claim about few labels: the second of the list, or the only one."""
    return config.budgets[:2][-1]


def distance(shift: pd.DataFrame, metric: str) -> Judged:
    """Return the Kolmogorov-Smirnov distance of `metric` between the processes; untested where it is absent."""
    row = shift[shift.metric == metric]
    return {"value": float(row.ks.iloc[0])} if len(row) else absent(metric)


def largest(prepared: Prepared, metric: str) -> Judged:
    """Return the largest value of `metric` among usable designs, and how many designs were dropped as failed simulations."""
    if metric not in prepared.targets:
        return absent(metric)
    both = max(float(frame[metric].max()) for frame in (prepared.source, prepared.target))
    return {"value": both, "dropped": int(prepared.dropped.reason.isin(FAILED).sum())}


def skew_of_tails(skewness: pd.DataFrame) -> dict[str, Judged]:
    """Return, of the ugf and the cmrr, the least skewness as measured and the least that log1p takes off it."""
    tails = skewness[skewness.metric.isin(TAILED)]
    if tails.empty:
        return dict.fromkeys(("raw", "less"), untested("数据中没有 ugf 和 cmrr。", "The data have neither ugf nor cmrr."))
    raw, after = tails.skew_raw.abs(), tails.skew_log.abs()
    return {
        "raw": {"value": float(raw.min()), "name": tails.metric[raw.idxmin()]},
        "less": {"value": float((raw - after).min()), "name": tails.metric[(raw - after).idxmin()]},
    }


def scaled_mean(lab: Lab, metric: str) -> Judged:
    """Return the mean of `metric` over target designs in the source's standard deviations from the source's mean."""
    if metric not in lab.prepared.targets:
        return absent(metric)
    return {"value": float(lab.bench.y[:, lab.prepared.targets.index(metric)].mean())}


def source_bias(lab: Lab, outcomes: Sequence[Outcome], method: str, metric: str) -> Judged:
    """Return a source-only method's mean error of `metric` on target designs, without its sign, in their standard deviations."""
    if metric not in lab.prepared.targets:
        return absent(metric)
    outcome = next(o for o in outcomes if o.arm.domain == "source_only" and o.arm.method == method)
    seeds = of(held_out(lab, outcome), metric=metric).groupby("seed")
    return interval(pd.Series([abs((g.prediction - g.truth).mean()) / g.truth.std() for _, g in seeds]))


def ensemble_gap(scores: pd.DataFrame, members: Sequence[str]) -> Judged:
    """Return the mean R2 of the document's ensemble minus that of its better member, paired by split."""
    part = averages(scores)
    pair = of(part, method="ensemble_pair")
    own = part[part.method.isin(members) & (part.features == "physics") & (part.recipe == "compact")]
    if pair.empty:
        return untested(
            "本次运行没有训练原文集成的两个成员。", "The two members of the document's ensemble were not trained in this run."
        )
    better = own.groupby("method").average.mean().idxmax()
    return gap(pair, of(own, method=better), "average") | {"member": better}


def coral_gap(sweep: pd.DataFrame, config: Config) -> Judged:
    """Return by how much CORAL with the default weight lowers the inner likelihood loss against none."""
    return _sweep_gap(sweep, "lambda_coral", "nll", 0.0, config.lambda_coral)


def coral_excess(sweep: pd.DataFrame, config: Config) -> Judged:
    """Return by how much the largest swept weight of CORAL raises the inner likelihood loss against the default weight."""
    return _sweep_gap(sweep, "lambda_coral", "nll", max(config.lambda_grid), config.lambda_coral)


def clip_gap(sweep: pd.DataFrame, config: Config) -> Judged:
    """Return by how much clipping lowers the validation loss's largest rise between two evaluations."""
    return _sweep_gap(sweep, "clip", "rise", NO_CLIP, config.clip)


def r2_term_gap(sweep: pd.DataFrame, config: Config) -> Judged:
    """Return by how much the R2 term with its default weight raises the inner R2 against none."""
    return _sweep_gap(sweep, "alpha_r2", "r2", config.alpha_r2, 0.0)


def _sweep_gap(sweep: pd.DataFrame, parameter: str, score: str, value: float, minus: float) -> Judged:
    """Return a score at one swept value minus that at another, paired by split; untested where both are not there."""
    part = of(sweep, parameter=parameter)
    if value == minus or not {value, minus} <= set(part.value):
        return untested(f"{parameter} 没有同时扫描两个不同的值：{value:g} 与 {minus:g}。",
                        f"The sweep of {parameter} does not hold two different values to compare, {value:g} and {minus:g}.")  # fmt: skip
    return gap(of(part, value=value), of(part, value=minus), score)


def hold_gap(held_back: pd.DataFrame, config: Config) -> Judged:
    """Return the mean R2 of the three-stage fine-tuning with L2-SP minus that without, paired by split."""
    by = held_back.groupby(["l2sp", "seed"], as_index=False).r2.mean()
    if by.l2sp.nunique() < 2:
        return untested(
            "参数 `l2sp` 为零，没有可比较的对象。", "The parameter `l2sp` is zero: there is nothing to compare with."
        )
    return gap(of(by, l2sp=config.l2sp), of(by, l2sp=0.0), "r2")


def log_gap(logarithm: pd.DataFrame) -> Judged:
    """Return the mean R2 with log1p minus that without, paired by split; untested where no metric is modelled as a logarithm."""
    if "log1p" not in set(logarithm.scale):
        return untested("没有以对数建模的指标（参数 `log_targets` 与目标列没有交集）。",
                        "No metric is modelled as a logarithm (the parameter `log_targets` names none of the targets).")  # fmt: skip
    return _scale_gap(logarithm, "log1p", "linear")


def standard_gap(logarithm: pd.DataFrame) -> Judged:
    """Return the mean R2 with standardised inputs and outputs minus that without, paired by split."""
    return _scale_gap(logarithm, "log1p" if "log1p" in set(logarithm.scale) else "linear", "unscaled")


def _scale_gap(logarithm: pd.DataFrame, scale: str, minus: str) -> Judged:
    by = logarithm.groupby(["scale", "seed"], as_index=False).r2.mean()
    return gap(of(by, scale=scale), of(by, scale=minus), "r2")


def few_gap(budgets: pd.DataFrame, config: Config) -> Judged:
    """Return what transfer gains over the best target-only method with few labels; untested where there are not that many."""
    n = few_labels(config)
    if n not in set(budgets.labels):
        most = int(budgets.labels.max())
        return untested(f"训练行不足 {n} 个（跑过的最大预算是 {most} 个标注）。",
                        f"There are fewer than {n} training rows (the largest budget that was run has {most} labels).")  # fmt: skip
    return budget_gap(budgets, n, FEW_METHOD)
