"""Pooling of a latent (B, C, L') along wavelength into one vector per spectrum."""

import re

import torch
import torch.nn.functional as F
from torch import Tensor

HOW = ("global_mean", "mean_max", "seg_mean")
EDGES = ("adaptive", "legacy")


def pool(latent: Tensor, how: str, k: int = 8, edges: str = "adaptive") -> Tensor:
    """Pool (B, C, L') into (B, C), (B, 2C) or (B, K * C).

    how    `global_mean`; `mean_max` (mean, then maximum); `seg_mean` (means of k segments, short wavelengths first)
    edges  of the segments: `adaptive` spreads L' evenly; `legacy` is the documents' integer division, whose last
           segment takes the remainder (seven of 1 and one of 6 for L' = 13, k = 8)
    Raises ValueError for an unknown name or more segments than pixels.
    """
    if how == "global_mean":
        return latent.mean(-1)
    if how == "mean_max":
        return torch.cat([latent.mean(-1), latent.amax(-1)], dim=-1)
    if how != "seg_mean":
        raise ValueError(f"pool: {how!r} is unknown; choose one of {', '.join(HOW)}.")
    length = latent.shape[-1]
    if not 1 <= k <= length:
        raise ValueError(f"pool: {k} segments cannot be cut from {length} latent pixels; choose k from 1 to {length}.")
    return _segments(latent, k, edges).transpose(1, 2).flatten(1)


def _segments(latent: Tensor, k: int, edges: str) -> Tensor:
    """Return segment means (B, C, K)."""
    if edges == "adaptive":
        return F.adaptive_avg_pool1d(latent, k)
    if edges != "legacy":
        raise ValueError(f"pool: edges {edges!r} is unknown; choose one of {', '.join(EDGES)}.")
    step = latent.shape[-1] // k
    sizes = [step] * (k - 1) + [latent.shape[-1] - step * (k - 1)]
    return torch.stack([part.mean(-1) for part in latent.split(sizes, dim=-1)], dim=-1)


def parse_pooling(name: str) -> tuple[str, int]:
    """Split a table name into `how` and k: `seg_mean_K8` -> ("seg_mean", 8), `global_mean` -> ("global_mean", 1)."""
    if match := re.fullmatch(r"seg_mean_K(\d+)", name):
        return "seg_mean", int(match[1])
    if name in HOW[:2]:
        return name, 1
    raise ValueError(f"pooling {name!r} is unknown; write global_mean, mean_max or seg_mean_K8 (any number of segments).")


def pool_by_name(latent: Tensor, name: str, edges: str = "adaptive") -> Tensor:
    """Pool by a table name such as `seg_mean_K8`."""
    how, k = parse_pooling(name)
    return pool(latent, how, k, edges)
