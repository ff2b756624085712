"""A network, its loss and its optimiser as one LightningModule."""

from collections.abc import Callable, Mapping
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

Step = Callable[[nn.Module, Any], dict[str, Tensor]]
Predict = Callable[[nn.Module, Any], tuple[Tensor, Tensor]]
Optimizers = Callable[[nn.Module], Any]


class Task(L.LightningModule):
    """Train `model` with what the study hands in.

    loss        (model, batch) -> {"loss": scalar, other scalars to log}
    optimizers  model -> optimiser, or Lightning's dict of optimiser and scheduler
    predict     (model, batch) -> (truth, prediction), each (B, ...); with it `metrics` are computed over the whole
                validation set, in the order of the batches, and logged as val_<name>
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Step,
        optimizers: Optimizers,
        *,
        predict: Predict | None = None,
        metrics: Mapping[str, Callable[[Tensor, Tensor], Tensor]] | None = None,
    ) -> None:
        super().__init__()
        self.model, self.loss, self.optimizers_of = model, loss, optimizers
        self.predict_of, self.metrics = predict, dict(metrics or {})
        self.pairs: list[tuple[Tensor, Tensor]] = []

    def training_step(self, batch: Any, _: int) -> Tensor:
        """Return the training loss, weighted by this process's part of the batch, and log every part of it."""
        parts = self.loss(self.model, batch)
        logged = {f"train_{k}": v for k, v in parts.items()}
        self.log_dict(logged, on_step=False, on_epoch=True, batch_size=len(batch[0]), sync_dist=True)
        return parts["loss"] * self._weight(len(batch[0]))

    def _weight(self, rows: int) -> float:
        """Return rows over their mean among the processes: the mean of their gradients is then that of the whole batch."""
        if self.trainer.world_size == 1:
            return 1.0
        total = self.trainer.strategy.reduce(torch.tensor(float(rows), device=self.device), reduce_op="sum")
        return rows * self.trainer.world_size / float(total)

    def validation_step(self, batch: Any, _: int) -> None:
        """Log the validation loss; keep truth and prediction for the metrics of the epoch."""
        parts = self.loss(self.model, batch)
        self.log_dict({f"val_{k}": v for k, v in parts.items()}, batch_size=len(batch[0]), sync_dist=True)
        if self.predict_of is not None:
            self.pairs.append(self.predict_of(self.model, batch))

    def on_validation_epoch_end(self) -> None:
        """Compute the metrics over all validation rows at once."""
        if self.pairs:
            truth, pred = (torch.cat(part).float() for part in zip(*self.pairs, strict=True))
            self.log_dict({f"val_{k}": f(truth, pred).mean() for k, f in self.metrics.items()}, sync_dist=True)
            self.pairs.clear()

    def configure_optimizers(self) -> Any:
        """Build what the study asked for."""
        return self.optimizers_of(self.model)
