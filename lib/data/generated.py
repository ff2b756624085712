"""Spectra made when they are asked for: labels -> flux from the grid -> noise, on the device, with no storage."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib.data.batches import Spectra, whole_set
from lib.data.labels import LabelScaler
from lib.data.noise import BLOCK, CONDITIONS, NoiseConfig, PfsNoise, snr
from lib.data.spectra.layout import write_hdf5
from lib.data.spectra.tables import ALIASES

SPLITS = ("train", "val", "test")


class Grid(Protocol):
    """What makes spectra from labels: `lib.data.grid.SpectralGrid`, or a window of it."""

    wave: Tensor
    labels: tuple[str, ...]
    ranges: Mapping[str, tuple[float, float]]

    def sample(self, n: int, seed: int = 0, device: str = "cpu") -> Tensor: ...

    def flux(self, labels: Tensor) -> Tensor: ...


class GeneratedSpectra:
    """A set of n spectra of a grid under PFS noise; row r is the same in every set of the same seed and split.

    grid    SpectralGrid;  n: rows;  seed, split: which set; splits share no star
    noise   NoiseConfig or the name of a preset;  device: where spectra are made
    labels  names of the labels to predict;  scaler: the training set's, or `norm` to fit one on this set's labels
    """

    def __init__(
        self,
        grid: Grid,
        n: int,
        *,
        seed: int = 0,
        split: str = "train",
        noise: NoiseConfig | str = "mag205_225",
        labels: tuple[str, ...] = ("log_g",),
        norm: str = "standard",
        scaler: LabelScaler | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f"Split is '{split}', but it should be one of {', '.join(SPLITS)}.")
        absent = [name for name in labels if name not in grid.labels]
        if absent:
            raise ValueError(f"The grid has no label '{absent[0]}': it has {', '.join(grid.labels)}.")
        self.grid, self.device, self.label_names = grid, torch.device(device), tuple(labels)
        self.seed = (seed * len(SPLITS) + SPLITS.index(split)) % 2**63
        self.noise = PfsNoise(grid.wave, noise, reference_flux(grid))
        self.parameters = grid.sample(n, self.seed)  # (n, all labels of the grid), CPU
        self.conditions = self.noise.conditions(n, self.seed)
        self.weights = self.noise.weights(self.conditions).to(self.device)
        chosen = self.parameters[:, [grid.labels.index(name) for name in labels]]
        self.scaler = scaler or LabelScaler.fit(chosen, self.label_names, norm)
        self.labels = self.scaler.transform(chosen).to(self.device)
        self._parameters = self.parameters.to(self.device)

    def __len__(self) -> int:
        return len(self.parameters)

    @property
    def wave(self) -> Tensor:
        """The (L,) wavelengths in Angstrom."""
        return self.grid.wave

    @property
    def sigma_is_drawn(self) -> bool:
        """Tell whether sigma depends on the noise draw: it does where it is estimated from noisy counts."""
        return self.noise.config.error_source == "noisy"

    def stage(self, blocks: list[int], rows: Tensor | None = None) -> None:
        """Do nothing: spectra are made when they are taken."""

    def take(self, rows: Tensor, normal: Tensor | None) -> Spectra:
        """Return rows (B,) with the noise that standard normal numbers (B, L) give, or without noise for None."""
        rows = rows.to(self.device)
        flux = self.grid.flux(self._parameters[rows])
        noisy, sigma = self.noise.observe(flux, self.weights[rows], normal)
        return Spectra(noisy, sigma, self.labels[rows], flux)

    def spectra(self) -> Spectra:
        """Return the whole set at once, with the fixed noise draw (n * L * 12 bytes of memory)."""
        return Spectra(*whole_set(self))

    def table(self, start: int = 0, stop: int | None = None) -> pd.DataFrame:
        """Return labels, conditions and S/N of rows start..stop in the documents' columns: one row per spectrum."""
        stop = len(self) if stop is None else stop
        ratio = torch.cat([snr(flux, sigma) for flux, sigma in self._arrays(start, stop)])
        values, conditions = self.parameters[start:stop].numpy(), self.conditions[start:stop].numpy()
        columns = {ALIASES.get(name, name): values[:, i] for i, name in enumerate(self.grid.labels)}
        columns |= dict(zip(("mag", *CONDITIONS[1:]), conditions.T, strict=True))
        return pd.DataFrame({**columns, "redshift": 0.0, "snr": ratio.cpu().numpy()})

    def write_hdf5(self, path: str | Path, start: int = 0, stop: int | None = None, *, dtype: str = "float32") -> Path:
        """Write noiseless flux and sigma of rows start..stop (one shard, or all) in the documents' layout, block by block.

        Raises ValueError for error_source `noisy`: a sigma estimated from noisy counts belongs to one noise draw.
        """
        if self.sigma_is_drawn:
            raise ValueError("A file keeps one sigma per spectrum: write with error_source reference or clean, not noisy.")
        stop = len(self) if stop is None else stop
        blocks = ((flux.cpu().numpy(), sigma.cpu().numpy()) for flux, sigma in self._arrays(start, stop))
        return write_hdf5(path, np.asarray(self.wave), self.table(start, stop), blocks, dtype=dtype)

    def _arrays(self, start: int, stop: int) -> Iterator[tuple[Tensor, Tensor]]:
        for first in range(start, stop, BLOCK):
            rows = slice(first, min(first + BLOCK, stop))
            flux = self.grid.flux(self._parameters[rows])
            yield flux, self.noise.drawn_sigma(self.weights[rows], flux)


def reference_flux(grid: Grid) -> Tensor:
    """Return the flux of the reference star of `error_source: reference`, the middle of the grid's ranges: (L,)."""
    middle = [sum(grid.ranges[name]) / 2 for name in grid.labels]
    return grid.flux(torch.tensor([middle], dtype=torch.float64))[0]
