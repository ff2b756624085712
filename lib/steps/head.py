"""Train what reads labels off spectra: heads on the latents of a frozen denoiser, with it unfrozen, or on the flux itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

import pandas as pd
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from lib import denoising, latents
from lib.data.batches import Source, SpectraBatches, whole_set
from lib.data.sets import SPLITS, SpectraSpec, Splits, open_set
from lib.data.views import OneLabel
from lib.files import write_csv
from lib.heads import (
    EncoderAndHead,
    FeatureBatches,
    HeadTraining,
    load_head,
    predictions,
    standardised,
    train_regressor,
    trainable,
)
from lib.latents import Cell
from lib.models.heads import AttentionPoolHead, MLPHead
from lib.runtime import Runtime, generator
from lib.steps import step
from lib.steps.denoiser import Encoder, open_encoder

HEAD, PREDICTIONS, HISTORY = "head.safetensors", "predictions.safetensors", "history.csv"
LABEL = "log_g"  # whose validation R2 decides
FIELDS = ("noisy", "sigma", "labels")


@dataclass(frozen=True)
class HeadSpec:
    """A head on one cell (layer, pooling) of a frozen encoder.

    predicts      labels;  hidden, num_hidden: width and number of its hidden layers
    realisations  noise draws of the training features, in turn; 0: a new one every epoch
    fold, folds   leave out this one of so many random parts of the training rows, and predict it as `held`; 0 folds: use all
    """

    encoder: Encoder
    data: Splits
    cell: tuple[str, str]
    direction: str
    edges: str
    training: HeadTraining
    hidden: int
    dropout: float
    realisations: int
    seed: int
    num_hidden: int = 1
    predicts: tuple[str, ...] = (LABEL,)
    fold: int = 0
    folds: int = 0


@dataclass(frozen=True)
class AttentionSpec:
    """A head that pools by attention over the unpooled latents of a frozen encoder, of one noise draw."""

    encoder: Encoder
    data: Splits
    layer: str
    direction: str
    training: HeadTraining
    dropout: float
    seed: int


@dataclass(frozen=True)
class UnfrozenSpec:
    """Encoder and head trained together under fresh noise, from a trained head on."""

    start: HeadSpec
    training: HeadTraining
    seed: int


@dataclass(frozen=True)
class FluxSpec:
    """The documents' head on the noisy flux itself."""

    data: Splits
    training: HeadTraining
    seed: int


@step
def train_head(spec: HeadSpec, folder: Path, runtime: Runtime) -> None:
    """Train a head; leave its weights, history and predictions of val, test and the rows left out (`held`)."""

    def draw(split: str, epoch: int = 0) -> Tensor:
        options = {"direction": spec.direction, "edges": spec.edges, "epoch": epoch}
        return pooled(spec.encoder, getattr(spec.data, split), [spec.cell], runtime.device, **options)[spec.cell]

    sets, columns = spec.data.open(runtime.device), [spec.data.train.labels.index(name) for name in spec.predicts]
    drawn = [draw("train", epoch) for epoch in range(spec.realisations)]
    x = {split: draw(split) for split in ("val", "test")}
    y = {split: source.labels[:, columns] for split, source in sets.items()}
    kept = left_out(len(y["train"]), spec.seed, spec.fold, spec.folds).to(runtime.device).logical_not()
    first = drawn[0] if drawn else draw("train")
    torch.manual_seed(spec.seed)
    mlp = MLPHead(first.shape[1], spec.hidden, len(spec.predicts), num_hidden=spec.num_hidden, dropout=spec.dropout)
    model = standardised(mlp, first[kept], y["train"][kept])
    train = fed(
        lambda epoch: (drawn[epoch % len(drawn)] if drawn else draw("train", epoch))[kept], y["train"][kept], spec, True
    )
    shared = {"y_scale": y["train"][kept].std(0), "settings": spec.training, "folder": folder, "runtime": runtime}
    val = fed(lambda _: x["val"], y["val"], spec)
    done = train_regressor(model, train, val, monitored=spec.predicts.index(LABEL), **shared)
    x |= {"held": first[~kept]} if spec.folds else {}
    model.eval()
    with torch.no_grad():
        leave(folder, model, done.history, {split: model(features) for split, features in x.items()})


@step
def train_attention(spec: AttentionSpec, folder: Path, runtime: Runtime) -> None:
    """Train a head that pools by attention; leave what `train_head` leaves."""
    encoder, sets = open_encoder(spec.encoder, runtime.device), spec.data.open(runtime.device)
    x = {split: unpooled(encoder, source, spec.layer, spec.direction) for split, source in sets.items()}
    y = {split: source.labels[:, [spec.data.train.labels.index(LABEL)]] for split, source in sets.items()}
    torch.manual_seed(spec.seed)
    model = standardised(AttentionPoolHead(*x["train"].shape[1:], dropout=spec.dropout), x["train"], y["train"])
    batches = {split: fed(lambda _, s=split: x[s], y[split], spec, split == "train") for split in SPLITS}
    shared = {"y_scale": y["train"].std(0), "settings": spec.training, "folder": folder, "runtime": runtime}
    done = train_regressor(model, batches["train"], batches["val"], **shared)
    leave(folder, model, done.history, {split: predictions(model, batches[split]) for split in ("val", "test")})


@step
def train_unfrozen(spec: UnfrozenSpec, folder: Path, runtime: Runtime) -> None:
    """Train encoder and head together; leave what `train_head` leaves."""
    start = spec.start
    head = load_head(train_head(start, runtime) / HEAD, num_hidden=start.num_hidden, dropout=start.dropout)
    encoder = trainable(open_encoder(start.encoder, runtime.device))
    model = EncoderAndHead(encoder, *start.cell, start.direction, head, start.edges).to(runtime.device)
    column, size = start.data.train.labels.index(LABEL), spec.training.batch_size
    sources = {split: OneLabel(source, column) for split, source in start.data.open(runtime.device).items()}
    batches = {split: SpectraBatches(source, batch_size=size, fields=FIELDS) for split, source in sources.items()}
    mixed = SpectraBatches(sources["train"], batch_size=size, seed=spec.seed, shuffle=True, fresh=True, fields=FIELDS)
    shared = {"y_scale": sources["train"].labels.std(0), "settings": spec.training, "folder": folder, "runtime": runtime}
    done = train_regressor(model, mixed, batches["val"], **shared)
    leave(folder, model, done.history, {split: predictions(model, batches[split]) for split in ("val", "test")})


@step
def train_on_flux(spec: FluxSpec, folder: Path, runtime: Runtime) -> None:
    """Train the documents' head on noisy flux; leave what `train_head` leaves, with the predictions of train."""
    sets = spec.data.open(runtime.device)
    x = {split: whole_set(source, fields=("noisy",))[0] for split, source in sets.items()}
    y = {split: OneLabel(source, spec.data.train.labels.index(LABEL)).labels for split, source in sets.items()}
    torch.manual_seed(spec.seed)
    model = standardised(MLPHead(x["train"].shape[1]), x["train"], y["train"])
    plain = {split: fed(lambda _, s=split: x[s], y[split], spec) for split in SPLITS}
    shared = {"settings": spec.training, "runtime": runtime, "folder": folder, "name": "raw-flux MLP"}
    mixed = fed(lambda _: x["train"], y["train"], spec, True)
    done = train_regressor(model, mixed, plain["val"], y_scale=y["train"].std(0), **shared)
    leave(folder, model, done.history, {split: predictions(model, batches) for split, batches in plain.items()})


def fed(
    draw: Callable[[int], Tensor], y: Tensor, spec: HeadSpec | AttentionSpec | FluxSpec, shuffle: bool = False
) -> FeatureBatches:
    """Return the batches of features `draw(epoch)` and labels."""
    return FeatureBatches(draw, y, batch_size=spec.training.batch_size, seed=spec.seed, shuffle=shuffle)


def left_out(n: int, seed: int, fold: int, folds: int) -> Tensor:
    """Return which of n training rows a fold leaves out, (n,) on the CPU; none where there are no folds."""
    order = torch.randperm(n, generator=generator(seed, 77))
    return order % folds == fold if folds else torch.zeros(n, dtype=torch.bool)


def leave(folder: Path, model: nn.Module, history: pd.DataFrame, predicted: dict[str, Tensor]) -> None:
    """Write weights, history and predictions (n, labels) of a head."""
    save_file({k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}, folder / HEAD)
    save_file({split: values.cpu().contiguous() for split, values in predicted.items()}, folder / PREDICTIONS)
    write_csv(folder / HISTORY, history)


_POOLED: WeakValueDictionary[tuple, Tensor] = WeakValueDictionary()


def pooled(
    encoder: Encoder,
    data: SpectraSpec,
    cells: Sequence[Cell],
    device: torch.device,
    *,
    direction: str,
    edges: str,
    epoch: int = 0,
) -> dict[Cell, Tensor]:
    """Return pooled latents (n, d) of cells under the noise draw of `epoch`; those still in use are not computed twice."""
    keys = {cell: (encoder, data, cell, device, direction, edges, epoch) for cell in cells}
    found = {cell: _POOLED.get(key) for cell, key in keys.items()}
    if any(x is None for x in found.values()):
        options = {"direction": direction, "edges": edges, "epoch": epoch}
        found = latents.pooled(open_encoder(encoder, device), open_set(data, device), cells, **options)
        _POOLED.update({keys[cell]: x for cell, x in found.items()})
    return found


@torch.no_grad()
def unpooled(encoder: nn.Module, source: Source, layer: str, direction: str) -> Tensor:
    """Return latents (n, C, L') of a source."""
    stacked = (denoising.stack_input(p.noisy, p.sigma, encoder.config) for p in denoising.in_order(source))
    return torch.cat([encoder.latents(x, layer, direction) for x in stacked])
