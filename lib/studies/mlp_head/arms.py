"""Follow-ups of the head: attention pooling, the unfrozen encoder, folds, and the table of all that were asked for."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib import denoising, metrics
from lib.data.batches import Source, Spectra, SpectraBatches
from lib.heads import EncoderAndHead, FeatureBatches, predictions, standardised, train_regressor
from lib.models.blindspot import BlindSpotDenoiser
from lib.models.heads import AttentionPoolHead, MLPHead, Standardised
from lib.runs import cached
from lib.runtime import Runtime
from lib.studies.mlp_head.config import ARMS, MLPHeadConfig
from lib.studies.mlp_head.experiments import FIELDS, SPLITS, Prepared, Trained, head, log_g, read, write
from lib.weights import fill, read_weights


def attention(config: MLPHeadConfig, runtime: Runtime, prepared: Prepared) -> Trained:
    """Train a head that pools by attention over the unpooled latents (one noise realisation)."""
    key = prepared.key | {"arm": "attention", "epochs": config.arm_epochs, "layer": config.layer, "direction": config.direction}
    folder = cached("mlp_head", partial(_attention, config, runtime, prepared), config=key, runtime=runtime, force=config.force)
    return read(folder, 0)


def _attention(config: MLPHeadConfig, runtime: Runtime, prepared: Prepared, folder: Path) -> None:
    column = [log_g(config)]
    x = {s: unpooled(config, prepared, getattr(prepared, s)) for s in SPLITS}
    y = {s: prepared.labels(s, column) for s in SPLITS}
    torch.manual_seed(config.seed)
    model = standardised(AttentionPoolHead(*x["train"].shape[1:], dropout=config.dropout), x["train"], y["train"])
    settings = config.training(epochs=config.arm_epochs)
    batches = {
        s: FeatureBatches(lambda _, s=s: x[s], y[s], batch_size=settings.batch_size, shuffle=s == "train") for s in SPLITS
    }
    shared = {"y_scale": y["train"].std(0), "settings": settings, "folder": folder, "runtime": runtime}
    done = train_regressor(model, batches["train"], batches["val"], **shared)
    write(folder, model, done.history, {s: predictions(model, batches[s]) for s in ("val", "test")})


@torch.no_grad()
def unpooled(config: MLPHeadConfig, prepared: Prepared, source: Source) -> Tensor:
    """Return latents (n, C, L') of a source."""
    parts = denoising.in_order(source)
    stacked = (denoising.stack_input(p.noisy, p.sigma, prepared.denoiser.config) for p in parts)
    return torch.cat([prepared.denoiser.latents(x, config.layer, config.direction) for x in stacked])


def unfrozen(config: MLPHeadConfig, runtime: Runtime, prepared: Prepared, start: Trained) -> Trained:
    """Train encoder and head together from the frozen head's weights, with fresh noise: the arm that decides `end-to-end`."""
    key = prepared.key | {
        "arm": "unfrozen",
        "epochs": config.arm_epochs,
        "rate": config.unfrozen_rate,
        "from": start.folder.name,
    }
    compute = partial(_unfrozen, config, runtime, prepared, start.folder)
    return read(cached("mlp_head", compute, config=key, runtime=runtime, force=config.force), 0)


def _unfrozen(config: MLPHeadConfig, runtime: Runtime, prepared: Prepared, start: Path, folder: Path) -> None:
    model = EncoderAndHead(
        load_copy(prepared.denoiser),
        config.layer,
        config.pooling,
        config.direction,
        load_head(start / "head.safetensors", dropout=config.dropout),
        config.edges,
    ).to(runtime.device)
    settings = config.training(
        epochs=config.arm_epochs, learning_rate=config.unfrozen_rate, batch_size=min(config.batch_size, 64)
    )
    column = log_g(config)
    sources = {s: OneLabel(getattr(prepared, s), column) for s in SPLITS}
    batches = {s: SpectraBatches(src, batch_size=settings.batch_size, fields=FIELDS) for s, src in sources.items()}
    batches["train"] = SpectraBatches(
        sources["train"], batch_size=settings.batch_size, seed=config.seed, shuffle=True, fresh=True, fields=FIELDS
    )
    shared = {"y_scale": prepared.labels("train", [column]).std(0), "settings": settings, "folder": folder, "runtime": runtime}
    done = train_regressor(model, batches["train"], batches["val"], **shared)
    write(folder, model, done.history, {s: predictions(model, batches[s]) for s in ("val", "test")})


class OneLabel:
    """A source with one of its labels alone."""

    def __init__(self, source: Source, column: int) -> None:
        self.source, self.column, self.labels = source, column, source.labels[:, column : column + 1]
        self.wave, self.seed, self.device, self.sigma_is_drawn = source.wave, source.seed, source.device, source.sigma_is_drawn

    def __len__(self) -> int:
        return len(self.source)

    def stage(self, blocks: list[int], rows: Tensor | None = None) -> None:
        """Bring aligned blocks of rows near."""
        self.source.stage(blocks, rows)

    def take(self, rows: Tensor, normal: Tensor | None) -> Spectra:
        """Return rows (B,) as the source does, with the one label."""
        seen = self.source.take(rows, normal)
        return seen._replace(labels=seen.labels[:, self.column : self.column + 1])


def load_copy(denoiser: BlindSpotDenoiser) -> BlindSpotDenoiser:
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


def folds(config: MLPHeadConfig, runtime: Runtime, prepared: Prepared, found: dict[str, Any]) -> pd.DataFrame:
    """Cross-validate: one row per fold with R2 on its held-out rows and on the test set; validation rows stop the training."""
    if "folds" not in config.arms:
        return pd.DataFrame(columns=["fold", "held_r2", "test_r2"])
    cell, y = (config.layer, config.pooling), prepared.labels("train", [log_g(config)])[:, 0]
    order = torch.randperm(len(y), generator=runtime.generator(77)).to(y.device) % config.folds
    rows = []
    for k in range(config.folds):
        changes = {"name": f"fold_{k}", "rows": order != k, "epochs": config.arm_epochs}
        trained = head(config, runtime, prepared, found, cell, **changes)
        held = metrics.r2(y[order == k].double().cpu().numpy(), trained.pred["held"])
        test = metrics.r2(prepared.labels("test", [log_g(config)])[:, 0].double().cpu().numpy(), trained.pred["test"])
        rows.append({"fold": k, "held_r2": float(held), "test_r2": float(test)})
    return pd.DataFrame(rows)


def follow_ups(
    config: MLPHeadConfig, runtime: Runtime, prepared: Prepared, found: dict[str, Any], main: Trained
) -> tuple[dict[str, Trained], str]:
    """Train the heads that `arms` names; return them by name, and the names of the arms left out."""
    cell = (config.layer, config.pooling)
    train = partial(head, config, runtime, prepared, found, cell, epochs=config.arm_epochs)
    known: dict[str, Callable[[], Trained]] = {
        **{name: partial(train, name=name, **changes) for name, changes in recipes(config).items()},
        "attention": lambda: attention(config, runtime, prepared),
        "unfrozen": lambda: unfrozen(config, runtime, prepared, main),
    }
    trained = {name: make() for name, make in known.items() if name in config.arms}
    left_out = [name for name in ARMS if name not in config.arms]
    return trained, ", ".join(left_out) or "-"


def recipes(config: MLPHeadConfig) -> dict[str, dict[str, Any]]:
    """Return how the heads on the frozen encoder differ from the main one, by name."""
    return {
        "linear": {"num_hidden": 0}, "mlp_2": {"num_hidden": 2}, "hidden_128": {"hidden": 128}, "hidden_512": {"hidden": 512},
        "multitask": {"columns": range(len(config.labels))},
    }  # fmt: skip


def repeats(
    config: MLPHeadConfig, runtime: Runtime, prepared: Prepared, found: dict[str, Any], names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Train the main head and those of `names` that `arms` asks for with `head_seeds` seeds; return test predictions (S, n).

    Initial weights, order of the batches and dropout differ between the seeds; encoder, stars and noise stay.
    """
    asked = [name for name in names if name in config.arms]
    changes = {"mlp": {}} | {name: recipes(config)[name] | {"epochs": config.arm_epochs} for name in asked}
    seeds = range(config.seed, config.seed + config.head_seeds) if asked else []
    runs = [(config.model_copy(update={"seed": seed}), replace(runtime, seed=seed)) for seed in seeds]
    cell = (config.layer, config.pooling)
    return {
        name: np.stack([head(*run, prepared, found, cell, name=name, **more).pred["test"] for run in runs])
        for name, more in changes.items()
        if asked
    }
