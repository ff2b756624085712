"""Rows of spectra from one file or many shards, read in contiguous runs with bounded memory."""

import os
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from lib.data.spectra.layout import ERROR, FLUX, WAVE, check_shapes, opened, read_wave
from lib.data.spectra.tables import read_table
from lib.legible import legible

NAMES = (FLUX, ERROR)
Pair = tuple[np.ndarray, np.ndarray]
PIECES = 1024  # buffers of one system call at most (IOV_MAX)


@dataclass(frozen=True)
class Extent:
    """Where an array lies in its file: byte offset of every run of `rows` rows; absent rows mean one run."""

    offsets: np.ndarray
    rows: int


@dataclass(frozen=True)
class Shard:
    """One file: rows start..stop of the whole set; an extent is None where only HDF5 can decode the array."""

    path: Path
    start: int
    stop: int
    dtypes: tuple[np.dtype, np.dtype]
    extents: tuple[Extent | None, Extent | None]


class ShardReader:
    """Reads runs of rows (flux, error) from shards as if they were one array; files are opened on first use.

    Uncompressed arrays, contiguous or in chunks of whole spectra, are read at their byte offsets; others through HDF5.
    Raises ValueError naming file and data set where a file is truncated, an array is absent or the shards differ in
    pixels or wavelengths.
    """

    def __init__(self, paths: list[Path], labels: tuple[str, ...], n: int | None = None):
        self.shards: list[Shard] = []
        self._open: dict[Path, tuple[int, h5py.File]] = {}
        self.wave: np.ndarray | None = None
        frames = []
        for path in paths:
            left = None if n is None else n - len(self)
            if left == 0:
                break
            with opened(path) as file, legible(path):
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
        """The type that spectra are kept in: float16 stays, all else is float32."""
        kinds = {d for shard in self.shards for d in shard.dtypes}
        return np.dtype(np.float16 if kinds == {np.dtype(np.float16)} else np.float32)

    def read(self, start: int, stop: int) -> Pair:
        """Return flux, error (stop - start, L) of a run of rows, in `dtype`."""
        out = tuple(np.empty((stop - start, self.n_pixels), self.dtype) for _ in range(2))
        self.read_into(start, stop, out)
        return out

    def read_into(self, start: int, stop: int, out: Pair) -> None:
        """Read rows start..stop into the first rows of two C-contiguous arrays of `dtype`."""
        self.scatter(start, stop, tuple(Rows(array[: stop - start]) for array in out), np.arange(stop - start))

    def scatter(self, start: int, stop: int, out: "tuple[Rows, Rows]", places: np.ndarray) -> None:
        """Read rows start..stop, in the file's order, each to its place (stop - start,) among the rows of `out`."""
        for shard in self.shards:
            low, high = max(start, shard.start), min(stop, shard.stop)
            if low < high:
                for which, rows in enumerate(out):
                    self._read(shard, which, low - shard.start, high - shard.start, rows, places[low - start : high - start])

    def locate(self, row: int) -> tuple[Path, int]:
        """Return the file of a row of the set, and its row there."""
        shard = next(s for s in self.shards if row < s.stop)
        return shard.path, row - shard.start

    def _add(self, file: h5py.File, path: Path, labels: tuple[str, ...], left: int | None) -> pd.DataFrame:
        rows, _ = check_shapes(file)
        wave = read_wave(file)
        if self.wave is None:
            self.wave = wave
        elif len(wave) != len(self.wave) or not np.allclose(wave, self.wave, rtol=1e-6, atol=0):
            raise ValueError(f"{path}: '{WAVE}' has {len(wave)} pixels that differ from those of {self.shards[0].path}.")
        take = rows if left is None else min(rows, left)
        if take:
            data = [file[name] for name in NAMES]
            self.shards.append(Shard(path, len(self), len(self) + take, tuple(d.dtype for d in data), tuple(map(extent, data))))
        return read_table(file, rows, labels, take)

    def _read(self, shard: Shard, which: int, low: int, high: int, out: "Rows", places: np.ndarray) -> None:
        place = shard.extents[which]
        with legible(shard.path):
            if place is None or shard.dtypes[which] != self.dtype:
                out.array[places] = self._file(shard.path)[NAMES[which]][low:high]
            else:
                _read_runs(shard.path, place, low, high, out.pieces(places))

    def _file(self, path: Path) -> h5py.File:
        """Return the open file; one handle per process, since HDF5 handles do not survive a fork."""
        pid, file = self._open.get(path, (None, None))
        if pid != os.getpid():
            file = h5py.File(path, "r")
            self._open[path] = os.getpid(), file
        return file

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_open": {}}


class Rows:
    """The rows of a C-contiguous array (n, L) as places that a file can be read to."""

    def __init__(self, array: np.ndarray):
        self.array, self._bytes = array, [memoryview(row).cast("B") for row in array]

    def pieces(self, places: np.ndarray) -> list[memoryview]:
        """Return the bytes of the rows at `places`, in that order."""
        return [self._bytes[i] for i in places.tolist()]


def extent(data: h5py.Dataset) -> Extent | None:
    """Return where an uncompressed array of native byte order lies in its file, or None."""
    if not data.dtype.isnative or data.is_virtual or data.external:
        return None
    if data.chunks is None:
        offset = data.id.get_offset()
        return None if offset is None else Extent(np.array([offset]), max(len(data), 1))
    rows, pixels = data.chunks
    if pixels != data.shape[1] or data.id.get_create_plist().get_nfilters():
        return None
    offsets = np.full(-(-len(data) // rows), -1, np.int64)

    def note(chunk: h5py.h5d.StoreInfo) -> None:
        offsets[chunk.chunk_offset[0] // rows] = chunk.byte_offset

    data.id.chunk_iter(note)
    return None if (offsets < 0).any() else Extent(offsets, rows)


def _read_runs(path: Path, place: Extent, low: int, high: int, pieces: list[memoryview]) -> None:
    width = len(pieces[0])
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        row = low
        while row < high:
            run, inside = divmod(row, place.rows)
            stop = min(high, (run + 1) * place.rows, row + PIECES)
            _read_exactly(descriptor, pieces[row - low : stop - low], int(place.offsets[run]) + inside * width)
            row = stop
    finally:
        os.close(descriptor)


def _read_exactly(descriptor: int, pieces: list[memoryview], offset: int) -> None:
    while pieces:
        got = _read_at(descriptor, pieces, offset)
        if got == 0:
            raise OSError("the file ends before the array does")
        offset += got
        if got == sum(map(len, pieces)):
            return
        while got >= len(pieces[0]):
            got -= len(pieces.pop(0))
        pieces[0] = pieces[0][got:]


def _read_at(descriptor: int, pieces: list[memoryview], offset: int) -> int:
    """Fill buffers from a byte offset on and return how many bytes came, perhaps fewer; Windows has no call for several at once."""
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, pieces, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    content = os.read(descriptor, len(pieces[0]))
    pieces[0][: len(content)] = content
    return len(content)
