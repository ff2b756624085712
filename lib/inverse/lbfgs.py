"""L-BFGS inside a box for many independent problems at once: every row has its own history and step length."""

from collections.abc import Callable

import torch
from torch import Tensor


def value_and_slope(f: Callable[[Tensor], Tensor], v: Tensor) -> tuple[Tensor, Tensor]:
    """Return f (N,) and its gradient (N, D); a value that is not finite becomes infinite with no slope."""
    v = v.detach().requires_grad_()
    loss = f(v)
    (slope,) = torch.autograd.grad(loss.sum(), v)
    bad = ~(loss.isfinite() & slope.isfinite().all(-1))
    return loss.detach().masked_fill(bad, float("inf")), slope.masked_fill(bad[:, None], 0.0)


def minimise(
    f: Callable[[Tensor, Tensor], Tensor], v: Tensor, low: Tensor, high: Tensor, steps: int, memory: int = 6
) -> tuple[Tensor, Tensor]:
    """Return the rows v (N, D) moved downhill, and their values (N,).

    f          (rows (n, D), their numbers (n,)) -> (n,): rows can be evaluated alone
    low, high  (N, D) box
    No row ever gets worse; rows whose line search fails forget their history.   Source: Nocedal and Wright 2006, alg. 7.4.
    """
    everyone = torch.arange(len(v), device=v.device)
    v = v.clamp(low, high)
    loss, slope = value_and_slope(lambda w: f(w, everyone), v)
    history: list[tuple[Tensor, Tensor, Tensor]] = []
    for _ in range(steps):
        stuck = ((v <= low) & (slope > 0)) | ((v >= high) & (slope < 0))
        g = slope.masked_fill(stuck, 0.0)
        d = _direction(g, history).masked_fill(stuck, 0.0)
        uphill = (d * g).sum(-1) >= 0
        d = torch.where(uphill[:, None], _first(g), d)
        new, new_loss, new_slope, moved = _line_search(f, v, loss, slope, g, d, low, high)
        if not moved.any():
            break
        s, y = new - v, new_slope - slope
        sy = (s * y).sum(-1)
        rho = torch.where(moved & (sy > 1e-10), 1 / sy.clamp_min(1e-10), 0.0)
        history = [(a, b, r * moved) for a, b, r in history[-(memory - 1) :]] + [(s, y, rho)]
        v, loss, slope = new, new_loss, new_slope
    return v, loss


def _first(g: Tensor) -> Tensor:
    """Return a cautious steepest-descent step: a twentieth of a unit at most."""
    return -g * (0.05 / g.norm(dim=-1, keepdim=True).clamp_min(1e-12)).clamp_max(1.0)


def _direction(g: Tensor, history: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """Two-loop recursion; rows without history get the cautious first step."""
    if not history:
        return _first(g)
    q, alphas = g, []
    for s, y, rho in reversed(history):
        a = rho * (s * q).sum(-1)
        q = q - a[:, None] * y
        alphas.append(a)
    s, y, rho = history[-1]
    known = rho > 0
    gamma = torch.where(known, (s * y).sum(-1) / (y * y).sum(-1).clamp_min(1e-20), 1.0)
    q = q * gamma[:, None]
    for (s, y, rho), a in zip(history, reversed(alphas), strict=True):
        b = rho * (y * q).sum(-1)
        q = q + s * (a - b)[:, None]
    return torch.where(known[:, None], -q, _first(g))


def _line_search(f, v, loss, slope, g, d, low, high, tries: int = 4) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Halve twice per try until the value falls enough (Armijo); rows that never do stay where they are."""
    new, new_loss, new_slope = v.clone(), loss.clone(), slope.clone()
    moved = torch.zeros_like(loss, dtype=torch.bool)
    rows = torch.arange(len(v), device=v.device)
    step = 1.0
    for _ in range(tries):
        trial = (v[rows] + step * d[rows]).clamp(low[rows], high[rows])
        trial_loss, trial_slope = value_and_slope(lambda w, rows=rows: f(w, rows), trial)
        fall = (g[rows] * (trial - v[rows])).sum(-1)
        good = (trial_loss <= loss[rows] + 1e-4 * fall) & (trial_loss < loss[rows])
        done = rows[good]
        new[done], new_loss[done], new_slope[done] = trial[good], trial_loss[good], trial_slope[good]
        moved[done] = True
        rows = rows[~good]
        step /= 4
        if not len(rows):
            break
    return new, new_loss, new_slope, moved
