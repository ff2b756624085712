"""Train what inverse design needs: the forward ensemble and the mixture density network."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lib import runs
from lib.data.opamp import Scaler
from lib.files import read_json, write_json
from lib.inverse.model import UNIT_SD, InverseModel
from lib.inverse.space import Space
from lib.losses.mixture import mixture_nll
from lib.models.ensemble import Ensemble, EnsembleConfig
from lib.models.mdn import MDN, MDNConfig
from lib.runtime import Runtime, generator
from lib.studies.opamp_transfer.config import Config
from lib.studies.opamp_transfer.data import Prepared, split
from lib.train import Task, TensorBatches, fit

HIDDEN, LAYERS = 96, 3  # of every member of the ensemble
BATCHES, SMALLEST, LARGEST = 12, 16, 256  # batches per epoch of the ensemble, so that few rows still give many steps
INNER = 0.1  # share of the training rows that chooses the epoch
BETA = 0.5  # exponent of the variance that weighs the likelihood: Seitzer et al. 2022, eq. 8


def train_inverse(config: Config, prepared: Prepared, runtime: Runtime, rows: np.ndarray) -> tuple[InverseModel, dict]:
    """Return the networks trained on the target designs `rows` (through the run cache), and how the training went.

    The dictionary holds the negative log-likelihood of inner validation rows and seconds, of ensemble and mixture.
    """
    keys = [k for k in type(config).model_fields if k.startswith(("inverse_", "mdn_"))]
    settings = {k: getattr(config, k) for k in keys} | {"log_targets": prepared.log_targets, "rows": rows.tolist()}

    def compute(folder: Path) -> None:
        known = prepared.target.iloc[rows].reset_index(drop=True)
        y_scaler = Scaler.fit(known, prepared.targets, prepared.log_targets)
        ensemble, said = _ensemble(config, prepared, runtime, known, y_scaler, folder / "ensemble")
        space = Space.from_frame(pd.concat([prepared.source, known]), prepared.features)
        mixture, also = _mixture(config, prepared, runtime, known, y_scaler, space, folder / "mixture")
        y = y_scaler.transform(known)
        model = InverseModel(ensemble, mixture, space, y_scaler, y.min(0).tolist(), y.max(0).tolist(), known)
        model.save(folder / "model")
        write_json(folder / "training.json", said | also)

    folder = runs.cached(
        "opamp_inverse", compute, config=settings, runtime=runtime, data=prepared.fingerprint, force=config.force
    )
    return InverseModel.load(folder / "model", runtime.device), read_json(folder / "training.json")


def _parts(frame: pd.DataFrame, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split rows into training and inner validation."""
    order = np.random.default_rng(seed).permutation(len(frame))
    inner = max(int(INNER * len(frame)), 1)
    return order[inner:], order[:inner]


def _seeded(build, seed: int, number: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator(seed, number).initial_seed())
        return build()


def _optimizer(lr: float, epochs: int):
    def build(module: nn.Module) -> dict:
        optimizer = torch.optim.AdamW(module.parameters(), lr, weight_decay=1e-4)
        return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)}

    return build


def _heteroscedastic(model: Ensemble, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """Sum the members' losses: Gaussian likelihood, weighed so that hard rows are not given up."""
    mu, logvar = model(batch[0])  # (E, B, M)
    nll = 0.5 * ((mu - batch[1]) ** 2 / logvar.exp() + logvar)
    return {"loss": (nll * logvar.detach().exp() ** BETA).mean((1, 2)).sum(), "nll": nll.mean()}


def _ensemble(
    config: Config, prepared: Prepared, runtime: Runtime, known: pd.DataFrame, y_scaler: Scaler, folder: Path
) -> tuple[Ensemble, dict]:
    """Fit the forward ensemble on the known target designs; with `transfer`, on the source designs first."""
    sizes = EnsembleConfig(tuple(prepared.features), len(prepared.targets), config.inverse_members, HIDDEN, LAYERS)
    net = _seeded(lambda: Ensemble(sizes), runtime.seed, 11)
    stages = [("target", known, config.inverse_lr)]
    if config.inverse_surrogate == "transfer":
        stages = [("source", prepared.source, config.inverse_lr), ("target", known, config.inverse_lr / 2)]
    every = pd.concat([frame for _, frame, _ in stages])
    net.features.fit(_tensor(every, prepared.features))
    seconds = 0.0
    for name, frame, lr in stages:
        batch = int(np.clip(len(frame) // BATCHES, SMALLEST, LARGEST))
        x, y = _tensor(frame, prepared.features), torch.from_numpy(y_scaler.transform(frame))
        result, nll = _train(
            net, _heteroscedastic, (x, y), frame, runtime, folder / name, config.inverse_epochs, batch, lr, f"ensemble, {name}"
        )
        seconds += result
    return net, {"ensemble_nll": nll, "ensemble_seconds": seconds}


def _mixture(
    config: Config,
    prepared: Prepared,
    runtime: Runtime,
    known: pd.DataFrame,
    y_scaler: Scaler,
    space: Space,
    folder: Path,
) -> tuple[MDN, dict]:
    """Fit the mixture density network: scaled metrics -> standardised unit coordinates of the design."""
    frame = {"target": known, "source": prepared.source, "both": pd.concat([prepared.source, known], ignore_index=True)}
    frame = frame[config.mdn_train]
    x = (space.to_unit(torch.tensor(frame[prepared.features].to_numpy())) - 0.5) / UNIT_SD
    y = torch.from_numpy(y_scaler.transform(frame))
    sizes = MDNConfig(y.shape[1], x.shape[1], config.mdn_components, config.mdn_hidden, config.mdn_layers)
    net = _seeded(lambda: MDN(sizes), runtime.seed, 12)

    def loss(model: MDN, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        value = mixture_nll(batch[0], *model(batch[1]))
        return {"loss": value, "nll": value}

    seconds, nll = _train(
        net, loss, (x.float(), y), frame, runtime, folder, config.mdn_epochs, config.mdn_batch, config.mdn_lr, "mixture"
    )
    return net, {"mixture_nll": nll, "mixture_seconds": seconds}


def _train(net, loss, tensors, frame, runtime: Runtime, folder: Path, epochs, batch, lr, name) -> tuple[float, float]:
    """Fit one network on a split of its rows; return seconds and the best inner validation likelihood."""
    kept, inner = _parts(frame, runtime.seed)
    runtime = replace(runtime, precision="32-true")  # bf16 has three digits: too few for metrics within a percent
    train, val = ([t[rows].to(runtime.device) for t in tensors] for rows in (kept, inner))
    fitted = fit(
        Task(net, loss, _optimizer(lr, epochs)),
        TensorBatches(*train, batch_size=batch, seed=runtime.seed, shuffle=True),
        TensorBatches(*val, batch_size=4096),
        folder=folder, epochs=epochs, runtime=runtime, clip=1.0, checkpoint_every=max(epochs // 10, 1), name=name,
        monitor="val_nll",
    )  # fmt: skip
    return fitted.seconds, float(fitted.history.val_nll.min())


def _tensor(frame: pd.DataFrame, columns: list[str]) -> Tensor:
    return torch.tensor(frame[columns].to_numpy(), dtype=torch.float32)


def held_out(config: Config, prepared: Prepared) -> tuple[np.ndarray, np.ndarray]:
    """Return target rows that train the inverse model, and the held-out rows whose metrics become specifications."""
    kept, held = split(prepared.target, config.val_split, config.seed)
    return kept, held[: config.inverse_specs]
