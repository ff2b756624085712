"""Pretrain the blind-spot denoiser, denoise spectra with it, and measure what it removes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib import metrics
from lib.data.batches import Source, Spectra, SpectraBatches
from lib.files import write_csv
from lib.losses.spectra import LOSSES, posterior, supervised
from lib.models.blindspot import (
    BlindSpotConfig,
    BlindSpotDenoiser,
    load_pretrained,
    merge_directions,
    save_pretrained,
    start_head,
)
from lib.runtime import Runtime, rank
from lib.train import Fitted, Task, fit

WEIGHTS = "denoiser.safetensors"
HISTORY = "pretraining.csv"
FIELDS = ("noisy", "sigma", "flux", "labels")
NOISE_AT_HEAD = 3.0  # what the median noise becomes after flux_scale: Softplus is linear there


@dataclass(frozen=True)
class Pretraining:
    """How the denoiser is trained."""

    loss: str = "t1"  # e1, e2 (self-supervised) or t1 (supervised, the original's)
    epochs: int = 50
    batch_size: int = 128
    learning_rate: float = 5e-4
    schedule: str = "plateau"  # plateau: Adam, factor 0.8, patience 50 epochs; onecycle: AdamW up to learning_rate and down
    clip: float | None = None
    sigma_start: float = 0.3  # start of the predicted sigma, in units of the median noise; 0: as initialised
    label_weight: float = 0.0  # weight of the squared error of a linear log g readout of enc_pre_latent, in label variances

    def __post_init__(self):
        supervised(self.loss)
        if self.schedule not in ("plateau", "onecycle"):
            raise ValueError(f"Pretraining: schedule {self.schedule!r} is unknown; choose plateau or onecycle.")
        if self.sigma_start < 0 or self.label_weight < 0:
            raise ValueError("Pretraining: sigma_start and label_weight must not be negative.")


class Pretrainee(nn.Module):
    """The denoiser and a linear readout of its pooled latent, which the last encoder convolution overhears."""

    def __init__(self, denoiser: BlindSpotDenoiser, n_labels: int):
        super().__init__()
        self.denoiser = denoiser
        self.readout = nn.Linear(denoiser.config.embed_dim, n_labels) if n_labels else None
        self._heard: list[Tensor] = []
        denoiser.encoders[-1].register_forward_pre_hook(lambda _, inputs: self._heard.append(inputs[0]))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return (mu, sigma) (B, 2, L) and the readout (B, k), None for a denoiser alone (n_labels 0)."""
        self._heard.clear()
        out = self.denoiser(x)
        latent = self._heard.pop()
        return out, None if self.readout is None else self.readout(merge_directions(latent, "mean").mean(-1))


def stack_input(noisy: Tensor, noise: Tensor, config: BlindSpotConfig) -> Tensor:
    """Return what the denoiser reads, (B, 1 or 2, L)."""
    return torch.stack([noisy, noise], 1) if config.input_sigma else noisy[:, None]


def rows_at_once(device: torch.device) -> int:
    """Return how many spectra an encoder reads at a time: 64 on a CPU, whose cache holds their features (1.5 to 1.8 times as fast)."""
    return 64 if device.type == "cpu" else 256


def in_order(source: Source, *, epoch: int = 0, batch_size: int | None = None) -> Iterator[Spectra]:
    """Iterate over a whole source in order, with the noise draw number `epoch` (0: the fixed one), `rows_at_once` by default."""
    batch_size = batch_size or rows_at_once(source.device)
    batches = SpectraBatches(source, batch_size=batch_size, fields=Spectra._fields, fresh=epoch > 0, window=4, rank=0, world=1)
    batches.set_epoch(max(epoch - 1, 0))
    return (Spectra(*batch) for batch in batches)


def objective(settings: Pretraining) -> Callable[[Pretrainee, tuple[Tensor, ...]], dict[str, Tensor]]:
    """Return the loss of a batch (noisy, noise, clean, labels), for `Task`."""

    def loss(model: Pretrainee, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        noisy, noise, clean, labels = batch
        out, read = model(stack_input(noisy, noise, model.denoiser.config))
        nll = LOSSES[settings.loss](out[:, 0], out[:, 1], noisy, noise, clean)
        if read is None:
            return {"loss": nll}
        label = F.mse_loss(read.float(), labels)
        return {"loss": nll + settings.label_weight * label, "nll": nll.detach(), "label": label.detach()}

    return loss


def optimisers(settings: Pretraining, steps: int) -> Callable[[nn.Module], dict[str, Any]]:
    """Return what builds the optimiser and its schedule, for `Task`."""

    def plateau(model: nn.Module) -> dict[str, Any]:
        adam = torch.optim.Adam(model.parameters(), settings.learning_rate)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(adam, factor=0.8, patience=50)
        return {"optimizer": adam, "lr_scheduler": {"scheduler": schedule, "monitor": "val_loss"}}

    def onecycle(model: nn.Module) -> dict[str, Any]:
        adam = torch.optim.AdamW(model.parameters(), settings.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(adam, settings.learning_rate, total_steps=steps)
        return {"optimizer": adam, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    return plateau if settings.schedule == "plateau" else onecycle


def build(config: BlindSpotConfig, settings: Pretraining, source: Source, seed: int) -> BlindSpotDenoiser:
    """Initialise a denoiser for the flux and the noise of a source; flux_scale 1 in `config` is replaced.

    The scale brings the median noise to where Softplus is linear; the head starts at the mean flux and at sigma_start
    times the noise.
    """
    seen = next(in_order(source, batch_size=256))
    noise = seen.sigma.median().item()
    config = replace(config, flux_scale=NOISE_AT_HEAD / noise) if config.flux_scale == 1 else config
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        denoiser = BlindSpotDenoiser(config)
    if settings.sigma_start and config.use_bn:
        start_head(denoiser, seen.noisy.mean().item(), seen.flux.std().item(), settings.sigma_start * noise)
    return denoiser


def pretrain(
    config: BlindSpotConfig,
    settings: Pretraining,
    train: Source,
    val: Source,
    *,
    folder: Path,
    runtime: Runtime,
    **trainer: Any,
) -> Fitted:
    """Train into `folder`: the weights with their config, and one row per epoch; resumes from a checkpoint found there.

    train    a source with fresh noise every epoch: for E1 and E2 too the noise is drawn anew, so that they see one clean
             star under many noises; with real data, whose noise is what it is, a source gives the same noise always
    trainer  Lightning's devices, num_nodes, strategy: every process takes its share of each batch; on GPUs BatchNorm sees all
    """
    options = {"batch_size": settings.batch_size, "seed": runtime.seed, "fields": FIELDS, "shuffle": True, "fresh": True}
    steps = len(SpectraBatches(train, **options))
    n_labels = train.labels.shape[1] if settings.label_weight else 0
    model = Pretrainee(build(config, settings, train, runtime.seed), n_labels).to(runtime.device)
    task = Task(model, objective(settings), optimisers(settings, steps * settings.epochs))
    shared = {"folder": folder, "epochs": settings.epochs, "runtime": runtime, "clip": settings.clip}
    validation = SpectraBatches(val, batch_size=settings.batch_size, fields=FIELDS, rank=0, world=1)  # on every rank
    trainer = {"sync_batchnorm": runtime.device.type == "cuda"} | trainer
    fitted = fit(task, SpectraBatches(train, **options), validation, name="pretraining", **shared, **trainer)
    if rank():
        return fitted  # rank 0 writes
    save_pretrained(model.denoiser, folder / WEIGHTS)
    write_csv(folder / HISTORY, fitted.history.assign(seconds=fitted.seconds))
    return fitted


def load(folder: Path, device: torch.device | str = "cpu") -> tuple[BlindSpotDenoiser, pd.DataFrame]:
    """Return the denoiser of a pretraining folder and its history."""
    return load_pretrained(folder / WEIGHTS).to(device), pd.read_csv(folder / HISTORY)


class Denoised(NamedTuple):
    """Prior mean and spread per pixel, and the posterior's: each (B, L)."""

    mu: Tensor
    sigma: Tensor
    flux: Tensor
    sd: Tensor


@torch.no_grad()
def denoise(denoiser: BlindSpotDenoiser, noisy: Tensor, noise: Tensor) -> Denoised:
    """Denoise spectra (B, L) of noise standard deviation (B, L) with a model in eval mode."""
    if denoiser.training:
        raise ValueError("denoise: the model is in train mode, where the blind spot leaks; call eval() first.")
    mu, sigma = denoiser(stack_input(noisy, noise, denoiser.config)).unbind(1)
    flux, var = posterior(mu, sigma, noisy, noise)
    return Denoised(mu, sigma, flux, var.sqrt())


def measure(denoiser: BlindSpotDenoiser, source: Source) -> pd.DataFrame:
    """Return one row per estimate (noisy_pixel, mu, posterior): rms error in units of the noise, S/N, its gain with interval, z.

    snr     median over pixels of flux / noise, divided by the rms error in units of the noise; median over spectra
    gain    S/N over that of the noisy spectrum; z_std: std of (noisy - mu) / sqrt(sigma^2 + noise^2), 1 if calibrated
    """
    parts = [_errors(denoiser, seen) for seen in in_order(source)]
    snr, *errors, z = (torch.cat(column).double().cpu().numpy() for column in zip(*parts, strict=True))
    rows = []
    for name, error in zip(("noisy_pixel", "mu", "posterior"), errors, strict=True):
        low, high = metrics.bootstrap(_median_ratio, errors[0], error)
        gain = {"gain": float(_median_ratio(errors[0], error)), "gain_low": low, "gain_high": high}
        values = {"estimate": name, "rms_error": float(np.median(error)), "snr": float(np.median(snr / error))}
        rows.append(values | gain | {"z_std": float(z.std()) if name == "mu" else np.nan})
    return pd.DataFrame(rows)


def _median_ratio(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return np.median(before / after, axis=0)


def _errors(denoiser: BlindSpotDenoiser, seen: Spectra) -> tuple[Tensor, ...]:
    """Return per spectrum the S/N and the rms errors of noisy, mu and posterior in units of the noise, and z per pixel."""
    noisy, noise, _, clean = seen
    found = denoise(denoiser, noisy, noise)
    rms = [((estimate - clean) / noise).square().mean(-1).sqrt() for estimate in (noisy, found.mu, found.flux)]
    z = (noisy - found.mu) / (found.sigma.square() + noise.square()).sqrt()
    return (clean / noise).median(-1).values, *rms, z.flatten()
