"""Mixture density network: which designs give these metrics? Bishop 1994, "Mixture density networks"."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class MDNConfig:
    """Sizes; the defaults are the document's.

    in_dim      condition, here the scaled metrics
    out_dim     D, the scaled design
    components  K, Gaussians with a diagonal covariance
    hidden, layers  width and number of the hidden layers
    min_sigma   floor of every standard deviation; designs sit on a grid, on which a density has no upper bound
    """

    in_dim: int
    out_dim: int
    components: int = 10
    hidden: int = 256
    layers: int = 4
    min_sigma: float = 0.02

    def __post_init__(self) -> None:
        for name in ("in_dim", "out_dim", "components", "hidden", "layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"MDN: {name} is {getattr(self, name)}, but must be at least 1")
        if not self.min_sigma > 0:
            raise ValueError(f"MDN: min_sigma is {self.min_sigma}, but must be positive")


class MDN(nn.Module):
    """Condition (B, in_dim) -> log weights (B, K), means (B, K, D), standard deviations (B, K, D)."""

    def __init__(self, config: MDNConfig) -> None:
        super().__init__()
        self.config = config
        width, blocks = config.in_dim, []
        for _ in range(config.layers):
            blocks += [nn.Linear(width, config.hidden), nn.SiLU()]
            width = config.hidden
        self.backbone = nn.Sequential(*blocks)
        self.head = nn.Linear(width, config.components * (1 + 2 * config.out_dim))

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        K, D = self.config.components, self.config.out_dim
        logits, mu, raw = self.head(self.backbone(y)).split([K, K * D, K * D], dim=-1)
        sigma = nn.functional.softplus(raw.unflatten(-1, (K, D))) + self.config.min_sigma
        return logits.log_softmax(-1), mu.unflatten(-1, (K, D)), sigma

    @torch.no_grad()
    def sample(self, y: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw one design (B, D) for every row of conditions (B, in_dim); `generator` lives where `y` does."""
        log_weight, mu, sigma = self(y)
        component = torch.multinomial(log_weight.exp(), 1, generator=generator)  # (B, 1)
        pick = component[..., None].expand(-1, 1, self.config.out_dim)
        noise = torch.randn(y.shape[0], self.config.out_dim, generator=generator, device=y.device, dtype=mu.dtype)
        return mu.gather(1, pick)[:, 0] + sigma.gather(1, pick)[:, 0] * noise
