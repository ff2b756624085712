"""The documents' HDF5 layout: wave, flux and error arrays and a pandas table in one file."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from lib.files import replacing
from lib.legible import legible

WAVE = "spectrumdataset/wave"
FLUX = "dataset/arrays/flux/value"
ERROR = "dataset/arrays/error/value"
TABLE = "dataset/params"  # where `write_hdf5` puts the table; any key is read
CHUNK_ROWS = 64  # a block of 64 spectra: fast in order and in random blocks


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open a spectra file for reading; what HDF5 cannot read is a ValueError that names the file."""
    if not path.is_file():
        raise ValueError(f"Spectra file {path} does not exist.")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"Spectra file {path} is truncated or not HDF5 ({error}).") from None
    with file:
        yield file


def check_shapes(file: h5py.File) -> tuple[int, int]:
    """Return (spectra, pixels) of an open file after checking that its three arrays are there and fit together."""
    with legible(file.filename):
        return _shapes(file)


def _shapes(file: h5py.File) -> tuple[int, int]:
    for name in (WAVE, FLUX, ERROR):
        if not isinstance(file.get(name), h5py.Dataset):
            raise ValueError(f"{file.filename} has no data set '{name}': the layout needs {WAVE}, {FLUX} and {ERROR}.")
    wave, flux, error = (file[name] for name in (WAVE, FLUX, ERROR))
    if wave.ndim != 1:
        raise ValueError(f"{file.filename}: '{WAVE}' has shape {wave.shape}, but it should be (pixels,).")
    if flux.ndim != 2 or flux.shape[1] != len(wave):
        raise ValueError(f"{file.filename}: '{FLUX}' has shape {flux.shape}, but it should be (spectra, {len(wave)}).")
    if error.shape != flux.shape:
        raise ValueError(f"{file.filename}: '{ERROR}' has shape {error.shape}, but '{FLUX}' has {flux.shape}.")
    if len(flux) == 0:
        raise ValueError(f"{file.filename}: '{FLUX}' holds no spectra.")
    for data in (wave, flux, error):
        if data.dtype.kind != "f":
            raise ValueError(f"{file.filename}: '{data.name[1:]}' holds {data.dtype}, but it should hold floats.")
    return flux.shape


def read_wave(file: h5py.File) -> np.ndarray:
    """Return the wavelengths (L,) of an open file whose shapes were checked: finite and increasing."""
    with legible(file.filename):
        wave = file[WAVE][()].astype(np.float64)
    if not np.isfinite(wave).all() or (np.diff(wave) <= 0).any():
        raise ValueError(f"{file.filename}: '{WAVE}' should increase from pixel to pixel and be finite.")
    return wave


def blocks(
    file: h5py.File, size: int, pixels: Any = slice(None), names: tuple[str, ...] = (FLUX, ERROR)
) -> Iterator[tuple[slice, list[np.ndarray]]]:
    """Read arrays of a checked file `size` rows at a time: the rows, and (b, L) float32 of each of `names` at `pixels`.

    Raises ValueError naming file, array, row and pixel for a flux that is not finite, or an error that is not, or is negative.
    """
    total = len(file[FLUX])
    for start in range(0, total, size):
        rows = slice(start, min(start + size, total))
        with legible(file.filename), np.errstate(over="ignore"):  # beyond float32 becomes infinite, which is told below
            parts = [np.asarray(file[name][rows], np.float32)[:, pixels] for name in names]
        for name, values in zip(names, parts, strict=True):
            good = np.isfinite(values) if name == FLUX else np.isfinite(values) & (values >= 0)
            if not good.all():
                row, kept = np.argwhere(~good)[0]
                pixel = np.arange(file[name].shape[1])[pixels][kept]
                wanted = "finite" if name == FLUX else "finite and not negative"
                raise ValueError(
                    f"{file.filename}: '{name}' is {values[row, kept]} at row {start + row}, pixel {pixel}; it should be {wanted}."
                )
        yield rows, parts


def write_hdf5(
    path: str | Path,
    wave: np.ndarray,
    table: pd.DataFrame,
    blocks: Iterable[tuple[np.ndarray, np.ndarray]],
    *,
    dtype: str = "float32",
    chunk_rows: int | None = CHUNK_ROWS,
) -> Path:
    """Write one file in the documents' layout, atomically and block by block, so that memory stays bounded.

    wave    (L,)  Angstrom;  table: one row per spectrum, numeric columns
    blocks  (flux, error) pairs of shape (b, L), in order; together as many rows as the table
    dtype   float32, float64 or float16 (half the size; rounding is 0.05 % of the value)
    chunk_rows  spectra per HDF5 chunk, or None for a contiguous array
    """
    path = Path(path)
    _check_table(table, dtype)
    rows, pixels = len(table), len(wave)
    with replacing(path) as temporary:
        table.reset_index(drop=True).to_hdf(temporary, key=TABLE, mode="w", format="fixed")
        with h5py.File(temporary, "a") as file:
            file[WAVE] = np.asarray(wave, np.float64)
            chunks = (max(1, min(chunk_rows, rows)), pixels) if chunk_rows else None
            out = [file.create_dataset(name, (rows, pixels), dtype, chunks=chunks) for name in (FLUX, ERROR)]
            done = 0
            for pair in blocks:
                done = _write_block(out, pair, done, path)
            if done != rows:
                raise ValueError(f"{path}: the table has {rows} rows, but {done} spectra were given.")
    return path


def _write_block(out: list[h5py.Dataset], pair: tuple[np.ndarray, np.ndarray], done: int, path: Path) -> int:
    for data, values in zip(out, pair, strict=True):
        values = np.asarray(values)
        if values.ndim != 2 or values.shape[1] != data.shape[1] or done + len(values) > data.shape[0]:
            raise ValueError(f"{path}: a block of shape {values.shape} at row {done} does not fit {data.shape}.")
        largest = np.finfo(data.dtype).max
        if not np.abs(values).max(initial=0) <= largest:
            raise ValueError(f"{path}: '{data.name[1:]}' has NaN or values beyond {largest:.4g} from row {done} on.")
        data[done : done + len(values)] = values
    return done + len(pair[0])


def _check_table(table: pd.DataFrame, dtype: str) -> None:
    if dtype not in ("float16", "float32", "float64"):
        raise ValueError(f"dtype is '{dtype}', but spectra are written as float16, float32 or float64.")
    if not len(table):
        raise ValueError("The table has no rows: there is nothing to write.")
    text = [str(name) for name, kind in table.dtypes.items() if kind.kind not in "fiub"]
    if text:
        raise ValueError(f"Column '{text[0]}' of the table is not numeric; the layout holds numbers only.")
