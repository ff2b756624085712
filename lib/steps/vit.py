"""Step: one ViT trained on spectra. Its loss, optimiser, schedule, and what it leaves in its folder."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from torch import Tensor, nn

from lib import metrics
from lib.data.batches import Source, SpectraBatches
from lib.data.labels import LabelScaler
from lib.data.views import chunks, observe
from lib.files import read_json, write_csv, write_json
from lib.legible import legible
from lib.losses.regression import loss_on_batch
from lib.models.vit import SpectrumViT, ViTConfig, load_pretrained, save_pretrained
from lib.runtime import Runtime, rank
from lib.steps import place, step
from lib.steps.splits import FileSplits, GridSplits, Sets, leave, open_sets, shown
from lib.train import Task, fit

SCALING_ROWS = 4096  # training rows whose pixels set the input scaling
PREDICT_BATCH = 512
FIELDS = ("noisy", "labels", "sigma")


@dataclass(frozen=True)
class VitSettings:
    """The model, but for the pixels that it reads, and its training; parameters of `vit_scaling` of the same names."""

    patch_size: int
    stride: int
    hidden_size: int
    num_layers: int
    num_heads: int
    tokenizer: str
    pos_encoding: str
    pooling: str
    init: str
    dropout: float
    input_scaling: str  # pixel, none
    loss: str
    label_norm: str
    lr: float
    min_lr: float
    weight_decay: float
    betas: tuple[float, float]
    batch_size: int
    schedule: str  # cosine, constant
    warmup_steps: int
    clip: float  # 0: off
    patience: int


@dataclass(frozen=True)
class VitSpec:
    """A training: fresh draws new noise every epoch instead of one draw; devices and nodes share every batch."""

    data: GridSplits | FileSplits
    seed: int
    epochs: int
    fresh: bool
    settings: VitSettings
    deterministic: bool = True
    compile_model: bool = False
    devices: int = 1
    num_nodes: int = 1
    strategy: str = "auto"
    logger: str = place(default="none")  # what it writes is read by nobody here


def model_config(settings: VitSettings, pixels: int) -> ViTConfig:
    """Return the model for spectra of `pixels` pixels."""
    chosen = {f.name: getattr(settings, f.name) for f in fields(ViTConfig) if hasattr(settings, f.name)}
    return ViTConfig(input_length=pixels, predict_sigma=settings.loss == "gaussian_nll", **chosen)


@step
def train_vit(spec: VitSpec, folder: Path, runtime: Runtime) -> None:
    """Train, keep the epoch of best validation MAE, and leave model, scaler, history, sizes and predictions."""
    torch.use_deterministic_algorithms(spec.deterministic, warn_only=runtime.device.type == "cuda")
    sets = open_sets(spec.data, runtime.device)
    model, scaler = fit_vit(spec, sets, folder, runtime)
    if rank():
        return  # rank 0 writes
    out: dict[str, Tensor] = {}
    for name, part in shown(sets).items():
        found = [predict(model, scaler, flux, precision=runtime.precision) for flux, _ in chunks(part, rows=PREDICT_BATCH)]
        out[name] = torch.cat([label for label, _ in found])
        if found[0][1] is not None:
            out[f"{name}_sigma"] = torch.cat([sigma for _, sigma in found])
    leave(folder, out, label_scale=scaler.scale[0], **read_json(folder / "training.json"))


def fit_vit(spec: VitSpec, sets: Sets, folder: Path, runtime: Runtime) -> tuple[SpectrumViT, LabelScaler]:
    """Train on the sets and write model, scaler, history and sizes into `folder`."""
    settings, train = spec.settings, sets.train
    scaler = LabelScaler.fit(train.labels.cpu(), ("label",), settings.label_norm)
    model = _new_model(settings, train, runtime)
    options = {"batch_size": settings.batch_size, "seed": runtime.seed, "shuffle": True, "fresh": spec.fresh, "fields": FIELDS}
    batches = SpectraBatches(train, **options)
    held = SpectraBatches(sets.val, batch_size=PREDICT_BATCH, fields=FIELDS, rank=0, world=1)  # every rank scores all of it
    if spec.compile_model:
        model.compile()
    task = Task(
        model, _loss(settings, scaler), _optimizers(settings, spec.epochs * len(batches), runtime.precision),
        predict=_predict(scaler), metrics={"r2": metrics.r2, "mae": metrics.mae},
    )  # fmt: skip
    many = ("devices", "num_nodes", "strategy") if spec.devices > 1 or spec.num_nodes > 1 else ()
    began = time.monotonic()
    if runtime.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(runtime.device)
    fitted = fit(
        task, batches, held, folder=folder, epochs=spec.epochs, runtime=runtime, monitor="val_mae", patience=settings.patience,
        clip=settings.clip or None, name=f"ViT n={len(train)}", logger=logger(spec.logger, folder),
        **{name: getattr(spec, name) for name in many},
    )  # fmt: skip
    if rank():
        return model, scaler
    write_csv(folder / "history.csv", fitted.history)
    rate = len(train) * len(fitted.history) / fitted.seconds
    speed = {"seconds": time.monotonic() - began, "spectra_per_s": rate, "peak_mib": _peak(runtime.device)}
    size = {"parameters": sum(p.numel() for p in model.parameters())}
    write_json(folder / "training.json", size | speed | {"best_epoch": fitted.best_epoch})
    save(folder, model, scaler, {"settings": asdict(settings) | {"precision": runtime.precision}})
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


def _loss(settings: VitSettings, scaler: LabelScaler) -> Callable:
    compute = loss_on_batch(settings.loss)

    def loss(model: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        noisy, labels, sigma = batch
        return {"loss": compute(model(noisy).float(), scaler.transform(labels), sigma)}

    return loss


def _predict(scaler: LabelScaler) -> Callable:
    def predict(model: nn.Module, batch: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        noisy, labels, _ = batch
        return scaler.transform(labels), model(noisy)[:, : labels.shape[1]]

    return predict


def _optimizers(settings: VitSettings, steps: int, precision: str) -> Callable:
    floor, warmup, cosine = settings.min_lr / settings.lr, settings.warmup_steps, settings.schedule == "cosine"

    def factor(step: int) -> float:
        """Return the rate over its maximum: linear warm-up, then cosine annealing to the floor, step by step."""
        rise = min(1.0, (step + 1) / (warmup + 1))
        part = min(1.0, max(0, step - warmup) / max(1, steps - warmup))
        return rise * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * part)) if cosine else 1.0)

    def build(model: nn.Module) -> dict[str, Any]:
        options = {"lr": settings.lr, "betas": settings.betas, "weight_decay": settings.weight_decay}
        fused = precision == "32-true" or not settings.clip  # Lightning clips no fused optimiser under mixed precision
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


def _new_model(settings: VitSettings, train: Source, runtime: Runtime) -> SpectrumViT:
    model = SpectrumViT(model_config(settings, len(train.wave)), seed=runtime.seed).to(runtime.device)
    if settings.input_scaling == "pixel":
        model.set_input_scaling(*pixel_statistics(train))
    return model


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
