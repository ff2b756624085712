"""Where rows of spectra wait to be taken: whole in memory or on the device, or a window of blocks at a time."""

import numpy as np
import torch
from torch import Tensor

from lib.data.noise import BLOCK
from lib.data.spectra.layout import ERROR, FLUX
from lib.data.spectra.reader import ShardReader

Pixels = slice | np.ndarray


class Checked:
    """A reader whose kept pixels are looked at once for NaN, infinities and negative errors; later epochs read at full speed."""

    def __init__(self, reader: ShardReader, pixels: Pixels):
        self.reader, self.pixels = reader, pixels
        self._seen = np.zeros(-(-len(reader) // BLOCK), bool)

    def read_into(self, start: int, stop: int, out: tuple[np.ndarray, np.ndarray]) -> None:
        """Read rows start..stop into the first rows of `out`; ValueError naming file, data set, row and pixel."""
        self.reader.read_into(start, stop, out)
        if self._seen[start // BLOCK : -(-stop // BLOCK)].all():
            return
        for name, array in zip((FLUX, ERROR), out, strict=True):
            values = array[: stop - start, self.pixels]
            good = np.isfinite(values) if name == FLUX else np.isfinite(values) & (values >= 0)
            if not good.all():
                row, kept = np.argwhere(~good)[0]
                pixel = np.arange(self.reader.n_pixels)[self.pixels][kept]
                file, inside = self.reader.locate(start + int(row))
                wanted = "finite" if name == FLUX else "finite and not negative"
                raise ValueError(
                    f"{file}: '{name}' is {values[row, kept]} at row {inside}, pixel {pixel}; it should be {wanted}."
                )
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

    def stage(self, blocks: list[int]) -> None:
        """Do nothing: every row is there."""

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return flux and error of rows (B,), as stored."""
        return tuple(part[rows.to(part.device)] for part in self.parts)

    def rows(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Return flux and error of a run of rows, as stored (views)."""
        return tuple(part[start:stop] for part in self.parts)


class Streamed:
    """The rows of the blocks staged last, in buffers that are kept: memory does not grow with the set."""

    def __init__(self, source: Checked):
        self.source, self.pixels = source, source.pixels
        self.buffers: tuple[np.ndarray, np.ndarray] | None = None
        self.place = np.full(-(-len(source.reader) // BLOCK), -1)

    def stage(self, blocks: list[int]) -> None:
        """Read these aligned blocks; rows of others are no longer there."""
        reader = self.source.reader
        if self.buffers is None or len(self.buffers[0]) < len(blocks) * BLOCK:
            shape = (len(blocks) * BLOCK, reader.n_pixels)
            self.buffers = np.empty(shape, reader.dtype), np.empty(shape, reader.dtype)
        self.place[:] = -1
        for position, block in enumerate(blocks):
            into = tuple(b[position * BLOCK : (position + 1) * BLOCK] for b in self.buffers)
            self.source.read_into(block * BLOCK, min((block + 1) * BLOCK, len(reader)), into)
            self.place[block] = position

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return flux and error of staged rows (B,), as stored."""
        rows = rows.cpu().numpy()
        if (self.place[rows // BLOCK] < 0).any():
            raise ValueError("Rows of a streamed set were taken before their blocks were staged.")
        position = torch.from_numpy(self.place[rows // BLOCK] * BLOCK + rows % BLOCK)
        taken = (torch.from_numpy(buffer).index_select(0, position) for buffer in self.buffers)
        return tuple(part[:, self.pixels] for part in taken)

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
