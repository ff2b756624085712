"""The experiments of `mlp_head`: features of the frozen encoder, the Ridge baseline, the head, and its follow-ups."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor

from lib import denoising, paths
from lib.data.batches import Source
from lib.data.sets import Splits
from lib.files import read_json
from lib.latents import Cell
from lib.models.blindspot import BlindSpotDenoiser
from lib.probes import fit_ridge
from lib.runtime import Runtime
from lib.steps.denoiser import Encoder, encoder_at, open_encoder
from lib.steps.head import HISTORY, PREDICTIONS, HeadSpec, pooled, train_head
from lib.studies.mlp_head.config import MLPHeadConfig

SPECTRA = ("window_aa", "noise_preset", "noise_level", "error_source")


@dataclass(frozen=True)
class Prepared:
    """The frozen encoder, the three sets, and the specs that both were opened from."""

    denoiser: BlindSpotDenoiser
    train: Source
    val: Source
    test: Source
    encoder: Encoder
    data: Splits

    def labels(self, split: str, columns: Sequence[int]) -> Tensor:
        """Return labels (n, k) of a split in their own units."""
        return getattr(self, split).labels[:, list(columns)]


@dataclass
class Trained:
    """A trained head: test predictions of log g (n,), its history, and its weights' folder."""

    pred: dict[str, np.ndarray]
    history: pd.DataFrame
    folder: Path = field(default_factory=Path)


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
        differs = [name for name in SPECTRA if trained[name] != getattr(config, name)]
        if differs:
            name = differs[0]
            raise ValueError(
                f"The encoder was trained with {name} {trained[name]!r}, but '{name}' is {getattr(config, name)!r}: make them agree."
            )
    encoder, data = encoder_at(weights), config.splits()
    return Prepared(open_encoder(encoder, runtime.device), **data.open(runtime.device), encoder=encoder, data=data)


def log_g(config: MLPHeadConfig) -> int:
    """Return the column of log g."""
    return config.labels.index("log_g")


def extract(config: MLPHeadConfig, prepared: Prepared, split: str, cells: Sequence[Cell], epoch: int = 0) -> dict[Cell, Tensor]:
    """Return pooled latents of a split under one noise draw."""
    options = {"direction": config.direction, "edges": config.edges, "epoch": epoch}
    return pooled(prepared.encoder, getattr(prepared.data, split), cells, prepared.test.device, **options)


def features(config: MLPHeadConfig, prepared: Prepared, cells: Sequence[Cell]) -> dict[str, Any]:
    """Return val and test features, and the training features of every cached noise realisation (at least one)."""
    found = {split: extract(config, prepared, split, cells) for split in ("val", "test")}
    draws = [extract(config, prepared, "train", cells, epoch=i) for i in range(max(config.realisations, 1))]
    return found | {"train": draws}


def ridge(
    config: MLPHeadConfig, prepared: Prepared, found: dict[str, Any], cell: Cell, *, draws: int | None = None
) -> dict[str, np.ndarray]:
    """Return the val and test predictions (n,) of the documents' Ridge probe on the features that the head learns from.

    draws  how many of the cached noise realisations it is fitted on; all by default, as the head sees them all
    """
    seen = [draw[cell] for draw in found["train"][:draws]]
    y = prepared.labels("train", [log_g(config)])
    probe = fit_ridge(torch.cat(seen), y.repeat(len(seen), 1))
    return {s: probe.predict(found[s][cell])[:, 0].cpu().numpy() for s in ("val", "test")}


def head(config: MLPHeadConfig, runtime: Runtime, prepared: Prepared, cell: Cell, **changes: Any) -> Trained:
    """Train a head on the frozen encoder's latents; cached, resumable; `changes` as of `head_spec`."""
    spec = head_spec(config, prepared, cell, **changes)
    return read(train_head(spec, runtime, force=config.force), spec.predicts.index("log_g"))


def head_spec(config: MLPHeadConfig, prepared: Prepared, cell: Cell, *, epochs: int | None = None, **changes: Any) -> HeadSpec:
    """Return the spec of a head on a cell; `changes` of hidden, num_hidden, predicts, fold, folds."""
    own = {name: getattr(config, name) for name in ("direction", "edges", "hidden", "dropout", "realisations", "seed")}
    training = config.training(epochs=epochs or config.epochs)
    return HeadSpec(prepared.encoder, prepared.data, cell, training=training, **own | changes)


def read(folder: Path, column: int = 0) -> Trained:
    """Return what a step left of the label in a column."""
    pred = {s: p[:, column].double().numpy() for s, p in load_file(folder / PREDICTIONS).items()}
    return Trained(pred, pd.read_csv(folder / HISTORY), folder)


def truth(config: MLPHeadConfig, prepared: Prepared, split: str = "test") -> np.ndarray:
    """Return log g (n,) of a split."""
    return prepared.labels(split, [log_g(config)])[:, 0].double().cpu().numpy()


def blank_cells(
    config: MLPHeadConfig, runtime: Runtime, prepared: Prepared, found: dict[str, Any], cells: Sequence[Cell], main: Trained
) -> tuple[dict[Cell, np.ndarray], dict[Cell, np.ndarray]]:
    """Return test predictions of Ridge and of the head on every cell; the head on the main cell alone without the arm."""
    own = (config.layer, config.pooling)
    ridges = {cell: ridge(config, prepared, found, cell)["test"] for cell in cells}
    heads = {own: main.pred["test"]}
    for cell in cells if "cells" in config.arms else []:
        if cell != own:
            heads[cell] = head(config, runtime, prepared, cell, epochs=config.arm_epochs).pred["test"]
    return ridges, heads
