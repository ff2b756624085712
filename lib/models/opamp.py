"""Networks that map a design to an op-amp's metrics: plain, heteroscedastic, two-headed.

All take (B, in_dim) standardised features and speak standardised targets. Nothing in them depends on the batch, so
that `lib.train.stacked` can train many of them as one.
"""

from dataclasses import dataclass

import torch
from torch import nn

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}


@dataclass(frozen=True)
class OpampNetConfig:
    """Sizes of a network; the defaults are the document's."""

    in_dim: int
    out_dim: int
    hidden: int = 512  # width of every hidden layer
    layers: int = 6  # hidden layers
    dropout: float = 0.1  # after every hidden layer
    activation: str = "relu"
    resonant: int | None = None  # the output that gets a signed resonant head; None: all are linear

    def __post_init__(self):
        for name in ("in_dim", "out_dim", "hidden", "layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), not {self.dropout}")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, not {self.activation!r}")
        if self.resonant is not None and not 0 <= self.resonant < self.out_dim:
            raise ValueError(f"resonant must be an output index below {self.out_dim}, not {self.resonant}")


class Backbone(nn.Sequential):
    """Hidden layers: (B, in_dim) -> (B, hidden)."""

    def __init__(self, config: OpampNetConfig):
        blocks, width = [], config.in_dim
        for _ in range(config.layers):
            layer = [nn.Linear(width, config.hidden), ACTIVATIONS[config.activation]()]
            blocks.append(nn.Sequential(*layer, *([nn.Dropout(config.dropout)] if config.dropout else [])))
            width = config.hidden
        super().__init__(*blocks)


class ResonantHead(nn.Module):
    """A linear head of which one output is b - c/2 ln(s^2 + e^2), s linear and signed: a peak where s crosses zero.

    A rejection ratio is a gain over a common-mode gain that changes sign; its logarithm peaks there, with e the floor.
    """

    def __init__(self, config: OpampNetConfig):
        super().__init__()
        self.index = config.resonant
        self.linear = nn.Linear(config.hidden, config.out_dim)
        self.shape = nn.Parameter(torch.tensor([0.0, 0.5, -2.0]))  # b, c, ln e

    def forward(self, h):
        out = self.linear(h)  # (B, M)
        b, c, ln_e = self.shape.unbind(-1)
        s = out[..., self.index : self.index + 1]
        peak = b - 0.5 * c * torch.log(s**2 + torch.exp(2 * ln_e))
        return torch.cat([out[..., : self.index], peak, out[..., self.index + 1 :]], -1)


def head(config: OpampNetConfig):
    """Return the output layer that the config asks for."""
    return nn.Linear(config.hidden, config.out_dim) if config.resonant is None else ResonantHead(config)


class MLP(nn.Module):
    """Plain regression: (B, in_dim) -> (B, out_dim)."""

    def __init__(self, config: OpampNetConfig):
        super().__init__()
        self.config = config
        self.backbone = Backbone(config)
        self.head = head(config)

    def forward(self, x):
        return self.head(self.backbone(x))


class AlignHeteroMLP(nn.Module):
    """Mean and log-variance heads on a backbone: (B, in_dim) -> mu (B, M), logvar (B, M), features (B, hidden)."""

    def __init__(self, config: OpampNetConfig, logvar_range=(-12.0, 4.0)):
        super().__init__()
        self.config, self.logvar_range = config, logvar_range
        self.backbone = Backbone(config)
        self.head = head(config)
        self.logvar_head = nn.Linear(config.hidden, config.out_dim)
        nn.init.zeros_(self.logvar_head.weight)
        nn.init.constant_(self.logvar_head.bias, -2.0)

    def forward(self, x):
        features = self.backbone(x)
        logvar = self.logvar_head(features).clamp(*self.logvar_range)
        return self.head(features), logvar, features


class DualHeadMLP(nn.Module):
    """One backbone, a head per process: `domain` "A" or "B" picks the head."""

    def __init__(self, config: OpampNetConfig):
        super().__init__()
        self.config = config
        self.backbone = Backbone(config)
        self.head_A = head(config)
        self.head_B = head(config)

    def forward(self, x, domain="B"):
        if domain not in ("A", "B"):
            raise ValueError(f"domain must be 'A' or 'B', not {domain!r}")
        return (self.head_A if domain == "A" else self.head_B)(self.backbone(x))


def start_from(model: nn.Module, trained: MLP) -> nn.Module:
    """Load a trained MLP's backbone, and its head into every head that fits, into `model`, in place.

    Raises ValueError where the two backbones differ in size.
    """
    ours, theirs = model.config, trained.config
    for name in ("in_dim", "hidden", "layers"):
        if getattr(ours, name) != getattr(theirs, name):
            wanted, got = getattr(ours, name), getattr(theirs, name)
            raise ValueError(f"the trained backbone has {name} {got}, the model {wanted}: build both with one config")
    model.backbone.load_state_dict(trained.backbone.state_dict())
    if ours.out_dim == theirs.out_dim and ours.resonant == theirs.resonant:
        for name in {"head", "head_A", "head_B"} & set(dict(model.named_children())):
            getattr(model, name).load_state_dict(trained.head.state_dict())
    return model
