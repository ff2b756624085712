"""What the encoder knows of spectra: pooled features of every layer, per noise realisation."""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from lib.data.batches import Source
from lib.denoising import in_order, stack_input
from lib.files import replacing
from lib.models.blindspot import BlindSpotDenoiser, merge_directions
from lib.models.latent import parse_pooling, pool_by_name

Cell = tuple[str, str]  # layer, pooling
FUSED = ("all_layers", "global_mean")


def length(denoiser: BlindSpotDenoiser, pixels: int, layer: str) -> int:
    """Return how many pixels L' a layer keeps of a spectrum's: every stage after the first halves them."""
    stage = int(layer.removeprefix("layer")) if layer.startswith("layer") else denoiser.config.num_layers - 1
    return pixels >> stage


def fits(denoiser: BlindSpotDenoiser, pixels: int, cell: Cell) -> bool:
    """Say whether a layer keeps enough pixels for a pooling's segments."""
    return parse_pooling(cell[1])[1] <= length(denoiser, pixels, cell[0])


@torch.no_grad()
def pooled(
    denoiser: BlindSpotDenoiser,
    source: Source,
    cells: Sequence[Cell],
    *,
    direction: str = "mean",
    epoch: int = 0,
    edges: str = "adaptive",
    batch_size: int | None = None,
) -> dict[Cell, Tensor]:
    """Return pooled features (n, d) of every (layer, pooling) from one encoder pass over the noise draw of `epoch`.

    The cell `all_layers, global_mean` joins the global means of all encoder stages (9 * 48 = 432 at the default).
    """
    return pooled_ways(denoiser, source, cells, (direction,), epoch=epoch, edges=edges, batch_size=batch_size)[direction]


@torch.no_grad()
def pooled_ways(
    denoiser: BlindSpotDenoiser,
    source: Source,
    cells: Sequence[Cell],
    directions: Sequence[str],
    *,
    epoch: int = 0,
    edges: str = "adaptive",
    batch_size: int | None = None,
) -> dict[str, dict[Cell, Tensor]]:
    """Return what `pooled` does for several ways to merge the reading directions, from one encoder pass."""
    layers = tuple(dict.fromkeys(name for layer, _ in cells for name in _needed(denoiser, layer)))
    parts: dict[str, dict[Cell, list[Tensor]]] = {way: {cell: [] for cell in cells} for way in directions}
    for seen in in_order(source, epoch=epoch, batch_size=batch_size):
        both = denoiser.all_latents(stack_input(seen.noisy, seen.sigma, denoiser.config), layers, "concat")
        for way in directions:
            found = {name: _merged(latent, way) for name, latent in both.items()}
            for layer, pooling in cells:
                each = [pool_by_name(found[name], pooling, edges) for name in _needed(denoiser, layer)]
                parts[way][layer, pooling].append(torch.cat(each, -1))
    return {way: {cell: torch.cat(values) for cell, values in found.items()} for way, found in parts.items()}


def _merged(both: Tensor, direction: str) -> Tensor:
    """Merge the two directions of a latent that holds both, (B, 2C, L'): the backward half is already flipped back."""
    forward, backward = both.chunk(2, dim=1)
    return merge_directions(torch.cat([forward, backward.flip(-1)]), direction)


def _needed(denoiser: BlindSpotDenoiser, layer: str) -> tuple[str, ...]:
    depth = denoiser.config.num_layers
    return tuple(f"layer{i}" for i in range(depth)) if layer == FUSED[0] else (layer,)


def write_features(path: Path, features: dict[str, dict[Cell, Tensor]], labels: dict[str, np.ndarray]) -> None:
    """Write `<split>/<layer>/<pooling>` (float16) and `<split>/labels` to an HDF5 file, atomically."""
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        for split, cells in features.items():
            for (layer, pooling), values in cells.items():
                file[f"{split}/{layer}/{pooling}"] = values.half().cpu().numpy()
            file[f"{split}/labels"] = labels[split]
