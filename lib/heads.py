"""Train a prediction head on features, or an encoder and head together: the documents' recipe, one entry."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from lib import metrics
from lib.models.blindspot import BlindSpotDenoiser
from lib.models.heads import MLPHead, Standardised
from lib.models.latent import pool_by_name
from lib.runtime import Runtime, generator
from lib.train import Fitted, Task, fit
from lib.weights import fill, read_weights

SCORES = {"r2": metrics.r2, "rmse": metrics.rmse, "mae": metrics.mae}


@dataclass(frozen=True)
class HeadTraining:
    """How a head is trained; the defaults are the documents'."""

    epochs: int = 50
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    plateau_factor: float = 0.5
    plateau_patience: int = 5
    stop_patience: int = 15
    clip: float = 0.5


class FeatureBatches:
    """Iterate over features and labels in a random order per epoch; the features may be another noise draw every epoch.

    draw  epoch -> features (n, ...), such as those of noise realisation `epoch % cached`;  y (n, k)
    Order and draw depend on (seed, epoch) alone, so that a resumed training sees what an undisturbed one sees.
    """

    def __init__(self, draw: Callable[[int], Tensor], y: Tensor, *, batch_size: int, seed: int = 0, shuffle: bool = False):
        self.draw, self.y, self.batch_size, self.seed, self.shuffle, self.epoch = draw, y, batch_size, seed, shuffle, 0

    def __len__(self) -> int:
        return -(-len(self.y) // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order and the noise draw of the next pass."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        x, n = self.draw(self.epoch), len(self.y)
        order = torch.randperm(n, generator=generator(self.seed, self.epoch)) if self.shuffle else torch.arange(n)
        for rows in order.to(x.device).split(self.batch_size):
            yield x[rows], self.y[rows]


class EncoderAndHead(nn.Module):
    """Read log g straight from a spectrum: encoder, pooling, head; trained as one where the encoder is not frozen."""

    def __init__(
        self, denoiser: BlindSpotDenoiser, layer: str, pooling: str, direction: str, head: nn.Module, edges: str = "adaptive"
    ):
        super().__init__()
        self.denoiser, self.head = denoiser, head
        self.layer, self.pooling, self.direction, self.edges = layer, pooling, direction, edges

    def forward(self, noisy: Tensor, noise: Tensor) -> Tensor:
        """Map flux and noise sigma (B, L) to labels (B, k)."""
        x = torch.stack([noisy, noise], 1) if self.denoiser.config.input_sigma else noisy[:, None]
        latent = self.denoiser.latents(x, self.layer, self.direction).float()
        return self.head(pool_by_name(latent, self.pooling, self.edges))


def standardised(head: nn.Module, x: Tensor, y: Tensor) -> Standardised:
    """Wrap a head by the mean and spread of training features (n, ...) and labels (n, k); a constant feature keeps scale 1."""
    spread = x.std(0)
    scale = torch.where(spread > 1e-6 * (1 + x.mean(0).abs()), spread, torch.ones_like(spread))
    return Standardised(head, x.mean(0), scale, y.mean(0), y.std(0)).to(x.device)


def squared_error(y_scale: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...]], dict[str, Tensor]]:
    """Return the squared error of a batch (*inputs, labels) in label variances; y_scale (k,), for `Task`."""

    def loss(model: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        *inputs, y = batch
        return {"loss": ((model(*inputs).float() - y) / y_scale).square().mean()}

    return loss


def pairs_of(monitored: int | None) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, Tensor]]:
    """Return what gives truth and prediction (B, k), of one label alone where `monitored` names its column, for `Task`."""
    keep = slice(None) if monitored is None else slice(monitored, monitored + 1)

    def predict(model: nn.Module, batch: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        *inputs, y = batch
        return y[:, keep], model(*inputs).float()[:, keep]

    return predict


def optimiser_of(settings: HeadTraining) -> Callable[[nn.Module], dict[str, Any]]:
    """Return what builds AdamW over the trainable weights and the plateau schedule on validation R2, for `Task`."""
    plateau = {"mode": "max", "factor": settings.plateau_factor, "patience": settings.plateau_patience}

    def build(model: nn.Module) -> dict[str, Any]:
        weights = [p for p in model.parameters() if p.requires_grad]
        adam = torch.optim.AdamW(weights, settings.learning_rate, weight_decay=settings.weight_decay)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(adam, **plateau)
        return {"optimizer": adam, "lr_scheduler": {"scheduler": schedule, "monitor": "val_r2"}}

    return build


def train_regressor(
    model: nn.Module,
    train: Iterable,
    val: Iterable,
    *,
    y_scale: Tensor,
    settings: HeadTraining,
    folder: Path,
    runtime: Runtime,
    monitored: int | None = None,
    name: str = "head",
    **trainer: Any,
) -> Fitted:
    """Train by the squared error in label variances, leave the weights of the best validation R2.

    train, val  batches (*inputs, labels (B, k)), labels in their own units;  y_scale (k,) their standard deviations
    monitored   column of the label whose R2 decides (default: the mean over labels)
    The history counts epochs from 0, the untrained model; val_r2, val_rmse, val_mae are those of the monitored label.
    """
    objective, predict = squared_error(y_scale), pairs_of(monitored)
    before = untrained(model, val, predict)
    task = Task(model, objective, optimiser_of(settings), predict=predict, metrics=SCORES)
    options = {"monitor": "val_r2", "mode": "max", "patience": settings.stop_patience, "clip": settings.clip}
    done = fit(task, train, val, folder=folder, epochs=settings.epochs, runtime=runtime, name=name, **options, **trainer)
    history = pd.concat([pd.DataFrame([before]), done.history.assign(epoch=done.history.epoch + 1)], ignore_index=True)
    return Fitted(history, done.best_epoch + 1, done.seconds)


@torch.no_grad()
def untrained(model: nn.Module, val: Iterable, predict: Callable) -> dict[str, float]:
    """Return the validation scores of a model before its first step, as the history's epoch 0."""
    model.eval()
    truth, pred = (torch.cat(part) for part in zip(*(predict(model, batch) for batch in val), strict=True))
    return {"epoch": 0, **{f"val_{name}": float(score(truth, pred).mean()) for name, score in SCORES.items()}}


@torch.no_grad()
def predictions(model: nn.Module, batches: Iterable) -> Tensor:
    """Return predictions (n, k) of a trained model over batches (*inputs, labels)."""
    model.eval()
    return torch.cat([model(*inputs).float() for *inputs, _ in batches])


def trainable(denoiser: BlindSpotDenoiser) -> BlindSpotDenoiser:
    """Return a trainable copy of a frozen denoiser; its decoder stays frozen, since the head never uses it."""
    copy = BlindSpotDenoiser(denoiser.config)
    copy.load_state_dict(denoiser.state_dict())
    for part in (copy.decoders_a, copy.decoders_b, copy.nin_layers):
        part.requires_grad_(False)
    return copy


def load_head(file: Path, *, num_hidden: int = 1, dropout: float = 0.1) -> Standardised:
    """Read a standardised head from its weights; the widths are read off them."""
    state, _ = read_weights(file)
    parts = ("x_mean", "x_scale", "y_mean", "y_scale")
    absent = [name for name in ("head.0.weight", *parts) if name not in state]
    if absent:
        raise ValueError(f"{file} has no {absent[0]!r}: it is no head of this study.")
    first, outputs = state["head.0.weight"], len(state["y_scale"])
    mlp = MLPHead(first.shape[1], first.shape[0] if num_hidden else 1, outputs, num_hidden=num_hidden, dropout=dropout)
    return fill(Standardised(mlp, *(state[name] for name in parts)), state, file)
