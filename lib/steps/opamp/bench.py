"""What every method works on: scaled arrays of both processes, the rows to learn from and the rows to be scored on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
import pandas as pd

from lib.data.opamp import Scaler, duplicates
from lib.data.opamp_features import physics_features
from lib.schema import Schema
from lib.steps.opamp.data import Prepared, opened, split
from lib.steps.opamp.spec import Folds, LabSpec

SCORED = -1  # inner fold of a row that is held out for scoring


class Inputs(Schema):
    """How designs become features: raw columns or physics features, standardised on source training rows; stored as JSON."""

    columns: list[str]
    plain: list[str]  # not positive somewhere: no logarithm is taken
    raw: Scaler
    physics: Scaler

    @classmethod
    def fit(cls, designs: pd.DataFrame, columns: list[str], plain: list[str]) -> Self:
        """Fit both scalers on designs of the source process."""
        features = physics_features(designs[columns], tuple(plain))
        scalers = {"raw": Scaler.fit(designs, columns), "physics": Scaler.fit(features, list(features))}
        return cls(columns=columns, plain=plain, **scalers)

    def transform(self, designs: pd.DataFrame) -> dict[str, np.ndarray]:
        """Return feature set -> (n, d) standardised features; a missing column is a ValueError."""
        raw = self.raw.transform(designs)
        features = physics_features(designs[self.columns], tuple(self.plain))
        self._check_units(features)
        return {"raw": raw, "physics": self.physics.transform(features)}

    def _check_units(self, features: pd.DataFrame) -> None:
        """Raise ValueError where a column's logarithm is eight spreads, and a factor of 100, off what the model was fitted on."""
        for name, mean, scale in zip(self.physics.names, self.physics.mean, self.physics.scale, strict=True):
            median = features[name].median() if name.startswith("ln_") and name[3:] in self.columns else mean
            if abs(median - mean) > max(np.log(100.0), 8 * scale):
                raise ValueError(
                    f"Column '{name[3:]}' has the median {np.exp(median):.3g}, but the model was fitted on values around "
                    f"{np.exp(mean):.3g}: give it in the same unit."
                )


@dataclass(frozen=True)
class Bench:
    """Scaled arrays; `x` and `source_x` map a feature set to (n, d), `inner[s, i]` is the inner fold of row i in split s."""

    inputs: Inputs
    y_scaler: Scaler
    x: dict[str, np.ndarray]
    y: np.ndarray  # (n, M)
    source_x: dict[str, np.ndarray]
    source_y: np.ndarray
    source_rows: tuple[np.ndarray, np.ndarray]  # to learn from, to choose by
    inner: np.ndarray  # (S, n); SCORED where the row is held out
    resonant: int | None  # the output with a resonant head

    def limits(self, rows: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the smallest and largest scaled output of target `rows` (None: of the source): predictions are clipped to them."""
        y = self.source_y[self.source_rows[0]] if rows is None else self.y[rows]
        return y.min(0), y.max(0)


@dataclass(frozen=True)
class Job:
    """One fit: the rows it learns from and those it must predict, which it has not seen."""

    split: int
    rows: np.ndarray
    out: np.ndarray
    seed: int


def build(spec: LabSpec, prepared: Prepared) -> Bench:
    """Scale both processes by source training rows and draw the splits and their inner folds."""
    learn, choose = split(prepared.source, spec.source_split, spec.seed)
    both = pd.concat([prepared.source, prepared.target])[prepared.features]
    plain = [c for c in prepared.features if (both[c] <= 0).any()]
    inputs = Inputs.fit(prepared.source.iloc[learn], prepared.features, plain)
    y_scaler = Scaler.fit(prepared.source.iloc[learn], prepared.targets, prepared.log_targets)
    seeds = [spec.seed + s for s in range(spec.folds.splits if spec.folds else 0)]
    inner = [inner_folds(prepared.target, spec.folds, seed) for seed in seeds]
    resonant = prepared.targets.index(spec.resonant) if spec.resonant in prepared.log_targets else None
    return Bench(
        inputs, y_scaler, inputs.transform(prepared.target), y_scaler.transform(prepared.target),
        inputs.transform(prepared.source), y_scaler.transform(prepared.source), (learn, choose),
        np.array(inner, int).reshape(-1, len(prepared.target)), resonant,
    )  # fmt: skip


@lru_cache(maxsize=4)
def bench_of(spec: LabSpec) -> Bench:
    """Return the bench of a spec of data and splits alone."""
    return build(spec, opened(spec.data))


def inner_folds(target: pd.DataFrame, folds: Folds, seed: int, *, hold: bool = True) -> np.ndarray:
    """Return the inner fold of every row (n,): equal designs share one; SCORED where held out (none unless `hold`)."""
    groups = duplicates(target)
    fold = np.random.default_rng(seed).permutation(groups.max() + 1)[groups] % folds.inner
    if hold:
        fold[split(target, folds.held, seed)[1]] = SCORED
    return fold


def jobs(inner: np.ndarray, members: int) -> list[Job]:
    """List the fits of all splits: one for each inner fold, then `members` on all training rows for the scored ones."""
    out = []
    for s, folds in enumerate(inner):
        for j in np.unique(folds[folds != SCORED]):
            learn, rest = (folds != j) & (folds != SCORED), folds == j
            out.append(Job(s, np.flatnonzero(learn), np.flatnonzero(rest), 1000 * s + int(j)))
        every, scored = np.flatnonzero(folds != SCORED), np.flatnonzero(folds == SCORED)
        out += [Job(s, every, scored, 1000 * s + 100 + m) for m in range(members)]
    return out


def bagged_jobs(inner: np.ndarray, members: int) -> list[Job]:
    """List the fits that stop early: one for each inner fold, which it stops by; together they predict the scored rows."""
    out = []
    for job in jobs(inner, 1):
        scored = np.flatnonzero(inner[job.split] == SCORED)
        if job.seed % 1000 < 100:
            out.append(Job(job.split, job.rows, np.concatenate([job.out, scored]), job.seed))
    return out


Predicted = tuple[np.ndarray, np.ndarray | None]  # mean (n, M) and standard deviation, scaled


def gather(
    bench: Bench, todo: Sequence[Job], predictions: Sequence[Predicted], *, source_only: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Join the jobs' predictions of all rows into mean and sd (S, n, M), each from fits that have not seen the row.

    Where several fits predict a row, mean and variance are those of their mixture. A method without a variance of its own
    gets the root mean square of its inner errors. Predictions are clipped to the outputs that a fit has seen.
    """
    shape = (len(bench.inner), *bench.y.shape)
    weight, total, square = np.zeros((*shape[:2], 1)), np.zeros(shape), np.zeros(shape)
    for job, (mean, sd) in zip(todo, predictions, strict=True):
        clipped = np.clip(mean[job.out], *bench.limits(None if source_only else job.rows))
        weight[job.split, job.out] += 1
        total[job.split, job.out] += clipped
        square[job.split, job.out] += clipped**2 + (0 if sd is None else sd[job.out] ** 2)
    mean = total / weight.clip(min=1)
    sd = np.sqrt((square / weight.clip(min=1) - mean**2).clip(min=1e-12))
    if predictions[0][1] is None:
        sd = np.stack([np.broadcast_to(inner_rmse(bench, mean[s], s), bench.y.shape) for s in range(len(mean))])
    return mean, sd


def inner_rmse(bench: Bench, mean: np.ndarray, s: int) -> np.ndarray:
    """Return the root mean square error (M,) over the training rows of split `s`, each predicted out of its fold."""
    known = bench.inner[s] != SCORED
    return np.sqrt(((mean - bench.y)[known] ** 2).mean(0)).clip(min=1e-6)
