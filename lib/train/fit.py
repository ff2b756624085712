"""Fit a task with Lightning: quiet, checkpointed, resumable, repeatable."""

import logging
import math
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.utilities.warnings import PossibleUserWarning

from lib.progress import LOG, Progress
from lib.runtime import Runtime, fitting_in_memory
from lib.train.task import Task
from lib.weights import read_weights


@dataclass(frozen=True)
class Fitted:
    """What a training left: one history row per epoch, the best epoch by the monitored value, and seconds."""

    history: pd.DataFrame
    best_epoch: int
    seconds: float


def fit(
    task: Task,
    train: Iterable,
    val: Iterable | None,
    *,
    folder: Path,
    epochs: int,
    runtime: Runtime,
    monitor: str = "val_loss",
    mode: str = "min",
    patience: int | None = None,
    clip: float | None = None,
    checkpoint_every: int = 1,
    name: str = "training",
    callbacks: Sequence[Callback] = (),
    **trainer: Any,
) -> Fitted:
    """Train `task`, leave it with its best weights, and return the history.

    folder    gets checkpoints/last.ckpt and the best one; a `last.ckpt` found there is resumed from, so that a killed run,
              called again, ends with the numbers of an undisturbed one
    monitor   the logged value that chooses the best epoch (val_<name>, or train_<name> without `val`)
    callbacks further Lightning callbacks, called after the history has its row
    trainer   further arguments of Lightning's Trainer: devices, num_nodes, strategy, logger, ...
    Raises ValueError when the loss becomes NaN or infinite, when memory runs out, or for an operation that cannot be repeated.
    """
    monitor = monitor if val is not None else monitor.replace("val_", "train_")
    book = _History(monitor, mode, runtime.seed, Progress(name, epochs))
    settings = _settings(runtime, epochs, clip) | {
        "callbacks": [book, *_keepers(folder, monitor, mode, patience, checkpoint_every), *callbacks],
        "default_root_dir": folder,
    }
    last = _resumable(folder / "checkpoints" / "last.ckpt")
    began = time.monotonic()
    with _quiet(), book.progress, fitting_in_memory(_smaller(train)), _repeatable(name):
        L.Trainer(**settings | trainer).fit(task, train, val, ckpt_path=last, weights_only=True)
    task.load_state_dict(read_weights(folder / "checkpoints" / "best.ckpt")[0])
    task.to(runtime.device).eval()
    history = pd.DataFrame(book.rows)
    return Fitted(history, int(history.epoch[_best(history[monitor], mode)]), time.monotonic() - began)


def _keepers(folder: Path, monitor: str, mode: str, patience: int | None, every: int) -> list[Callback]:
    best = ModelCheckpoint(
        folder / "checkpoints", "best", monitor=monitor, mode=mode, save_last=True, every_n_epochs=every,
        save_on_train_epoch_end=True, enable_version_counter=False,
    )  # fmt: skip
    if patience is None:
        return [best]
    return [best, EarlyStopping(monitor, patience=patience, mode=mode, check_on_train_epoch_end=True)]


def _smaller(train: Iterable) -> str:
    size = getattr(train, "batch_size", "unknown")
    return f"lower 'batch_size' (now {size}) or the size of the model, or use another device"


def _resumable(path: Path) -> Path | None:
    """Return the checkpoint to resume from; None where there is none, or only half of one: then the training starts anew."""
    if not path.is_file():
        return None
    try:
        read_weights(path)
    except ValueError as error:
        LOG.warning("%s; the training starts anew", error)
        return None
    return path


def _settings(runtime: Runtime, epochs: int, clip: float | None) -> dict[str, Any]:
    index = [runtime.device.index or 0] if runtime.device.type == "cuda" else 1
    return {
        "accelerator": "gpu" if runtime.device.type == "cuda" else "cpu",
        "devices": index,
        "precision": runtime.precision,
        "max_epochs": epochs,
        "gradient_clip_val": clip,
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
    }


def _best(values: pd.Series, mode: str) -> int:
    return int(values.idxmin() if mode == "min" else values.idxmax())


class _History(Callback):
    """Keep one row of metrics per epoch (in the checkpoint too), seed every epoch, move the progress on."""

    def __init__(self, monitor: str, mode: str, seed: int, progress: Progress) -> None:
        self.rows: list[dict[str, float]] = []
        self.monitor, self.mode, self.seed, self.progress = monitor, mode, seed, progress

    def on_train_epoch_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        torch.manual_seed(self.seed * 100_003 + trainer.current_epoch)  # dropout: the same after a resume
        if hasattr(trainer.train_dataloader, "set_epoch"):
            trainer.train_dataloader.set_epoch(trainer.current_epoch)

    def on_train_epoch_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        row = {k: float(v) for k, v in trainer.callback_metrics.items()}
        bad = [k for k, v in row.items() if not math.isfinite(v) and "loss" in k]
        if bad:
            raise ValueError(
                f"{bad[0]} is {row[bad[0]]} in epoch {trainer.current_epoch}: lower the learning rate or the gradient clip."
            )
        self.rows.append({"epoch": trainer.current_epoch, **row})
        self.progress.advance(trainer.current_epoch + 1 - self.progress.done, f"{self.monitor} {row[self.monitor]:.4g}")

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rows = list(state["rows"])


@contextmanager
def _repeatable(name: str) -> Iterator[None]:
    """Turn torch's refusal of an operation that is not deterministic into a ValueError that says what to do."""
    try:
        yield
    except RuntimeError as error:
        if "deterministic implementation" not in str(error):
            raise
        operation = str(error).split(" does not have", 1)[0]
        raise ValueError(
            f"{name}: {operation} has no deterministic implementation, two runs would differ: use another operation or device, "
            "or allow it with deterministic: false where the study has that parameter."
        ) from error


class _quiet(warnings.catch_warnings):  # noqa: N801  (reads as a verb)
    """Silence Lightning's hints on workers, logging intervals and hardware; everything else is still heard."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore", PossibleUserWarning)
        warnings.filterwarnings("ignore", message=".*(GPU available but not used|checkpoint directory|LeafSpec).*")
        for name in ("lightning.pytorch", "lightning.fabric"):
            logging.getLogger(name).setLevel(logging.WARNING)
