"""Ridge, LightGBM and Gaussian processes: fits on scaled arrays, predictors that store themselves without pickle."""

from collections.abc import Sequence
from pathlib import Path

import lightgbm
import numpy as np
import torch
from safetensors.torch import save_file
from sklearn.linear_model import Ridge
from torch import Tensor

from lib.files import read_json, write_json, write_text
from lib.models.gp import GaussianProcess, GPConfig
from lib.steps.opamp.bench import Predicted
from lib.weights import read_weights


class Predictor:
    """What a fit leaves: scaled features (n, d) -> mean and standard deviation (n, M), scaled, of tensors or of arrays."""

    def on(self, x: Tensor, *, deviation: bool = True) -> tuple[Tensor, Tensor | None]:
        """Predict on tensors, differentiable in x but for trees; None: it has no deviation, or none was asked for."""
        raise NotImplementedError

    def __call__(self, x: np.ndarray) -> Predicted:
        with torch.no_grad():
            mean, sd = self.on(torch.from_numpy(x))
        return mean.numpy(), None if sd is None else sd.numpy()


class Linear(Predictor):
    """Linear in the features, or in them and their products (degree 2)."""

    def __init__(self, coef: np.ndarray, intercept: np.ndarray, degree: int) -> None:
        self.coef, self.intercept, self.degree = coef, intercept, degree

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, alpha: float, degree: int) -> "Linear":
        """Fit by ridge regression; x (n, d), y (n, M)."""
        model = Ridge(alpha).fit(products(torch.from_numpy(x), degree).numpy(), y.astype(float))
        return cls(np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_), degree)

    def on(self, x: Tensor, *, deviation: bool = True) -> tuple[Tensor, None]:
        return products(x, self.degree) @ torch.from_numpy(self.coef).mT + torch.from_numpy(self.intercept), None

    def save(self, folder: Path) -> None:
        """Write linear.json."""
        state = {"coef": self.coef.tolist(), "intercept": self.intercept.tolist(), "degree": self.degree}
        write_json(folder / "linear.json", state)

    @classmethod
    def load(cls, folder: Path) -> "Linear":
        """Read what `save` wrote."""
        state = read_json(folder / "linear.json", ("coef", "intercept", "degree"))
        return cls(np.asarray(state["coef"], float), np.asarray(state["intercept"], float), int(state["degree"]))


def products(x: Tensor, degree: int) -> Tensor:
    """Return the features in float64, with degree 2 also their squares and pairwise products."""
    x = x.double()
    if degree == 1:
        return x
    i, j = torch.triu_indices(x.shape[1], x.shape[1])
    return torch.cat([x, x[:, i] * x[:, j]], 1)


class Trees(Predictor):
    """One LightGBM model per output."""

    def __init__(self, boosters: list[lightgbm.Booster]) -> None:
        self.boosters = boosters

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, trees: int, seed: int) -> "Trees":
        """Fit; x (n, d), y (n, M). One thread: for a few hundred rows more of them only wait for each other."""
        settings = {"verbosity": -1, "num_threads": 1, "seed": seed, "deterministic": True, "force_row_wise": True,
                    "learning_rate": 0.1, "num_leaves": 15, "min_data_in_leaf": 5, "feature_fraction": 0.7}  # fmt: skip
        return cls(
            [
                lightgbm.train(settings, lightgbm.Dataset(np.ascontiguousarray(x), np.ascontiguousarray(y[:, i])), trees)
                for i in range(y.shape[1])
            ]
        )

    def on(self, x: Tensor, *, deviation: bool = True) -> tuple[Tensor, None]:
        rows = x.detach().numpy()
        return torch.from_numpy(np.stack([b.predict(rows, num_threads=1) for b in self.boosters], axis=1)), None

    def save(self, folder: Path) -> None:
        """Write LightGBM's text format, one file per output."""
        for i, booster in enumerate(self.boosters):
            write_text(folder / f"lightgbm_{i}.txt", booster.model_to_string())

    @classmethod
    def load(cls, folder: Path) -> "Trees":
        """Read what `save` wrote; ValueError names a folder without it, or with a broken one."""
        files = [folder / f"lightgbm_{i}.txt" for i in range(len(list(folder.glob("lightgbm_*.txt"))))]
        try:
            boosters = [lightgbm.Booster(model_file=file) for file in files]
        except lightgbm.basic.LightGBMError as error:
            raise ValueError(f"{folder} holds a lightgbm_*.txt that LightGBM cannot read ({error}).") from None
        if not boosters:
            raise ValueError(f"{folder} holds no lightgbm_*.txt.")
        return cls(boosters)


class Processes(Predictor):
    """One Gaussian process per output; inputs and outputs standardised once more on the training rows."""

    def __init__(self, gp: GaussianProcess, centre: dict[str, np.ndarray]) -> None:
        self.gp, self.centre = gp, centre

    def on(self, x: Tensor, *, deviation: bool = True) -> tuple[Tensor, Tensor | None]:
        c = {k: torch.from_numpy(v) for k, v in self.centre.items()}
        scaled = ((x - c["x_mean"]) / c["x_sd"]).expand(len(c["y_mean"]), -1, -1)
        mean, sd = self.gp.predict(scaled, deviation=deviation)
        return mean.mT * c["y_sd"] + c["y_mean"], None if sd is None else sd.mT * c["y_sd"]

    def save(self, folder: Path) -> None:
        """Write gp.safetensors and gp.json."""
        save_file({k: v.contiguous() for k, v in self.gp.state().items()}, folder / "gp.safetensors")
        write_json(folder / "gp.json", {k: v.tolist() for k, v in self.centre.items()})

    @classmethod
    def load(cls, folder: Path) -> "Processes":
        """Read what `save` wrote."""
        centre = {k: np.asarray(v) for k, v in read_json(folder / "gp.json").items()}
        return cls(GaussianProcess.load(read_weights(folder / "gp.safetensors")[0]), centre)


def standardised(x: np.ndarray, y: np.ndarray, rows: np.ndarray) -> tuple[dict, np.ndarray, np.ndarray]:
    """Return centres and scales of the training rows, and those rows standardised by them."""
    c = {"x_mean": x[rows].mean(0), "x_sd": x[rows].std(0), "y_mean": y[rows].mean(0), "y_sd": y[rows].std(0)}
    c = {k: np.where(v < 1e-6, 1.0, v).astype(float) if k.endswith("sd") else v.astype(float) for k, v in c.items()}
    return c, (x[rows] - c["x_mean"]) / c["x_sd"], (y[rows] - c["y_mean"]) / c["y_sd"]


def fit_processes(x: np.ndarray, y: np.ndarray, sets: Sequence[np.ndarray], config: GPConfig, seed: int = 0) -> list:
    """Fit processes for several row sets at once, and their left-one-out predictions; sets of unequal size lose rows.

    Returns, per set, (Processes, rows used, left-one-out mean and sd (len(rows), M), scaled).
    """
    size, outputs = min(map(len, sets)), y.shape[1]
    sets = [np.asarray(rows)[:size] for rows in sets]
    prepared = [standardised(x, y, rows) for rows in sets]
    xs = torch.from_numpy(np.repeat(np.stack([p[1] for p in prepared]), outputs, 0))  # (S * M, n, d)
    ys = torch.from_numpy(np.concatenate([p[2].T for p in prepared]))  # (S * M, n)
    gp = GaussianProcess.fit(xs, ys, config, seed)
    left = [t.unflatten(0, (-1, outputs)).mT.numpy() for t in gp.leave_one_out(ys)]  # (S, n, M) each
    out = []
    for s, (centre, _, _) in enumerate(prepared):
        part = {k: v.unflatten(0, (-1, outputs))[s] for k, v in gp.state().items()}
        loo = left[0][s] * centre["y_sd"] + centre["y_mean"], left[1][s] * centre["y_sd"]
        out.append((Processes(GaussianProcess.load(part), centre), sets[s], loo))
    return out
