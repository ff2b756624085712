"""Sets of spectra for the denoiser and its heads: stars of a grid under simulated noise, or the first rows of the user's files."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import torch

from lib import paths
from lib.data.batches import Source
from lib.data.generated import SPLITS, GeneratedSpectra
from lib.data.grid import DEFAULT_FILE, SpectralGrid
from lib.data.noise import NoiseConfig
from lib.data.spectra import SpectraDataset
from lib.data.units import check_units, check_varies
from lib.data.views import Kept
from lib.data.windows import cut_grid, pixel_slice
from lib.files import fingerprint

KEPT_BYTES = 2**33  # a generated set up to this size stays on the device
PROBE_STREAM = 1  # the probes' training stars are other stars than the denoiser's
MULTIPLE = 64  # pixels of a window, which the denoiser halves again and again
PLACE = {"place": True}  # a field that says where something lies, beside the fingerprint of what lies there


@dataclass(frozen=True)
class SpectraSpec:
    """One set of n spectra: all that its rows depend on, and where its data lie.

    split   train, val or test;  stream: another number, other stars of the grid; files have one set per split
    noise   of files, whose error is their own, its noise_level alone counts;  window_aa: empty for all pixels
    mask_ratio  part of a file's pixels that is kept without a window, those of least error in `mask_files`, the training set's
    fingerprint  of the grid's content, or of that of the files
    """

    split: str
    n: int
    labels: tuple[str, ...]
    noise: NoiseConfig
    window_aa: tuple[float, ...]
    mask_ratio: float
    fingerprint: str
    seed: int
    stream: int = 0
    grid: str = field(default="", metadata=PLACE)  # empty: the embedded one
    files: tuple[str, ...] = field(default=(), metadata=PLACE)  # empty: stars of the grid
    mask_files: tuple[str, ...] = field(default=(), metadata=PLACE)


_OPEN: WeakValueDictionary[tuple[SpectraSpec, torch.device], Source] = WeakValueDictionary()


def open_set(spec: SpectraSpec, device: torch.device) -> Source:
    """Open a set with labels in their own units; a set that is still in use is not opened twice.

    Raises ValueError where the data are no longer those that the spec was made of.
    """
    found = _OPEN.get((spec, device))
    if found is None:
        if content_of(spec) != spec.fingerprint:
            where = spec.files[0] if spec.files else spec.grid or "The embedded grid"
            raise ValueError(f"{where} is no longer what it was when its spectra were asked for: start again.")
        found = _OPEN[spec, device] = (_from_files if spec.files else _from_grid)(spec, device)
    return found


@dataclass(frozen=True)
class Splits:
    """The specs of the sets that something is fitted, chosen and judged on."""

    train: SpectraSpec
    val: SpectraSpec
    test: SpectraSpec

    def open(self, device: torch.device) -> dict[str, Source]:
        """Open all three."""
        return {split: open_set(getattr(self, split), device) for split in SPLITS}


def content_of(spec: SpectraSpec) -> str:
    """Return the fingerprint of what lies where a spec says."""
    if spec.files:
        return fingerprint(*map(Path, spec.files + spec.mask_files))
    return open_grid(spec.grid, spec.window_aa).fingerprint


def open_grid(path: str = "", window_aa: tuple[float, ...] = ()) -> SpectralGrid:
    """Open a grid (empty: the embedded one), cut to the window; flux keeps the whole range's normalisation."""
    file = paths.resolve(path) if path else DEFAULT_FILE
    grid = _read_grid(file, file.stat().st_mtime_ns if file.is_file() else 0)
    return cut_grid(grid, pixel_slice(grid.wave, *window_aa, multiple=MULTIPLE)) if window_aa else grid


@lru_cache(maxsize=1)
def _read_grid(file: Path, changed: int) -> SpectralGrid:
    grid = SpectralGrid.load(file)
    check_units({"wave": grid.wave, **grid.nodes}, "the embedded grid" if file == DEFAULT_FILE else str(file))
    return grid


def _from_grid(spec: SpectraSpec, device: torch.device) -> Source:
    shared = {"noise": spec.noise, "labels": spec.labels, "norm": "none", "device": device}
    grid = open_grid(spec.grid, spec.window_aa)
    made = GeneratedSpectra(grid, spec.n, seed=spec.seed * 8 + spec.stream, split=spec.split, **shared)
    small = spec.n * len(made.wave) * 12 <= KEPT_BYTES
    return Kept(made) if small and not made.sigma_is_drawn else made


def _from_files(spec: SpectraSpec, device: torch.device) -> SpectraDataset:
    shared: dict[str, Any] = {"labels": spec.labels, "norm": "none"}
    pixels: dict[str, Any] = {"window_aa": spec.window_aa, "multiple": MULTIPLE} if spec.window_aa else {}
    if spec.mask_files:
        pixels = {"like": SpectraDataset.from_hdf5(spec.mask_files, mask_ratio=spec.mask_ratio, mode="stream", **shared)}
    options = {"device": device, "seed": spec.seed, "noise_level": spec.noise.noise_level}
    found = SpectraDataset.from_hdf5(spec.files, spec.n, **options, **shared, **pixels)
    check_units({"wave": found.wave, **found.table}, spec.files[0])
    values = dict(zip(spec.labels, found.labels.cpu().numpy().T, strict=True))
    where = f"{spec.files[0]}, first {len(found)} rows"
    check_varies(values, where, "leave it out of 'labels', or use spectra of other stars")
    return found
