"""The design space of any op-amp: bounds and grid of each feature, read from data; logarithmic where positive."""

from typing import Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib.schema import Schema

MAX_LEVELS = 400  # a feature with more distinct values than this counts as continuous
COARSE = 0.08  # a grid whose median relative step exceeds this is rounded before the other features are finished


class Space(Schema):
    """Features with their allowed values; unit coordinates run from 0 to 1 over each feature's range.

    names   features, in the data's order
    low, high  bounds, in input units
    levels  allowed values of each feature, ascending; empty: any value between the bounds
    """

    names: list[str]
    low: list[float]
    high: list[float]
    levels: list[list[float]]

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, features: list[str]) -> Self:
        """Read bounds and grid from the designs in `frame`; a regular grid with gaps is filled."""
        values = [np.unique(frame[f].to_numpy(float)) for f in features]
        return cls(
            names=list(features),
            low=[float(v[0]) for v in values],
            high=[float(v[-1]) for v in values],
            levels=[_grid(v) for v in values],
        )

    @property
    def free(self) -> list[int]:
        """Positions of the features that vary."""
        return [i for i, (a, b) in enumerate(zip(self.low, self.high, strict=True)) if b > a]

    @property
    def coarse(self) -> list[bool]:
        """Which features have a grid so coarse that rounding moves the metrics."""
        steps = [np.diff(_log(np.asarray(v))) if len(v) > 1 else np.zeros(1) for v in self.levels]
        return [bool(np.median(s) > COARSE and len(v) <= 32) for s, v in zip(steps, self.levels, strict=True)]

    def _bounds(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        low, high = np.asarray(self.low), np.asarray(self.high)
        log = low > 0
        a, b = np.where(log, np.log(np.where(log, low, 1.0)), low), np.where(log, np.log(np.where(log, high, 1.0)), high)
        return *(torch.as_tensor(v, dtype=like.dtype, device=like.device) for v in (a, b - a)), torch.as_tensor(
            log, device=like.device
        )

    def to_unit(self, x: Tensor) -> Tensor:
        """Map designs (..., D) in input units to unit coordinates; a feature that does not vary maps to 0.5."""
        start, width, log = self._bounds(x)
        z = torch.where(log, torch.where(log, x, 1.0).clamp_min(1e-300).log(), x)
        return torch.where(width > 0, (z - start) / width.clamp_min(1e-30), 0.5)

    def from_unit(self, u: Tensor) -> Tensor:
        """Map unit coordinates (..., D) to designs in input units."""
        start, width, log = self._bounds(u)
        z = start + u * width
        return torch.where(log, z.exp(), z)

    def grid(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return unit coordinates of the levels (D, J), padded with infinity, and how many there are (D,)."""
        columns = [torch.as_tensor(v or [lo], dtype=torch.float64) for v, lo in zip(self.levels, self.low, strict=True)]
        count = torch.tensor([len(v) for v in self.levels])
        padded = torch.nn.utils.rnn.pad_sequence(columns, padding_value=float("nan"))  # (J, D)
        unit = self.to_unit(padded.nan_to_num(1.0)).masked_fill(padded.isnan(), float("inf")).T
        return unit.to(like), count.to(like.device)

    def snap(self, u: Tensor, which: list[bool] | None = None) -> Tensor:
        """Move unit coordinates (..., D) to the nearest level of each feature (only of those in `which`, where given)."""
        unit, count = self.grid(u)
        chosen = count > 0 if which is None else (count > 0) & torch.as_tensor(which, device=u.device)
        out = u.clamp(0, 1).clone()
        for i in torch.nonzero(chosen)[:, 0].tolist():
            level = unit[i, : int(count[i])].contiguous()
            out[..., i] = level[nearest(out[..., i], level)]
        return out


def nearest(u: Tensor, level: Tensor) -> Tensor:
    """Return the position of the level (J,), ascending, that is nearest to each u."""
    right = torch.searchsorted(level, u.contiguous()).clamp(1, max(len(level) - 1, 1)).clamp_max(len(level) - 1)
    left = (right - 1).clamp_min(0)
    return torch.where((u - level[left]).abs() <= (level[right] - u).abs(), left, right)


def _log(values: np.ndarray) -> np.ndarray:
    return np.log(values) if values[0] > 0 else (values - values[0]) / max(values[-1] - values[0], 1e-30)


def _grid(values: np.ndarray) -> list[float]:
    """Return the levels behind the distinct `values`: a regular grid is filled, too many irregular values are no grid."""
    if len(values) > 2:
        step = np.diff(values).min()
        position = (values - values[0]) / step
        size = round(position[-1]) + 1
        if np.abs(position - position.round()).max() < 1e-3 and size <= MAX_LEVELS:
            return [float(f"{v:.9g}") for v in values[0] + step * np.arange(size)]
    return [float(v) for v in values] if len(values) <= MAX_LEVELS else []
