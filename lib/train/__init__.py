"""The one training entry point: Lightning, repeatable batch order and noise, checkpoints that resume exactly."""

from lib.train.batches import TensorBatches
from lib.train.fit import Fitted, fit
from lib.train.task import Task

__all__ = ["Fitted", "Task", "TensorBatches", "fit"]
