"""The experiments of `mlp_head`: features of the frozen encoder, the Ridge baseline, the head, and its follow-ups."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lib import denoising, latents, paths
from lib.data.batches import Source
from lib.data.sets import PROBE_STREAM, describe, open_set
from lib.files import fingerprint, read_json
from lib.heads import FeatureBatches, standardised, train_regressor
from lib.latents import Cell
from lib.models.blindspot import BlindSpotDenoiser, load_pretrained
from lib.models.heads import MLPHead
from lib.probes import fit_ridge
from lib.runs import cached
from lib.runtime import Runtime
from lib.studies.mlp_head.config import MLPHeadConfig

SPLITS = ("train", "val", "test")
SPECTRA = ("window_aa", "noise_preset", "noise_level", "error_source")
FIELDS = ("noisy", "sigma", "labels")


@dataclass(frozen=True)
class Prepared:
    """The frozen encoder, the three sets, and where both came from."""

    denoiser: BlindSpotDenoiser
    train: Source
    val: Source
    test: Source
    key: dict[str, Any]  # what results depend on, for the run cache

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
    denoiser = load_pretrained(weights).to(runtime.device).requires_grad_(False)
    sizes = {"train": config.n_train, "val": config.n_val, "test": config.n_test}
    sets = {s: open_set(config, s, n, device=runtime.device, stream=PROBE_STREAM) for s, n in sizes.items()}
    spectra = {name: getattr(config, name) for name in (*SPECTRA, "n_train", "n_val", "n_test", "labels", "mask_ratio")}
    key = {"weights": fingerprint(weights), "spectra": spectra, "data": describe(config)["fingerprint"]}
    return Prepared(denoiser, **sets, key=key)


def log_g(config: MLPHeadConfig) -> int:
    """Return the column of log g."""
    return config.labels.index("log_g")


def extract(config: MLPHeadConfig, prepared: Prepared, split: str, cells: Sequence[Cell], epoch: int = 0) -> dict[Cell, Tensor]:
    """Return pooled latents of a split under one noise draw."""
    options = {"direction": config.direction, "edges": config.edges}
    return latents.pooled(prepared.denoiser, getattr(prepared, split), cells, epoch=epoch, **options)


def features(config: MLPHeadConfig, prepared: Prepared, cells: Sequence[Cell]) -> dict[str, Any]:
    """Return val and test features, and the training features of every cached noise realisation (at least one)."""
    found = {split: extract(config, prepared, split, cells) for split in ("val", "test")}
    draws = [extract(config, prepared, "train", cells, epoch=i) for i in range(max(config.realisations, 1))]
    return found | {"train": draws}


def drawer(config: MLPHeadConfig, prepared: Prepared, found: dict[str, Any], cell: Cell) -> Callable[[int], Tensor]:
    """Return epoch -> training features: a cached realisation, or with `realisations` 0 a new draw of the noise."""
    if config.realisations == 0:
        return lambda epoch: extract(config, prepared, "train", [cell], epoch=epoch)[cell]
    return lambda epoch: found["train"][epoch % config.realisations][cell]


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


def head(
    config: MLPHeadConfig,
    runtime: Runtime,
    prepared: Prepared,
    found: dict[str, Any],
    cell: Cell,
    *,
    name: str,
    num_hidden: int = 1,
    hidden: int | None = None,
    columns: Sequence[int] | None = None,
    rows: Tensor | None = None,
    **changes: Any,
) -> Trained:
    """Train a head on the frozen encoder's latents; cached, resumable.

    columns  labels it predicts (default: log g);  rows: a mask of the training rows to use, the others are `held`
    """
    columns = [log_g(config)] if columns is None else list(columns)
    settings = config.training(**changes)
    shape = {"num_hidden": num_hidden, "hidden": hidden or config.hidden, "columns": columns, "dropout": config.dropout}
    fold = {} if rows is None else {"rows": int(rows.sum()), "fold": name}
    key = prepared.key | shape | fold | asdict(settings) | {"cell": list(cell), "realisations": config.realisations}
    key |= {"direction": config.direction, "edges": config.edges, "arm": name}
    compute = partial(_head, config, runtime, prepared, found, cell, shape, settings, rows)
    folder = cached("mlp_head", compute, config=key, runtime=runtime, force=config.force)
    return read(folder, columns.index(log_g(config)))


def _head(config, runtime: Runtime, prepared: Prepared, found, cell: Cell, shape, settings, rows, folder: Path) -> None:
    columns, draw = shape["columns"], drawer(config, prepared, found, cell)
    y = {split: prepared.labels(split, columns) for split in SPLITS}
    x = {split: found[split][cell] for split in ("val", "test")}
    kept = torch.ones(len(y["train"]), dtype=torch.bool, device=y["train"].device) if rows is None else rows
    first, y_train = draw(0)[kept], y["train"][kept]
    torch.manual_seed(config.seed)
    mlp = MLPHead(first.shape[1], shape["hidden"], len(columns), num_hidden=shape["num_hidden"], dropout=shape["dropout"])
    model = standardised(mlp, first, y_train)
    options = {"batch_size": settings.batch_size, "seed": config.seed}
    shared = {"y_scale": y_train.std(0), "settings": settings, "folder": folder, "runtime": runtime}
    train = FeatureBatches(lambda epoch: draw(epoch)[kept], y_train, shuffle=True, **options)
    val = FeatureBatches(lambda _: x["val"], y["val"], **options)
    done = train_regressor(model, train, val, monitored=columns.index(log_g(config)), **shared)
    if rows is not None:
        x["held"] = draw(0)[~kept]
    model.eval()
    with torch.no_grad():
        write(folder, model, done.history, {split: model(features) for split, features in x.items()})


def write(folder: Path, model: nn.Module, history: pd.DataFrame, pred: dict[str, Tensor]) -> None:
    save_file({k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}, folder / "head.safetensors")
    save_file({s: p.cpu().contiguous() for s, p in pred.items()}, folder / "predictions.safetensors")
    history.to_csv(folder / "history.csv", index=False)


def read(folder: Path, column: int) -> Trained:
    pred = {s: p[:, column].double().numpy() for s, p in load_file(folder / "predictions.safetensors").items()}
    return Trained(pred, pd.read_csv(folder / "history.csv"), folder)


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
            changes = {"name": "_".join(cell), "epochs": config.arm_epochs}
            heads[cell] = head(config, runtime, prepared, found, cell, **changes).pred["test"]
    return ridges, heads
