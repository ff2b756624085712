"""Steepest descent among grid neighbours: single steps, and steps of two features at once."""

from itertools import combinations

import torch
from torch import Tensor

from lib.inverse.space import Space, nearest
from lib.inverse.spec import Goals
from lib.inverse.surrogate import Surrogate

CHUNK = 60_000  # designs evaluated at once
FAR = (1, 2, 5)  # single steps, in levels


def moves(space: Space) -> Tensor:
    """Return the neighbourhood (P, D) in levels: nothing, single steps, pairs of single steps."""
    D = len(space.names)
    free = [i for i in space.free if len(space.levels[i]) > 1]
    rows = [[0] * D]
    for i in free:
        rows += [[k if j == i else 0 for j in range(D)] for far in FAR if far < len(space.levels[i]) for k in (far, -far)]
    for a, b in combinations(free, 2):
        rows += [[p if j == a else q if j == b else 0 for j in range(D)] for p in (1, -1) for q in (1, -1)]
    return torch.tensor(rows)


@torch.no_grad()
def descend(surrogate: Surrogate, space: Space, goals: Goals, u: Tensor, sweeps: int) -> Tensor:
    """Move designs u (S, K, D), unit coordinates on the grid, to neighbours of better merit until none is better.

    Returns designs (S, K, D) in input units, exactly on the grid. Features without a grid keep their value.
    """
    S, K, D = u.shape
    flat = u.reshape(-1, D)
    owner = torch.arange(S, device=u.device).repeat_interleave(K)
    level, count = space.grid(flat)
    index = torch.stack([nearest(flat[:, i], level[i, : max(int(count[i]), 1)].contiguous()) for i in range(D)], -1)
    steps = moves(space).to(u.device)
    table = _table(space, u)
    free = torch.tensor([len(v) == 0 for v in space.levels], device=u.device)
    exact = space.from_unit(flat.double())

    def designs(position: Tensor, rows: Tensor) -> Tensor:
        on_grid = table[torch.arange(D, device=u.device), position]
        return torch.where(free, exact[rows], on_grid)

    active = torch.arange(len(flat), device=u.device)
    for _ in range(sweeps):
        best = []
        for part in active.split(max(CHUNK // len(steps), 1)):
            trial = (index[part, None] + steps).clamp_min(0).minimum((count - 1).clamp_min(0))  # (n, P, D)
            x = designs(trial, part[:, None].expand(-1, len(steps)))
            y, sd = (t.double() for t in surrogate(x.reshape(-1, D).float()))
            goal = goals.rows(owner[part].repeat_interleave(len(steps)))
            best.append(goal.merit(y, sd).nan_to_num(float("inf")).reshape(len(part), -1))
        merit = torch.cat(best)
        choice = merit.argmin(1)
        better = merit.gather(1, choice[:, None])[:, 0] < merit[:, 0] - 1e-9
        active, choice = active[better], choice[better]
        if not len(active):
            break
        index[active] = (index[active] + steps[choice]).clamp_min(0).minimum((count - 1).clamp_min(0))
    return designs(index, torch.arange(len(flat), device=u.device)).reshape(S, K, D)


def _table(space: Space, like: Tensor) -> Tensor:
    """Return the levels in input units (D, J), padded with the last one."""
    J = max(max(len(v) for v in space.levels), 1)
    rows = [(v or [lo]) + [(v or [lo])[-1]] * (J - len(v or [lo])) for v, lo in zip(space.levels, space.low, strict=True)]
    return torch.tensor(rows, dtype=torch.float64, device=like.device)
