"""What the study's claims are judged by, and the tables that stand beside reported figures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats

from lib.models.vit import ViTConfig, flops, peak_tflops
from lib.studies.vit_scaling import scaling
from lib.studies.vit_scaling.config import Point, VitScalingConfig, model_config
from lib.studies.vit_scaling.data import observe
from lib.studies.vit_scaling.evaluate import Results

# The documents' Run 1, by parameter; n_train is stated for one million rows.
DOCUMENT = {
    "patch_size": 16, "hidden_size": 256, "num_layers": 6, "num_heads": 8, "tokenizer": "C1D", "pos_encoding": "learned",
    "pooling": "cls", "dropout": 0.1, "loss": "mse", "label_norm": "standard", "lr": 3e-4, "min_lr": 1e-5, "weight_decay": 0.01,
    "batch_size": 256, "epochs": 200, "n_train": 1_000_000, "n_val": 1000, "n_test": 10_000, "clip": 0.5, "patience": 500,
    "noise_level": 1.0, "pixels": 4096,
}  # fmt: skip
DOCUMENT_MODEL = ViTConfig()
ENOUGH = 1_000_000  # training rows that the documents' hypothesis is about


def judge(
    report: Any, key: str, found: Mapping[str, float] | None, criterion: Any, anchor: str, *, why: tuple[str, str] = ("", ""),
    metric: str = "r2", reported_as: str | None = None, **facts: Any,
) -> str:  # fmt: skip
    """Give `report` the verdict on a claim, or the reason `why` (zh, en) it is not tested where nothing was found.

    found  value, and low and high where there is an interval; facts: the three sentences and what they mention
    """
    if found is None:
        zh, en = (text.format(**facts) for text in why)
        report.not_tested(key, metric=metric, criterion=criterion, zh=zh, en=en, anchor=anchor, reported_as=reported_as)
        return "not_tested"
    given = {name: found.get(name) for name in ("value", "low", "high")}
    return report.claim(key, metric=metric, criterion=criterion, anchor=anchor, reported_as=reported_as, **given, **facts)


def finite(value: float) -> float | None:
    """Return a number, or None for the NaN that stands for what a run could not compute."""
    return float(value) if np.isfinite(value) else None


def recipe(config: VitScalingConfig, pixels: int) -> pd.DataFrame:
    """Return one row per setting: setting, reported, this_run (at the largest size), both as text."""
    here = config.model_dump() | {"n_train": max(config.sizes), "epochs": config.epochs[-1], "pixels": pixels}
    return pd.DataFrame([{"setting": k, "reported": f"{v}", "this_run": f"{here[k]}"} for k, v in DOCUMENT.items()])


def epoch_table(
    history: pd.DataFrame, label_std: float, reported: Mapping[str, Sequence[Sequence[float | None]]], rows: int = 6
) -> pd.DataFrame:
    """Return epochs of the arms, evenly spaced, below the reported ones: arm, epoch, r2, mae_normalized, train_loss.

    reported  {arm: rows of those four figures}; None where the document has none
    """
    names = ["epoch", "r2", "mae_normalized", "train_loss"]
    frames = [pd.DataFrame(told, columns=names, dtype=float).assign(arm=f"reported_{arm}") for arm, told in reported.items()]
    for arm, part in history.groupby("arm", sort=False):
        part = part.iloc[np.unique(np.linspace(0, len(part) - 1, rows).astype(int))]
        part = part.assign(r2=part.val_r2, mae_normalized=part.val_mae / label_std, arm=arm)
        frames.append(part[["arm", *names]])
    return pd.concat(frames, ignore_index=True)[["arm", *names]].astype({"epoch": int})


def throughput(results: Results, point: Point) -> dict[str, float | None]:
    """Return training speed of a ViT: spectra_per_s, parameters, gflop (a spectrum's training step), peak_fraction (GPU)."""
    measured = results.found[id(point)][0]
    work = flops(model_config(point.settings, len(results.sets.wave)))["training"]
    rate = measured["spectra_per_s"]
    peak = peak_tflops(results.sets.train.device)
    head = {"spectra_per_s": rate, "parameters": measured["parameters"], "gflop": work / 1e9}
    return head | {"peak_fraction": rate * work / 1e12 / peak if peak else None}


def reported_curves(rows: Mapping[str, Mapping[int, float]]) -> pd.DataFrame:
    """Return reported scaling curves {model: {n: R2}} as a frame: model, n_train, r2."""
    return pd.DataFrame([{"model": m, "n_train": n, "r2": r2} for m, curve in rows.items() for n, r2 in curve.items()])


def beside_public(reported: Mapping[str, Mapping[int, float]], ladder: pd.DataFrame) -> pd.DataFrame:
    """Return reported scaling curves {model: {n: R2}} beside this run's (fixed noise): model, n_train, reported_public, this_run."""
    fixed = ladder[ladder.protocol == "fixed"].drop_duplicates(["model", "n_train"])  # the first seed
    theirs = reported_curves(reported).rename(columns={"r2": "reported_public"})
    both = theirs.merge(fixed[["model", "n_train", "r2"]].rename(columns={"r2": "this_run"}), "outer")
    return both.sort_values(
        ["model", "n_train"], key=lambda c: c.map({"vit": 0, "lightgbm": 1, "ridge": 2}) if c.name == "model" else c
    )


def scored(row: Mapping[str, Any]) -> dict[str, float]:
    """Return value, low and high of a row's R2, as a claim takes them."""
    return {"value": row["r2"], "low": row["low"], "high": row["high"]}


def gained(results: Results, point: Point, other: Point) -> dict[str, float]:
    """Return value, low and high of R2(point) - R2(other), paired over test stars."""
    gain = results.gain(point, other)
    return {"value": gain["gain"], "low": gain["low"], "high": gain["high"]}


def weakest_tokenizer(results: Results) -> dict[str, float] | None:
    """Return the lower of the R2 of Run 1 and of Run 1 with the SW tokenizer; None where that arm was not run."""
    rows = [results.row(p) for arm in ("run_1", "tokenizer_sw") for p in results.chosen("ablation", arm=arm)]
    return scored(min(rows, key=lambda row: row["r2"])) if len(rows) == 2 else None


def arm_gain(results: Results, arm: str) -> dict[str, float] | None:
    """Return the paired gain of R2 of an ablation arm over Run 1; None where it was not run."""
    points = results.chosen("ablation", arm=arm)
    return gained(results, points[0], results.chosen("ablation", arm="run_1")[0]) if points else None


def larger_gain(results: Results) -> dict[str, float] | None:
    """Return the larger gain of R2 over Run 1 of a model twice as deep and one twice as wide; None where neither was run."""
    found = [gain for arm in ("depth_double", "width_double") if (gain := arm_gain(results, arm))]
    return max(found, key=lambda gain: gain["value"]) if found else None


def late_rise(history: pd.DataFrame) -> dict[str, float] | None:
    """Return what the validation R2 of Run 1 gains over its last quarter of epochs; None for fewer than four epochs."""
    r2 = history[history.arm == "run_1"].val_r2.to_numpy()
    return {"value": float(r2[-1] - r2[-1 - len(r2) // 4])} if len(r2) >= 4 else None


def gap_shrinks(ladder: pd.DataFrame) -> dict[str, float] | None:
    """Return the ViT's training-test gap at its smallest size less that at its largest (fixed noise); None with one size."""
    gaps = ladder[(ladder.model == "vit") & (ladder.protocol == "fixed")].groupby("n_train").gap.first()
    return {"value": float(gaps.iloc[0] - gaps.iloc[-1])} if len(gaps) > 1 else None


def gap_of_protocols(ladder: pd.DataFrame) -> dict[str, float] | None:
    """Return the ViT's training-test gap under fixed noise less that under fresh noise, at the largest size that has both."""
    gaps = ladder[ladder.model == "vit"].groupby(["n_train", "protocol"]).gap.first().unstack()
    both = gaps.dropna() if {"fixed", "fresh"} <= set(gaps) else gaps.iloc[:0]
    return {"n": int(both.index[-1]), "value": float(both.fixed.iloc[-1] - both.fresh.iloc[-1])} if len(both) else None


def augmentation_gain(results: Results) -> dict[str, float] | None:
    """Return R2 of fresh noise minus R2 of fixed noise for the ViT at the largest size that has both; None without one."""
    pairs = {}
    for point in results.chosen("ladder", model="vit", seed=results.config.seed):
        pairs.setdefault(point.n_train, {})[point.protocol] = point
    both = [n for n, found in pairs.items() if len(found) == 2]
    return {"n": max(both)} | gained(results, pairs[max(both)]["fresh"], pairs[max(both)]["fixed"]) if both else None


def bootstrap_spearman(results: Results, point: Point) -> dict[str, float]:
    """Return Spearman's correlation of |label residual| with a star's mean flux error, with its 95 % interval."""
    stars = range(0, len(results.truth), 512)
    parts = [observe(results.sets.test, a, min(a + 512, len(results.truth))).sigma.mean(1) for a in stars]
    error = stats.rankdata(torch.cat(parts).cpu().numpy())
    residual = stats.rankdata(np.abs(results.truth - results.pred(point)))
    rows = np.random.default_rng(results.config.seed).integers(0, len(error), (results.config.fit_draws, len(error)))
    draws = [np.corrcoef(residual[r], error[r])[0, 1] for r in rows]
    low, high = np.quantile(draws, scaling.LEVELS)
    return {"value": float(np.corrcoef(residual, error)[0, 1]), "low": float(low), "high": float(high)}


def slope(table: pd.DataFrame) -> dict[str, float] | None:
    """Return the ViT's gain of R2 per decade under fixed noise from the scaling table; None where it has one size."""
    rows = table[(table.model == "vit") & (table.protocol == "fixed")] if len(table) else table
    return {"value": rows.slope.iloc[0], "low": rows.low.iloc[0], "high": rows.high.iloc[0]} if len(rows) else None


def crossing_at(results: Results) -> float | None:
    """Return the n from which the ViT stays above LightGBM under fixed noise; None where it never does."""
    curves, _ = results.curves()
    return scaling.crossing(curves["fixed", "vit"], curves["fixed", "lightgbm"])


def crossing_text(results: Results) -> dict[str, str]:
    """Say from which n the ViT stays above LightGBM under fixed noise, in both languages."""
    n, least = crossing_at(results), min(results.config.sizes)
    if n is None:
        return {"zh": "在本阶梯内未出现", "en": "not within this ladder"}
    if n <= least:
        return {"zh": f"不晚于 n = {least:,}", "en": f"at or below n = {least:,}"}
    return {"zh": f"n ≈ {n:,.0f}", "en": f"n ≈ {n:,.0f}"}


def precision_gain(results: Results, measure: str) -> dict[str, float] | None:
    """Return how many times better mixed precision is than fp32 on a GPU; None without a GPU or without both arms.

    measure  spectra_per_s (the higher the better) or peak_mib (peak memory of the device, the lower the better)
    """
    found = {}
    for arm in ("precision_fp32", "precision_fp16", "precision_bf16"):
        for point in results.chosen("ablation", arm=arm):
            found[arm] = results.found[id(point)][0][measure]
    single, mixed = found.pop("precision_fp32", None), list(found.values())
    if results.sets.train.device.type != "cuda" or not single or not mixed:
        return None
    return {"value": max(mixed) / single if measure == "spectra_per_s" else single / min(mixed)}
