"""Batches of spectra from any source: shuffled in windows of aligned blocks, with noise keyed by (seed, epoch, block)."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from lib.data.noise import BLOCK, draw_block
from lib.runtime import generator

ORDER_STREAM = 3


class Spectra(NamedTuple):
    """A batch: noisy flux, the sigma that the model may see, the normalised labels and the noiseless flux."""

    noisy: Tensor  # (B, L)
    sigma: Tensor  # (B, L)
    labels: Tensor  # (B, k)
    flux: Tensor  # (B, L)


class Source(Protocol):
    """What gives spectra by row: `SpectraDataset` (files) and `GeneratedSpectra` (the grid)."""

    seed: int  # of the noise
    device: torch.device
    wave: Tensor  # (L,)
    sigma_is_drawn: bool  # the sigma told depends on the noise draw

    def __len__(self) -> int: ...

    def stage(self, blocks: list[int], rows: Tensor | None = None) -> None:
        """Bring aligned blocks of rows near, before they are taken: in the order `rows` (those of the blocks), if it is known."""

    def take(self, rows: Tensor, normal: Tensor | None) -> Spectra:
        """Return rows (B,) with the noise that standard normal numbers (B, L) give, or without noise."""


class SpectraBatches:
    """Iterate over a source in batches, for `lib.train.fit`; each is a tuple of `fields` of `Spectra`.

    fresh    draw new noise every epoch (training); else the one fixed draw (validation, test)
    shuffle  take aligned blocks of 256 rows in random order into windows and permute inside a window, so that memory is
             bounded by window * 256 rows whatever the size of the set; else rows come in order
    batch_size   rows of a batch over all processes of a data-parallel training
    rank, world  this process takes every world-th row of each batch (default: what torch.distributed says when the pass
             begins), so that W processes together see the batches that one would see
    The order depends on (seed, epoch) and a row's noise on (the source's seed, epoch, row) alone. Without the field
    `noisy` no noise is drawn.
    """

    def __init__(
        self,
        source: Source,
        *,
        batch_size: int,
        seed: int = 0,
        shuffle: bool = False,
        fresh: bool = False,
        fields: tuple[str, ...] = ("noisy", "labels"),
        window: int = 16,
        rank: int | None = None,
        world: int | None = None,
    ) -> None:
        unknown = [name for name in fields if name not in Spectra._fields]
        if unknown:
            raise ValueError(f"A batch has no field '{unknown[0]}': it has {', '.join(Spectra._fields)}.")
        if batch_size < 1 or window < 1:
            raise ValueError(f"batch_size {batch_size} and window {window} should be at least 1.")
        if len(source) == 0:
            raise ValueError("A batch source needs at least one row, but it has none.")
        self.source, self.batch_size, self.seed = source, batch_size, seed
        self.shuffle, self.fresh, self.fields, self.window = shuffle, fresh, fields, window
        self.draws = "noisy" in fields or ("sigma" in fields and source.sigma_is_drawn)
        self.rank, self.world, self.epoch = rank, world, 0

    def __len__(self) -> int:
        return -(-len(self.source) // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order and the noise of the next pass."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        rank, world = self._rank()
        order, blocks = generator(self.seed, ORDER_STREAM, self.epoch), list(range(-(-len(self.source) // BLOCK)))
        if self.shuffle:
            blocks = [blocks[i] for i in torch.randperm(len(blocks), generator=order).tolist()]
        normal = self._noise_buffer(len(blocks))
        filled, parts = 0, []  # rows of the batch so far, and what this process took of them
        for first in range(0, len(blocks), self.window):
            chosen = blocks[first : first + self.window]
            rows = torch.cat([self._rows(block) for block in chosen])
            places = torch.cat([torch.arange(len(self._rows(b))) + i * BLOCK for i, b in enumerate(chosen)])
            mix = torch.randperm(len(rows), generator=order) if self.shuffle else torch.arange(len(rows))
            self.source.stage(chosen, rows[mix])
            self._draw(chosen, normal)
            while len(mix):
                part, mix = mix[: self.batch_size - filled], mix[self.batch_size - filled :]
                mine = part[(rank - filled) % world :: world]
                parts.append(self._take(rows[mine], places[mine], normal))
                filled += len(part)
                if filled == self.batch_size:
                    yield _joined(parts)
                    filled, parts = 0, []
        if filled:
            yield _joined(parts)

    def _rank(self) -> tuple[int, int]:
        """Return this process's rank and how many there are; every batch must have a row for each of them."""
        joined = torch.distributed.is_available() and torch.distributed.is_initialized()
        found = (torch.distributed.get_rank(), torch.distributed.get_world_size()) if joined else (0, 1)
        rank, world = (found[0] if self.rank is None else self.rank), (found[1] if self.world is None else self.world)
        last = len(self.source) % self.batch_size or self.batch_size
        if min(last, self.batch_size) < world:
            raise ValueError(
                f"{world} processes cannot share the last batch, which has {last} of {len(self.source)} rows: choose another "
                f"batch_size than {self.batch_size}."
            )
        return rank, world

    def _rows(self, block: int) -> Tensor:
        return torch.arange(block * BLOCK, min((block + 1) * BLOCK, len(self.source)))

    def _noise_buffer(self, blocks: int) -> Tensor | None:
        """Return room for the noise of a window: (window * 256, L), kept over the whole pass."""
        if not self.draws:
            return None
        rows = min(self.window, blocks) * BLOCK
        return torch.empty((rows, len(self.source.wave)), device=self.source.device)

    def _draw(self, blocks: list[int], normal: Tensor | None) -> None:
        if normal is not None:
            epoch = self.epoch + 1 if self.fresh else 0
            for i, block in enumerate(blocks):
                draw_block(normal[i * BLOCK : (i + 1) * BLOCK], block, seed=self.source.seed, epoch=epoch)

    def _take(self, rows: Tensor, places: Tensor, normal: Tensor | None) -> tuple[Tensor, ...]:
        drawn = None if normal is None else normal[places.to(normal.device)]
        batch = self.source.take(rows, drawn)
        return tuple(getattr(batch, name) for name in self.fields)


def _joined(parts: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    return parts[0] if len(parts) == 1 else tuple(map(torch.cat, zip(*parts, strict=True)))


def whole_set(source: Source, *, fields: tuple[str, ...] = Spectra._fields) -> tuple[Tensor, ...]:
    """Return `fields` of every row in order with the fixed noise draw: for sets that fit in memory."""
    batches = SpectraBatches(source, batch_size=BLOCK, fields=fields, window=1)
    return tuple(torch.cat(parts) for parts in zip(*batches, strict=True))
