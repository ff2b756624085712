"""The tables of the study that stand beside figures which the documents and the public logs report."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lib.models.vit import ViTConfig, flops, peak_tflops
from lib.steps.vit import model_config
from lib.studies.vit_scaling.config import Point, VitScalingConfig
from lib.studies.vit_scaling.evaluate import Results

# The documents' Run 1, by parameter; n_train is stated for one million rows.
DOCUMENT = {
    "patch_size": 16, "hidden_size": 256, "num_layers": 6, "num_heads": 8, "tokenizer": "C1D", "pos_encoding": "learned",
    "pooling": "cls", "dropout": 0.1, "loss": "mse", "label_norm": "standard", "lr": 3e-4, "min_lr": 1e-5, "weight_decay": 0.01,
    "batch_size": 256, "epochs": 200, "n_train": 1_000_000, "n_val": 1000, "n_test": 10_000, "clip": 0.5, "patience": 500,
    "noise_level": 1.0, "pixels": 4096,
}  # fmt: skip
DOCUMENT_MODEL = ViTConfig()


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


def public_scaling(reported: Mapping[str, Mapping[int, float]], ladder: pd.DataFrame) -> pd.DataFrame:
    """Return reported scaling curves {model: {n: R2}} beside this run's (fixed noise): model, n_train, reported_public, this_run."""
    fixed = ladder[ladder.protocol == "fixed"].drop_duplicates(["model", "n_train"])  # the first seed
    theirs = reported_curves(reported).rename(columns={"r2": "reported_public"})
    both = theirs.merge(fixed[["model", "n_train", "r2"]].rename(columns={"r2": "this_run"}), "outer")
    return both.sort_values(
        ["model", "n_train"], key=lambda c: c.map({"vit": 0, "lightgbm": 1, "ridge": 2}) if c.name == "model" else c
    )
