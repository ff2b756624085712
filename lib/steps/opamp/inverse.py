"""What inverse design needs: the forward ensemble and the mixture density network."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lib.data.opamp import Scaler
from lib.files import write_json
from lib.inverse.model import UNIT_SD, InverseModel
from lib.inverse.space import Space
from lib.losses.mixture import mixture_nll
from lib.models.ensemble import Ensemble, EnsembleConfig
from lib.models.mdn import MDN, MDNConfig
from lib.runtime import Runtime, generator
from lib.steps import step
from lib.steps.opamp.data import Prepared, opened
from lib.steps.opamp.spec import DataSpec
from lib.train import Task, TensorBatches, fit

HIDDEN, LAYERS = 96, 3  # of every member of the ensemble
BATCHES, SMALLEST, LARGEST = 12, 16, 256  # batches per epoch of the ensemble, so that few rows still give many steps
INNER = 0.1  # share of the training rows that chooses the epoch
BETA = 0.5  # exponent of the variance that weighs the likelihood: Seitzer et al. 2022, eq. 8


@dataclass(frozen=True)
class MixtureSpec:
    """Sizes and training of the mixture density network."""

    train: str  # rows to learn from: target, source or both
    components: int
    hidden: int
    layers: int
    batch: int
    epochs: int
    lr: float


@dataclass(frozen=True)
class InverseSpec:
    """What inverse design learns from, and how."""

    data: DataSpec
    rows: tuple[int, ...]  # target designs that are known
    transfer: bool  # the ensemble learns from the source designs first
    members: int
    epochs: int
    lr: float
    mixture: MixtureSpec
    seed: int


@step
def fit_opamp_inverse(spec: InverseSpec, folder: Path, runtime: Runtime) -> None:
    """Train both networks; keep the model, and in training.json the likelihood of inner validation rows and seconds of each."""
    prepared = opened(spec.data)
    known = prepared.target.iloc[list(spec.rows)].reset_index(drop=True)
    y_scaler = Scaler.fit(known, prepared.targets, prepared.log_targets)
    ensemble, said = _ensemble(spec, prepared, runtime, known, y_scaler, folder / "ensemble")
    space = Space.from_frame(pd.concat([prepared.source, known]), prepared.features)
    mixture, also = _mixture(spec, prepared, runtime, known, y_scaler, space, folder / "mixture")
    y = y_scaler.transform(known)
    model = InverseModel(ensemble, mixture, space, y_scaler, y.min(0).tolist(), y.max(0).tolist(), known)
    model.save(folder / "model")
    write_json(folder / "training.json", said | also)


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
    spec: InverseSpec, prepared: Prepared, runtime: Runtime, known: pd.DataFrame, y_scaler: Scaler, folder: Path
) -> tuple[Ensemble, dict]:
    """Fit the forward ensemble on the known target designs; with `transfer`, on the source designs first."""
    sizes = EnsembleConfig(tuple(prepared.features), len(prepared.targets), spec.members, HIDDEN, LAYERS)
    net = _seeded(lambda: Ensemble(sizes), runtime.seed, 11)
    stages = [("target", known, spec.lr)]
    if spec.transfer:
        stages = [("source", prepared.source, spec.lr), ("target", known, spec.lr / 2)]
    every = pd.concat([frame for _, frame, _ in stages])
    net.features.fit(_tensor(every, prepared.features))
    seconds = 0.0
    for name, frame, lr in stages:
        batch = int(np.clip(len(frame) // BATCHES, SMALLEST, LARGEST))
        x, y = _tensor(frame, prepared.features), torch.from_numpy(y_scaler.transform(frame))
        result, nll = _train(
            net, _heteroscedastic, (x, y), frame, runtime, folder / name, spec.epochs, batch, lr, f"ensemble, {name}"
        )
        seconds += result
    return net, {"ensemble_nll": nll, "ensemble_seconds": seconds}


def _mixture(
    spec: InverseSpec,
    prepared: Prepared,
    runtime: Runtime,
    known: pd.DataFrame,
    y_scaler: Scaler,
    space: Space,
    folder: Path,
) -> tuple[MDN, dict]:
    """Fit the mixture density network: scaled metrics -> standardised unit coordinates of the design."""
    frame = {"target": known, "source": prepared.source, "both": pd.concat([prepared.source, known], ignore_index=True)}
    frame = frame[spec.mixture.train]
    x = (space.to_unit(torch.tensor(frame[prepared.features].to_numpy())) - 0.5) / UNIT_SD
    y = torch.from_numpy(y_scaler.transform(frame))
    sizes = MDNConfig(y.shape[1], x.shape[1], spec.mixture.components, spec.mixture.hidden, spec.mixture.layers)
    net = _seeded(lambda: MDN(sizes), runtime.seed, 12)

    def loss(model: MDN, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        value = mixture_nll(batch[0], *model(batch[1]))
        return {"loss": value, "nll": value}

    m = spec.mixture
    seconds, nll = _train(net, loss, (x.float(), y), frame, runtime, folder, m.epochs, m.batch, m.lr, "mixture")
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
