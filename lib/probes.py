"""Probes: what a simple model can read off a set of features."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import lightgbm
import torch
from torch import Tensor

from lib.files import read_json, write_json

RIDGE_ALPHA = 0.001  # the documents' probe
TREES = {"num_leaves": 15, "n_estimators": 50}


@dataclass(frozen=True)
class RidgeProbe:
    """A linear model on standardised features: prediction = (x - x_mean) / x_scale @ coef + intercept."""

    x_mean: Tensor  # (d,)
    x_scale: Tensor  # (d,)
    coef: Tensor  # (d, k)
    intercept: Tensor  # (k,)

    def predict(self, x: Tensor) -> Tensor:
        """Return (n, k) predictions, float64, for features (n, d) on the probe's device."""
        return ((x.double() - self.x_mean) / self.x_scale) @ self.coef + self.intercept

    def save(self, path: Path) -> None:
        """Write the probe as JSON."""
        write_json(path, {name: value.tolist() for name, value in asdict(self).items()})

    @classmethod
    def load(cls, path: Path) -> "RidgeProbe":
        """Read what `save` wrote."""
        return cls(**{name: torch.tensor(value, dtype=torch.float64) for name, value in read_json(path).items()})


def fit_ridge(x: Tensor, y: Tensor, alpha: float = RIDGE_ALPHA) -> RidgeProbe:
    """Fit features (n, d) to labels (n, k) where they lie, CPU or GPU, in float64; see `ridge_path`."""
    return ridge_path(x, y, [alpha])[0]


def ridge_path(x: Tensor, y: Tensor, alphas: Sequence[float]) -> list[RidgeProbe]:
    """Fit one probe per penalty from one Gram matrix, all labels from one factorisation each.

    Equals sklearn's Ridge(alpha) on StandardScaler features; a constant feature keeps scale 1. Where d > n the dual
    system is solved.
    """
    if len(x) != len(y) or len(x) < 2:
        raise ValueError(f"fit_ridge: {len(x)} rows of features and {len(y)} of labels; the same number is needed, at least 2.")
    if not bool(x.isfinite().all()) or not bool(y.isfinite().all()):
        raise ValueError("fit_ridge: features or labels hold values that are not finite.")
    x, y = x.double(), y.double()
    mean, scale = x.mean(0), x.std(0, correction=0)
    scale = torch.where(scale > 1e-12 * (1 + mean.abs()), scale, torch.ones_like(scale))
    z, intercept = (x - mean) / scale, y.mean(0)
    wide = z.shape[1] > len(z)
    gram = z @ z.T if wide else z.T @ z
    right = y - intercept if wide else z.T @ (y - intercept)
    unit, probes = torch.eye(len(gram), dtype=gram.dtype, device=gram.device), []
    for alpha in alphas:
        solution = torch.cholesky_solve(right, torch.linalg.cholesky(gram + alpha * unit))
        probes.append(RidgeProbe(mean, scale, z.T @ solution if wide else solution, intercept))
    return probes


def binned(x: Tensor) -> lightgbm.Dataset:
    """Return features (n, d) as LightGBM keeps them: what does not depend on the label, once for all labels."""
    return lightgbm.Dataset(x.float().cpu().numpy(), params={"verbosity": -1}, free_raw_data=False)


def boost(data: lightgbm.Dataset, y: Tensor, *, seed: int = 0, threads: int = 1, **changes: int) -> lightgbm.Booster:
    """Fit binned features to one label (n,) with the documents' 15 leaves and 50 trees; repeatable."""
    settings = TREES | changes
    fixed = {"seed": seed, "deterministic": True, "force_col_wise": True, "num_threads": threads, "verbosity": -1}
    parameters = {"objective": "regression", "num_leaves": settings["num_leaves"], **fixed}
    data.set_label(y.float().cpu().contiguous().numpy())
    return lightgbm.train(parameters, data, num_boost_round=settings["n_estimators"])
