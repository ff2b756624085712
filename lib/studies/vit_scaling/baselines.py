"""Ridge and LightGBM on pixels, their hyper-parameters searched on the validation set."""

from collections.abc import Iterator, Sequence

import lightgbm
import numpy as np
import torch
from torch import Tensor

from lib import metrics
from lib.data.batches import Source
from lib.probes import RidgeProbe
from lib.studies.vit_scaling.data import observe

ROWS = 4096  # rows that are made and added up at a time
STOP_AFTER = 50  # LightGBM rounds without gain on validation


def chunks(source: Source, copies: int = 1, rows: int = ROWS) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (noisy flux, labels) of a source, `rows` at a time; copy 0 is its fixed noise, each further copy a new draw."""
    for copy in range(copies):
        for start in range(0, len(source), rows):
            part = observe(source, start, min(start + rows, len(source)), epoch=copy)
            yield part.noisy, part.labels


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


def search_lightgbm(
    train: Source, val: Source, *, leaves: Sequence[int], rates: Sequence[float], rounds: int, features: float, bins: int,
    copies: int, seed: int, threads: int,
) -> tuple[lightgbm.Booster, dict[str, float]]:  # fmt: skip
    """Fit LightGBM per (leaves, rate), the number of rounds by early stopping on validation; keep the best R2 there."""
    x, y = gathered(train, copies)
    held, truth = gathered(val)
    fixed = {"objective": "regression", "max_bin": bins, "feature_fraction": features, "seed": seed, "deterministic": True}
    fixed |= {"force_col_wise": True, "num_threads": threads, "verbosity": -1, "metric": "l2"}
    data = lightgbm.Dataset(x, y[:, 0], params={"verbosity": -1, "max_bin": bins})
    against = lightgbm.Dataset(held, truth[:, 0], reference=data)
    best, search = None, {}
    for count in leaves:
        for rate in rates:
            stop = lightgbm.early_stopping(STOP_AFTER, verbose=False)
            settings = fixed | {"num_leaves": count, "learning_rate": rate}
            booster = lightgbm.train(settings, data, rounds, valid_sets=[against], callbacks=[stop])
            name = f"leaves={count}, rate={rate:g}, rounds={booster.best_iteration}"
            search[name] = float(metrics.r2(truth[:, 0], booster.predict(held)))
            if search[name] == max(search.values()):
                best = booster
    return best, search
