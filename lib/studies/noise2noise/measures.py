"""What judges the claims beyond lib.evidence: this study's parameters, losses that end a stage, the better of several arms.

An arm is a name on frames of `main`, or the address `arms.setting` of a point of a sweep.
"""

from dataclasses import replace
from functools import partial

import pandas as pd

from lib import evidence
from lib.evidence import SEEDS_NEEDED, absent, interval, measure, over_seeds, rows_of, why_not
from lib.studies.noise2noise.arms import SWEEPS

at_epoch = partial(evidence.at_epoch, parameter="configs")
cost = partial(evidence.cost, parameter="configs")


def _parameter(arm):
    """Return the parameter that would add an arm to the run."""
    return "configs" if isinstance(arm, str) else SWEEPS[arm["sweep"]]


def score(scored, arm, column):
    """Return the mean of a score of an arm (see lib.evidence.score)."""
    return evidence.score(scored, arm, column, parameter=_parameter(arm))


def gap(frame, one, other, column):
    """Return score(one) - score(other), or cost, paired by seed; it takes three seeds (see lib.evidence.gap)."""
    return evidence.gap(frame, one, other, column, parameter=_parameter(one), needed=SEEDS_NEEDED)


@measure
def best_gap(scored, one, others, column):
    """Return score(one) less the best of `others` per seed: a plan that trains several and keeps the best."""
    gone = [name for name in (one, *others) if rows_of(scored, name).empty]
    if gone:
        return absent(*gone, parameter="configs")
    each = scored.groupby(["arm", "seed", "unit"])[column].mean().groupby(["arm", "seed"]).mean().unstack("arm")
    return over_seeds((each[one] - each[list(others)].max(axis=1, skipna=False)).dropna())


@measure
def gap_at_epoch(curves, one, other, column, epoch):
    """Return loss(one) - loss(other) after an epoch, paired by seed."""
    untold = [found for found in (at_epoch(curves, arm, column, epoch) for arm in (one, other)) if found.why]
    return untold[0] if untold else gap(curves[curves.epoch == epoch], one, other, column)


@measure
def left(curves, arm, column, epoch=-1, floor=0.0):
    """Return what is left of a loss after an epoch (-1: the last): its excess over a floor, over that after the first."""
    found = at_epoch(curves, arm, column, epoch)
    if found.why:
        return found
    excess = rows_of(curves, arm).pivot(index="epoch", columns="seed", values=column) - floor
    first, later = excess.loc[1], excess.iloc[-1] if epoch < 0 else excess.loc[epoch]
    return over_seeds(later / first, needed=1)


@measure
def kept_latent(curves, arm):
    """Return the latent's standard deviation at the end over its largest: near zero it has collapsed."""
    rows = rows_of(curves, arm)
    if rows.empty:
        return absent(arm, parameter="configs")
    return over_seeds(rows.groupby("seed").val_latent_std.agg(lambda std: std.iloc[-1] / std.max()), needed=1)


def first_stage(curves):
    """Return the epochs of the first stage of each arm."""
    return curves[curves.stage == 1]


def _per_slice(cross, arm):
    """Return loss and noise floor per slice: the sum over the two domains, the mean over seeds."""
    return rows_of(cross, arm).groupby(["seed", "unit"])[["l1", "floor"]].sum().groupby("unit").mean()


@measure
def floor_gap(cross, arm):
    """Return held-out cross loss less noise floor, paired over the slices, so that the noise itself cancels.

    A difference below zero means that the outputs contain their targets' noise.
    """
    rows = rows_of(cross, arm)
    if rows.empty:
        return absent(arm, parameter="configs")
    losses = _per_slice(cross, arm)
    return replace(interval(losses.l1 - losses.floor), seeds=rows.seed.nunique())


def floor_test(cross):
    """Return per arm the held-out cross loss, its noise floor, and their difference with a 95% interval."""
    rows = []
    for arm in cross.arm.unique():
        found, losses = floor_gap(cross, arm), _per_slice(cross, arm)
        rows.append({
            "config": arm, "cross_loss": losses.l1.mean(), "noise_floor": losses.floor.mean(), "difference": found.value,
            "low": found.low, "high": found.high, "side": "below" if found.high < 0 else "above" if found.low > 0 else "at",
        })  # fmt: skip
    return pd.DataFrame(rows)


@measure
def one_setting(name, one, other):
    """Return why the effect of a parameter is not judged: a run has one value of it, and this is how to compare two."""
    zh = f"一次运行只用一个 `{name}`。可分别用 `-p {name} {one}` 和 `-p {name} {other}` 各跑一次，"
    en = f"A run has one `{name}`. Run with `-p {name} {one}` and with `-p {name} {other}`, and set both "
    how = "`python -m lib.render compare`"
    return why_not(f"{zh}再用 {how} 并排比较。", f"{en}side by side with {how}.")


def lowest_loss(curves):
    """Return the arm whose cross loss ends lowest: the one that the document's milestones would choose."""
    last = curves[curves.epoch == curves.groupby("arm").epoch.transform("max")]
    return last.groupby("arm").train_cross.mean().idxmin()
