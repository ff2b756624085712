"""Sources seen differently: kept on the device once made, some rows or one label only, or a run of rows with their noise."""

from collections.abc import Iterator

import torch
from torch import Tensor

from lib.data.batches import Source, Spectra, whole_set
from lib.data.noise import BLOCK, blocks_of, draw_block

ROWS = 4096  # rows that are made at a time


class Kept:
    """A source whose noiseless flux and sigma stay on the device (n * L * 8 bytes): for sets passed over many times.

    Noise is the source's own, fixed or fresh. Raises ValueError for a source whose sigma depends on the noise draw.
    """

    sigma_is_drawn = False

    def __init__(self, source: Source) -> None:
        if source.sigma_is_drawn:
            raise ValueError("A set whose sigma is estimated from noisy counts cannot be kept: sigma changes with the draw.")
        self.source = source
        self.labels, self.wave, self.seed, self.device = source.labels, source.wave, source.seed, source.device
        self.sigma, self.flux = whole_set(source, fields=("sigma", "flux"))

    def __len__(self) -> int:
        return len(self.flux)

    def stage(self, blocks: list[int], rows: Tensor | None = None) -> None:
        """Do nothing: every row is near."""

    def take(self, rows: Tensor, normal: Tensor | None) -> Spectra:
        """Return rows (B,) with the noise that standard normal numbers (B, L) give, or without noise for None."""
        rows = rows.to(self.device)
        flux, sigma = self.flux[rows], self.sigma[rows]
        noisy = flux if normal is None else torch.addcmul(flux, sigma, normal)
        return Spectra(noisy, sigma, self.labels[rows], flux)


class First:
    """The first n rows of a source: a smaller set that is a part of the larger one, with the same noise."""

    def __init__(self, source: Source, n: int) -> None:
        if not 1 <= n <= len(source):
            raise ValueError(f"{n} rows were asked for, but the set has {len(source)}.")
        self.source, self.n, self.labels = source, n, source.labels[:n]
        self.wave, self.seed, self.device, self.sigma_is_drawn = (
            source.wave, source.seed, source.device, source.sigma_is_drawn,
        )  # fmt: skip

    def __len__(self) -> int:
        return self.n

    def stage(self, blocks: list[int], rows: Tensor | None = None) -> None:
        """Bring aligned blocks of rows near."""
        self.source.stage(blocks, rows)

    def take(self, rows: Tensor, normal: Tensor | None) -> Spectra:
        """Return rows (B,) as the source does."""
        return self.source.take(rows, normal)


class OneLabel:
    """A source with one of its labels alone."""

    def __init__(self, source: Source, column: int) -> None:
        self.source, self.column, self.labels = source, column, source.labels[:, column : column + 1]
        self.wave, self.seed, self.device, self.sigma_is_drawn = source.wave, source.seed, source.device, source.sigma_is_drawn

    def __len__(self) -> int:
        return len(self.source)

    def stage(self, blocks: list[int], rows: Tensor | None = None) -> None:
        """Bring aligned blocks of rows near."""
        self.source.stage(blocks, rows)

    def take(self, rows: Tensor, normal: Tensor | None) -> Spectra:
        """Return rows (B,) as the source does, with the one label."""
        seen = self.source.take(rows, normal)
        return seen._replace(labels=seen.labels[:, self.column : self.column + 1])


def observe(source: Source, start: int, stop: int, *, epoch: int = 0) -> Spectra:
    """Return rows start..stop with the noise draw of `epoch`; 0 is the fixed draw."""
    blocks = list(blocks_of(start, stop))
    source.stage(blocks)
    normal = torch.empty((len(blocks) * BLOCK, len(source.wave)), device=source.device)
    for part, block in zip(normal.split(BLOCK), blocks, strict=True):
        draw_block(part, block, seed=source.seed, epoch=epoch)
    first = start - blocks[0] * BLOCK
    return source.take(torch.arange(start, stop), normal[first : first + stop - start])


def chunks(source: Source, copies: int = 1, rows: int = ROWS) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (noisy flux, labels) of a source, `rows` at a time; copy 0 is its fixed noise, each further copy a new draw."""
    for copy in range(copies):
        for start in range(0, len(source), rows):
            part = observe(source, start, min(start + rows, len(source)), epoch=copy)
            yield part.noisy, part.labels
