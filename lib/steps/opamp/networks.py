"""Networks of the study: how each method starts, what it minimises and what it may change; all its fits run stacked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from lib.losses.domain import batch_r2, coral_loss, heteroscedastic_nll, l2sp
from lib.models.opamp import MLP, AlignHeteroMLP, DualHeadMLP, OpampNetConfig, start_from
from lib.runtime import generator
from lib.steps.opamp.bench import Predicted
from lib.steps.opamp.spec import Recipe, Weights
from lib.train.stacked import Net, StackedConfig, fit_stacked, predict_stacked

KINDS = {"mlp": MLP, "hetero": AlignHeteroMLP, "dual": DualHeadMLP}


def fresh(kind: str, sizes: OpampNetConfig, seeds: Sequence[int]) -> list[nn.Module]:
    """Return one network per seed with weights of its own."""
    nets = []
    with torch.random.fork_rng(devices=[]):
        for seed in seeds:
            torch.manual_seed(generator(seed, 1).initial_seed())
            nets.append(KINDS[kind](sizes))
    return nets


def mse(net: Net, batch: dict):
    """Mean squared error."""
    return nn.functional.mse_loss(net(batch["x"]), batch["y"])


def hetero(net: Net, batch: dict):
    """Heteroscedastic likelihood and explained variance: nll + alpha (1 - R2)."""
    mu, logvar, _ = net(batch["x"])
    return heteroscedastic_nll(mu, logvar, batch["y"]) + net.hyper["alpha"] * (1 - batch_r2(batch["y"], mu))


def aligned(net: Net, batch: dict):
    """The same, with the covariances of both processes' features drawn together: + lambda CORAL."""
    mu, logvar, features = net(batch["x"])
    loss = heteroscedastic_nll(mu, logvar, batch["y"]) + net.hyper["alpha"] * (1 - batch_r2(batch["y"], mu))
    return loss + net.hyper["lambda"] * coral_loss(net(batch["source_x"])[2], features)


def held(net: Net, batch: dict):
    """Mean squared error and L2-SP: the trained parameters are pulled to their pre-trained values."""
    return mse(net, batch) + net.hyper["l2sp"] * l2sp(net.params, net.start)


@dataclass(frozen=True)
class Stage:
    """One stage of the two-headed network's fine-tuning."""

    number: int  # among the stages: the position of its learning rate
    loss: Callable
    trainable: Callable[[str, int], bool]  # (parameter name, number of hidden layers)
    before: str


def head_bias(name: str, layers: int) -> bool:
    """The bias of head B."""
    return name.startswith("head_B") and name.endswith("bias")


def head_all(name: str, layers: int) -> bool:
    """All of head B."""
    return name.startswith("head_B")


def head_and_last(name: str, layers: int) -> bool:
    """Head B and the last layer of the backbone."""
    return name.startswith(("head_B", f"backbone.{layers - 1}."))


STAGES = {
    "bias": Stage(0, mse, head_bias, "source"),
    "head": Stage(1, held, head_all, "bias"),
    "unfreeze": Stage(2, held, head_and_last, "head"),
}


def tensor(values: np.ndarray) -> torch.Tensor:
    """Return values as float32."""
    return torch.from_numpy(np.asarray(values, np.float32))


@dataclass(frozen=True)
class Rows:
    """What a stacked fit learns from: arrays, and for each of K networks its rows, validation rows and seed."""

    x: np.ndarray  # (n, d)
    y: np.ndarray  # (n, M), or (K, n, M) where each network has its own scaling
    rows: Sequence[np.ndarray]
    seeds: Sequence[int]
    val_rows: Sequence[np.ndarray] | None = None
    source_x: np.ndarray | None = None
    device: str = "cpu"

    def fit(self, nets, loss, train: StackedConfig, **more):
        """Train `nets` on these rows; returns the fit with its curves."""
        y = tensor(self.y)
        data = {"x": tensor(self.x)[None], "y": y if y.dim() == 3 else y[None]}
        extra = None if self.source_x is None else {"source_x": tensor(self.source_x)}
        shared = {"val_rows": self.val_rows, "seeds": self.seeds, "extra": extra, "device": self.device}
        return fit_stacked(nets, data, self.rows, loss, train, **shared, **more)


def run_stage(name: str, nets, rows: Rows, weights: Weights, how: Recipe, start=None):
    """Run one stage of the two-headed fine-tuning on `nets`; `start` holds the pre-trained weights of L2-SP."""
    stage = STAGES[name]
    train = replace(how.target, lr=how.stage_rates[stage.number], epochs=how.stage_epochs)
    hyper = {"l2sp": [weights.l2sp] * len(nets)}
    return rows.fit(nets, stage.loss, train, hyper=hyper, start=start, trainable=lambda n: stage.trainable(n, how.body.layers))


def fit_method(
    method: str, rows: Rows, weights: Weights | None, how: Recipe, sizes: OpampNetConfig, trained: Sequence[MLP]
) -> list:
    """Train the networks of `method`, one for each row set, and return them.

    trained  source networks of the same sizes; row set k starts from number k modulo their count
    """
    K = len(rows.rows)
    alike = [trained[k % len(trained)] for k in range(K)] if trained else []
    if method in ("mlp", "resonant", "mlp_source_features"):
        return rows.fit(fresh("mlp", sizes, rows.seeds), mse, how.target).nets
    if method == "fine_tune":
        return rows.fit(alike, mse, how.target).nets
    if method == "dual_head":
        nets = start = [start_from(net, a) for net, a in zip(fresh("dual", sizes, rows.seeds), alike, strict=True)]
        for name in STAGES:
            nets = run_stage(name, nets, rows, weights, how, start).nets
        return nets
    hyper = {"alpha": [weights.r2] * K, "lambda": [weights.coral] * K}
    nets = fresh("hetero", sizes, rows.seeds)
    if method == "target_hetero":
        return rows.fit(nets, hetero, how.target, hyper=hyper).nets
    nets = [start_from(net, a) for net, a in zip(nets, alike, strict=True)]
    return rows.fit(nets, aligned, how.target, hyper=hyper).nets


def predict(nets: Sequence[nn.Module], x: np.ndarray) -> list[Predicted]:
    """Return mean and, where the networks have one, standard deviation of every network for all rows."""
    out = predict_stacked(nets, tensor(x))
    if isinstance(out, tuple):
        mean, sd = out[0].double().numpy(), (out[1] / 2).exp().double().numpy()
        return list(zip(mean, sd, strict=True))
    return [(mean, None) for mean in out.double().numpy()]
