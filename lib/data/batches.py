"""Batches of spectra from any source: shuffled in windows of aligned blocks, with noise keyed by (seed, epoch, block)."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from lib.data.noise import BLOCK
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

    def __len__(self) -> int: ...

    def observe(self, start: int, stop: int, *, epoch: int = 0) -> Spectra:
        """Return rows start..stop with the noise draw of `epoch`, on the source's device."""


class SpectraBatches:
    """Iterate over a source in batches, for `lib.train.fit`; each is a tuple of `fields` of `Spectra`, labels included.

    fresh    draw new noise every epoch (training); else the one fixed draw (validation, test)
    shuffle  read aligned blocks of 256 rows in random order into windows and permute inside a window, so that memory is
             bounded by window * 256 rows whatever the size of the set; else rows come in order
    rank, world  this process takes every world-th block (data-parallel training)
    The order depends on (seed, epoch) and a row's noise on (source's seed, epoch, row) alone.
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
        rank: int = 0,
        world: int = 1,
    ) -> None:
        unknown = [name for name in fields if name not in Spectra._fields]
        if unknown:
            raise ValueError(f"A batch has no field '{unknown[0]}': it has {', '.join(Spectra._fields)}.")
        if batch_size < 1 or window < 1 or not 0 <= rank < world:
            raise ValueError("batch_size and window should be at least 1, and rank should be one of 0..world-1.")
        if len(source) < world:
            raise ValueError(f"A batch source needs at least {world} rows, but it has {len(source)}.")
        self.source, self.batch_size, self.seed = source, batch_size, seed
        self.shuffle, self.fresh, self.fields, self.window = shuffle, fresh, fields, window
        self.rank, self.world, self.epoch = rank, world, 0

    def __len__(self) -> int:
        return -(-sum(stop - start for start, stop in self._runs(self._mine())) // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order and the noise of the next pass."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        order = generator(self.seed, ORDER_STREAM, self.epoch)
        blocks = self._mine()
        if self.shuffle:
            blocks = [blocks[i] for i in torch.randperm(len(blocks), generator=order).tolist()]
        left: list[tuple[Tensor, ...]] = []
        for first in range(0, len(blocks), self.window):
            pool = self._load(blocks[first : first + self.window])
            if self.shuffle:
                rows = torch.randperm(len(pool[0]), generator=order).to(pool[0].device)
                pool = tuple(part[rows] for part in pool)
            if left:
                pool = tuple(torch.cat(parts) for parts in zip(*left, pool, strict=True))
            whole = len(pool[0]) // self.batch_size * self.batch_size
            for start in range(0, whole, self.batch_size):
                yield tuple(part[start : start + self.batch_size] for part in pool)
            left = [tuple(part[whole:].clone() for part in pool)] if whole < len(pool[0]) else []
        yield from left

    def _load(self, blocks: list[int]) -> tuple[Tensor, ...]:
        epoch = self.epoch + 1 if self.fresh else 0
        parts = [self.source.observe(start, stop, epoch=epoch) for start, stop in self._runs(blocks)]
        return tuple(torch.cat([getattr(part, name) for part in parts]) for name in self.fields)

    def _runs(self, blocks: list[int]) -> list[tuple[int, int]]:
        return [(b * BLOCK, min((b + 1) * BLOCK, len(self.source))) for b in blocks]

    def _mine(self) -> list[int]:
        count = -(-len(self.source) // BLOCK)
        return list(range(self.rank, count, self.world))
