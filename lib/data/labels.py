"""Label normalisation: fitted on training rows, passed on to validation and test."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

KINDS = ("standard", "minmax", "none")


@dataclass(frozen=True)
class LabelScaler:
    """Maps labels to y = (label - shift) / scale, per label.

    kind `standard`: mean 0, standard deviation 1 (of n - 1); `minmax`: [0, 1]; `none`: as they are.
    """

    kind: str
    names: tuple[str, ...]
    shift: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def fit(cls, labels: Tensor, names: tuple[str, ...], kind: str = "standard") -> "LabelScaler":
        """Fit on training labels (n, k); ValueError for an unknown kind or a label that does not vary."""
        if kind not in KINDS:
            raise ValueError(f"Label normalisation is '{kind}', but it should be one of {', '.join(KINDS)}.")
        labels = labels.double()
        if kind == "none":
            shift, scale = torch.zeros(labels.shape[1]), torch.ones(labels.shape[1])
        elif kind == "standard":
            shift, scale = labels.mean(0), labels.std(0)
        else:
            shift, scale = labels.amin(0), labels.amax(0) - labels.amin(0)
        for name, width in zip(names, scale.tolist(), strict=True):
            if not width > 0:
                raise ValueError(f"Label '{name}' does not vary over the training rows: it cannot be normalised.")
        return cls(kind, tuple(names), tuple(shift.tolist()), tuple(scale.tolist()))

    def transform(self, labels: Tensor) -> Tensor:
        """Return normalised labels (n, k), float32."""
        return ((labels.double() - self._on(labels, self.shift)) / self._on(labels, self.scale)).float()

    def inverse(self, y: Tensor) -> Tensor:
        """Return labels in their own units, from normalised ones (n, k)."""
        return (y.double() * self._on(y, self.scale) + self._on(y, self.shift)).float()

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {"kind": self.kind, "names": list(self.names), "shift": list(self.shift), "scale": list(self.scale)}

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> "LabelScaler":
        """Rebuild a scaler; ValueError where `state` is none."""
        absent = [key for key in ("kind", "names", "shift", "scale") if not isinstance(state, dict) or key not in state]
        if absent:
            raise ValueError(f"A label scaler needs kind, names, shift and scale; this one lacks {', '.join(absent)}.")
        return cls(state["kind"], *(tuple(state[key]) for key in ("names", "shift", "scale")))

    @staticmethod
    def _on(like: Tensor, values: tuple[float, ...]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=like.device)
