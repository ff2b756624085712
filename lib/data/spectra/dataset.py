"""Spectra of the users' files, ready for training: labels, masks, noise, and three ways to keep them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lib.data.batches import Spectra
from lib.data.labels import LabelScaler
from lib.data.noise import BLOCK, blocks_of
from lib.data.spectra.layout import write_hdf5
from lib.data.spectra.masks import check_mask, keep_least_noisy, load_mask
from lib.data.spectra.modes import MODES, choose_mode, device_free, memory_free
from lib.data.spectra.reader import ShardReader
from lib.data.spectra.storage import Checked, Streamed, Whole, pixels_of
from lib.data.spectra.tables import column
from lib.data.windows import pixel_slice

MASK_ROWS = 2048  # training rows that decide a mask by error
Paths = str | Path | Sequence[str | Path]


class SpectraDataset(Dataset):
    """n spectra with labels: a map-style data set (flux, error, labels) and a source of `SpectraBatches`.

    wave (L,), table (n rows, all numeric columns), labels (n, k) normalised by `scaler`, mask (all pixels of the file).
    Negative flux is clipped to 0. Made by `from_hdf5`.
    """

    sigma_is_drawn = False  # files hold it

    def __init__(
        self,
        reader: ShardReader,
        names: tuple[str, ...],
        *,
        mode: str,
        device: torch.device,
        mask: np.ndarray,
        scaler: LabelScaler,
        seed: int,
        noise_level: float,
    ) -> None:
        self.table, self.label_names, self.mode, self.device = reader.table, names, mode, device
        self.mask, self.scaler, self.seed, self.noise_level = mask, scaler, seed, noise_level
        self.wave = torch.from_numpy(reader.wave[mask])
        self.labels = scaler.transform(_labels(reader.table, names)).to(device)
        checked = Checked(reader, pixels_of(mask))
        home = device if mode == "device" else torch.device("cpu")
        self._storage = Streamed(checked) if mode == "stream" else Whole(checked, home)

    @classmethod
    def from_hdf5(
        cls,
        paths: Paths,
        n: int | None = None,
        *,
        labels: str | Sequence[str] = "log_g",
        norm: str = "standard",
        like: "SpectraDataset | None" = None,
        mask_ratio: float = 1.0,
        mask_path: str | Path | None = None,
        window_aa: tuple[float, float] | None = None,
        multiple: int = 1,
        mode: str = "auto",
        device: torch.device | str = "cpu",
        seed: int = 0,
        noise_level: float = 1.0,
    ) -> "SpectraDataset":
        """Open one file or a list of shards in the documents' layout.

        n       the first n spectra only;  labels: columns to predict, by the documents' names (T_eff) or ours (t_eff)
        norm    label normalisation fitted here (standard, minmax, none);  like: take label normalisation and mask from
                this (training) data set instead
        mask_ratio  keep this part of the pixels, those of the lowest error;  mask_path: keep those of a mask file
        window_aa  keep low <= wavelength <= high, a multiple of `multiple` pixels cut at the blue end
        mode    device, memory, stream, or auto (see `choose_mode`)
        Raises ValueError in one sentence naming file and data set where something is absent, truncated, NaN or misshapen.
        """
        names = (labels,) if isinstance(labels, str) else tuple(labels)
        files = [Path(p) for p in ([paths] if isinstance(paths, str | Path) else paths)]
        if not files or not names or (n is not None and n < 1):
            raise ValueError("from_hdf5 needs at least one file, one label and one spectrum.")
        reader, device = ShardReader(files, names, n), torch.device(device)
        mask = _choose_mask(reader, like, mask_ratio, mask_path, window_aa, multiple)
        scaler = like.scaler if like is not None else LabelScaler.fit(_labels(reader.table, names), names, norm)
        if scaler.names != names:
            raise ValueError(f"Labels {', '.join(names)} differ from the training set's {', '.join(scaler.names)}.")
        settings = {"mask": mask, "scaler": scaler, "seed": seed, "noise_level": noise_level}
        return cls(reader, names, mode=_mode(mode, reader, mask, device), device=device, **settings)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return flux (L,), error (L,) and normalised labels (k,) of one spectrum."""
        row = range(len(self))[row]
        flux, error = self.rows(row, row + 1)
        return flux[0], error[0], self.labels[row]

    @property
    def flux(self) -> Tensor:
        """All flux, (n, L) float32; a streamed set is read whole for it."""
        return self.rows(0, len(self))[0]

    @property
    def error(self) -> Tensor:
        """All errors, (n, L) float32; a streamed set is read whole for it."""
        return self.rows(0, len(self))[1]

    def rows(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Return flux and error of a run of rows, (b, L) float32, on the device."""
        flux, error = self._storage.rows(start, stop)
        return flux.to(self.device, torch.float32), error.to(self.device, torch.float32)

    def stage(self, blocks: list[int], rows: Tensor | None = None) -> None:
        """Bring aligned blocks of rows near, to be taken in the order `rows`: a streamed set reads them."""
        self._storage.stage(blocks, rows)

    def take(self, rows: Tensor, normal: Tensor | None) -> Spectra:
        """Return staged rows (B,) with noise of noise_level * error; normal (B, L) is standard normal, None for none."""
        flux, sigma = (part.to(self.device).to(torch.float32) for part in self._storage.take(rows))
        if self.noise_level != 1:
            sigma = sigma * self.noise_level
        noisy = flux if normal is None else torch.addcmul(flux, sigma, normal)
        return Spectra(noisy, sigma, self.labels[rows.to(self.device)], flux)

    def write_hdf5(self, path: str | Path, *, dtype: str = "float32") -> Path:
        """Write flux, error and table in the documents' layout, block by block."""
        runs = ((b * BLOCK, min((b + 1) * BLOCK, len(self))) for b in blocks_of(0, len(self)))
        blocks = (tuple(part.cpu().numpy() for part in self.rows(*run)) for run in runs)
        return write_hdf5(path, self.wave.numpy(), self.table, blocks, dtype=dtype)


def _labels(table: pd.DataFrame, names: tuple[str, ...]) -> Tensor:
    values = table[[column(table, name) for name in names]].to_numpy(np.float64)
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        raise ValueError(f"Label '{names[bad[0, 1]]}' is {values[tuple(bad[0])]} in row {bad[0, 0]}; it should be finite.")
    return torch.from_numpy(np.array(values, order="C"))  # a column selection may be reversed or read-only


def _mode(mode: str, reader: ShardReader, mask: np.ndarray, device: torch.device) -> str:
    if mode == "auto":
        size = 2 * len(reader) * int(mask.sum()) * reader.dtype.itemsize
        return choose_mode(size, device_free=device_free(device), memory_free=memory_free())
    if mode not in MODES:
        raise ValueError(f"Read mode is '{mode}', but it should be auto or one of {', '.join(MODES)}.")
    return mode


def _choose_mask(
    reader: ShardReader,
    like: SpectraDataset | None,
    ratio: float,
    path: str | Path | None,
    window_aa: tuple[float, float] | None,
    multiple: int,
) -> np.ndarray:
    if sum([like is not None, path is not None, window_aa is not None, ratio != 1]) > 1:
        raise ValueError("Give one of like, mask_path, mask_ratio and window_aa: each alone decides which pixels are kept.")
    if like is not None:
        return check_mask(like.mask, reader.n_pixels, "The training set's mask")
    if path is not None:
        return load_mask(path, reader.n_pixels)
    mask = np.ones(reader.n_pixels, bool)
    if window_aa is not None:
        mask[:] = False
        mask[pixel_slice(reader.wave, *window_aa, multiple=multiple)] = True
    if ratio != 1:
        mask = keep_least_noisy(reader.read(0, min(MASK_ROWS, len(reader)))[1].astype(np.float32), ratio)
    return mask
