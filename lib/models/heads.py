"""Prediction heads on a pooled latent, or on a latent that they pool themselves."""

import itertools

import torch
from torch import Tensor, nn


class MLPHead(nn.Sequential):
    """Linear, GELU, Dropout per hidden layer, then Linear; 98,817 parameters at the default."""

    def __init__(self, in_dim: int = 384, hidden: int = 256, out_dim: int = 1, *, num_hidden: int = 1, dropout: float = 0.1):
        """Build for features (B, in_dim) -> (B, out_dim); num_hidden 0 is a linear head, 2 the documents' `mlp_2`."""
        if min(in_dim, hidden, out_dim) < 1 or num_hidden < 0 or not 0 <= dropout < 1:
            raise ValueError(
                f"MLPHead: in_dim {in_dim}, hidden {hidden} and out_dim {out_dim} must be at least 1, "
                f"num_hidden {num_hidden} at least 0, dropout {dropout} in [0, 1)."
            )
        widths = [in_dim] + [hidden] * num_hidden
        layers = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Linear(before, after), nn.GELU(), nn.Dropout(dropout)]
        super().__init__(*layers, nn.Linear(widths[-1], out_dim))


class AttentionPoolHead(nn.Module):
    """Let k learned queries choose where along wavelength to read a latent, then apply an `MLPHead`."""

    def __init__(self, channels: int, length: int, out_dim: int = 1, *, k: int = 8, hidden: int = 256, dropout: float = 0.1):
        """Build for latents (B, channels, length) -> (B, out_dim)."""
        super().__init__()
        self.score = nn.Conv1d(channels, k, 1)
        self.position = nn.Parameter(torch.zeros(k, length))
        self.head = MLPHead(k * channels, hidden, out_dim, dropout=dropout)

    def forward(self, latent: Tensor) -> Tensor:
        weight = (self.score(latent) + self.position).softmax(-1)  # (B, K, L')
        return self.head(torch.einsum("bkl,bcl->bkc", weight, latent).flatten(1))


class Standardised(nn.Module):
    """Wrap a head: standardise its features, give its outputs back in the labels' units."""

    def __init__(self, head: nn.Module, x_mean: Tensor, x_scale: Tensor, y_mean: Tensor, y_scale: Tensor):
        super().__init__()
        self.head = head
        for name, value in {"x_mean": x_mean, "x_scale": x_scale, "y_mean": y_mean, "y_scale": y_scale}.items():
            self.register_buffer(name, value.clone())

    def forward(self, x: Tensor) -> Tensor:
        return self.head((x - self.x_mean) / self.x_scale) * self.y_scale + self.y_mean
