"""The experiments of `mlp_head`: features of the frozen encoder, the Ridge baseline, every head, and their predictions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor

from lib import denoising, evidence, metrics, paths
from lib.arms import Arm
from lib.data.batches import Source
from lib.data.sets import Splits
from lib.files import read_json
from lib.latents import Cell
from lib.models.blindspot import BlindSpotDenoiser
from lib.probes import fit_ridge
from lib.runtime import Runtime
from lib.steps.denoiser import Encoder, encoder_at, open_encoder
from lib.steps.head import (
    HISTORY,
    LABEL,
    PREDICTIONS,
    AttentionSpec,
    HeadSpec,
    UnfrozenSpec,
    left_out,
    pooled,
    train_attention,
    train_head,
    train_unfrozen,
)
from lib.studies.mlp_head.arms import DOCUMENTS, own_cell, spec_of, trainings
from lib.studies.mlp_head.config import MLPHeadConfig

SPECTRA = ("window_aa", "noise_preset", "noise_level", "error_source")
STEPS = {HeadSpec: train_head, AttentionSpec: train_attention, UnfrozenSpec: train_unfrozen}


@dataclass(frozen=True)
class Prepared:
    """The frozen encoder, the three sets, and the specs that both were opened from."""

    denoiser: BlindSpotDenoiser
    train: Source
    val: Source
    test: Source
    encoder: Encoder
    data: Splits


@dataclass(frozen=True)
class Trained:
    """A trained head: its arm, predictions of log g (n,) by split, its history, and its weights' folder."""

    arm: Arm
    pred: dict[str, np.ndarray]
    history: pd.DataFrame
    folder: Path


def prepare(config: MLPHeadConfig, runtime: Runtime) -> Prepared:
    """Load the frozen encoder and open the sets; ValueError where they do not belong together."""
    weights = paths.resolve(config.checkpoint or f"build/{config.profile}/latent_extraction/model/{denoising.WEIGHTS}")
    if not weights.is_file():
        raise ValueError(
            f"There are no weights {weights}: run latent_extraction at profile '{config.profile}' first, or name a checkpoint."
        )
    recipe = weights.with_name("encoder.json")
    if recipe.is_file() and config.embedded:
        trained = read_json(recipe)["spectra"]
        for name in SPECTRA:
            if trained[name] != getattr(config, name):
                raise ValueError(
                    f"The encoder was trained with {name} {trained[name]!r}, but '{name}' is {getattr(config, name)!r}: "
                    "make them agree."
                )
    encoder, data = encoder_at(weights), config.splits()
    return Prepared(open_encoder(encoder, runtime.device), **data.open(runtime.device), encoder=encoder, data=data)


def truth(config: MLPHeadConfig, prepared: Prepared, split: str = "test") -> np.ndarray:
    """Return log g (n,) of a split."""
    return getattr(prepared, split).labels[:, config.labels.index(LABEL)].double().cpu().numpy()


def features(config: MLPHeadConfig, prepared: Prepared, cells: Sequence[Cell]) -> dict[str, Any]:
    """Return pooled latents of val and test, and those of train under every cached noise realisation (at least one)."""

    def extract(split: str, epoch: int = 0) -> dict[Cell, Tensor]:
        options = {"direction": config.direction, "edges": config.edges, "epoch": epoch}
        return pooled(prepared.encoder, getattr(prepared.data, split), cells, prepared.test.device, **options)

    draws = [extract("train", epoch) for epoch in range(max(config.realisations, 1))]
    return {"val": extract("val"), "test": extract("test"), "train": draws}


def ridge(
    config: MLPHeadConfig, prepared: Prepared, found: dict[str, Any], cell: Cell, *, draws: int | None = None
) -> dict[str, np.ndarray]:
    """Return the val and test predictions (n,) of the documents' Ridge probe on the features that the head learns from.

    draws  how many of the cached noise realisations it is fitted on; all by default, as the head sees them all
    """
    seen, column = [draw[cell] for draw in found["train"][:draws]], config.labels.index(LABEL)
    probe = fit_ridge(torch.cat(seen), prepared.train.labels[:, [column]].repeat(len(seen), 1))
    return {s: probe.predict(found[s][cell])[:, 0].cpu().numpy() for s in ("val", "test")}


def ridge_validation(config: MLPHeadConfig, prepared: Prepared, found: dict[str, Any]) -> float:
    """Return Ridge's validation R2 on the main head's features."""
    return float(metrics.r2(truth(config, prepared, "val"), ridge(config, prepared, found, own_cell(config))["val"]))


def train(config: MLPHeadConfig, runtime: Runtime, prepared: Prepared) -> list[Trained]:
    """Train every head of a run, the main one first; cached, resumable."""
    heads = []
    for arm in trainings(config):
        spec = spec_of(config, prepared, arm)
        folder = STEPS[type(spec)](spec, runtime, force=config.force)
        heads.append(read(folder, arm, getattr(spec, "predicts", (LABEL,)).index(LABEL)))
    return heads


def read(folder: Path, arm: Arm, column: int = 0) -> Trained:
    """Return what a step left of the label in a column."""
    pred = {s: p[:, column].double().numpy() for s, p in load_file(folder / PREDICTIONS).items()}
    return Trained(arm, pred, pd.read_csv(folder / HISTORY), folder)


def predictions(config: MLPHeadConfig, prepared: Prepared, found: dict[str, Any], heads: Sequence[Trained]) -> pd.DataFrame:
    """Return log g of the test stars by Ridge and by every head on the main cell: arm, seed, unit, truth, pred."""
    y, own = truth(config, prepared), own_cell(config)
    baselines = {"ridge": None, "ridge_one_draw": 1}
    parts = [evidence.predictions(name, y, ridge(config, prepared, found, own, draws=n)["test"], seed=config.seed)
             for name, n in baselines.items()]  # fmt: skip
    shown = [head for head in heads if head.arm.group not in ("cells", "folds")]
    learnt = [evidence.predictions(head.arm.name, y, head.pred["test"], seed=head.arm.seed) for head in shown]
    return pd.concat([parts[0], learnt[0], parts[1], *learnt[1:]], ignore_index=True)


def cell_predictions(
    config: MLPHeadConfig, prepared: Prepared, found: dict[str, Any], heads: Sequence[Trained]
) -> pd.DataFrame:
    """Return log g of the test stars by Ridge (and by the head, where it was trained) on every cell, with layer and pooling."""
    y, own, parts = truth(config, prepared), own_cell(config), []
    trained = {head.arm.changes["cell"]: head for head in heads if head.arm.group == "cells"} | {own: heads[0]}
    for cell in dict.fromkeys([own, *DOCUMENTS]):
        where = {"layer": cell[0], "pooling": cell[1]}
        parts.append(evidence.predictions("ridge", y, ridge(config, prepared, found, cell)["test"], **where))
        if cell in trained:
            parts.append(evidence.predictions("mlp", y, trained[cell].pred["test"], **where))
    return pd.concat(parts, ignore_index=True)


def folds(config: MLPHeadConfig, prepared: Prepared, heads: Sequence[Trained]) -> pd.DataFrame:
    """Return one row per fold: R2 on its held-out rows and on the test set; validation rows stopped the training."""
    y, rows = truth(config, prepared, "train"), []
    for head in (h for h in heads if h.arm.group == "folds"):
        k = head.arm.changes["fold"]
        held = y[left_out(len(y), head.arm.seed, k, config.folds).numpy()]
        scores = {
            "held_r2": metrics.r2(held, head.pred["held"]),
            "test_r2": metrics.r2(truth(config, prepared), head.pred["test"]),
        }
        rows.append({"fold": k} | {name: float(value) for name, value in scores.items()})
    return pd.DataFrame(rows, columns=["fold", "held_r2", "test_r2"])


def histories(heads: Sequence[Trained]) -> pd.DataFrame:
    """Return the training histories on the main cell, first seeds alone: arm, seed, epoch, val_r2, val_rmse, val_mae, train_loss."""
    columns = ["epoch", "val_r2", "val_rmse", "val_mae", "train_loss"]
    first = {h.arm.name: h for h in reversed(heads) if h.arm.group not in ("cells", "folds")}
    ordered = [h for h in heads if first.get(h.arm.name) is h]
    parts = [h.history.reindex(columns=columns).assign(arm=h.arm.name, seed=h.arm.seed) for h in ordered]
    return pd.concat(parts, ignore_index=True)
