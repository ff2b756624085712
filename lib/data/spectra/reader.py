"""Rows of spectra from one file or many shards, read in contiguous blocks with bounded memory."""

import os
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from lib.data.spectra.layout import ERROR, FLUX, WAVE, check_shapes, opened
from lib.data.spectra.tables import read_table


@dataclass(frozen=True)
class Shard:
    """One file: rows start..stop of the whole set; `offsets` are the byte offsets of contiguous arrays, or None."""

    path: Path
    start: int
    stop: int
    dtypes: tuple[np.dtype, np.dtype]
    offsets: tuple[int, int] | None


class ShardReader:
    """Reads blocks of rows (flux, error) from shards as if they were one array; files are opened on first use.

    Contiguous arrays are read at their byte offset; chunked ones through HDF5. Raises ValueError naming file and data
    set where a file is truncated, an array is absent or the shards differ in pixels or wavelengths.
    """

    def __init__(self, paths: list[Path], labels: tuple[str, ...], n: int | None = None):
        self.shards: list[Shard] = []
        self._open: dict[Path, tuple[int, h5py.File]] = {}
        frames = []
        self.wave: np.ndarray | None = None
        for path in paths:
            left = None if n is None else n - len(self)
            if left is not None and left <= 0:
                break
            with opened(path) as file:
                frames.append(self._add(file, path, labels, left))
        self.table = pd.concat(frames, ignore_index=True)
        if n is not None and len(self) < n:
            raise ValueError(f"{n} spectra were asked for, but {', '.join(map(str, paths))} hold {len(self)}.")

    def __len__(self) -> int:
        return self.shards[-1].stop if self.shards else 0

    @property
    def n_pixels(self) -> int:
        return len(self.wave)

    @property
    def dtype(self) -> np.dtype:
        """The type that flux is kept in: float16 stays, all else is float32."""
        kinds = {d for shard in self.shards for d in shard.dtypes}
        return np.dtype(np.float16 if kinds == {np.dtype(np.float16)} else np.float32)

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return flux, error (stop - start, L) of a run of rows, in `dtype`."""
        flux, error = (np.empty((stop - start, self.n_pixels), self.dtype) for _ in range(2))
        for shard in self.shards:
            low, high = max(start, shard.start), min(stop, shard.stop)
            if low < high:
                into = slice(low - start, high - start)
                self._read_shard(shard, low - shard.start, high - shard.start, (flux[into], error[into]))
        return flux, error

    def locate(self, row: int) -> tuple[Path, int]:
        """Return the file of a row of the set, and its row there."""
        shard = next(s for s in self.shards if row < s.stop)
        return shard.path, row - shard.start

    def _add(self, file: h5py.File, path: Path, labels: tuple[str, ...], left: int | None) -> pd.DataFrame:
        rows, _ = check_shapes(file)
        wave = file[WAVE][()].astype(np.float64)
        if not np.isfinite(wave).all() or (np.diff(wave) <= 0).any():
            raise ValueError(f"{path}: '{WAVE}' should increase from pixel to pixel and be finite.")
        if self.wave is None:
            self.wave = wave
        elif len(wave) != len(self.wave) or not np.allclose(wave, self.wave, rtol=1e-6, atol=0):
            raise ValueError(f"{path}: '{WAVE}' has {len(wave)} pixels that differ from those of {self.shards[0].path}.")
        take = rows if left is None else min(rows, left)
        if take:
            size = len(self)
            dtypes = file[FLUX].dtype, file[ERROR].dtype
            self.shards.append(Shard(path, size, size + take, dtypes, _offsets(file)))
        return read_table(file, rows, labels, take)

    def _read_shard(self, shard: Shard, low: int, high: int, out: tuple[np.ndarray, np.ndarray]) -> None:
        for which, name in enumerate((FLUX, ERROR)):
            try:
                if shard.offsets is not None and shard.dtypes[which] == out[which].dtype:
                    self._read_bytes(shard, which, low, out[which])
                else:
                    self._file(shard.path)[name].read_direct(out[which], np.s_[low:high])
            except OSError as error:
                raise ValueError(f"{shard.path}: rows {low}..{high} of '{name}' cannot be read ({error}).") from None

    def _read_bytes(self, shard: Shard, which: int, low: int, out: np.ndarray) -> None:
        view = memoryview(out).cast("B")
        at = shard.offsets[which] + low * out.shape[1] * out.itemsize
        with open(shard.path, "rb", buffering=0) as file:
            done = 0
            while done < len(view):
                got = os.preadv(file.fileno(), [view[done:]], at + done)
                if got == 0:
                    raise OSError("the file ends before the array does")
                done += got

    def _file(self, path: Path) -> h5py.File:
        """Return the open file; one handle per process, since HDF5 handles do not survive a fork."""
        pid, file = self._open.get(path, (None, None))
        if pid != os.getpid():
            file = h5py.File(path, "r")
            self._open[path] = os.getpid(), file
        return file

    def close(self) -> None:
        """Close the files that this process opened."""
        for pid, file in self._open.values():
            if pid == os.getpid():
                file.close()
        self._open.clear()

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_open": {}}


def _offsets(file: h5py.File) -> tuple[int, int] | None:
    """Return the byte offsets of the flux and error arrays where both are contiguous and in native byte order."""
    data = file[FLUX], file[ERROR]
    if any(d.chunks is not None or not d.dtype.isnative or d.is_virtual or d.external for d in data):
        return None
    offsets = tuple(d.id.get_offset() for d in data)
    return None if None in offsets else offsets
