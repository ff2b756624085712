"""Train, validation and test spectra of the study: from the grid, or from the users' HDF5 files."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from lib import files, paths
from lib.data.batches import Source, Spectra
from lib.data.generated import GeneratedSpectra
from lib.data.grid import DEFAULT_FILE, SpectralGrid
from lib.data.noise import BLOCK, blocks_of, draw_block, preset
from lib.data.spectra import SpectraDataset, choose_mode
from lib.data.spectra.modes import device_free, memory_free
from lib.data.spectra.tables import ALIASES, column
from lib.data.units import check_units, check_varies
from lib.data.views import First, Kept
from lib.data.windows import cut_grid, pixel_slice
from lib.studies.vit_scaling.config import VitScalingConfig


def observe(source: Source, start: int, stop: int, *, epoch: int = 0) -> Spectra:
    """Return rows start..stop with the noise draw of `epoch`; 0 is the fixed draw."""
    blocks = list(blocks_of(start, stop))
    source.stage(blocks)
    normal = torch.empty((len(blocks) * BLOCK, len(source.wave)), device=source.device)
    for part, block in zip(normal.split(BLOCK), blocks, strict=True):
        draw_block(part, block, seed=source.seed, epoch=epoch)
    first = start - blocks[0] * BLOCK
    return source.take(torch.arange(start, stop), normal[first : first + stop - start])


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

    def first(self, n: int) -> First:
        """Return the first n training rows: a smaller set is a part of the larger one."""
        return First(self.train, n)


def data_key(config: VitScalingConfig) -> dict:
    """Return what the spectra of a run depend on besides their files, for the run cache."""
    names = ("label", "n_val", "n_test", "noise_preset", "error_source", "window_aa", "seed")
    return {name: getattr(config, name) for name in names}


def fingerprint(config: VitScalingConfig) -> str:
    """Return the fingerprint of the grid or of the users' files."""
    if config.train_path:
        named = [*config.train_path, config.val_path, config.test_path]
        return files.fingerprint(*(resolve(config, name) for name in named))
    return open_grid(config.grid_path).fingerprint


def resolve(config: VitScalingConfig, name: str):
    """Return the absolute path of a data file, relative to `data_dir` where that is given; it must exist."""
    path = paths.resolve(f"{config.data_dir}/{name}" if config.data_dir else name)
    if not path.is_file():
        raise ValueError(f"{path}: no such file; it is named by train_path, val_path, test_path or data_dir")
    return path


@lru_cache(maxsize=2)
def open_grid(path: str) -> SpectralGrid:
    """Open the embedded grid (empty path) or a user's."""
    grid = SpectralGrid.load(paths.resolve(path) if path else DEFAULT_FILE)
    check_units({"wave": grid.wave, **grid.nodes}, path or "the embedded grid")
    return grid


def window(config: VitScalingConfig, wave: Tensor) -> slice:
    """Return the pixels of the window, cut at the blue end to whole patches."""
    low, high = config.window_aa or (float(wave[0]), float(wave[-1]))
    return pixel_slice(wave, low, high, multiple=config.patch_size)


def open_sets(config: VitScalingConfig, device: torch.device, *, noise_level: float | None = None) -> Sets:
    """Open the three sets at a noise factor (default: the config's)."""
    level = config.noise_level if noise_level is None else noise_level
    return (_from_files if config.train_path else _from_grid)(config, device, level)


def _from_grid(config: VitScalingConfig, device: torch.device, level: float) -> Sets:
    whole = open_grid(config.grid_path)
    grid = cut_grid(whole, window(config, whole.wave))
    noise = preset(config.noise_preset, noise_level=level, error_source=config.error_source)
    options = {"seed": config.seed, "noise": noise, "labels": (config.label,), "norm": "none", "device": device}
    sizes = {"train": config.n_max, "val": config.n_val, "test": config.n_test}
    made = {split: GeneratedSpectra(grid, n, split=split, **options) for split, n in sizes.items()}
    kept = {split: Kept(s) if _fits(s) else s for split, s in made.items()}
    return Sets(**kept, wave=grid.wave, stars=_known(made["test"].table()), grid=grid, parameters=made["test"].parameters)


def _from_files(config: VitScalingConfig, device: torch.device, level: float) -> Sets:
    options = {"labels": config.label, "mode": config.data_mode, "device": device, "noise_level": level}
    cut = {"window_aa": tuple(config.window_aa) or None, "multiple": config.patch_size}
    files_ = [resolve(config, name) for name in config.train_path]
    train = SpectraDataset.from_hdf5(files_, config.n_max, norm="none", seed=3 * config.seed, **cut, **options)
    check_units({"wave": train.wave, **train.table}, str(files_[0]))
    _check_label(config, train, files_[0])
    rest = {
        split: SpectraDataset.from_hdf5(resolve(config, path), n, like=train, seed=3 * config.seed + k, **options)
        for k, (split, path, n) in enumerate(
            (("val", config.val_path, config.n_val), ("test", config.test_path, config.n_test)), 1
        )
    }
    _check_label(config, rest["val"], config.val_path)
    _check_label(config, rest["test"], config.test_path)
    return Sets(train, **rest, wave=train.wave, stars=_known(rest["test"].table), grid=None, parameters=None)


def _check_label(config: VitScalingConfig, found: SpectraDataset, name: str | Path) -> None:
    values = {config.label: found.labels[:, 0].cpu().numpy()}
    check_varies(values, f"{name}, first {len(found)} rows", "name another 'label', or use spectra of other stars")


def _fits(source: GeneratedSpectra) -> bool:
    """Tell whether flux and sigma may stay on the device: by `choose_mode`'s rule, and if sigma is no part of the draw."""
    size, device = 8 * len(source) * len(source.wave), source.device
    mode = choose_mode(size, device_free=device_free(device), memory_free=memory_free())
    return mode == ("device" if device.type == "cuda" else "memory") and not source.sigma_is_drawn


def _known(table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of a table that the study groups by, under our names, where they exist."""
    found = {}
    for name in ("t_eff", "log_g", "m_h", "a_m", "c_m", "mag", "snr"):
        if name in table or ALIASES.get(name) in table:
            found[name] = table[column(table, name)].to_numpy()
    return pd.DataFrame(found)
