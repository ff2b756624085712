"""Train one ViT of the study: loss, optimiser, schedule, and what it leaves in its folder."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from torch import Tensor, nn

from lib import metrics
from lib.data.batches import Source, SpectraBatches
from lib.data.labels import LabelScaler
from lib.files import read_json, write_csv, write_json
from lib.legible import legible
from lib.losses.regression import loss_on_batch
from lib.models.vit import SpectrumViT, ViTConfig, load_pretrained, save_pretrained
from lib.runtime import Runtime, rank
from lib.studies.vit_scaling.data import observe
from lib.train import Task, fit

SCALING_ROWS = 4096  # training rows whose pixels set the input scaling
PREDICT_BATCH = 512
FIELDS = ("noisy", "labels", "sigma")


def train_vit(
    folder: Path, train: Source, val: Source, config: ViTConfig, settings: dict[str, Any], *, epochs: int, fresh: bool,
    runtime: Runtime, trainer: dict[str, Any] | None = None, compiled: bool = False,
) -> tuple[SpectrumViT, LabelScaler]:  # fmt: skip
    """Train on a source, keep the epoch of best validation MAE, write model, scaler, history and sizes into `folder`.

    settings  the flat settings of a point (`config.vit_settings`);  fresh: new noise every epoch instead of one draw
    trainer   further arguments of Lightning's Trainer
    """
    scaler = LabelScaler.fit(train.labels.cpu(), ("label",), settings["label_norm"])
    model = _new_model(config, settings, train, runtime)
    batches = SpectraBatches(
        train,
        batch_size=settings["batch_size"],
        seed=runtime.seed,
        shuffle=True,
        fresh=fresh,
        fields=("noisy", "labels", "sigma"),
    )
    held = SpectraBatches(val, batch_size=PREDICT_BATCH, fields=FIELDS, rank=0, world=1)  # every rank scores all of it
    if compiled:
        model.compile()
    task = Task(
        model, _loss(settings, scaler), _optimizers(settings, epochs * len(batches), runtime.precision),
        predict=_predict(scaler), metrics={"r2": metrics.r2, "mae": metrics.mae},
    )  # fmt: skip
    began = time.monotonic()
    _reset_peak(runtime.device)
    fitted = fit(
        task, batches, held, folder=folder, epochs=epochs, runtime=runtime, monitor="val_mae", patience=settings["patience"],
        clip=settings["clip"] or None, name=f"ViT n={len(train)}", **trainer or {},
    )  # fmt: skip
    if rank():
        return model, scaler  # rank 0 writes
    write_csv(folder / "history.csv", fitted.history)
    rate = len(train) * len(fitted.history) / fitted.seconds
    speed = {"seconds": time.monotonic() - began, "spectra_per_s": rate, "peak_mib": _peak(runtime.device)}
    write_json(folder / "training.json", _size(model) | speed | {"best_epoch": fitted.best_epoch})
    save(folder, model, scaler, {"settings": settings})
    return model, scaler


def pixel_statistics(train: Source) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation (L,) of noisy flux over the first training rows, a few of them in memory at a time."""
    n, pixels = min(SCALING_ROWS, len(train)), len(train.wave)
    sums = torch.zeros(2, pixels, dtype=torch.float64, device=train.device)
    for start in range(0, n, PREDICT_BATCH):
        noisy = observe(train, start, min(start + PREDICT_BATCH, n)).noisy.double()
        sums += torch.stack([noisy.sum(0), noisy.square().sum(0)])
    mean = sums[0] / n
    scale = ((sums[1] - n * mean**2).clamp_min(0) / max(n - 1, 1)).sqrt()
    return mean.float(), torch.where(scale > 1e-9 * mean.abs(), scale, torch.ones_like(scale)).float()


def _loss(settings: dict[str, Any], scaler: LabelScaler) -> Callable:
    compute = loss_on_batch(settings["loss"])

    def loss(model: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        noisy, labels, sigma = batch
        return {"loss": compute(model(noisy).float(), scaler.transform(labels), sigma)}

    return loss


def _predict(scaler: LabelScaler) -> Callable:
    def predict(model: nn.Module, batch: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        noisy, labels, _ = batch
        return scaler.transform(labels), model(noisy)[:, : labels.shape[1]]

    return predict


def _optimizers(settings: dict[str, Any], steps: int, precision: str) -> Callable:
    floor, warmup, cosine = settings["min_lr"] / settings["lr"], settings["warmup_steps"], settings["schedule"] == "cosine"

    def factor(step: int) -> float:
        """Return the rate over its maximum: linear warm-up, then cosine annealing to the floor, step by step."""
        rise = min(1.0, (step + 1) / (warmup + 1))
        part = min(1.0, max(0, step - warmup) / max(1, steps - warmup))
        return rise * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * part)) if cosine else 1.0)

    def build(model: nn.Module) -> dict[str, Any]:
        options = {"lr": settings["lr"], "betas": tuple(settings["betas"]), "weight_decay": settings["weight_decay"]}
        fused = precision == "32-true" or not settings["clip"]  # Lightning clips no fused optimiser under mixed precision
        optimizer = torch.optim.AdamW(model.parameters(), **options, fused=fused or None)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    return build


def logger(kind: str, folder: Path) -> Logger | bool:
    """Return Lightning's logger of a kind, writing below `folder`; W&B stays offline."""
    if kind == "none":
        return False
    try:
        if kind == "csv":
            return CSVLogger(folder, name="log")
        if kind == "tensorboard":
            return TensorBoardLogger(folder, name="log")
        return WandbLogger(save_dir=folder, offline=True, project="vit_scaling")
    except ModuleNotFoundError as error:
        raise ValueError(f"'logger' is {kind!r}, but its package is not installed: pip install {kind}") from error


def _new_model(config: ViTConfig, settings: dict[str, Any], train: Source, runtime: Runtime) -> SpectrumViT:
    model = SpectrumViT(config, seed=runtime.seed).to(runtime.device)
    if settings["input_scaling"] == "pixel":
        model.set_input_scaling(*pixel_statistics(train))
    return model


def _size(model: nn.Module) -> dict[str, int]:
    return {"parameters": sum(p.numel() for p in model.parameters())}


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device: torch.device) -> float | None:
    return torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else None


@torch.no_grad()
def predict(
    model: SpectrumViT, scaler: LabelScaler, flux: Tensor, *, precision: str = "32-true"
) -> tuple[Tensor, Tensor | None]:
    """Return labels (n, 1) and, where the head has it, their standard deviation, in the label's unit, for flux (n, L)."""
    device, k = model.pixel_mean.device, model.config.n_labels
    kind = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision, torch.float32)
    with torch.autocast(device.type, kind, enabled=precision != "32-true"):
        parts = [model.eval()(batch.to(device)).float() for batch in flux.split(PREDICT_BATCH)]
    out = torch.cat(parts)
    sigma = out[:, k:].exp() * scaler.scale[0] if model.config.predict_sigma else None
    return scaler.inverse(out[:, :k]), sigma


def save(folder: Path, model: SpectrumViT, scaler: LabelScaler, more: dict[str, Any]) -> None:
    """Write model.safetensors and model.json (label normalisation, and `more`) into `folder`."""
    save_pretrained(model, folder / "model.safetensors")
    write_json(folder / "model.json", {"scaler": scaler.to_json(), **more})


def load(folder: Path) -> tuple[SpectrumViT, LabelScaler, dict[str, Any]]:
    """Read what `save` wrote; ValueError where the folder holds no model."""
    for name in ("model.safetensors", "model.json"):
        if not (folder / name).is_file():
            raise ValueError(f"{folder} holds no {name}; give the model/ folder of a finished run of vit_scaling")
    state = read_json(folder / "model.json", ("scaler",))
    with legible(folder / "model.json", "a label scaler"):
        scaler = LabelScaler.from_json(state["scaler"])
    return load_pretrained(folder / "model.safetensors"), scaler, state
