"""Which spectra a study of the denoiser works on: the user's files, or stars of the grid under simulated noise."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from lib import paths
from lib.config import StudyConfig, check_files, param
from lib.data.batches import Source
from lib.data.generated import GeneratedSpectra
from lib.data.grid import SpectralGrid
from lib.data.noise import preset
from lib.data.spectra import SpectraDataset
from lib.data.spectra.layout import check_shapes, opened, read_wave
from lib.data.units import check_units, check_varies
from lib.data.views import Kept
from lib.data.windows import pixel_slice
from lib.files import fingerprint

LABELS = ("t_eff", "log_g", "m_h", "a_m", "c_m")
KEPT_BYTES = 2**33  # a generated set up to this size stays on the device
PROBE_STREAM = 1  # the probes' training stars are other stars than the denoiser's


class SpectraConfig(StudyConfig):
    """The parameters that say which spectra are used."""

    train_path: list[str] = param(
        [], "HDF5 file or shards to train on (empty: the grid)", "训练用 HDF5 文件或分片（空：内置网格）"
    )
    val_path: str = param("", "HDF5 file of validation spectra", "验证光谱的 HDF5 文件")
    test_path: str = param("", "HDF5 file of test spectra", "测试光谱的 HDF5 文件")
    grid_path: str = param("", "spectral grid (empty: the embedded synthetic grid)", "光谱网格文件（空：内置合成网格）")
    window_aa: list[float] = param([8412.0, 8850.0], "wavelength window (empty: all pixels)", "波长窗口（空：全部像素）")
    mask_ratio: float = param(
        1.0, "keep this part of a file's pixels, those of least error", "保留文件中误差最小的这部分像素", gt=0, le=1
    )
    noise_preset: str = param("mag215", "observing conditions: mag215 or mag205_225", "观测条件：mag215 或 mag205_225")
    error_source: Literal["reference", "noisy", "clean"] = param(
        "reference", "whose photons set sigma (see lib.data.noise)", "噪声标准差取自何处（见 lib.data.noise）"
    )
    noise_level: float = param(0.3, "factor on sigma", "噪声倍数", gt=0, le=10)
    n_train: int = param(512, "training spectra of the probes", "探针的训练光谱数", ge=32)
    n_val: int = param(128, "validation spectra", "验证光谱数", ge=16)
    n_test: int = param(256, "test spectra", "测试光谱数", ge=16)
    labels: list[str] = param(list(LABELS), "labels to read off the latents", "要读出的标签", min_length=1)

    def check_spectra(self) -> None:
        """Raise ValueError for parameters that contradict each other."""
        check_files(self)
        if "log_g" not in self.labels:
            raise ValueError(f"'labels' is {self.labels}; log_g must be among them.")
        if self.mask_ratio < 1 and not self.train_path:
            raise ValueError("'mask_ratio' applies to files; without 'train_path' choose pixels by 'window_aa'.")

    @property
    def embedded(self) -> bool:
        """Whether spectra come from a grid rather than from files."""
        return not self.train_path


def open_grid(config: SpectraConfig) -> SpectralGrid:
    """Open the grid, cut to the window."""
    grid = SpectralGrid.load(paths.resolve(config.grid_path)) if config.grid_path else SpectralGrid.default()
    check_units({"wave": grid.wave, **grid.nodes}, config.grid_path or "the embedded grid")
    return cut(grid, *config.window_aa) if config.window_aa else grid


def cut(grid: SpectralGrid, low_aa: float, high_aa: float) -> SpectralGrid:
    """Return the grid between two wavelengths, a multiple of 64 pixels; flux keeps the whole range's normalisation."""
    pixels = pixel_slice(grid.wave, low_aa, high_aa, multiple=64)
    parts = {name: getattr(grid, name)[..., pixels] for name in ("wave", "mean", "components")}
    return replace(grid, **parts, fingerprint=f"{grid.fingerprint}[{pixels.start}:{pixels.stop}]")


def open_set(config: SpectraConfig, split: str, n: int, *, device: torch.device, stream: int = 0, **changes: Any) -> Source:
    """Open a split (train, val, test) with labels in their own units.

    stream   another number, other stars of the grid; files have one set per split
    changes  of the noise: noise_level, error_source
    """
    if not config.embedded:
        files = {"train": config.train_path, "val": config.val_path, "test": config.test_path}[split]
        return _from_files(config, files, n, device, changes.get("noise_level", config.noise_level))
    noise = preset(config.noise_preset, **{"noise_level": config.noise_level, "error_source": config.error_source} | changes)
    shared = {"noise": noise, "labels": tuple(config.labels), "norm": "none", "device": device}
    made = GeneratedSpectra(open_grid(config), n, seed=config.seed * 8 + stream, split=split, **shared)
    small = n * len(made.wave) * 12 <= KEPT_BYTES
    return Kept(made) if small and not made.sigma_is_drawn else made


def _from_files(config: SpectraConfig, files: str | list[str], n: int, device: torch.device, level: float) -> SpectraDataset:
    files = [locate(config, f) for f in ([files] if isinstance(files, str) else files)]
    mask = {"mask_path": _window_mask(config, files[0])} if config.window_aa else {"mask_ratio": config.mask_ratio}
    options = {"labels": config.labels, "norm": "none", "device": device, "seed": config.seed, "noise_level": level}
    found = SpectraDataset.from_hdf5(files, n, **options, **mask)
    check_units({"wave": found.wave, **found.table}, str(files[0]))
    names = dict(zip(config.labels, found.labels.cpu().numpy().T, strict=True))
    check_varies(names, f"{files[0]}, first {len(found)} rows", "leave it out of 'labels', or use spectra of other stars")
    return found


def locate(config: SpectraConfig, name: str) -> Path:
    """Return the path of a data file, relative to `data_dir` where that is given; ValueError if it is not there."""
    path = paths.resolve(f"{config.data_dir}/{name}" if config.data_dir else name)
    if not path.is_file():
        raise ValueError(f"Spectra file {path} does not exist; it is named by train_path, val_path, test_path or data_dir.")
    return path


def _window_mask(config: SpectraConfig, file: Path) -> Path:
    """Write the window of a file's pixels as a mask that the reader takes; returns its path."""
    with opened(file) as spectra:
        check_shapes(spectra)
        wave = read_wave(spectra)
    mask = np.zeros(len(wave), np.uint8)
    mask[pixel_slice(wave, *config.window_aa, multiple=64)] = 1
    path = config.out / "pixels.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, mask)
    return path


def describe(config: SpectraConfig) -> dict[str, Any]:
    """Return source, name and fingerprint of the data, for the report and the run cache."""
    if config.embedded:
        grid = open_grid(config)
        name = config.grid_path or "synthetic grid"
        label = {"zh": config.grid_path or "合成光谱网格", "en": name}
        return {"source": "embedded", "name": name, "label": label, "fingerprint": grid.fingerprint, "n_dropped": 0}
    files = [locate(config, f) for f in (*config.train_path, config.val_path, config.test_path)]
    return {"source": "hdf5", "name": files[0].name, "fingerprint": fingerprint(*files), "n_dropped": 0}
