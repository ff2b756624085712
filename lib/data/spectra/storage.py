"""Where rows of spectra wait to be taken: whole in memory or on the device, or a window of blocks at a time."""

import sys

import numpy as np
import torch
from torch import Tensor

from lib.data.noise import BLOCK
from lib.data.spectra.layout import ERROR, FLUX
from lib.data.spectra.reader import Rows, ShardReader

Pixels = slice | np.ndarray


class Checked:
    """A reader whose flux is clipped to 0, and whose kept pixels are looked at once for NaN, infinities and negative errors.

    Later epochs read at full speed: they clip only the blocks in which something negative was seen.
    """

    def __init__(self, reader: ShardReader, pixels: Pixels):
        self.reader, self.pixels = reader, pixels
        self._seen = np.zeros(-(-len(reader) // BLOCK), bool)
        self._negative = np.zeros_like(self._seen)

    def scatter(self, start: int, stop: int, out: tuple[Rows, Rows], places: np.ndarray) -> None:
        """Read rows start..stop each to its place among the rows of `out`; ValueError naming file, data set, row and pixel."""
        self.reader.scatter(start, stop, out, places)
        blocks = slice(start // BLOCK, -(-stop // BLOCK))
        if not self._seen[blocks].all():
            self._look(start, stop, tuple(rows.array[places][:, self.pixels] for rows in out))
        if self._negative[blocks].any():
            flux = out[0].array
            flux[places] = flux[places].clip(min=0)

    def read_into(self, start: int, stop: int, out: tuple[np.ndarray, np.ndarray]) -> None:
        """Read rows start..stop into the first rows of two arrays."""
        self.scatter(start, stop, tuple(Rows(array[: stop - start]) for array in out), np.arange(stop - start))

    def _look(self, start: int, stop: int, found: tuple[np.ndarray, np.ndarray]) -> None:
        for name, values in zip((FLUX, ERROR), found, strict=True):
            good = np.isfinite(values) if name == FLUX else np.isfinite(values) & (values >= 0)
            if not good.all():
                row, kept = np.argwhere(~good)[0]
                pixel = np.arange(self.reader.n_pixels)[self.pixels][kept]
                file, inside = self.reader.locate(start + int(row))
                wanted = "finite" if name == FLUX else "finite and not negative"
                raise ValueError(
                    f"{file}: '{name}' is {values[row, kept]} at row {inside}, pixel {pixel}; it should be {wanted}."
                )
        if found[0].min() < 0:
            self._negative[start // BLOCK : -(-stop // BLOCK)] = True
        whole = stop // BLOCK if stop < len(self.reader) else len(self._seen)
        self._seen[-(-start // BLOCK) : whole] = True


class Whole:
    """All rows at once, in the type of the file, on `device`."""

    def __init__(self, source: Checked, device: torch.device):
        reader, pixels = source.reader, source.pixels
        buffers = tuple(np.empty((BLOCK, reader.n_pixels), reader.dtype) for _ in range(2))
        width = len(np.arange(reader.n_pixels)[pixels])
        kind = torch.from_numpy(buffers[0]).dtype
        self.parts = tuple(torch.empty((len(reader), width), dtype=kind, device=device) for _ in range(2))
        for start in range(0, len(reader), BLOCK):
            stop = min(start + BLOCK, len(reader))
            source.read_into(start, stop, buffers)
            for part, buffer in zip(self.parts, buffers, strict=True):
                part[start:stop] = torch.from_numpy(buffer[: stop - start, pixels])

    def stage(self, blocks: list[int], rows: Tensor | None = None) -> None:
        """Do nothing: every row is there."""

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return flux and error of rows (B,), as stored."""
        return tuple(part[rows.to(part.device)] for part in self.parts)

    def rows(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Return flux and error of a run of rows, as stored (views)."""
        return tuple(part[start:stop] for part in self.parts)


class Window:
    """Rows of one array, and the memory behind them, which is used again once no batch looks at it any more."""

    def __init__(self, shape: tuple[int, int], dtype: np.dtype):
        self.rows = Rows(np.empty(shape, dtype))
        self.shown: Tensor | None = None
        self._idle = sys.getrefcount(self.rows.array)

    def free(self) -> bool:
        """Let go of what was shown; say whether all batches did so too."""
        self.shown = None
        return sys.getrefcount(self.rows.array) == self._idle

    def show(self) -> None:
        """Lend the rows as a tensor: its views keep the memory from being used again."""
        self.shown = torch.from_numpy(self.rows.array)


class Streamed:
    """The rows of the blocks staged last, read to where they will be taken from: memory does not grow with the set.

    Blocks are read in runs, in the file's order, every row to its place in the order of the batches, so that a batch is a
    view of the window. Only the last whole batch of a window is a copy, and so is what is left after it: a reader who holds
    the batch at hand does not hold the window when the next one is read.
    """

    def __init__(self, source: Checked):
        self.source, self.pixels = source, source.pixels
        self.windows: tuple[Window, Window] | None = None
        self.place = np.full(len(source.reader), -1, np.int32)  # of a row in the window
        self.staged = np.empty(0, np.int64)

    def stage(self, blocks: list[int], rows: Tensor | None = None) -> None:
        """Read these aligned blocks, `rows` first and in that order; rows of other blocks are no longer there."""
        runs = [(block * BLOCK, min((block + 1) * BLOCK, len(self.place))) for block in blocks]
        self.place[self.staged] = -1
        self.staged = np.concatenate([np.arange(*run) for run in runs])
        if rows is not None:
            self.place[rows.numpy()] = np.arange(len(rows))
        rest = self.staged[self.place[self.staged] < 0]
        self.place[rest] = np.arange(len(self.staged) - len(rest), len(self.staged))
        windows = self._free(len(blocks) * BLOCK)
        for start, stop in runs:
            self.source.scatter(start, stop, tuple(window.rows for window in windows), self.place[start:stop])
        for window in windows:
            window.show()

    def _free(self, rows: int) -> tuple[Window, Window]:
        """Return room for `rows` rows: the memory of the last window where nobody looks at it."""
        shape, kept = (rows, self.source.reader.n_pixels), self.windows
        free = kept is not None and all(window.free() for window in kept) and len(kept[0].rows.array) >= rows
        if not free:
            self.windows = kept = None  # before new memory is asked for
            self.windows = tuple(Window(shape, self.source.reader.dtype) for _ in range(2))
        return self.windows

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return flux and error of staged rows (B,), as stored."""
        places = self.place[rows.cpu().numpy()]
        if (places < 0).any():
            raise ValueError("Rows of a streamed set were taken before their blocks were staged.")
        first, stop = int(places[0]), int(places[-1]) + 1
        run = stop - first == len(places) and (np.diff(places) == 1).all() and stop + len(places) <= len(self.staged)
        which = slice(first, stop) if run else torch.from_numpy(places).long()
        return tuple(window.shown[which][:, self.pixels] for window in self.windows)

    def rows(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Read a run of rows, staged or not."""
        reader = self.source.reader
        out = tuple(np.empty((stop - start, reader.n_pixels), reader.dtype) for _ in range(2))
        self.source.read_into(start, stop, out)
        return tuple(torch.from_numpy(array[:, self.pixels]) for array in out)


def pixels_of(mask: np.ndarray) -> Pixels:
    """Return the kept pixels as a slice where they are one run, else as indices."""
    kept = np.flatnonzero(mask)
    whole = kept[-1] - kept[0] + 1 == len(kept)
    return slice(int(kept[0]), int(kept[-1]) + 1) if whole else kept
