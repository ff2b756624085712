"""Several small networks as one: a differentiable forward model of an op-amp that knows how unsure it is.

Lakshminarayanan et al. 2017, "Simple and scalable predictive uncertainty estimation using deep ensembles".
"""

import re
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

SIZE = re.compile(r"[wl](\d+)")


@dataclass(frozen=True)
class EnsembleConfig:
    """Sizes.

    names    features in the order of the input's columns; w<i>, l<i> and ibias get physics features
    out_dim  M, scaled metrics
    members  E networks of `layers` hidden layers of `hidden` units
    """

    names: tuple[str, ...]
    out_dim: int
    members: int = 4
    hidden: int = 96
    layers: int = 3

    def __post_init__(self) -> None:
        for name in ("out_dim", "members", "hidden", "layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"ensemble: {name} is {getattr(self, name)}, but must be at least 1")


class DesignFeatures(nn.Module):
    """Designs (N, D) in input units -> what circuit theory suggests (N, F): logarithms, overdrives, inverse sizes, areas.

    `fit` standardises them on training rows; a feature that is not positive there stays linear, one that does not vary is 0.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = list(names)
        self.devices = sorted({m[1] for n in names if (m := SIZE.fullmatch(n)) and {f"w{m[1]}", f"l{m[1]}"} <= set(names)})
        size = len(names) + 6 * len(self.devices)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))
        self.register_buffer("log", torch.ones(len(names), dtype=torch.bool))

    def fit(self, x: Tensor) -> None:
        """Choose logarithms, mean and scale on training rows (n, D); a feature that does not vary has scale 0 and is left out."""
        self.log.copy_((x > 0).all(0))
        raw = self.raw(x)
        spread = raw.std(0)
        self.mean.copy_(raw.mean(0))
        self.scale.copy_(torch.where(spread > 1e-5 * raw.abs().mean(0), spread, 0.0))

    def raw(self, x: Tensor) -> Tensor:
        """Return the features before standardisation."""
        plain = torch.where(self.log, torch.where(self.log, x, 1.0).clamp_min(1e-30).log(), x)
        column = dict(zip(self.names, plain.unbind(-1), strict=True))
        out = list(column.values())
        for i in self.devices:
            width, length = column[f"w{i}"], column[f"l{i}"]
            drive = length - width + column.get("ibias", torch.zeros_like(width))
            centred = drive if "ibias" not in column else drive + 11.5  # ibias of 10 uA counts as 1
            out += [drive, (centred / 2).exp(), (-centred / 2).exp(), (-length).exp(), (-width).exp(), width + length]
        return torch.stack(out, -1)

    def forward(self, x: Tensor) -> Tensor:
        return (self.raw(x) - self.mean) / torch.where(self.scale > 0, self.scale, torch.inf)


class Ensemble(nn.Module):
    """Designs (N, D) in input units -> mu, logvar (E, N, M) of the scaled metrics, one slice per member."""

    def __init__(self, config: EnsembleConfig) -> None:
        super().__init__()
        self.config = config
        self.features = DesignFeatures(config.names)
        E, width = config.members, len(self.features.mean)
        sizes = [width, *[config.hidden] * config.layers, 2 * config.out_dim]
        pairs = list(pairwise(sizes))
        self.weights = nn.ParameterList([nn.Parameter(torch.randn(E, a, b) * (2 / a) ** 0.5) for a, b in pairs])
        self.biases = nn.ParameterList([nn.Parameter(torch.zeros(E, 1, b)) for _, b in pairs])
        with torch.no_grad():
            self.weights[-1].mul_(0.1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.features(x).expand(self.config.members, -1, -1)  # (E, N, F)
        for w, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            h = nn.functional.silu(torch.baddbmm(b, h, w))
        mu, logvar = torch.baddbmm(self.biases[-1], h, self.weights[-1]).chunk(2, -1)
        return mu, logvar.clamp(-12, 4)

    def combined(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return one mean and log-variance (N, M): the variance within members plus the variance between them."""
        mu, logvar = self(x)
        return mu.mean(0), (logvar.exp().mean(0) + mu.var(0, unbiased=False)).log()
