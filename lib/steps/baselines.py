"""Steps: Ridge and LightGBM on pixels, their hyper-parameters searched on the validation set."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import lightgbm
import numpy as np
import torch
from torch import Tensor

from lib import metrics
from lib.data.batches import Source
from lib.data.views import chunks
from lib.probes import RidgeProbe
from lib.runtime import Runtime, rank
from lib.steps import step
from lib.steps.splits import FileSplits, GridSplits, Sets, leave, open_sets, shown

STOP_AFTER = 50  # LightGBM rounds without gain on validation


@dataclass(frozen=True)
class RidgeSpec:
    """Ridge on spectra: the penalties searched, and the noise copies of every training star."""

    data: GridSplits | FileSplits
    seed: int
    alphas: tuple[float, ...]
    copies: int


@dataclass(frozen=True)
class TreesSpec:
    """LightGBM on spectra: the leaves and rates searched, most rounds, share of pixels per tree, bins, noise copies."""

    data: GridSplits | FileSplits
    seed: int
    leaves: tuple[int, ...]
    rates: tuple[float, ...]
    rounds: int
    features: float
    bins: int
    copies: int


@step
def fit_ridge(spec: RidgeSpec, folder: Path, runtime: Runtime) -> None:
    """Leave the probe in ridge.json beside its predictions and its search; of several processes the first fits."""
    if rank():
        return
    sets, began = open_sets(spec.data, runtime.device), time.monotonic()
    probe, search = ridge_path(sets.train, sets.val, spec.alphas, spec.copies)
    probe.save(folder / "ridge.json")
    leave(folder, _applied(probe.predict, sets), search=search, seconds=time.monotonic() - began)


@step
def fit_lightgbm(spec: TreesSpec, folder: Path, runtime: Runtime) -> None:
    """Leave the trees in lightgbm.txt beside their predictions and their search; of several processes the first fits."""
    if rank():
        return
    sets, began = open_sets(spec.data, runtime.device), time.monotonic()
    booster, search = search_lightgbm(sets.train, sets.val, spec, threads=runtime.threads)
    booster.save_model(folder / "lightgbm.txt")
    found = _applied(lambda x: torch.from_numpy(booster.predict(x.cpu().numpy()))[:, None], sets)
    leave(folder, found, search=search, seconds=time.monotonic() - began)


def _applied(predictor: Callable[[Tensor], Tensor], sets: Sets) -> dict[str, Tensor]:
    return {name: torch.cat([predictor(flux) for flux, _ in chunks(part)]) for name, part in shown(sets).items()}


def gathered(source: Source, copies: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return all (noisy flux, labels) as float32 arrays."""
    parts = list(chunks(source, copies))
    return tuple(torch.cat(values).float().cpu().numpy() for values in zip(*parts, strict=True))


def ridge_path(train: Source, val: Source, alphas: Sequence[float], copies: int = 1) -> tuple[RidgeProbe, dict[str, float]]:
    """Fit Ridge on standardised pixels for every penalty from sums over the rows; keep the best R2 on validation.

    Memory is that of one L x L float64 matrix, whatever the number of rows. Returns the probe and its search.
    """
    pixels = len(train.wave)
    device = train.labels.device
    total, sums, cross = 0, torch.zeros(pixels + 1, dtype=torch.float64, device=device), 0.0
    for flux, labels in chunks(train, copies):
        rows = torch.cat([flux, labels], 1).double()
        total, sums, cross = total + len(rows), sums + rows.sum(0), cross + rows.T @ rows
    mean = sums / total
    covariance = cross / total - mean[:, None] * mean
    scale = covariance.diagonal()[:-1].clamp_min(0).sqrt()
    scale = torch.where(scale > 1e-12, scale, torch.ones_like(scale))
    values, vectors = torch.linalg.eigh(covariance[:-1, :-1] / scale[:, None] / scale)
    right = vectors.T @ (covariance[:-1, -1:] / scale[:, None])
    flux, truth = (torch.cat(part) for part in zip(*chunks(val), strict=True))
    best, search = None, {}
    for alpha in alphas:
        coef = vectors @ (right / (values.clamp_min(0) + alpha / total)[:, None])
        probe = RidgeProbe(mean[:-1], scale, coef, mean[-1:])
        search[f"alpha={alpha:g}"] = float(metrics.r2(truth.double(), probe.predict(flux)).mean())
        if search[f"alpha={alpha:g}"] == max(search.values()):
            best = probe
    return best, search


def search_lightgbm(train: Source, val: Source, spec: TreesSpec, *, threads: int) -> tuple[lightgbm.Booster, dict[str, float]]:
    """Fit LightGBM per (leaves, rate), the number of rounds by early stopping on validation; keep the best R2 there."""
    x, y = gathered(train, spec.copies)
    held, truth = gathered(val)
    fixed = {"objective": "regression", "max_bin": spec.bins, "feature_fraction": spec.features, "seed": spec.seed}
    fixed |= {"deterministic": True, "force_col_wise": True, "num_threads": threads, "verbosity": -1, "metric": "l2"}
    data = lightgbm.Dataset(x, y[:, 0], params={"verbosity": -1, "max_bin": spec.bins})
    against = lightgbm.Dataset(held, truth[:, 0], reference=data)
    best, search = None, {}
    for count in spec.leaves:
        for rate in spec.rates:
            stop = lightgbm.early_stopping(STOP_AFTER, verbose=False)
            settings = fixed | {"num_leaves": count, "learning_rate": rate}
            booster = lightgbm.train(settings, data, spec.rounds, valid_sets=[against], callbacks=[stop])
            name = f"leaves={count}, rate={rate:g}, rounds={booster.best_iteration}"
            search[name] = float(metrics.r2(truth[:, 0], booster.predict(held)))
            if search[name] == max(search.values()):
                best = booster
    return best, search
