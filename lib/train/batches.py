"""Batches of tensors that already live on the device."""

from collections.abc import Callable, Iterator

import torch

from lib.runtime import generator

Augment = Callable[[tuple[torch.Tensor, ...], torch.Generator], tuple[torch.Tensor, ...]]


class TensorBatches:
    """Iterate over rows of device-resident tensors; order and augmentation depend on (seed, epoch) alone.

    tensors  each (n, ...), on one device, all of the same n
    augment  (batch, generator) -> batch, such as fresh noise; the generator is keyed by (seed, epoch, batch number)
    So a run resumed at epoch e sees exactly what an undisturbed run sees from epoch e on.
    """

    def __init__(
        self,
        *tensors: torch.Tensor,
        batch_size: int,
        seed: int = 0,
        shuffle: bool = False,
        augment: Augment | None = None,
    ) -> None:
        if len({len(t) for t in tensors}) != 1:
            raise ValueError(f"Tensors of one batch source differ in rows: {[len(t) for t in tensors]}.")
        if len(tensors[0]) == 0:
            raise ValueError("A batch source needs at least one row, but it has none.")
        self.tensors, self.batch_size, self.seed = tensors, batch_size, seed
        self.shuffle, self.augment, self.epoch = shuffle, augment, 0

    def __len__(self) -> int:
        return -(-len(self.tensors[0]) // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order and the noise of the next pass."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[torch.Tensor, ...]]:
        n, device = len(self.tensors[0]), self.tensors[0].device
        order = torch.arange(n)
        if self.shuffle:
            order = torch.randperm(n, generator=generator(self.seed, self.epoch))
        order = order.to(device)
        for number, start in enumerate(range(0, n, self.batch_size)):
            rows = order[start : start + self.batch_size]
            batch = tuple(t[rows] for t in self.tensors)
            if self.augment is not None:
                batch = self.augment(batch, generator(self.seed, self.epoch, number + 1, device=device))
            yield batch
