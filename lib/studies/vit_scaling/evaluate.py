"""Turn the points' predictions on one fixed test set into the study's tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats

from lib import metrics
from lib.data.views import chunks, observe
from lib.fisher import r2_ceiling
from lib.models.vit import SpectrumViT
from lib.steps.vit import PREDICT_BATCH, load, predict
from lib.studies.vit_scaling import scaling
from lib.studies.vit_scaling.config import Point
from lib.studies.vit_scaling.points import Sweep, read

COVERAGE = (0.5, 0.683, 0.9, 0.954)
NUISANCE = 3  # the smaller set of free labels: t_eff, log_g, m_h


class Results:
    """The finished points of a sweep beside the truth: every table of the study is a method."""

    def __init__(self, sweep: Sweep, folders: Sequence[Path]) -> None:
        self.config, self.sets, self.points, self.grid = sweep.config, sweep.sets(), sweep.points, sweep.grid
        self.folders = dict(zip(map(id, self.points), folders, strict=True))
        self.truth = self.sets.test.labels[:, 0].double().cpu().numpy()
        self.found = {id(p): read(f) for p, f in zip(self.points, folders, strict=True)}
        self.label_std = float(self.sets.train.labels.double().std())

    def pred(self, point: Point, part: str = "test") -> np.ndarray:
        """Return a point's predictions (n,), in the label's unit."""
        return self.found[id(point)][1][part][:, 0].double().numpy()

    def sigma(self, point: Point, part: str = "test") -> np.ndarray:
        """Return the standard deviations (n,) of a point with a sigma head, in the label's unit."""
        return self.found[id(point)][1][f"{part}_sigma"][:, 0].double().numpy()

    def chosen(self, group: str, **fields: Any) -> list[Point]:
        """Return the points of a group whose fields have these values."""
        return [p for p in self.points if p.group == group and all(getattr(p, k) == v for k, v in fields.items())]

    def row(self, point: Point) -> dict[str, Any]:
        """Return the scores of a point: R2 with its interval, MAE in dex and normalised, train-test gap, seconds."""
        pred, measured = self.pred(point), self.found[id(point)][0]
        seen = self.sets.train.labels[: len(self.pred(point, "train")), 0].double().cpu().numpy()
        low, high = metrics.bootstrap(metrics.r2, self.truth, pred, n=self.config.fit_draws, seed=self.config.seed)
        mae, r2 = float(metrics.mae(self.truth, pred)), float(metrics.r2(self.truth, pred))
        head = {k: getattr(point, k) for k in ("model", "protocol", "n_train", "arm", "seed", "noise_level", "epochs")}
        train_r2 = float(metrics.r2(seen, self.pred(point, "train")))
        return head | {
            "r2": r2, "low": low, "high": high, "mae_dex": mae, "mae_normalized": mae / self.label_std,
            "train_r2": train_r2, "gap": train_r2 - r2, "seconds": measured["seconds"],
        }  # fmt: skip

    def ladder(self) -> pd.DataFrame:
        """Return one row per point of the scaling ladder."""
        return pd.DataFrame([self.row(p) for p in self.chosen("ladder")])

    def curves(self) -> tuple[dict, dict]:
        """Return {(protocol, model): {n: R2}} of the first seed, and the same with paired bootstrap draws of R2."""
        first = [p for p in self.chosen("ladder") if p.seed == self.config.seed]
        keyed = {(p.protocol, p.model, p.n_train): self.pred(p) for p in first}
        draws = scaling.bootstrap_r2(self.truth, keyed, n=self.config.fit_draws, seed=self.config.seed)
        curves: dict = {}
        sampled: dict = {}
        for (protocol, model, n), pred in keyed.items():
            curves.setdefault((protocol, model), {})[n] = float(metrics.r2(self.truth, pred))
            sampled.setdefault((protocol, model), {})[n] = draws[protocol, model, n]
        return curves, sampled

    def scaling_table(self) -> pd.DataFrame:
        """Return slopes, saturation and power laws per protocol and model."""
        return scaling.summary(*self.curves())

    def searches(self) -> pd.DataFrame:
        """Return what the search on validation chose per baseline: model, protocol, n_train, candidates, choice, val_r2."""
        rows = []
        for p in self.chosen("ladder"):
            search = self.found[id(p)][0].get("search")
            if search:
                best = max(search, key=search.get)
                head = {"model": p.model, "protocol": p.protocol, "n_train": p.n_train, "candidates": len(search)}
                rows.append(head | {"choice": best, "val_r2": search[best]})
        return pd.DataFrame(rows)

    def gain(self, point: Point, other: Point) -> dict[str, float]:
        """Return R2(point) - R2(other) with its paired 95 % interval over test stars."""
        return self.difference(self.pred(point), self.pred(other))

    def difference(self, *pair: np.ndarray) -> dict[str, float]:
        """Return R2 of one prediction minus R2 of another, both (n,), with its paired 95 % interval: gain, low, high."""
        low, high = metrics.bootstrap_difference(metrics.r2, self.truth, *pair, n=self.config.fit_draws, seed=self.config.seed)
        return {"gain": float(metrics.r2(self.truth, pair[0]) - metrics.r2(self.truth, pair[1])), "low": low, "high": high}

    def ablation_table(self) -> pd.DataFrame:
        """Return one row per arm: R2, MAE, and the paired gain over Run 1; seconds and memory too."""
        points = self.chosen("ablation")
        base = [p for p in points if p.arm == "run_1"]
        rows = []
        for p in points:
            gain = {f"gain_{k}" if k != "gain" else k: v for k, v in self.gain(p, base[0]).items()}
            rows.append(
                self.row(p)
                | gain
                | {"spectra_per_s": self.found[id(p)][0]["spectra_per_s"], "peak_mib": self.found[id(p)][0]["peak_mib"]}
            )
        return pd.DataFrame(rows)

    def history(self, arms: Sequence[str] = ("run_1", "run_2", "fresh")) -> pd.DataFrame:
        """Return epochs of ablation arms, and as `fresh` those of Run 1 at the largest size under fresh noise.

        arm, epoch, train_loss and val_loss as trained, val_r2, val_mae in dex
        """
        named = {p.arm: p for p in self.chosen("ablation")} | {"fresh": self.largest("fresh").get("vit")}
        frames = []
        for arm in arms:
            if (point := named.get(arm)) is not None:
                frame = pd.read_csv(self.folders[id(point)] / "history.csv")
                frame["val_mae"] *= self.found[id(point)][0]["label_scale"]
                frames.append(frame.assign(arm=arm))
        return (
            pd.concat(frames, ignore_index=True)
            if frames
            else pd.DataFrame(columns=["arm", "epoch", "train_loss", "val_r2", "val_mae"])
        )

    def noise_table(self) -> pd.DataFrame:
        """Return one row per noise factor: R2 on test spectra of the same factor."""
        return pd.DataFrame([self.row(p) for p in self.chosen("noise")])

    def largest(self, protocol: str = "fixed") -> dict[str, Point]:
        """Return each model's point of the largest size under a protocol, first seed."""
        points = [p for p in self.chosen("ladder", protocol=protocol) if p.seed == self.config.seed]
        top = max((p.n_train for p in points), default=0)
        return {p.model: p for p in points if p.n_train == top}

    def documented(self) -> Point:
        """Return the ViT trained most like the document's: the largest under fresh noise, or under fixed where none is."""
        return (self.largest("fresh") or self.largest())["vit"]

    def best_vit(self) -> Point:
        """Return the ladder's ViT of the best R2 on validation: the model that is published."""
        truth = self.sets.val.labels[:, 0].double().cpu().numpy()
        vits = self.chosen("ladder", model="vit") + [p for p in self.chosen("ablation") if p.arm == "sigma_head"]
        return max(vits, key=lambda p: float(metrics.r2(truth, self.pred(p, "val"))))

    def model(self, point: Point) -> SpectrumViT:
        """Return a point's trained network."""
        return load(self.folders[id(point)])[0]

    def applied(self, point: Point) -> np.ndarray:
        """Return what a point's network, trained at any noise level, says of the run's test spectra (n,), in the label's unit."""
        model, scaler, _ = load(self.folders[id(point)])
        model.to(self.sets.test.device)
        parts = [predict(model, scaler, flux)[0] for flux, _ in chunks(self.sets.test, rows=PREDICT_BATCH)]
        return torch.cat(parts)[:, 0].double().cpu().numpy()


def by_snr(results: Results, points: dict[str, Point], bins: int = 5) -> pd.DataFrame:
    """Return R2 per quantile bin of SNR and model, with the Cramer-Rao ceiling of the bin's stars and the efficiency.

    R2 in a bin uses the variance of the bin's labels; so does the ceiling.
    """
    if "snr" not in results.sets.stars:
        return pd.DataFrame(columns=["bin", "snr", "model", "r2", "ceiling", "efficiency"])
    snr = results.sets.stars.snr.to_numpy()
    which = np.digitize(snr, np.quantile(snr, np.linspace(0, 1, bins + 1)[1:-1]))
    rows = []
    for b in range(bins):
        inside = np.flatnonzero(which == b)
        ceiling = ceiling_of(results, inside)
        for name, point in points.items():
            r2 = float(metrics.r2(results.truth[inside], results.pred(point)[inside]))
            low, high = metrics.bootstrap(
                metrics.r2, results.truth[inside], results.pred(point)[inside], n=results.config.fit_draws
            )
            row = {"bin": b + 1, "n": len(inside), "snr": float(np.median(snr[inside])), "model": name, "r2": r2}
            rows.append(row | {"low": low, "high": high, "ceiling": ceiling, "efficiency": r2 / ceiling})
    return pd.DataFrame(rows)


def ceiling_of(results: Results, rows: np.ndarray | None = None, *, free: int | None = None) -> float:
    """Return the Cramer-Rao ceiling of R2 (lib.fisher, Gaussian prior) for test stars, at most `ceiling_stars` of them.

    free  number of labels estimated together, in the grid's order (default: all);  NaN where there is no grid
    """
    sets, config = results.sets, results.config
    if sets.grid is None:
        return float("nan")
    rows = np.arange(len(sets.test)) if rows is None else rows
    picked = rows[np.linspace(0, len(rows) - 1, min(len(rows), config.ceiling_stars)).astype(int)]
    sigma = sets.test.take(torch.as_tensor(picked), None).sigma.cpu()
    labels = sets.grid.labels[: free or len(sets.grid.labels)]
    found = r2_ceiling(sets.grid, sigma.clamp_min(1e-9), labels, stars=sets.parameters[picked])
    return float(found[config.label])


def cells(results: Results, point: Point) -> pd.DataFrame:
    """Return R2 of a point per cell of T_eff x [M/H]: t_eff, m_h (cell centres), n, r2; cells under 20 stars are left out."""
    stars = results.sets.stars
    if not {"t_eff", "m_h"} <= set(stars):
        return pd.DataFrame(columns=["t_eff", "m_h", "n", "r2"])
    frame = stars[["t_eff", "m_h"]].assign(truth=results.truth, pred=results.pred(point))
    frame["t_bin"], frame["m_bin"] = (pd.cut(frame[name], 4) for name in ("t_eff", "m_h"))
    rows = []
    for (t, m), part in frame.groupby(["t_bin", "m_bin"], observed=True):
        if len(part) >= 20:
            r2 = float(metrics.r2(part.truth.to_numpy(), part.pred.to_numpy()))
            rows.append({"t_eff": t.mid, "m_h": m.mid, "n": len(part), "r2": r2})
    return pd.DataFrame(rows, columns=["t_eff", "m_h", "n", "r2"])


def calibration(results: Results) -> pd.DataFrame:
    """Return nominal and reached coverage of the sigma head on test stars: raw, and with sigma rescaled on validation."""
    heads = results.chosen("ablation", arm="sigma_head")
    if not heads:
        return pd.DataFrame(columns=["nominal", "raw", "rescaled"])
    held = results.sets.val.labels[:, 0].double().cpu().numpy()
    deviation = {part: np.abs(truth - results.pred(heads[0], part)) / results.sigma(heads[0], part)
                 for part, truth in (("val", held), ("test", results.truth))}  # fmt: skip
    reach = {"raw": deviation["test"], "rescaled": deviation["test"] / np.sqrt(np.mean(deviation["val"] ** 2))}
    limits = [(c, stats.norm.ppf(0.5 + c / 2)) for c in COVERAGE]
    return pd.DataFrame([{"nominal": c} | {k: float(np.mean(z < limit)) for k, z in reach.items()} for c, limit in limits])


def linear_invariance(results: Results, point: Point) -> pd.DataFrame:
    """Return R2 and MAE of one prediction in three spaces: R2 stays, MAE scales with the label."""
    low, high = float(results.sets.train.labels.min()), float(results.sets.train.labels.max())
    mean = float(results.sets.train.labels.double().mean())
    maps = {"dex": (0.0, 1.0), "standard": (mean, results.label_std), "minmax": (low, high - low)}
    rows = []
    for name, (shift, scale) in maps.items():
        truth, pred = (results.truth - shift) / scale, (results.pred(point) - shift) / scale
        rows.append(
            {"space": name, "r2": float(metrics.r2(truth, pred)), "mae": float(metrics.mae(truth, pred)), "unit": scale}
        )
    return pd.DataFrame(rows)


def attention(results: Results, point: Point, stars: int = 128) -> pd.DataFrame:
    """Return mean attention per patch and layer over test stars: wave_aa (patch centre), layer, attention times patches."""
    model = results.model(point)
    noisy = observe(results.sets.test, 0, min(stars, len(results.truth))).noisy.cpu()
    weight = model.patch_attention(noisy).mean(0).numpy()  # (layers, patches)
    weight = weight / weight.sum(1, keepdims=True) * weight.shape[1]
    starts = np.arange(weight.shape[1]) * model.config.step
    wave = np.asarray(results.sets.wave)[starts + model.config.patch_size // 2]
    return pd.DataFrame(
        [{"wave_aa": w, "layer": k + 1, "attention": weight[k, i]} for k in range(len(weight)) for i, w in enumerate(wave)]
    )


def snr_quantiles(results: Results, reported: Mapping[int, float]) -> pd.DataFrame:
    """Return quantiles of the test spectra's S/N beside reported ones: percent, this_run, reported_public."""
    stars = results.sets.stars
    if "snr" not in stars:
        return pd.DataFrame(columns=["percent", "this_run", "reported_public"])
    rows = [
        {"percent": q, "this_run": float(np.quantile(stars.snr, q / 100)), "reported_public": v} for q, v in reported.items()
    ]
    return pd.DataFrame(rows)


def example(results: Results, row: int = 0) -> pd.DataFrame:
    """Return one test spectrum: wave_aa, flux, noisy, sigma."""
    spectrum = observe(results.sets.test, row, row + 1)
    columns = {name: getattr(spectrum, name)[0].cpu().numpy() for name in ("flux", "noisy", "sigma")}
    return pd.DataFrame({"wave_aa": np.asarray(results.sets.wave), **columns})


def mean_spectrum(results: Results, stars: int = 256) -> pd.DataFrame:
    """Return the mean noiseless test spectrum: wave_aa, flux."""
    flux = observe(results.sets.test, 0, min(stars, len(results.truth))).flux.mean(0).cpu().numpy()
    return pd.DataFrame({"wave_aa": np.asarray(results.sets.wave), "flux": flux})


def brief(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of scores that a page shows."""
    names = ("model", "protocol", "n_train", "noise_level", "epochs", "seed", "r2", "low", "high", "mae_dex", "train_r2", "gap",
             "seconds")  # fmt: skip
    return rows[[name for name in names if name in rows]]


def brief_arms(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of the ablations that a page shows."""
    names = {"gain": "change", "gain_low": "change_low", "gain_high": "change_high"}
    shown = ["arm", "r2", "low", "high", *names, "mae_dex", "gap", "spectra_per_s", "peak_mib"]
    return rows[shown].rename(columns=names)
