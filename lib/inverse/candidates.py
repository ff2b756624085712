"""Designs to start from: draws of a mixture density network, known designs, or a file."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib.inverse.space import Space
from lib.inverse.spec import Goals, Spec

NEAR = 50  # known designs among which a condition takes what the specification leaves open


def conditions(spec: Spec, known: pd.DataFrame, metrics: list[str], n: int, rng: np.random.Generator) -> np.ndarray:
    """Return n full sets of metrics (n, M) that a specification allows, inside the range of the known designs.

    Metrics without a wanted value are taken from known designs close to the specification; targets are set, and values
    outside a band are drawn anew inside it.
    """
    y = torch.tensor(known[metrics].to_numpy(float))
    order = Goals.stack([spec], metrics, y).merit(y, torch.zeros_like(y)).argsort()[:NEAR].numpy()
    rows = y.numpy()[rng.choice(order, n)]
    least, most = y.numpy().min(0), y.numpy().max(0)
    for name, goal in spec.items():
        i = metrics.index(name)
        low = least[i] if goal.low is None else goal.low
        high = most[i] if goal.high is None else goal.high
        outside = (rows[:, i] < low) | (rows[:, i] > high)
        rows[outside, i] = rng.uniform(low, max(high, low), outside.sum())
        if goal.kind == "target":
            rows[:, i] = goal.value
    return np.clip(rows, least, most)


def known_and_random(goals: Goals, y: Tensor, x: Tensor, space: Space, n: int, generator: torch.Generator) -> Tensor:
    """Return starts (S, n, D): half the best known designs of each specification, half uniform in the space."""
    S, half = len(goals.weight), min(n // 2, len(x))
    starts = []
    for i in range(S):
        best = goals.rows(torch.tensor([i])).merit(y, torch.zeros_like(y)).argsort()[:half]
        random = torch.rand(n - half, x.shape[1], generator=generator, dtype=x.dtype)
        starts.append(torch.cat([x[best], space.from_unit(random)]))
    return torch.stack(starts)


def check_designs(frame: pd.DataFrame, space: Space, source: str) -> pd.DataFrame:
    """Return the feature columns of `frame`, which `source` names; ValueError for missing columns or no rows."""
    missing = [f for f in space.names if f not in frame]
    if missing:
        raise ValueError(f"{source} lacks the columns {', '.join(missing)}; a start needs {', '.join(space.names)}.")
    if frame.empty:
        raise ValueError(f"{source} holds no designs.")
    for name, low, high in zip(space.names, space.low, space.high, strict=True):
        if not frame[name].between(low - 1e-9 * abs(low), high + 1e-9 * abs(high)).any():
            seen = f"{frame[name].min():.3g} to {frame[name].max():.3g}"
            raise ValueError(
                f"{source}: '{name}' is {seen}, the model's designs {low:.3g} to {high:.3g}: use the same unit and range."
            )
    return frame[space.names].astype(float)


def design_table(
    x: np.ndarray, y: np.ndarray, sd: np.ndarray, meets: np.ndarray, distance: np.ndarray, names: Mapping[str, list[str]]
) -> pd.DataFrame:
    """Return rank, one column per feature, each metric with its sd, `meets` and `distance`; equal designs stand once."""
    columns: dict[str, np.ndarray] = {f: x[:, i] for i, f in enumerate(names["features"])}
    for i, metric in enumerate(names["metrics"]):
        columns |= {metric: y[:, i], f"{metric}_sd": sd[:, i]}
    frame = pd.DataFrame(columns | {"meets": meets, "distance": distance}).drop_duplicates(names["features"], ignore_index=True)
    frame.insert(0, "rank", np.arange(1, len(frame) + 1))
    return frame
