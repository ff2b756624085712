"""Ridge, LightGBM and an MLP behind one face: fit on scaled designs, predict physical units, save without pickle."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from sklearn.linear_model import Ridge
from torch import nn

from lib import metrics
from lib.data.opamp import Scaler
from lib.files import read_json, remove_tree, write_json, write_text
from lib.models.opamp import MLP, OpampNetConfig
from lib.runtime import Runtime, generator
from lib.studies.opamp_transfer.config import Config
from lib.studies.opamp_transfer.data import Prepared
from lib.train import Task, TensorBatches, fit

Raw = Callable[[np.ndarray], np.ndarray]  # scaled features (n, d) -> scaled targets (n, k)


@dataclass(frozen=True)
class Fitting:
    """Rows to learn from, rows to choose by, and the scalers."""

    train: pd.DataFrame
    inner: pd.DataFrame
    x_scaler: Scaler
    y_scaler: Scaler
    seed: int

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return scaled x and y of training, then of inner validation."""
        x, y = self.x_scaler.transform, self.y_scaler.transform
        return x(self.train), y(self.train), x(self.inner), y(self.inner)


@dataclass(frozen=True)
class Fit:
    """A fitted model: `predict` gives physical units, clipped to the range of the training rows."""

    kind: str
    raw: Raw
    model: Any
    x_scaler: Scaler
    y_scaler: Scaler
    low: list[float]
    high: list[float]
    sd: list[float]  # per target, scaled units: root mean square of the inner validation error
    inner: float  # mean of sd^2

    def predict(self, designs: pd.DataFrame) -> np.ndarray:
        """Return (n, k) predictions in physical units, in the order of `designs`."""
        return self.y_scaler.inverse(self._scaled(designs))

    def predict_sd(self, designs: pd.DataFrame) -> np.ndarray:
        """Return (n, k) standard deviations in physical units: half the distance between the values one sd up and down."""
        scaled, sd = self._scaled(designs), np.asarray(self.sd)
        return (self.y_scaler.inverse(scaled + sd) - self.y_scaler.inverse(scaled - sd)) / 2

    def _scaled(self, designs: pd.DataFrame) -> np.ndarray:
        return np.clip(self.raw(self.x_scaler.transform(designs)), self.low, self.high)


def _fit(kind: str, raw: Raw, model: Any, f: Fitting) -> Fit:
    _, y, x_inner, y_inner = f.arrays()
    low, high = y.min(0), y.max(0)
    sd = metrics.rmse(y_inner, np.clip(raw(x_inner), low, high))
    return Fit(kind, raw, model, f.x_scaler, f.y_scaler, low.tolist(), high.tolist(), sd.tolist(), float((sd**2).mean()))


def ridge(f: Fitting, config: Config, runtime: Runtime, folder: Path) -> Fit:
    """Fit a linear model."""
    x, y, _, _ = f.arrays()
    model = Ridge(config.ridge_alpha).fit(x.astype(float), y.astype(float))
    coef, intercept = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    return _fit("ridge", lambda z: z @ coef.T + intercept, {"coef": coef.tolist(), "intercept": intercept.tolist()}, f)


def gbm(f: Fitting, config: Config, runtime: Runtime, folder: Path) -> Fit:
    """Fit one LightGBM model per target."""
    x, y, _, _ = f.arrays()
    settings = {"verbosity": -1, "num_threads": runtime.threads, "seed": f.seed, "deterministic": True, "force_row_wise": True,
                "learning_rate": 0.1, "num_leaves": 31, "min_data_in_leaf": 10}  # fmt: skip
    boosters = [lightgbm.train(settings, lightgbm.Dataset(x, y[:, i].copy()), config.trees) for i in range(y.shape[1])]
    return _fit("lightgbm", _stack(boosters), boosters, f)


def mlp(f: Fitting, config: Config, runtime: Runtime, folder: Path) -> Fit:
    """Fit the baseline network with early stopping on the inner validation rows."""
    x, y, x_inner, y_inner = (torch.from_numpy(a).to(runtime.device) for a in f.arrays())
    sizes = OpampNetConfig(x.shape[1], y.shape[1], config.hidden, config.layers, config.dropout)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator(f.seed, 1).initial_seed())
        net = MLP(sizes)
    task = Task(
        net,
        lambda m, b: {"loss": nn.functional.mse_loss(m(b[0]), b[1])},
        lambda m: torch.optim.AdamW(m.parameters(), config.lr, weight_decay=config.weight_decay),
    )
    fit(
        task,
        TensorBatches(x, y, batch_size=config.batch_size, seed=f.seed, shuffle=True),
        TensorBatches(x_inner, y_inner, batch_size=4096),
        folder=folder, epochs=config.epochs, runtime=runtime, patience=config.patience, clip=config.clip, name="mlp",
    )  # fmt: skip
    return _fit("mlp", _network(net), net, f)


KINDS: dict[str, Callable[[Fitting, Config, Runtime, Path], Fit]] = {"ridge": ridge, "lightgbm": gbm, "mlp": mlp}


def _stack(boosters: list[lightgbm.Booster]) -> Raw:
    return lambda z: np.stack([b.predict(z) for b in boosters], axis=1)


def _network(net: nn.Module) -> Raw:
    device = next(net.parameters()).device

    @torch.no_grad()
    def raw(z: np.ndarray) -> np.ndarray:
        return net(torch.from_numpy(z).to(device)).cpu().numpy()

    return raw


def save(fit: Fit, prepared: Prepared, folder: Path) -> None:
    """Write a model folder: model.json (kind, limits), scalers, and the weights in a format that executes nothing."""
    remove_tree(folder / "work")
    fit.x_scaler.save(folder / "x_scaler.json")
    fit.y_scaler.save(folder / "y_scaler.json")
    extra: dict[str, Any] = {}
    if fit.kind == "ridge":
        extra = fit.model
    elif fit.kind == "lightgbm":
        for i, booster in enumerate(fit.model):
            write_text(folder / f"lightgbm_{i}.txt", booster.model_to_string())
    else:
        save_file({k: v.cpu() for k, v in fit.model.state_dict().items()}, folder / "mlp.safetensors")
        extra = {"net": vars(fit.model.config)}
    limits = {"low": fit.low, "high": fit.high, "sd": fit.sd, "inner": fit.inner}
    write_json(folder / "model.json", {"kind": fit.kind, "opamp": prepared.name, **limits, **extra})


def load(folder: Path) -> Fit:
    """Read a model folder that `save` wrote; ValueError names what is missing or does not fit."""
    state = read_json(folder / "model.json")
    x_scaler, y_scaler = Scaler.read(folder / "x_scaler.json"), Scaler.read(folder / "y_scaler.json")
    kind = state.get("kind")
    if kind == "ridge":
        coef, intercept = np.asarray(state["coef"]), np.asarray(state["intercept"])
        raw, model = (lambda z: z @ coef.T + intercept), state
    elif kind == "lightgbm":
        model = [lightgbm.Booster(model_file=folder / f"lightgbm_{i}.txt") for i in range(len(y_scaler.names))]
        raw = _stack(model)
    elif kind == "mlp":
        model = MLP(OpampNetConfig(**state["net"]))
        model.load_state_dict(load_file(folder / "mlp.safetensors"))
        raw = _network(model.eval())
    else:
        raise ValueError(f"{folder / 'model.json'} has the kind {kind!r}, but it should be one of {', '.join(KINDS)}.")
    return Fit(kind, raw, model, x_scaler, y_scaler, state["low"], state["high"], state["sd"], state["inner"])
