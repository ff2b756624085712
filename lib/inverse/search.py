"""From specifications to designs on the grid: Adam, L-BFGS, rounding from coarse to fine, search among neighbours."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import Tensor

from lib.inverse import lbfgs
from lib.inverse.grid import descend
from lib.inverse.space import Space
from lib.inverse.spec import Goals
from lib.inverse.surrogate import Surrogate
from lib.progress import Progress
from lib.schema import Schema

UNIT_SD = 12**-0.5  # standard deviation of a uniform variable on [0, 1]
# after a share of Adam's steps one start in so many goes on, but no fewer than so many times `keep`
CUTS = ((0.1, 4, 4), (0.4, 4, 2))


class SearchConfig(Schema):
    """How long the search looks; the defaults are the document's."""

    n_init: int = Field(1024, ge=1)  # starts per specification
    steps: int = Field(900, ge=0)  # of Adam
    lr: float = Field(0.002, gt=0)  # in standard deviations of a feature
    prior: float = Field(1e-3, ge=0)  # pull towards the centre of the design space
    lbfgs: int = Field(80, ge=0)  # steps of the finish
    keep: int = Field(16, ge=1)  # starts that are finished per specification
    sweeps: int = Field(20, ge=0)  # moves of the search among grid neighbours


@dataclass(frozen=True)
class Found:
    """Designs per specification, best first: x (S, K, D), y and sd (S, K, M), meets and distance (S, K); trace rows."""

    x: Tensor
    y: Tensor
    sd: Tensor
    meets: Tensor
    distance: Tensor
    trace: pd.DataFrame  # specification, stage, step, best and median loss over the starts


class _Problem:
    """Loss of rows of standardised coordinates, each row belonging to one specification."""

    def __init__(self, surrogate: Surrogate, space: Space, goals: Goals, prior: float, starts: int) -> None:
        self.surrogate, self.space, self.prior = surrogate, space, prior
        S = len(goals.weight)
        self.owner = torch.arange(S, device=goals.weight.device).repeat_interleave(starts)
        self.goals, self.shape = goals, (S, starts)
        self.everyone = torch.arange(S * starts, device=self.owner.device)

    def unit(self, v: Tensor) -> Tensor:
        return (0.5 + v * UNIT_SD).clamp(0, 1)

    def loss(self, v: Tensor, rows: Tensor) -> Tensor:
        y, _ = self.surrogate(self.space.from_unit(0.5 + v * UNIT_SD))
        fit = self.goals.rows(self.owner[rows]).loss(y.double())
        return (fit + self.prior * (v**2).sum(-1)).to(v.dtype)


def search(
    surrogate: Surrogate,
    space: Space,
    goals: Goals,
    starts: Tensor,
    config: SearchConfig | None = None,
    *,
    scout: Surrogate | None = None,
    top: int = 16,
) -> Found:
    """Find designs for all S specifications of `goals` at once.

    surrogate  designs (N, D) in input units -> metrics and standard deviations (N, M)
    starts     (S, n, D) designs in input units, such as MDN samples
    scout      a cheaper form of the surrogate: moves the designs, which the surrogate then ranks
    top        designs to return per specification (fewer where they coincide: repeated)
    """
    config = config or SearchConfig()
    S, n, D = starts.shape
    if len(goals.weight) != S or len(space.names) != D:
        raise ValueError(
            f"starts have shape {(S, n, D)}, but there are {len(goals.weight)} specifications, {len(space.names)} features."
        )
    v = (space.to_unit(starts.reshape(-1, D)).clamp(0, 1) - 0.5) / UNIT_SD
    v = v.float()
    trace: list[dict] = []
    scout = scout or surrogate
    every = _Problem(scout, space, goals, config.prior, n)
    few, v = _adam(every, v, config, trace)
    v = _finish(few, v, config.lbfgs, [False] * D, trace, "lbfgs")
    v = _finish(few, v, config.lbfgs // 2, space.coarse, trace, "rounded")
    u = space.snap(few.unit(v))
    x = descend(scout, space, goals, u.reshape(S, -1, D), config.sweeps)
    return _rank(surrogate, goals, x, top, pd.DataFrame(trace))


def _adam(problem: _Problem, v: Tensor, config: SearchConfig, trace: list[dict]) -> tuple[_Problem, Tensor]:
    """Adam inside the box, every start on its own; a step that leaves the box ends on its wall.

    Starts that lag behind are given up on the way (`CUTS`), all but `keep` of them at the end.
    Source: Jamieson and Talwalkar 2016, successive halving.
    """
    wall = 0.5 / UNIT_SD
    cuts = {int(share * config.steps): (part, least * config.keep) for share, part, least in CUTS}
    moments = torch.zeros_like(v), torch.zeros_like(v)
    with Progress("search", config.steps) as bar:
        for step in range(1, config.steps + 1):
            bar.advance()
            loss, g = lbfgs.value_and_slope(lambda w, p=problem: p.loss(w, p.everyone), v)
            m, s = 0.9 * moments[0] + 0.1 * g, 0.999 * moments[1] + 0.001 * g**2
            v = v - config.lr * (m / (1 - 0.9**step)) / ((s / (1 - 0.999**step)).sqrt() + 1e-8)
            v = v.clamp(-wall, wall)
            if step % max(config.steps // 40, 1) == 0 or step == 1:
                _record(trace, "adam", step, loss.reshape(problem.shape))
            if step in cuts:
                part, least = cuts[step]
                keep = min(max(problem.shape[1] // part, least), problem.shape[1])
                problem, (v, m, s) = _keep_best(problem, (v, m, s), keep)
            moments = m, s
    problem, (v,) = _keep_best(problem, (v,), min(config.keep, problem.shape[1]))
    return problem, v


def _record(trace: list[dict], stage: str, step: int, loss: Tensor) -> None:
    best, median = loss.amin(1).tolist(), loss.median(1).values.tolist()
    trace += [
        {"specification": i, "stage": stage, "step": step, "best": b, "median": c}
        for i, (b, c) in enumerate(zip(best, median, strict=True))
    ]


def _keep_best(problem: _Problem, state: tuple[Tensor, ...], keep: int) -> tuple[_Problem, tuple[Tensor, ...]]:
    """Keep the starts of least loss of every specification; state (S * n, D) are their designs first."""
    with torch.no_grad():
        loss = problem.loss(state[0], problem.everyone).nan_to_num(float("inf")).reshape(problem.shape)
    best = loss.topk(keep, dim=1, largest=False).indices[..., None].expand(-1, -1, state[0].shape[-1])
    chosen = tuple(t.reshape(*problem.shape, -1).gather(1, best).flatten(0, 1) for t in state)
    return _Problem(problem.surrogate, problem.space, problem.goals, problem.prior, keep), chosen


def _finish(problem: _Problem, v: Tensor, steps: int, held: list[bool], trace: list[dict], stage: str) -> Tensor:
    """Round the features in `held` to their grid, then minimise over the others."""
    wall = torch.full_like(v, 0.5 / UNIT_SD)
    at = (problem.space.snap(problem.unit(v), held) - 0.5) / UNIT_SD
    fixed = torch.as_tensor(held, device=v.device)
    low, high = torch.where(fixed, at, -wall), torch.where(fixed, at, wall)
    v, loss = lbfgs.minimise(problem.loss, at if any(held) else v, low, high, steps)
    _record(trace, stage, steps, loss.reshape(problem.shape))
    return v


def _rank(surrogate: Surrogate, goals: Goals, x: Tensor, top: int, trace: pd.DataFrame) -> Found:
    """Order the designs of each specification by merit; equal designs stand once, the last one repeated if need be."""
    S, K, D = x.shape
    with torch.no_grad():
        y, sd = (t.double().reshape(S, K, -1) for t in surrogate(x.reshape(-1, D).float()))
    order = []
    for i in range(S):
        one = goals.rows(torch.tensor([i], device=x.device))
        ranked = one.merit(y[i], sd[i]).argsort().tolist()
        _, first = np.unique(x[i, ranked].cpu().numpy().round(12), axis=0, return_index=True)
        distinct = [ranked[j] for j in sorted(first)]
        order.append((distinct + distinct[-1:] * top)[:top])
    pick = torch.tensor(order, device=x.device)
    x, y, sd = (t.gather(1, pick[..., None].expand(-1, -1, t.shape[-1])) for t in (x, y, sd))
    many = goals.rows(torch.arange(S, device=x.device).repeat_interleave(top))
    flat = y.reshape(S * top, -1)
    return Found(x, y, sd, many.meets(flat).reshape(S, top), many.distance(flat).reshape(S, top), trace)
