"""The tables of the report that are no scores of points: the data, the limits above them, and the document's figures beside."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from lib import metrics
from lib.arms import Arm
from lib.calibration import coverage, temperature
from lib.data import frames
from lib.data.batches import whole_set
from lib.data.generated import GeneratedSpectra
from lib.data.noise import ERROR_SOURCES, preset
from lib.fisher import ceiling_table, r2_ceiling
from lib.models.vit import SpectrumViT, ViTConfig, flops, parameter_table, peak_tflops
from lib.probes import fit_ridge
from lib.steps.vit import model_config
from lib.studies.vit_scaling.checks import seen
from lib.studies.vit_scaling.config import VitScalingConfig, vit_settings
from lib.studies.vit_scaling.points import MODELS, fingerprint
from lib.studies.vit_scaling.results import Results

COVERAGE = (0.5, 0.683, 0.9, 0.954)
FEW = 3  # the smaller set of free labels: t_eff, log_g, m_h
MAGNITUDES = (18.0, 19.0, 20.0, 20.5, 21.0, 21.5, 22.0, 22.5, 23.0)
CONTROL_STARS = {"train": 2048, "test": 1024}
CONTROL_PIXELS = 512
CONTROL_ALPHAS = (1e-3, 1e2)
CELL_STARS = 20  # in a cell of labels, fewer tell nothing
# The documents' Run 1, by parameter; n_train is stated for one million rows.
DOCUMENT = {
    "patch_size": 16, "hidden_size": 256, "num_layers": 6, "num_heads": 8, "tokenizer": "C1D", "pos_encoding": "learned",
    "pooling": "cls", "dropout": 0.1, "loss": "mse", "label_norm": "standard", "lr": 3e-4, "min_lr": 1e-5, "weight_decay": 0.01,
    "batch_size": 256, "epochs": 200, "n_train": 1_000_000, "n_val": 1000, "n_test": 10_000, "clip": 0.5, "patience": 500,
    "noise_level": 1.0, "pixels": 4096,
}  # fmt: skip
SCORES = ("model", "protocol", "n_train", "noise_level", "epochs", "seed", "r2", "low", "high", "mae_dex", "train_r2", "gap",
          "seconds")  # fmt: skip
CHANGES = {"gain": "change", "gain_low": "change_low", "gain_high": "change_high"}


def describe(results: Results) -> dict[str, Any]:
    """Return what `describe_data` takes: where the spectra came from, and how many of them there are."""
    source, name, zh = ("hdf5", "HDF5", "HDF5") if results.config.train_path else ("embedded", "synthetic grid", "合成光谱网格")
    sizes = {
        "n_train": max(results.config.sizes),
        "n_dropped": 0,
        "n_val": len(results.sets.val),
        "n_test": len(results.sets.test),
    }
    label = {"zh": zh, "en": name}
    return {"source": source, "name": name, "label": label, "fingerprint": fingerprint(results.config), **sizes}


def ends(rows: pd.DataFrame, by: str) -> dict[str, Any]:
    """Return what a sentence says of the first and the last row in an order: {column_first, column_last}; nothing below two rows."""
    rows = rows.dropna().sort_values(by)
    ends = {"first": rows.iloc[0], "last": rows.iloc[-1]} if len(rows) > 1 else {}
    return {f"{column}_{end}": value for end, row in ends.items() for column, value in row.items()}


def scored(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of scores that a page shows."""
    return rows[[name for name in SCORES if name in rows]]


def compared(arms: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of the ablations that a page shows."""
    shown = ["arm", "r2", "low", "high", *CHANGES, "mae_dex", "gap", "spectra_per_s", "peak_mib"]
    return arms[shown].rename(columns=CHANGES)


def snr_quantiles(results: Results, reported: Mapping[int, float]) -> pd.DataFrame:
    """Return quantiles of the test spectra's S/N beside reported ones: percent, this_run, reported_public."""
    snr = results.sets.stars.get("snr", pd.Series(dtype=float))
    rows = [(q, float(np.quantile(snr, q / 100)), told) for q, told in reported.items()] if len(snr) else []
    return pd.DataFrame(rows, columns=["percent", "this_run", "reported_public"])


def example(results: Results, row: int = 0) -> pd.DataFrame:
    """Return one test spectrum: wave_aa, flux, noisy, sigma."""
    spectrum = seen(results, 1, row)
    columns = {name: getattr(spectrum, name)[0].cpu().numpy() for name in ("flux", "noisy", "sigma")}
    return pd.DataFrame({"wave_aa": np.asarray(results.sets.wave), **columns})


def mean_spectrum(results: Results, stars: int = 256) -> pd.DataFrame:
    """Return the mean noiseless test spectrum: wave_aa, flux."""
    return pd.DataFrame({"wave_aa": np.asarray(results.sets.wave), "flux": seen(results, stars).flux.mean(0).cpu().numpy()})


def sigma(results: Results, magnitudes: Sequence[float] = (20.5, 21.5, 22.5)) -> pd.DataFrame:
    """Return the reference star's sigma at noise level 1: wave_aa, magnitude, sigma."""
    return frames.sigma_table(results.sets.grid.wave, frames.sigmas(results.sets.grid, magnitudes))


def controls(results: Results) -> pd.DataFrame:
    """Return R2 of Ridge on sigma alone for each source of sigma, the best of two regularisations: error_source, r2."""
    return pd.DataFrame([{"error_source": f"sigma_{s}", "r2": _sigma_alone(results, s)} for s in ERROR_SOURCES])


def _sigma_alone(results: Results, error_source: str) -> float:
    config, step = results.config, -(-len(results.sets.wave) // CONTROL_PIXELS)
    noise = preset(config.noise_preset, error_source=error_source)
    options = {"seed": config.seed, "noise": noise, "labels": (config.label,), "norm": "none"}
    sets = [GeneratedSpectra(results.sets.grid, n, split=split, **options) for split, n in CONTROL_STARS.items()]
    (x, y), (x_test, y_test) = (whole_set(s, fields=("sigma", "labels")) for s in sets)
    fits = [fit_ridge(x[:, ::step], y, alpha).predict(x_test[:, ::step]) for alpha in CONTROL_ALPHAS]
    return max(float(metrics.r2(y_test.double(), pred)[0]) for pred in fits)


def recipe(config: VitScalingConfig, pixels: int) -> pd.DataFrame:
    """Return one row per setting: setting, reported, this_run (at the largest size), both as text."""
    here = config.model_dump() | {"n_train": max(config.sizes), "epochs": config.epochs[-1], "pixels": pixels}
    return pd.DataFrame([{"setting": k, "reported": f"{v}", "this_run": f"{here[k]}"} for k, v in DOCUMENT.items()])


def reported_curves(told: Mapping[str, Mapping[int, float]]) -> pd.DataFrame:
    """Return reported scaling curves {model: {n: R2}} as a frame: model, n_train, r2."""
    return pd.DataFrame([{"model": m, "n_train": n, "r2": r2} for m, curve in told.items() for n, r2 in curve.items()])


def public_scaling(told: Mapping[str, Mapping[int, float]], ladder: pd.DataFrame) -> pd.DataFrame:
    """Return reported scaling curves {model: {n: R2}} beside this run's (fixed noise): model, n_train, reported_public, this_run."""
    own = ladder[ladder.protocol == "fixed"].drop_duplicates(["model", "n_train"])  # the first seed
    both = reported_curves(told).merge(
        own[["model", "n_train", "r2"]], "outer", ["model", "n_train"], suffixes=("_told", "_own")
    )
    both = both.rename(columns={"r2_told": "reported_public", "r2_own": "this_run"})
    return both.sort_values(
        ["model", "n_train"], key=lambda c: c.map(MODELS.index) if c.name == "model" else c, ignore_index=True
    )


def epoch_table(
    history: pd.DataFrame, label_std: float, reported: Mapping[str, Sequence[Sequence[float | None]]], rows: int = 6
) -> pd.DataFrame:
    """Return epochs of the arms, evenly spaced, below the reported ones: arm, epoch, r2, mae_normalized, train_loss.

    reported  {arm: rows of those four figures}; None where the document has none
    """
    names = ["epoch", "r2", "mae_normalized", "train_loss"]
    parts = [pd.DataFrame(told, columns=names, dtype=float).assign(arm=f"reported_{arm}") for arm, told in reported.items()]
    for _, part in history.groupby("arm", sort=False):
        part = part.iloc[np.unique(np.linspace(0, len(part) - 1, rows).astype(int))]
        parts.append(part.assign(r2=part.val_r2, mae_normalized=part.val_mae / label_std))
    return pd.concat(parts, ignore_index=True)[["arm", *names]].astype({"epoch": int})


def ceiling_of(results: Results, rows: np.ndarray | None = None, *, free: int | None = None) -> float:
    """Return the Cramer-Rao ceiling of R2 (lib.fisher, Gaussian prior) for test stars, at most `ceiling_stars` of them.

    free  number of labels estimated together, in the grid's order (default: all);  NaN where there is no grid
    """
    sets, config = results.sets, results.config
    if sets.grid is None:
        return float("nan")
    rows = np.arange(len(sets.test)) if rows is None else rows
    picked = rows[np.linspace(0, len(rows) - 1, min(len(rows), config.ceiling_stars)).astype(int)]
    noise = sets.test.take(torch.as_tensor(picked), None).sigma.cpu()
    labels = sets.grid.labels[: free or len(sets.grid.labels)]
    return float(r2_ceiling(sets.grid, noise.clamp_min(1e-9), labels, stars=sets.parameters[picked])[config.label])


def ceilings(results: Results) -> pd.DataFrame:
    """Return the ceiling at noise level 1 against magnitude, few and all labels free, with and without prior."""
    grid, stars = results.sets.grid, results.sets.parameters[: results.config.ceiling_stars]
    return ceiling_table(grid, frames.sigmas(grid, MAGNITUDES), parameters=[grid.labels[:FEW], grid.labels], stars=stars)


def reported_ceilings(told: Mapping[float, Sequence[float]]) -> pd.DataFrame:
    """Return reported ceilings of another grid as points: snr, n_parameters, r2_max; {magnitude: (snr, r2 of 5, r2 of 3)}."""
    rows = [(snr, count, r2) for snr, five, three in told.values() for count, r2 in ((5, five), (3, three))]
    return pd.DataFrame(rows, columns=["snr", "n_parameters", "r2_max"])


def public_ceilings(told: Mapping[float, Sequence[float]], ceilings: pd.DataFrame, label: str) -> pd.DataFrame:
    """Return reported ceilings beside this grid's without prior, read at the same S/N: snr, n_parameters, reported_public, this_run."""
    own, points = ceilings[(ceilings.label == label) & ~ceilings.prior].sort_values("snr"), reported_ceilings(told)
    curves = dict(iter(own.groupby("n_parameters")))
    here = [
        np.interp(p.snr, curves[p.n_parameters].snr, curves[p.n_parameters].r2_max, left=np.nan, right=np.nan)
        if p.n_parameters in curves
        else np.nan
        for p in points.itertuples()
    ]
    return points.rename(columns={"r2_max": "reported_public"}).assign(this_run=here)


def by_snr(results: Results, points: Mapping[str, Arm], bins: int = 5) -> pd.DataFrame:
    """Return R2 per quantile bin of SNR and model, with the Cramer-Rao ceiling of the bin's stars and the efficiency.

    R2 in a bin uses the variance of the bin's labels; so does the ceiling.
    """
    if "snr" not in results.sets.stars:
        return pd.DataFrame(columns=["bin", "snr", "model", "r2", "ceiling", "efficiency"])
    snr, rows = results.sets.stars.snr.to_numpy(), []
    which = np.digitize(snr, np.quantile(snr, np.linspace(0, 1, bins + 1)[1:-1]))
    for b in range(bins):
        inside = np.flatnonzero(which == b)
        ceiling = ceiling_of(results, inside)
        for name, point in points.items():
            truth, pred = results.truth[inside], results.pred(point)[inside]
            r2, (low, high) = (
                float(metrics.r2(truth, pred)),
                metrics.bootstrap(metrics.r2, truth, pred, n=results.config.fit_draws),
            )
            row = {"bin": b + 1, "n": len(inside), "snr": float(np.median(snr[inside])), "model": name, "r2": r2}
            rows.append(row | {"low": low, "high": high, "ceiling": ceiling, "efficiency": r2 / ceiling})
    return pd.DataFrame(rows)


def cells(results: Results, point: Arm) -> pd.DataFrame:
    """Return R2 of a point per cell of T_eff x [M/H] with 20 stars or more: t_eff, m_h (cell centres), n, r2."""
    columns, stars = ["t_eff", "m_h", "n", "r2"], results.sets.stars
    if not {"t_eff", "m_h"} <= set(stars):
        return pd.DataFrame(columns=columns)
    frame = stars[["t_eff", "m_h"]].apply(pd.cut, bins=4).assign(truth=results.truth, pred=results.pred(point))
    rows = [
        (t.mid, m.mid, len(part), float(metrics.r2(part.truth.to_numpy(), part.pred.to_numpy())))
        for (t, m), part in frame.groupby(["t_eff", "m_h"], observed=True)
        if len(part) >= CELL_STARS
    ]
    return pd.DataFrame(rows, columns=columns)


def linear_invariance(results: Results, point: Arm) -> pd.DataFrame:
    """Return R2 and MAE of one prediction in three spaces: R2 stays, MAE scales with the label."""
    labels, pred = results.sets.train.labels, results.pred(point)
    low, high = float(labels.min()), float(labels.max())
    maps = {"dex": (0.0, 1.0), "standard": (float(labels.double().mean()), results.label_std), "minmax": (low, high - low)}
    spaces = [(name, (results.truth - shift) / scale, (pred - shift) / scale, scale) for name, (shift, scale) in maps.items()]
    rows = [(name, float(metrics.r2(y, p)), float(metrics.mae(y, p)), scale) for name, y, p, scale in spaces]
    return pd.DataFrame(rows, columns=["space", "r2", "mae", "unit"])


def calibration(results: Results) -> pd.DataFrame:
    """Return nominal and reached coverage of the sigma head on test stars: raw, and with sigma rescaled on validation."""
    head = results.arm("sigma_head")
    if head is None:
        return pd.DataFrame(columns=["nominal", "raw", "rescaled"])
    truths = {"val": results.sets.val.labels[:, 0].double().cpu().numpy(), "test": results.truth}
    sets = {k: [v[:, None] for v in (y, results.pred(head, k), results.pred(head, f"{k}_sigma"))] for k, y in truths.items()}
    y, mean, sd = sets["test"]
    reach = {"raw": sd, "rescaled": sd * temperature(*sets["val"])}
    return pd.DataFrame([{"nominal": c} | {k: float(coverage(y, mean, s, c)[0]) for k, s in reach.items()} for c in COVERAGE])


def attention(results: Results, point: Arm, stars: int = 128) -> pd.DataFrame:
    """Return mean attention per patch and layer over test stars: wave_aa (patch centre), layer, attention times patches."""
    model = results.model(point)
    weight = model.patch_attention(seen(results, stars).noisy.cpu()).mean(0).numpy()  # (layers, patches)
    weight = weight / weight.sum(1, keepdims=True) * weight.shape[1]
    wave = np.asarray(results.sets.wave)[np.arange(weight.shape[1]) * model.config.step + model.config.patch_size // 2]
    rows = [(w, layer, weight[layer - 1, i]) for layer in range(1, len(weight) + 1) for i, w in enumerate(wave)]
    return pd.DataFrame(rows, columns=["wave_aa", "layer", "attention"])


def key_numbers(results: Results, ceiling: float) -> dict[str, Any]:
    """Return the facts of the report by name; None for what this run could not compute."""
    top, labels, course = results.largest()["vit"], results.sets.train.labels, results.course()
    row, measured, own = (
        results.row(top),
        results.measured(top),
        model_config(vit_settings(results.config), len(results.sets.wave)),
    )
    rate, work, peak = measured["spectra_per_s"], flops(own)["training"], peak_tflops(results.sets.train.device)
    best = {"best_epoch": int(course.sort_values("val_mae").epoch.iloc[0])} if len(course) else {}
    bounds = {"ceiling": ceiling, "ceiling_3": ceiling_of(results, free=FEW), "efficiency": row.r2 / ceiling}
    return {
        "r2": row.r2, "mae_dex": row.mae_dex, "mae_normalized": row.mae_normalized,
        **{name: float(v) if np.isfinite(v) else None for name, v in bounds.items()}, **best,
        "label_std": results.label_std, "label_range": f"[{float(labels.min()):.1f}, {float(labels.max()):.1f}]",
        "parameters": measured["parameters"], "parameters_document": int(parameter_table(SpectrumViT(ViTConfig())).parameters.iloc[-1]),
        "batches_per_s": rate / DOCUMENT["batch_size"], "spectra_per_s": rate,
        "peak_fraction": rate * work / 1e12 / peak if peak else None, "gflop": work / 1e9,
        "forward_gflop_document": flops(ViTConfig())["forward"] / 1e9,
    }  # fmt: skip
