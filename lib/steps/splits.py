"""Training, validation and test spectra of a step: what there is to say of them, and how they are opened from that alone."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors.torch import save_file
from torch import Tensor

from lib import paths
from lib.data.batches import Source
from lib.data.generated import GeneratedSpectra
from lib.data.grid import DEFAULT_FILE, SpectralGrid
from lib.data.noise import preset
from lib.data.spectra import SpectraDataset, choose_mode
from lib.data.spectra.modes import device_free, memory_free
from lib.data.spectra.tables import ALIASES, column
from lib.data.units import check_units, check_varies
from lib.data.views import First, Kept
from lib.data.windows import cut_grid, pixel_slice
from lib.files import replacing, write_json
from lib.steps import place


@dataclass(frozen=True)
class Splits:
    """What the spectra are: content, rows, pixels and noise.

    fingerprint  of the whole grid, or of the files;  window_aa: (low, high), or () for all pixels
    multiple     the number of pixels is a multiple of it, cut at the blue end
    """

    fingerprint: str
    label: str
    n_train: int
    n_val: int
    n_test: int
    window_aa: tuple[float, ...]
    multiple: int
    noise_level: float
    seed: int  # of stars and noise

    def pixels(self, wave: Tensor) -> slice:
        """Return the pixels of the window."""
        return pixel_slice(wave, *(self.window_aa or (float(wave[0]), float(wave[-1]))), multiple=self.multiple)


@dataclass(frozen=True)
class GridSplits(Splits):
    """Stars of a grid (an empty path: the embedded one) under simulated noise."""

    noise_preset: str
    error_source: str
    path: str = place(default="")


@dataclass(frozen=True)
class FileSplits(Splits):
    """The first rows of the users' HDF5 files, by absolute paths."""

    mode: str  # auto, device, memory, stream
    train: tuple[str, ...] = place()
    val: str = place()
    test: str = place()


@dataclass(frozen=True)
class Sets:
    """The three sets with labels (n, 1) in physical units, what is known of the test stars, and the grid, if any."""

    train: Source
    val: Source
    test: Source
    wave: Tensor  # (L,) Angstrom
    stars: pd.DataFrame  # test stars: t_eff, log_g, m_h, snr, mag where known
    grid: SpectralGrid | None
    parameters: Tensor | None  # (n_test, all labels of the grid)


@lru_cache(maxsize=1)
def open_sets(spec: GridSplits | FileSplits, device: torch.device) -> Sets:
    """Open the three sets; the last ones are remembered, and make room before others are opened."""
    open_sets.cache_clear()
    return (_from_grid if isinstance(spec, GridSplits) else _from_files)(spec, device)


def shown(sets: Sets) -> dict[str, Source]:
    """Return what a fitted model is applied to: validation, test, and as many training rows as there are test rows."""
    return {"train": First(sets.train, min(len(sets.train), len(sets.test))), "val": sets.val, "test": sets.test}


def leave(folder: Path, predictions: dict[str, Tensor], **measured: Any) -> None:
    """Write predictions.safetensors, and point.json with what was measured."""
    with replacing(folder / "predictions.safetensors") as path:
        save_file({name: value.float().cpu().contiguous() for name, value in predictions.items()}, path)
    write_json(folder / "point.json", measured)


@lru_cache(maxsize=2)
def open_grid(path: str) -> SpectralGrid:
    """Open the embedded grid (empty path) or a user's."""
    grid = SpectralGrid.load(paths.resolve(path) if path else DEFAULT_FILE)
    check_units({"wave": grid.wave, **grid.nodes}, path or "the embedded grid")
    return grid


def _from_grid(spec: GridSplits, device: torch.device) -> Sets:
    whole = open_grid(spec.path)
    if whole.fingerprint != spec.fingerprint:
        raise ValueError(f"The grid {spec.path or DEFAULT_FILE} is another than the step's: {whole.fingerprint}.")
    grid = cut_grid(whole, spec.pixels(whole.wave))
    noise = preset(spec.noise_preset, noise_level=spec.noise_level, error_source=spec.error_source)
    options = {"seed": spec.seed, "noise": noise, "labels": (spec.label,), "norm": "none", "device": device}
    sizes = {"train": spec.n_train, "val": spec.n_val, "test": spec.n_test}
    made = {split: GeneratedSpectra(grid, n, split=split, **options) for split, n in sizes.items()}
    kept = {split: Kept(s) if _fits(s) else s for split, s in made.items()}
    return Sets(**kept, wave=grid.wave, stars=_known(made["test"].table()), grid=grid, parameters=made["test"].parameters)


def _from_files(spec: FileSplits, device: torch.device) -> Sets:
    options = {"labels": spec.label, "mode": spec.mode, "device": device, "noise_level": spec.noise_level}
    cut = {"window_aa": spec.window_aa or None, "multiple": spec.multiple}
    train = SpectraDataset.from_hdf5(spec.train, spec.n_train, norm="none", seed=3 * spec.seed, **cut, **options)
    check_units({"wave": train.wave, **train.table}, spec.train[0])
    _check_label(spec.label, train, spec.train[0])
    val, test = (
        SpectraDataset.from_hdf5(path, n, like=train, seed=3 * spec.seed + k, **options)
        for k, (path, n) in enumerate(((spec.val, spec.n_val), (spec.test, spec.n_test)), 1)
    )
    for name, found in ((spec.val, val), (spec.test, test)):
        _check_label(spec.label, found, name)
    return Sets(train, val, test, wave=train.wave, stars=_known(test.table), grid=None, parameters=None)


def _check_label(label: str, found: SpectraDataset, name: str) -> None:
    values, where = {label: found.labels[:, 0].cpu().numpy()}, f"{name}, first {len(found)} rows"
    check_varies(values, where, "name another 'label', or use spectra of other stars")


def _fits(source: GeneratedSpectra) -> bool:
    """Tell whether flux and sigma may stay on the device: by `choose_mode`'s rule, and if sigma is no part of the draw."""
    size, device = 8 * len(source) * len(source.wave), source.device
    mode = choose_mode(size, device_free=device_free(device), memory_free=memory_free())
    return mode == ("device" if device.type == "cuda" else "memory") and not source.sigma_is_drawn


def _known(table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of a table that a study groups by, under our names, where they exist."""
    found = {}
    for name in ("t_eff", "log_g", "m_h", "a_m", "c_m", "mag", "snr"):
        if name in table or ALIASES.get(name) in table:
            found[name] = table[column(table, name)].to_numpy()
    return pd.DataFrame(found)
