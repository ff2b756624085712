"""Search, simulate, correct, search again: a few simulations per specification make up for what the forward model gets wrong.

Output space mapping: where the model is off by a factor near a design, goals divided by that factor lead it to designs that the
simulator finds right.   Source: Bandler et al. 2004, "Space mapping: the state of the art", section on output mapping.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib.inverse.search import Found
from lib.inverse.spec import Goal, Goals, Spec

LIMIT = 3.0  # largest factor by which one round corrects a goal

Searcher = Callable[[list[Spec], Tensor], Found]  # specifications and designs (S, n, D) to start from
Measure = Callable[[np.ndarray], np.ndarray]  # designs (n, D) -> metrics (n, M), NaN where a simulation fails


@dataclass(frozen=True)
class Refined:
    """The best measured design of each specification: x (S, D), metrics as predicted and as measured (S, M)."""

    x: np.ndarray
    predicted: np.ndarray
    measured: np.ndarray
    history: pd.DataFrame  # round, share of specifications met, median worst miss, simulations per specification


def refine(
    search: Searcher, measure: Measure, wanted: Sequence[Spec], metrics: list[str], known: Tensor, found: Found,
    rounds: int, tries: int = 1,
) -> Refined:  # fmt: skip
    """Measure the `tries` best designs of every specification, correct the goals and search again, `rounds` times.

    found  what a first search gave for `wanted`; each further one starts from the designs of the last
    known  (n, M) measured metrics: they tell spread and sign of each metric
    """
    goals = Goals.stack(list(wanted), metrics, known)
    best, rows = None, []
    for number in range(rounds + 1):
        x, y = (t[:, :tries].cpu().numpy() for t in (found.x, found.y))  # (S, T, D), (S, T, M)
        measured = measure(x.reshape(-1, x.shape[-1])).reshape(y.shape)
        miss = goals.rows(torch.arange(len(wanted)).repeat_interleave(y.shape[1])).miss(torch.tensor(measured).flatten(0, 1))
        worst = miss.amax(-1).nan_to_num(float("inf")).reshape(y.shape[:2]).numpy()
        pick, every = worst.argmin(1), np.arange(len(wanted))
        now = [worst[every, pick], x[every, pick], y[every, pick], measured[every, pick]]
        better = np.full(len(wanted), True) if best is None else now[0] < best[0]
        best = (
            now
            if best is None
            else [np.where(better.reshape(-1, *[1] * (n.ndim - 1)), n, b) for n, b in zip(now, best, strict=True)]
        )
        rows.append({"round": number, "met_share": float((best[0] <= 0.05).mean()), "median_worst_miss": float(np.median(best[0])),
                     "simulations": (number + 1) * y.shape[1]})  # fmt: skip
        if number < rounds:
            found = search([corrected(s, metrics, *pair) for s, *pair in zip(wanted, best[2], best[3], strict=True)], found.x)
    return Refined(best[1], best[2], best[3], pd.DataFrame(rows))


def corrected(spec: Spec, metrics: list[str], predicted: np.ndarray, measured: np.ndarray) -> Spec:
    """Return the specification whose goals are moved by what the model was off by: in ratio where both are positive."""
    out = {}
    for name, goal in spec.items():
        p, m = (float(v[metrics.index(name)]) for v in (predicted, measured))
        out[name] = goal if not np.isfinite(m) else _moved(goal, p, m)
    return out


def _moved(goal: Goal, predicted: float, measured: float) -> Goal:
    if predicted > 0 and measured > 0:
        factor = float(np.clip(predicted / measured, 1 / LIMIT, LIMIT))
        values = {k: None if (v := getattr(goal, k)) is None else v * factor for k in ("value", "low", "high")}
    else:
        values = {k: None if (v := getattr(goal, k)) is None else v + predicted - measured for k in ("value", "low", "high")}
    return replace(goal, **values)
