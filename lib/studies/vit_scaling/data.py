"""Train, validation and test spectra of the study: from the grid, or from the users' HDF5 files."""

from dataclasses import dataclass, replace
from functools import lru_cache

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
from lib.data.windows import pixel_slice
from lib.studies.vit_scaling.config import VitScalingConfig


class PixelWindow:
    """A source of files seen through a slice of pixels."""

    sigma_is_drawn = False

    def __init__(self, source: SpectraDataset, pixels: slice) -> None:
        self.source, self.pixels, self.labels = source, pixels, source.labels
        self.seed, self.device, self.wave = source.seed, source.device, source.wave[pixels]

    def __len__(self) -> int:
        return len(self.source)

    def stage(self, blocks: list[int]) -> None:
        """Bring aligned blocks of rows near."""
        self.source.stage(blocks)

    def take(self, rows: Tensor, normal: Tensor | None) -> Spectra:
        """Return rows (B,) cut to the window, with the noise that normal (B, L) gives."""
        _, sigma, labels, flux = self.source.take(rows, None)
        sigma, flux = sigma[:, self.pixels], flux[:, self.pixels]
        return Spectra(flux if normal is None else torch.addcmul(flux, sigma, normal), sigma, labels, flux)


class FirstRows:
    """The first n rows of a source; with `keep`, made once and held in memory with noise flux + sigma * normal."""

    def __init__(self, source: Source, n: int, *, keep: bool = False) -> None:
        if n > len(source):
            raise ValueError(f"{n} rows are asked for, but the set has {len(source)}; lower the sizes or give more data")
        self.source, self.n, self.labels = source, n, source.labels[:n]
        self.seed, self.device, self.wave = source.seed, source.device, source.wave
        self.sigma_is_drawn = source.sigma_is_drawn
        self.kept: tuple[Tensor, Tensor] | None = None
        if keep:
            parts = [source.take(torch.arange(a, min(a + BLOCK, n)), None) for a in range(0, n, BLOCK)]
            self.kept = torch.cat([part.flux for part in parts]), torch.cat([part.sigma for part in parts])

    def __len__(self) -> int:
        return self.n

    def stage(self, blocks: list[int]) -> None:
        """Bring aligned blocks of rows near."""
        if self.kept is None:
            self.source.stage(blocks)

    def take(self, rows: Tensor, normal: Tensor | None) -> Spectra:
        """Return rows (B,) with the noise that standard normal numbers (B, L) give, or without noise."""
        if self.kept is None:
            return self.source.take(rows, normal)
        rows = rows.to(self.device)
        flux, sigma = (part[rows] for part in self.kept)
        return Spectra(flux if normal is None else torch.addcmul(flux, sigma, normal), sigma, self.labels[rows], flux)

    def observe(self, start: int, stop: int, *, epoch: int = 0) -> Spectra:
        """Return rows start..stop with the noise draw of `epoch`; 0 is the fixed draw."""
        blocks = list(blocks_of(start, stop))
        self.stage(blocks)
        normal = torch.empty((len(blocks) * BLOCK, len(self.wave)), device=self.device)
        for part, block in zip(normal.split(BLOCK), blocks, strict=True):
            draw_block(part, block, seed=self.seed, epoch=epoch)
        first = start - blocks[0] * BLOCK
        return self.take(torch.arange(start, stop), normal[first : first + stop - start])


@dataclass(frozen=True)
class Sets:
    """The three sets with labels (n, 1) in physical units, what is known of the test stars, and the grid, if any."""

    train: FirstRows
    val: FirstRows
    test: FirstRows
    wave: Tensor  # (L,) Angstrom
    stars: pd.DataFrame  # test stars: t_eff, log_g, m_h, snr, mag where known
    grid: SpectralGrid | None
    parameters: Tensor | None  # (n_test, all labels of the grid)

    def first(self, n: int) -> FirstRows:
        """Return the first n training rows: a smaller set is a part of the larger one."""
        cut = FirstRows(self.train.source, n)
        cut.kept = None if self.train.kept is None else tuple(part[:n] for part in self.train.kept)
        return cut


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
    return SpectralGrid.load(paths.resolve(path) if path else DEFAULT_FILE)


def cut_grid(grid: SpectralGrid, pixels: slice) -> SpectralGrid:
    """Return the grid on a slice of its pixels; flux stays relative to the mean of the whole spectrum."""
    part = {"wave": grid.wave[pixels], "mean": grid.mean[pixels], "components": grid.components[:, pixels]}
    return replace(grid, **part, fingerprint=f"{grid.fingerprint}[{pixels.start}:{pixels.stop}]")


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
    keep = config.error_source != "noisy"
    kept = {split: FirstRows(s, len(s), keep=keep and _fits(len(s), len(grid.wave), device)) for split, s in made.items()}
    return Sets(**kept, wave=grid.wave, stars=_known(made["test"].table()), grid=grid, parameters=made["test"].parameters)


def _from_files(config: VitScalingConfig, device: torch.device, level: float) -> Sets:
    options = {"labels": config.label, "mode": config.data_mode, "device": device, "noise_level": level}
    train = SpectraDataset.from_hdf5(
        [resolve(config, name) for name in config.train_path], config.n_max, norm="none", seed=3 * config.seed, **options
    )
    rest = {
        split: SpectraDataset.from_hdf5(resolve(config, path), n, like=train, seed=3 * config.seed + k, **options)
        for k, (split, path, n) in enumerate(
            (("val", config.val_path, config.n_val), ("test", config.test_path, config.n_test)), 1
        )
    }
    pixels = window(config, train.wave)
    cut = {name: FirstRows(PixelWindow(s, pixels), len(s)) for name, s in {"train": train, **rest}.items()}
    return Sets(**cut, wave=train.wave[pixels], stars=_known(rest["test"].table), grid=None, parameters=None)


def _fits(n: int, pixels: int, device: torch.device) -> bool:
    free = device_free(device)
    mode = choose_mode(8 * n * pixels, device_free=free, memory_free=memory_free())
    return mode == ("device" if device.type == "cuda" else "memory")


def _known(table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of a table that the study groups by, under our names, where they exist."""
    found = {}
    for name in ("t_eff", "log_g", "m_h", "a_m", "c_m", "mag", "snr"):
        if name in table or ALIASES.get(name) in table:
            found[name] = table[column(table, name)].to_numpy()
    return pd.DataFrame(found)
