"""Evidence: what a claim is judged by. One type, and a handful of measures on long frames, each with its interval.

A frame of predictions has one row per (arm, seed, unit): truth, pred. A frame of scores has one column per score instead. A
history has one row per (arm, seed, epoch). `unit` is what a test set is made of: a star, a slice, a design. An arm that is not
in the frame is no error: its measure has a reason `why` instead of a value, in both languages.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from lib import metrics

SEEDS_NEEDED = 3  # fewer trainings cannot tell a better arm from a lucky one
Pair = dict[str, str]  # {"zh", "en"}
Scored = str | Callable[[Any, Any], Any]  # a column of scores, or a metric of (truth, pred)


@dataclass(frozen=True)
class Measured:
    """A value with a 95 % interval (None: it has none), or why there is no value; `facts` are for the sentences.

    source  dotted name of the function that computed it;  seeds  how many trainings stand behind it
    tool    a program outside Python that it takes, such as ngspice
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    why: Pair | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    seeds: int = 1
    tool: str = ""

    def __post_init__(self) -> None:
        if (self.value is None) == (self.why is None):
            raise ValueError(f"A measure has a value or a reason why not: this one has {self.value} and {self.why}.")
        if not all(v is None or math.isfinite(v) for v in (self.value, self.low, self.high)):
            raise ValueError(f"A measure is finite, but value, low, high are {self.value}, {self.low}, {self.high}.")

    def saying(self, **facts: Any) -> "Measured":
        """Return it with further facts for the sentences."""
        return replace(self, facts={**self.facts, **facts})

    def mapped(self, change: Callable[[float], float]) -> "Measured":
        """Return it with value and interval changed by an increasing or decreasing function."""
        if self.value is None:
            return self
        ends = [change(v) for v in (self.low, self.high) if v is not None]
        low, high = (min(ends), max(ends)) if ends else (None, None)
        return replace(self, value=change(self.value), low=low, high=high)

    def shown(self, spec: str = ".3f") -> str:
        """Return the value as text; a dash where there is none."""
        return "—" if self.value is None else f"{self.value:{spec}}"


def measure(function: Callable[..., Measured]) -> Callable[..., Measured]:
    """Mark a function that returns `Measured`: what it returns names it as the source."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Measured:
        return replace(function(*args, **kwargs), source=f"{function.__module__}.{function.__qualname__}")

    return wrapped


def why_not(zh: str, en: str) -> Measured:
    """Return a measure without a value, and why."""
    return Measured(why={"zh": zh, "en": en}, seeds=0)


def absent(*names: str, parameter: str = "arms") -> Measured:
    """Return why a claim is not tested: this run does not have these arms, and which parameter would add them."""
    said = ", ".join(f"`{n}`" for n in names)
    return why_not(f"本次运行不含 {said}（参数 `{parameter}`）。", f"This run does not have {said} (parameter `{parameter}`).")


def interval(values: Sequence[float] | np.ndarray) -> Measured:
    """Return the mean of repeated measurements with its interval by Student's t; a single one has no interval."""
    mean, low, high = metrics.t_interval(values)
    return Measured(mean) if math.isnan(low) else Measured(mean, low, high)


def rows_of(frame: pd.DataFrame, arm: str | Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows of an arm: its name, or a mapping of columns to values (floats are compared as floats)."""
    wanted = {"arm": arm} if isinstance(arm, str) else dict(arm)
    keep = np.ones(len(frame), bool)
    for column, value in wanted.items():
        same = np.isclose(frame[column], value) if isinstance(value, float) else (frame[column] == value).to_numpy()
        keep &= same
    return frame[keep]


def named(arm: str | Mapping[str, Any]) -> str:
    """Return how a sentence calls an arm."""
    return arm if isinstance(arm, str) else ", ".join(f"{k} {v}" for k, v in arm.items())


def predictions(arm: str, truth: np.ndarray, pred: np.ndarray, *, seed: int = 0, **columns: Any) -> pd.DataFrame:
    """Return one training's rows of a frame of predictions, its units numbered in the order given; truth, pred (n,)."""
    return pd.DataFrame({"arm": arm, "seed": seed, **columns, "unit": np.arange(len(truth)), "truth": truth, "pred": pred})


def scores(frame: pd.DataFrame, by: Sequence[str] = ("arm",), **draws: Any) -> pd.DataFrame:
    """Return one row per arm: test_r2 with its interval, test_mae and test_rmse, each the mean over its seeds.

    by  the columns that tell arms apart;  draws  n, seed of the bootstrap
    """
    rows = []
    for key, part in frame.groupby(list(by), sort=False):
        found, (truth, preds) = score(part, {}, **draws), _aligned(part)
        r2 = {"test_r2": found.value, "test_r2_low": found.low, "test_r2_high": found.high}
        errors = {f"test_{m.__name__}": float(np.mean([m(truth, p) for p in preds])) for m in (metrics.mae, metrics.rmse)}
        rows.append(dict(zip(by, key, strict=True)) | r2 | errors)
    return pd.DataFrame(rows)


@measure
def score(frame: pd.DataFrame, arm: Any, metric: Scored = metrics.r2, *, parameter: str = "arms", **draws: Any) -> Measured:
    """Return a score of an arm, the mean over its seeds.

    Interval: over seeds and units together for predictions (hierarchical bootstrap; over units with one seed); for a column of
    scores over seeds where there are three, else over units.   draws  n, seed of the bootstrap
    """
    rows = rows_of(frame, arm)
    if rows.empty:
        return absent(named(arm), parameter=parameter)
    if isinstance(metric, str):
        return _mean(rows, metric)
    truth, preds = _aligned(rows)
    value = float(np.mean([metric(truth, p) for p in preds]))
    low, high = _bootstrap(metric, truth, [preds], **draws)
    return Measured(value, low, high, seeds=len(preds))


@measure
def gap(
    frame: pd.DataFrame,
    one: Any,
    other: Any,
    metric: Scored = metrics.r2,
    *,
    parameter: str = "arms",
    needed: int = 1,
    **draws: Any,
) -> Measured:
    """Return score(one) - score(other), paired over units and, where both have the same seeds, over seeds.

    needed  seeds below which two trainings are not compared
    Interval of predictions: the bootstrap over units; with the same several seeds Student's t of their differences beside it.
    """
    sides = [rows_of(frame, arm) for arm in (one, other)]
    gone = [named(arm) for arm, rows in zip((one, other), sides, strict=True) if rows.empty]
    if gone:
        return absent(*gone, parameter=parameter)
    if isinstance(metric, str):
        each = [rows.groupby(["seed", "unit"])[metric].mean().groupby("seed").mean() for rows in sides]
        return over_seeds((each[0] - each[1]).dropna(), needed=needed)
    (truth, first), (again, second) = (_aligned(rows) for rows in sides)
    if not np.array_equal(truth, again):
        raise ValueError(f"{named(one)} and {named(other)} were not scored on the same units.")
    if min(len(first), len(second)) < needed:
        return too_few(min(len(first), len(second)), needed)
    if len(first) > 1 and set(sides[0].seed) == set(sides[1].seed):
        return Measured(*metrics.repeated_difference(metric, truth, first, second, **draws), seeds=len(first))
    value = float(np.mean([metric(truth, p) for p in first]) - np.mean([metric(truth, p) for p in second]))
    low, high = _bootstrap(metric, truth, [first, second], **draws)
    return Measured(value, low, high, seeds=min(len(first), len(second)))


def too_few(found: int, needed: int = SEEDS_NEEDED) -> Measured:
    """Return why a comparison is not made: it has fewer seeds than it takes."""
    return why_not(
        f"只有 {found} 个随机种子；比较两次训练至少需要 {needed} 个。",
        f"Only {found} seed(s); comparing two trainings takes at least {needed}.",
    )


@measure
def over_seeds(values: pd.Series | Sequence[float], *, needed: int = SEEDS_NEEDED) -> Measured:
    """Return the mean of one value per seed, with its interval by Student's t; below `needed` seeds a reason why not."""
    values = np.asarray(values, float)
    return too_few(len(values), needed) if len(values) < needed else replace(interval(values), seeds=len(values))


@measure
def share(flags: Any) -> Measured:
    """Return which share of units something is true for, with its Wilson interval."""
    flags = np.asarray(flags, bool)
    found = stats.binomtest(int(flags.sum()), len(flags)).proportion_ci(method="wilson")
    return Measured(float(flags.mean()), float(found.low), float(found.high), seeds=0)


@measure
def at_epoch(history: pd.DataFrame, arm: Any, column: str, epoch: int = -1, *, parameter: str = "arms") -> Measured:
    """Return a value of an arm's history after an epoch (-1: the last), over its seeds; a reason where it trained shorter."""
    rows = rows_of(history, arm)
    if rows.empty:
        return absent(named(arm), parameter=parameter)
    last = int(rows.epoch.max())
    if epoch > last:
        return too_short(last, epoch)
    each = rows[rows.epoch == (last if epoch < 0 else epoch)].groupby("seed")[column].mean()
    return replace(interval(each), seeds=len(each))


def too_short(epochs: int, needed: int) -> Measured:
    """Return why a claim on later epochs is not tested."""
    return why_not(
        f"本次运行只训练了 {epochs} 轮，需要 {needed} 轮（参数 `epochs`）。",
        f"This run trains for {epochs} epochs; it takes {needed} (parameter `epochs`).",
    )


@measure
def cost(frame: pd.DataFrame, arm: Any, column: str, *, parameter: str = "arms") -> Measured:
    """Return what an arm costs (seconds, epochs, parameters, ...), one row per seed; a NaN is a goal that was never reached."""
    rows = rows_of(frame, arm)
    if rows.empty:
        return absent(named(arm), parameter=parameter)
    if rows[column].isna().all():
        return why_not(f"{named(arm)} 在本次运行中始终没有达到这一点。", f"{named(arm)} never gets there in this run.")
    return replace(interval(rows[column].dropna()), seeds=len(rows))


def _mean(rows: pd.DataFrame, column: str) -> Measured:
    cells = rows.groupby(["seed", "unit"])[column].mean()
    by_seed = cells.groupby("seed").mean()
    values = by_seed if len(by_seed) >= SEEDS_NEEDED else cells.groupby("unit").mean()
    return replace(interval(values), seeds=len(by_seed))


def _aligned(rows: pd.DataFrame) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return truth (n,) and the predictions (n,) of each seed, units in order."""
    parts = [part.sort_values("unit") for _, part in rows.groupby("seed")]
    truth = parts[0].truth.to_numpy()
    if not all(np.array_equal(truth, part.truth.to_numpy()) for part in parts):
        raise ValueError("The seeds of an arm were not scored on the same units.")
    return truth, [part.pred.to_numpy() for part in parts]


def _bootstrap(
    metric: Callable, truth: np.ndarray, sides: list[list[np.ndarray]], *, n: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the interval of mean metric(side 0) - mean metric(side 1, if any), seeds and units drawn anew in every draw."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(truth), (len(truth), n))
    draws = []
    for preds in sides:
        each = np.stack([metric(truth[rows], p[rows]) for p in preds])  # (seeds, n)
        picked = rng.integers(0, len(preds), (len(preds), n)) if len(preds) > 1 else np.zeros((1, n), int)
        draws.append(np.take_along_axis(each, picked, 0).mean(0))
    low, high = np.quantile(draws[0] - (draws[1] if len(draws) > 1 else 0.0), [0.025, 0.975])
    return float(low), float(high)
