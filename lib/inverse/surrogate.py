"""What the search needs of a forward model: metrics and their uncertainty, differentiable in the design."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from lib.data.opamp import Scaler

LEAK = 0.01  # slope beyond the range of the training rows


class Surrogate(Protocol):
    """Designs x (N, D) in input units -> metrics and standard deviations (N, M) in the metrics' units."""

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]: ...


class ScaledSurrogate:
    """A network between scaled features and scaled metrics, behind the scalers it was trained with.

    predict    x_scaled (N, D) -> mu, logvar (N, M); without an x_scaler it takes input units
    low, high  limits of mu, such as the range of the training rows
    """

    def __init__(
        self,
        predict: Callable[[Tensor], tuple[Tensor, Tensor]],
        x_scaler: Scaler | None,
        y_scaler: Scaler,
        low: Sequence[float] | None = None,
        high: Sequence[float] | None = None,
        device: Any = "cpu",
    ) -> None:
        self.predict = predict
        self.x = Affine(x_scaler, device, torch.float32) if x_scaler else None
        self.y = Affine(y_scaler, device, torch.float32)
        M = len(y_scaler.names)
        self.low = torch.tensor(low if low is not None else [-np.inf] * M, dtype=torch.float32, device=device)
        self.high = torch.tensor(high if high is not None else [np.inf] * M, dtype=torch.float32, device=device)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, logvar = self.predict(self.x.forward(x) if self.x else x)
        mu = soft_clamp(mu, self.low, self.high)
        sd = (0.5 * logvar).exp()
        return self.y.backward(mu), (self.y.backward(mu + sd) - self.y.backward(mu - sd)) / 2


def soft_clamp(mu: Tensor, low: Tensor, high: Tensor, leak: float = LEAK) -> Tensor:
    """Clamp to [low, high]; beyond it the slope is `leak`, so that a search can come back."""
    inside = mu.clamp(low, high)
    return inside + leak * (mu - inside)


class Affine:
    """A `Scaler` on tensors."""

    def __init__(self, scaler: Scaler, device: Any, dtype: torch.dtype = torch.float64) -> None:
        self.log = torch.tensor(scaler.log, device=device)
        self.mean, self.scale = (torch.tensor(v, dtype=dtype, device=device) for v in (scaler.mean, scaler.scale))

    def forward(self, x: Tensor) -> Tensor:
        return (torch.where(self.log, torch.where(self.log, x, 0.0).log1p(), x) - self.mean) / self.scale

    def backward(self, z: Tensor) -> Tensor:
        v = z * self.scale + self.mean
        return torch.where(self.log, torch.where(self.log, v, 0.0).expm1(), v)
