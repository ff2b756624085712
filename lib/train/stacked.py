"""Train many small networks of one architecture as one batched model: stacked weights, one step for all.

Folds, seeds and sweep points of a small-data study are hundreds of networks of a few thousand weights, where the time
goes into launching operations. `torch.func` turns K modules into one function of (K, ...) weights. Each network keeps
its own rows, order, clipping and early stopping, so that it learns what it would have learnt alone.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap


@dataclass(frozen=True)
class StackedConfig:
    """How long and how fast; the defaults are the document's."""

    epochs: int = 50
    batch_size: int = 256
    lr: float = 1e-4
    weight_decay: float = 1e-4  # decoupled (AdamW)
    clip: float = 1.0  # largest gradient norm of a network
    patience: int = 10  # evaluations without a better validation loss; 0: run to the end
    eval_every: int = 1  # epochs between validations
    schedule: str = "constant"  # or "cosine": to zero over the epochs
    keep: str = "best"  # the weights of the best validation; or "last": of the last epoch, whatever the validation says

    def __post_init__(self):
        for name in ("epochs", "batch_size", "eval_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.schedule not in ("constant", "cosine"):
            raise ValueError(f"schedule must be 'constant' or 'cosine', not {self.schedule!r}")
        if self.keep not in ("best", "last"):
            raise ValueError(f"keep must be 'best' or 'last', not {self.keep!r}")


@dataclass(frozen=True)
class Net:
    """One network inside a loss: call it like the module; `params`, `start` and `hyper` are its own."""

    module: nn.Module
    params: dict
    start: dict
    hyper: dict = field(default_factory=dict)

    def __call__(self, *args, **kwargs):
        return functional_call(self.module, self.params, args, kwargs)


@dataclass(frozen=True)
class StackedFit:
    """Trained copies of the networks, and the curves (network, epoch, train, val)."""

    nets: list[nn.Module]
    curves: pd.DataFrame
    best_epoch: np.ndarray  # (K,)


Loss = Callable[[Net, dict], torch.Tensor]


def cycled(rows: Sequence[torch.Tensor], length: int) -> torch.Tensor:
    """Return (K, length) row numbers: a shorter list starts again from its first row."""
    return torch.stack([r[torch.arange(length) % len(r)] for r in rows])


def gather(data: dict, index: torch.Tensor) -> dict:
    """Pick rows (K, B) of tensors (K, N, ...) or (1, N, ...), which every network shares."""
    ours = torch.arange(len(index))[:, None].to(index.device)
    return {name: t[0][index] if len(t) == 1 else t[ours, index] for name, t in data.items()}


def clip_each(params: dict, clip: float) -> None:
    """Scale each network's gradient, over all of its parameters, to a norm of at most `clip`."""
    grads = [p.grad for p in params.values() if p.grad is not None]
    norm = torch.sqrt(sum((g.reshape(len(g), -1) ** 2).sum(1) for g in grads))  # (K,)
    scale = (clip / (norm + 1e-6)).clamp(max=1.0)
    for g in grads:
        g.mul_(scale.view(-1, *[1] * (g.dim() - 1)))


class Stack:
    """K modules of one architecture as one: `losses(batch)` is (K,), `predict(x)` whatever the module returns."""

    def __init__(self, nets: Sequence[nn.Module], loss: Loss | None = None, hyper: dict | None = None, trainable=None):
        self.params, _ = stack_module_state(list(nets))
        self.skeleton, self.loss, self.hyper = copy.deepcopy(nets[0]), loss, hyper or {}
        self.start = {name: p.detach().clone() for name, p in self.params.items()}
        for name, p in self.params.items():
            p.requires_grad_(trainable is None or trainable(name))
        if not self.trained:
            raise ValueError(f"no parameter is trainable; the names are {', '.join(self.params)}")

    @property
    def trained(self) -> dict:
        return {name: p for name, p in self.params.items() if p.requires_grad}

    def losses(self, batch: dict) -> torch.Tensor:
        """Return each network's loss on its own batch of tensors (K, B, ...)."""

        def one(params, start, hyper, rows):
            return self.loss(Net(self.skeleton, params, start, hyper), rows)

        return vmap(one, randomness="different")(self.params, self.start, self.hyper, batch)

    def predict(self, x: torch.Tensor, **kwargs):
        """Return the networks' outputs, each with a leading K, for shared rows (n, F) or own rows (K, n, F)."""
        self.skeleton.eval()

        def one(params, rows):
            return functional_call(self.skeleton, params, (rows,), kwargs)

        params = {name: p.detach() for name, p in self.params.items()}
        return vmap(one, in_dims=(0, None if x.dim() == 2 else 0))(params, x)


def predict_stacked(nets: Sequence[nn.Module], x: torch.Tensor, *, slope: bool = False, **kwargs):
    """Return all networks' outputs (K, n, ...) for rows (n, F), or for each network's own rows (K, n, F).

    slope  keep the outputs differentiable in x
    """
    with torch.set_grad_enabled(slope and torch.is_grad_enabled()):
        return Stack(nets).predict(x, **kwargs)


def fit_stacked(
    nets: Sequence[nn.Module],
    data: dict,
    rows: Sequence,
    loss: Loss,
    config: StackedConfig,
    *,
    val_rows: Sequence | None = None,
    seeds: Sequence[int] | None = None,
    extra: dict | None = None,
    hyper: dict | None = None,
    start: Sequence[nn.Module] | None = None,
    trainable: Callable[[str], bool] | None = None,
    device: torch.device | str = "cpu",
    tick: Callable[[], None] | None = None,
) -> StackedFit:
    """Train K networks at once and return trained copies, each at its best validation epoch or at its last.

    nets       K modules of one architecture, each with weights of its own
    data       name -> tensor (K, N, ...) or, shared by all, (1, N, ...)
    rows       K lists of training rows; val_rows likewise (None: no early stopping)
    loss       (net, batch) -> scalar, for one network; vmapped over all
    extra      name -> (N', ...): rows of another domain; each step draws as many of them as of its own
    hyper      name -> (K,) numbers, one for each network's loss
    start      K modules whose weights `net.start` shows to the loss (default: the nets as they come)
    trainable  name -> bool: the parameters that may change
    tick       called after each epoch
    Raises ValueError where the lists disagree in length.
    """
    seeds = list(range(len(nets))) if seeds is None else list(seeds)
    given = {"rows": rows, "val_rows": rows if val_rows is None else val_rows, "seeds": seeds}
    for name, entries in given.items():
        if len(entries) != len(nets):
            raise ValueError(f"{name} has {len(entries)} entries for {len(nets)} networks; give one for each.")
    with torch.random.fork_rng(devices=[]):  # dropout is the one draw that has no generator of its own
        torch.manual_seed(seeds[0])
        run = _Run(nets, data, rows, val_rows, loss, config, seeds, extra or {}, hyper or {}, start, trainable, device)
        return run.fit(tick or (lambda: None))


class _Run:
    """The state of one stacked training."""

    def __init__(self, nets, data, rows, val_rows, loss, config, seeds, extra, hyper, start, trainable, device):
        self.config, self.K, self.device = config, len(nets), torch.device(device)
        self.nets = [copy.deepcopy(net).to(device) for net in nets]
        hyper = {name: torch.as_tensor(v, dtype=torch.float32, device=device) for name, v in hyper.items()}
        self.stack = Stack(self.nets, loss, hyper, trainable)
        if start is not None:
            self.stack.start = {n: p.detach().to(device) for n, p in stack_module_state(list(start))[0].items()}
        self.data = {name: t.to(device) for name, t in data.items()}
        self.extra = {name: t.to(device) for name, t in extra.items()}
        self.rows = _lists(rows)
        self.val_index = None if val_rows is None else cycled(_lists(val_rows), max(map(len, val_rows))).to(device)
        self.draws = [torch.Generator().manual_seed(int(s)) for s in seeds]
        weights = self.stack.trained.values()
        self.optimiser = torch.optim.AdamW(weights, lr=config.lr, weight_decay=config.weight_decay, fused=True)

    def batches(self):
        """Yield one epoch of batches: every network goes through its own rows in its own order."""
        n = max(map(len, self.rows))
        size = min(self.config.batch_size, n)
        steps = -(-n // size)
        order = [r[torch.randperm(len(r), generator=g)] for r, g in zip(self.rows, self.draws, strict=True)]
        index = cycled(order, steps * size).to(self.device)
        for i in range(steps):
            yield gather(self.data, index[:, i * size : (i + 1) * size]) | self.drawn(size)

    def drawn(self, size: int) -> dict:
        """Draw `size` rows of the other domain for every network."""
        if not self.extra:
            return {}
        n = len(next(iter(self.extra.values())))
        index = torch.stack([torch.randint(n, (size,), generator=g) for g in self.draws]).to(self.device)
        return {name: t[index] for name, t in self.extra.items()}

    def epoch(self, number: int) -> torch.Tensor:
        """Run one epoch and return each network's mean training loss (K,)."""
        if self.config.schedule == "cosine":
            share = 0.5 * (1 + math.cos(math.pi * number / self.config.epochs))
            self.optimiser.param_groups[0]["lr"] = self.config.lr * share
        self.stack.skeleton.train()
        total = []
        for batch in self.batches():
            self.optimiser.zero_grad(set_to_none=True)
            losses = self.stack.losses(batch)
            losses.sum().backward()
            clip_each(self.stack.trained, self.config.clip)
            self.optimiser.step()
            total.append(losses.detach())
        return torch.stack(total).mean(0)

    @torch.no_grad()
    def validate(self) -> torch.Tensor:
        """Return each network's loss on its validation rows (K,), beside the first rows of the other domain."""
        self.stack.skeleton.eval()
        size = self.val_index.shape[1]
        other = {name: t[:size].expand(self.K, *t[:size].shape) for name, t in self.extra.items()}
        return self.stack.losses(gather(self.data, self.val_index) | other)

    def fit(self, tick: Callable[[], None]) -> StackedFit:
        """Train until the epochs are done or no network gets better any more."""
        kept = _Kept(self.stack, self.K, self.config)
        curves = []
        for number in range(1, self.config.epochs + 1):
            train = self.epoch(number - 1)
            tick()
            if number % self.config.eval_every and number < self.config.epochs:
                continue
            val = train if self.val_index is None else self.validate()
            columns = {"network": range(self.K), "epoch": number, "train": train.cpu(), "val": val.cpu()}
            curves.append(pd.DataFrame(columns))
            kept.update(number, val.cpu(), always=self.val_index is None)
            if kept.done:
                break
        kept.load_into(self.nets)
        return StackedFit(self.nets, pd.concat(curves, ignore_index=True), kept.epoch.numpy())


class _Kept:
    """The weights that each network keeps: of its best validation, until its patience is over, or its last ones."""

    def __init__(self, stack: Stack, K: int, config: StackedConfig) -> None:
        self.stack, self.config = stack, config
        self.best = torch.full((K,), float("inf"))
        self.epoch, self.stale = torch.zeros(K, dtype=torch.long), torch.zeros(K, dtype=torch.long)
        self.weights = {name: p.detach().clone() for name, p in stack.params.items()}

    @property
    def done(self) -> bool:
        patience = self.config.patience
        return bool(patience and self.config.keep == "best" and (self.stale >= patience).all())

    def update(self, number: int, val: torch.Tensor, always: bool) -> None:
        """Keep the weights of the networks whose validation got better (of all of them when `always`)."""
        better = val < self.best
        if self.config.patience:
            better &= self.stale < self.config.patience
        if always or self.config.keep == "last":
            better = torch.ones_like(better)
        which = better.nonzero()[:, 0]
        for name, p in self.stack.trained.items():
            self.weights[name][which.to(p.device)] = p.detach()[which.to(p.device)]
        self.best = torch.where(better, val, self.best)
        self.epoch[better] = number
        self.stale = torch.where(better, 0, self.stale + 1)

    def load_into(self, nets: Sequence[nn.Module]) -> None:
        """Give each network its kept weights and leave it on the CPU, ready to predict."""
        for k, net in enumerate(nets):
            net.load_state_dict({name: p[k] for name, p in self.weights.items()} | dict(net.named_buffers()))
            net.eval().cpu()


def _lists(rows: Sequence) -> list[torch.Tensor]:
    return [torch.as_tensor(np.asarray(r), dtype=torch.long) for r in rows]
