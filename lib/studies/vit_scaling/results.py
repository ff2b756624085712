"""The finished points of a sweep: one long frame of predictions, the scores read off it, and the model behind each."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from lib import metrics
from lib.arms import Arm
from lib.data.views import chunks
from lib.evidence import gap
from lib.models.vit import SpectrumViT
from lib.steps.vit import PREDICT_BATCH, load, predict
from lib.studies.vit_scaling import scaling
from lib.studies.vit_scaling.points import MODELS, RUN, Sweep, read

HISTORY = ("arm", "epoch", "train_loss", "val_r2", "val_mae")


class Results:
    """The finished points of a sweep beside the truth; a point is an `Arm`, told apart by its name and seed."""

    def __init__(self, sweep: Sweep, folders: Sequence[Path]) -> None:
        self.config, self.sets, self.points, self.grid = sweep.config, sweep.sets(), sweep.points, sweep.grid
        self.folders = {(p.name, p.seed): f for p, f in zip(self.points, folders, strict=True)}
        self.found = {key: read(folder) for key, folder in self.folders.items()}
        self.truth = self.sets.test.labels[:, 0].double().cpu().numpy()
        self.label_std = float(self.sets.train.labels.double().std())
        self.draws = {"n": self.config.fit_draws, "seed": self.config.seed}  # of every bootstrap

    def folder(self, point: Arm) -> Path:
        """Return where a point's model and history are."""
        return self.folders[point.name, point.seed]

    def measured(self, point: Arm) -> dict[str, Any]:
        """Return what a point's step measured: seconds, spectra_per_s, peak_mib, parameters, ..."""
        return self.found[point.name, point.seed][0]

    def pred(self, point: Arm, part: str = "test") -> np.ndarray:
        """Return a point's predictions (n,), or as part `test_sigma` its standard deviations, in the label's unit."""
        return self.found[point.name, point.seed][1][part][:, 0].double().numpy()

    @cached_property
    def preds(self) -> pd.DataFrame:
        """Every point's predictions on the test stars, one row per point and star: arm, group, seed, unit, truth, pred."""
        stars = {"unit": np.arange(len(self.truth)), "truth": self.truth}
        frames = [
            pd.DataFrame({"arm": p.name, "group": p.group, "seed": p.seed, **stars, "pred": self.pred(p)}) for p in self.points
        ]
        return pd.concat(frames, ignore_index=True)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Every point's scores on the test stars, one row per point (unit 0, all of them): R2 with its interval, MAE, ..."""
        return pd.DataFrame([self._scored(p) for p in self.points])

    def _scored(self, point: Arm) -> dict[str, Any]:
        pred, train = self.pred(point), self.pred(point, "train")
        low, high = metrics.bootstrap(metrics.r2, self.truth, pred, **self.draws)
        mae, r2 = float(metrics.mae(self.truth, pred)), float(metrics.r2(self.truth, pred))
        seen = self.sets.train.labels[: len(train), 0].double().cpu().numpy()
        train_r2, measured = float(metrics.r2(seen, train)), self.measured(point)
        head = {"arm": point.name, "group": point.group, "seed": point.seed, "unit": 0} | {k: point.changes[k] for k in RUN}
        return head | {
            "r2": r2, "low": low, "high": high, "mae_dex": mae, "mae_normalized": mae / self.label_std,
            "train_r2": train_r2, "gap": train_r2 - r2, "seconds": measured["seconds"],
            "spectra_per_s": measured.get("spectra_per_s"), "peak_mib": measured.get("peak_mib"),
        }  # fmt: skip

    def row(self, point: Arm) -> pd.Series:
        """Return the scores of a point."""
        return self.scores[(self.scores.arm == point.name) & (self.scores.seed == point.seed)].iloc[0]

    def group(self, name: str) -> pd.DataFrame:
        """Return the scores of a group: ladder, ablation, noise."""
        return self.scores[self.scores.group == name].reset_index(drop=True)

    def arms(self) -> pd.DataFrame:
        """Return the scores of the ablations, and the paired change of R2 from Run 1: gain, gain_low, gain_high."""
        rows = self.group("ablation")
        gains = [gap(self.preds, name, "run_1", **self.draws) for name in rows.arm]
        return rows.assign(gain=[g.value for g in gains], gain_low=[g.low for g in gains], gain_high=[g.high for g in gains])

    def arm(self, name: str) -> Arm | None:
        """Return the point of an ablation; None where it was not run."""
        return next((p for p in self.points if p.group == "ablation" and p.name == name), None)

    def curve(self, model: str = "vit", protocol: str = "fixed") -> dict[int, Arm]:
        """Return a model's points of the ladder by size, first seed."""
        chosen = [p for p in self.points if p.group == "ladder" and p.seed == self.config.seed]
        return {p.changes["n_train"]: p for p in chosen if (p.changes["model"], p.changes["protocol"]) == (model, protocol)}

    def largest(self, protocol: str = "fixed") -> dict[str, Arm]:
        """Return each model's point of the largest size under a protocol."""
        curves = {model: self.curve(model, protocol) for model in MODELS}
        return {model: curve[max(curve)] for model, curve in curves.items() if curve}

    def documented(self) -> Arm:
        """Return the ViT trained most like the document's: the largest under fresh noise, or under fixed where none is."""
        return (self.largest("fresh") or self.largest())["vit"]

    def curves(self) -> tuple[dict, dict]:
        """Return {(protocol, model): {n: R2}}, and the same with paired bootstrap draws of R2."""
        keys = [(protocol, model) for protocol in ("fixed", "fresh") for model in MODELS]
        points = {key: curve for key in keys if (curve := self.curve(key[1], key[0]))}
        preds = {(*key, n): self.pred(p) for key, curve in points.items() for n, p in curve.items()}
        drawn = scaling.bootstrap_r2(self.truth, preds, **self.draws)
        r2 = {key: {n: float(metrics.r2(self.truth, preds[*key, n])) for n in curve} for key, curve in points.items()}
        return r2, {key: {n: drawn[*key, n] for n in curve} for key, curve in points.items()}

    def crossing(self) -> float | None:
        """Return the n from which the ViT stays above LightGBM under fixed noise; None where it never does."""
        curves, _ = self.curves()
        return scaling.crossing(curves["fixed", "vit"], curves["fixed", "lightgbm"])

    def slopes(self) -> pd.DataFrame:
        """Return slopes, saturation and power laws per protocol and model."""
        return scaling.summary(*self.curves())

    def searches(self) -> pd.DataFrame:
        """Return what the search on validation chose per baseline: model, protocol, n_train, candidates, choice, val_r2."""
        rows = []
        for p in self.points:
            search = self.measured(p).get("search")
            if search:
                best = max(search, key=search.get)
                head = {name: p.changes[name] for name in ("model", "protocol", "n_train")}
                rows.append(head | {"candidates": len(search), "choice": best, "val_r2": search[best]})
        return pd.DataFrame(rows)

    def history(self, *arms: str) -> pd.DataFrame:
        """Return epochs of ablations, and as `fresh` those of Run 1 at the largest size under fresh noise.

        arm, epoch, train_loss and val_loss as trained, val_r2, val_mae in dex
        """
        points = {name: self.largest("fresh").get("vit") if name == "fresh" else self.arm(name) for name in arms}
        frames = [self._epochs(point).assign(arm=name) for name, point in points.items() if point]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=HISTORY)

    def course(self) -> pd.DataFrame:
        """Return the epochs of the training most like the document's: with fresh noise, or else Run 1 of the ablations."""
        return self.history("fresh" if self.largest("fresh") else "run_1")

    def _epochs(self, point: Arm) -> pd.DataFrame:
        frame = pd.read_csv(self.folder(point) / "history.csv")
        return frame.assign(val_mae=frame.val_mae * self.measured(point)["label_scale"])

    def best_vit(self) -> Arm:
        """Return the ladder's ViT of the best R2 on validation, or the sigma head: the model that is published."""
        truth = self.sets.val.labels[:, 0].double().cpu().numpy()
        vits = [p for p in self.points if p.changes["model"] == "vit" and (p.group == "ladder" or p.name == "sigma_head")]
        return max(vits, key=lambda p: float(metrics.r2(truth, self.pred(p, "val"))))

    def model(self, point: Arm) -> SpectrumViT:
        """Return a point's trained network."""
        return load(self.folder(point))[0]

    def applied(self, point: Arm) -> np.ndarray:
        """Return what a point's network, trained at any noise level, says of the run's test spectra (n,), in the label's unit."""
        model, scaler, _ = load(self.folder(point))
        model.to(self.sets.test.device)
        parts = [predict(model, scaler, flux)[0] for flux, _ in chunks(self.sets.test, rows=PREDICT_BATCH)]
        return torch.cat(parts)[:, 0].double().cpu().numpy()
