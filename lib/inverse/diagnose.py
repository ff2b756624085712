"""Can a specification be met? Percentiles of the known designs, the nearest of them, and the metrics in the way."""

import dataclasses

import numpy as np
import pandas as pd
import torch

from lib.inverse.spec import TOLERANCE, Goals, Spec


def nearest_designs(spec: Spec, known: pd.DataFrame, metrics: list[str], n: int = 5) -> pd.DataFrame:
    """Return the `n` known designs closest to the specification, best first, with `meets` and `distance`."""
    y = torch.tensor(known[metrics].to_numpy(float))
    goals = Goals.stack([spec], metrics, y)
    order = goals.merit(y, torch.zeros_like(y)).argsort()[:n]
    return known.iloc[order.tolist()].assign(meets=goals.meets(y[order]).tolist(), distance=goals.distance(y[order]).tolist())


def diagnose(spec: Spec, known: pd.DataFrame, metrics: list[str], best: dict[str, float] | None = None) -> pd.DataFrame:
    """Return one row per goal: what is wanted, where it lies among the known designs, and whether it stands in the way.

    known  measured designs; best  metrics of the best design found (the nearest known one where None)
    percentile  share of the known designs at or below the value, in percent; for a band, the share inside it
    reachable   the value (within the tolerance) or part of the band lies inside the range of the known designs
    miss        how far `best` is from the goal, relative
    relief      share of the smallest weighted miss among the known designs that goes when this goal is dropped, 0 to 1
    """
    y = torch.tensor(known[metrics].to_numpy(float))
    goals = Goals.stack([spec], metrics, y)
    reached = (
        torch.tensor([[float(best[m]) for m in metrics]]) if best else y[goals.merit(y, torch.zeros_like(y)).argmin()][None]
    )
    miss = goals.miss(reached)[0].tolist()
    whole = _least(goals, y)
    rows = []
    for name, goal in spec.items():
        values = known[name].to_numpy(float)
        position = metrics.index(name)
        rows.append(
            {
                "metric": name,
                "goal": goal.kind,
                "value": goal.value,
                "low": goal.low,
                "high": goal.high,
                "data_min": values.min(),
                "data_median": float(np.median(values)),
                "data_max": values.max(),
                "percentile": _percentile(goal, values),
                "reachable": _reachable(goal, values),
                "best": float(reached[0, position]),
                "miss": miss[position],
                "relief": 1 - _without(spec, name, y, metrics) / whole if whole > 0 else 0.0,
            }
        )
    table = pd.DataFrame(rows)
    table["binds"] = ~table.reachable | (table.miss > np.where(table.goal == "target", TOLERANCE, 1e-9))
    return table


def verdict(table: pd.DataFrame) -> str:
    """Say in one English sentence per problem whether the specification can be met, naming the metrics."""
    beyond = table[~table.reachable]
    if len(beyond):
        parts = [
            f"{r.metric} ({_wanted(r)}; known designs span {r.data_min:.4g} to {r.data_max:.4g})" for r in beyond.itertuples()
        ]
        return f"The specification cannot be met: outside the range of every known design lie {', '.join(parts)}."
    missed = table[table.binds].sort_values("miss", ascending=False)
    if len(missed):
        parts = [f"{r.metric} ({_wanted(r)}; best {r.best:.4g})" for r in missed.itertuples()]
        return f"No design was found that meets all goals together; what is missed: {', '.join(parts)}."
    return "The specification can be met."


def _wanted(row) -> str:
    if row.goal == "target":
        return f"wanted {row.value:.4g}"
    return f"wanted {'-inf' if pd.isna(row.low) else f'{row.low:.4g}'} to {'inf' if pd.isna(row.high) else f'{row.high:.4g}'}"


def _bounds(goal) -> tuple[float, float]:
    """Return the interval that the goal accepts, the tolerance of a target included."""
    low = -np.inf if goal.low is None else goal.low
    high = np.inf if goal.high is None else goal.high
    if goal.kind == "target":
        slack = TOLERANCE * abs(goal.value)
        return max(low, goal.value - slack), min(high, goal.value + slack)
    return low, high


def _percentile(goal, values: np.ndarray) -> float:
    if goal.kind == "target":
        return float(100 * (values <= goal.value).mean())
    low, high = _bounds(goal)
    return float(100 * ((values >= low) & (values <= high)).mean())


def _reachable(goal, values: np.ndarray) -> bool:
    low, high = _bounds(goal)
    return bool(values.max() >= low and values.min() <= high)


def _without(spec: Spec, name: str, y: torch.Tensor, metrics: list[str]) -> float:
    """Return the smallest weighted miss among the known designs when the goal of `name` is dropped."""
    rest = {**spec, name: dataclasses.replace(spec[name], weight=0.0)}
    return _least(Goals.stack([rest], metrics, y), y)


def _least(goals: Goals, y: torch.Tensor) -> float:
    """Return the smallest root of the weighted squared misses; not averaged, so that dropping a goal never raises it."""
    return float((goals.weight * goals.miss(y) ** 2).sum(-1).min().sqrt())
