"""Read labels off features by Ridge and LightGBM: one row of scores per set of features and label, and the predictions behind it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from lib import evidence, latents, metrics
from lib.data.sets import SPLITS
from lib.latents import Cell
from lib.models.blindspot import BlindSpotDenoiser
from lib.probes import RIDGE_ALPHA, binned, boost, ridge_path
from lib.runtime import Runtime
from lib.studies.latent_extraction.arms import PRETRAINED, named
from lib.studies.latent_extraction.config import LatentExtractionConfig
from lib.studies.latent_extraction.sets import Sets

Features = dict[str, Tensor]  # split -> (n, d)


@dataclass
class Probed:
    """Scores and test predictions of sets of features.

    table      a row per set of features and label: arm, layer, pooling, direction, probe, label, dim, train_r2, val_r2, test_r2, ...
    predicted  arm (see `named`), seed, label, unit, truth, pred
    features   what was read, by split and cell, where it is kept
    """

    table: pd.DataFrame
    predicted: pd.DataFrame
    features: dict[str, dict[Cell, Tensor]] = field(default_factory=dict)


def joined(parts: Iterable[Probed]) -> Probed:
    """Return several as one, without their features."""
    parts = list(parts)
    frames = ([getattr(p, name) for p in parts] for name in ("table", "predicted"))
    return Probed(*(pd.concat(frame, ignore_index=True) if frame else pd.DataFrame() for frame in frames))


def scored(
    config: LatentExtractionConfig, name: str, truth: dict[str, np.ndarray], pred: dict[str, np.ndarray], labels: Sequence[str],
    *, seed: int = 0, **columns: Any,
) -> Probed:  # fmt: skip
    """Score predictions (n, k) of the splits; `columns` say in the table what was read and by which probe."""
    parts = [evidence.predictions(name, truth["test"][:, i], pred["test"][:, i], seed=seed, label=label)
             for i, label in enumerate(labels)]  # fmt: skip
    predicted = pd.concat(parts, ignore_index=True)
    seen = {f"{split}_r2": metrics.r2(truth[split], pred[split]) for split in pred if split != "test"}
    tested = evidence.scores(predicted, ("label",), n=config.n_boot, seed=config.seed)
    return Probed(pd.DataFrame({**columns, **tested[["label"]], **seen, **tested.drop(columns="label")}), predicted)


def ridge(
    config: LatentExtractionConfig,
    x: Features,
    y: Features,
    name: str,
    alphas: Sequence[float] = (RIDGE_ALPHA,),
    **columns: Any,
) -> Probed:
    """Fit Ridge on train under the penalty (the column `alpha`, of several) that validation chooses for log g."""
    column = config.labels.index("log_g")
    path = ridge_path(x["train"], y["train"], alphas)
    best = int(np.argmin([(p.predict(x["val"])[:, column] - y["val"][:, column]).square().mean().item() for p in path]))
    truth = {split: y[split].double().cpu().numpy() for split in SPLITS}
    pred = {split: path[best].predict(x[split]).cpu().numpy() for split in SPLITS}
    columns |= {"alpha": alphas[best]} if len(alphas) > 1 else {}
    seed = columns.pop("seed", 0)
    return scored(config, name, truth, pred, config.labels, seed=seed, **columns, probe="ridge", dim=len(path[best].coef))


def trees(
    config: LatentExtractionConfig, runtime: Runtime, x: Features, y: Features, name: str, labels: Sequence[str], **columns: Any
) -> Probed:
    """Fit LightGBM on train, label by label: the documents' second probe."""
    data, which, threads = binned(x["train"]), [config.labels.index(label) for label in labels], runtime.threads
    models = [boost(data, y["train"][:, i], seed=config.seed, threads=threads) for i in which]
    values = {split: x[split].float().cpu().numpy() for split in ("train", "test")}
    pred = {s: np.stack([m.predict(v, num_threads=threads) for m in models], 1) for s, v in values.items()}
    truth = {split: y[split][:, which].double().cpu().numpy() for split in values}
    return scored(config, f"{name} (lightgbm)", truth, pred, labels, **columns, probe="lightgbm", dim=values["train"].shape[1])


def probe(
    config: LatentExtractionConfig,
    denoiser: BlindSpotDenoiser,
    sets: Sets,
    cells: Sequence[Cell],
    *,
    arm: str = PRETRAINED,
    **more: Any,
) -> Probed:
    """Extract the features of every cell and read them by Ridge; `more` as of `read_cells`."""
    options = {"direction": config.direction, "edges": config.edges}
    features = {s: latents.pooled(denoiser, getattr(sets, s), cells, **options) for s in SPLITS}
    return read_cells(config, sets, features, arm=arm, direction=config.direction, **more)


def read_cells(
    config: LatentExtractionConfig, sets: Sets, features: dict[str, dict[Cell, Tensor]], *, arm: str, direction: str, shown: str = "",
    seed: int = 0,
) -> Probed:  # fmt: skip
    """Read the features of every cell by Ridge.

    arm    what predictions are named after;  shown: what the table calls it, `arm` where empty
    """
    parts = []
    for cell in features["train"]:
        columns = {"arm": shown or arm, "layer": cell[0], "pooling": cell[1], "direction": direction}
        x = {s: features[s][cell] for s in SPLITS}
        parts.append(ridge(config, x, sets.y, named(cell, arm), seed=seed, **columns))
    found = joined(parts)
    return Probed(found.table, found.predicted, features)


def tree_cells(config: LatentExtractionConfig, runtime: Runtime, sets: Sets, probed: Probed, cells: Iterable[Cell]) -> Probed:
    """Read cells by LightGBM; log g alone without the arm `lightgbm`."""
    names = [label for label in config.labels if label == "log_g" or "lightgbm" in config.arms]
    parts = []
    for cell in cells:
        columns = {"arm": PRETRAINED, "layer": cell[0], "pooling": cell[1], "direction": config.direction}
        x = {s: probed.features[s][cell] for s in SPLITS}
        parts.append(trees(config, runtime, x, sets.y, named(cell), names, **columns))
    return joined(parts)
