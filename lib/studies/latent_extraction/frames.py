"""Frames behind the figures: one spectrum denoised, the flow of information, all arms side by side."""

import numpy as np
import pandas as pd

from lib.data.batches import Source
from lib.denoising import denoise, in_order
from lib.latents import FUSED
from lib.models.blindspot import BlindSpotDenoiser
from lib.studies.latent_extraction.experiments import SEGMENTS

INTERVAL = ["test_r2", "test_r2_low", "test_r2_high"]


def example(denoiser: BlindSpotDenoiser, source: Source, row: int = 0, window_aa: tuple[float, float] = (8480.0, 8680.0)):
    """Return one spectrum of the first batch around the Ca II triplet: wave_aa, noisy, clean, mu, posterior, sd."""
    seen = next(in_order(source, batch_size=64))
    found = denoise(denoiser, seen.noisy[row : row + 1], seen.sigma[row : row + 1])
    parts = {
        "noisy": seen.noisy[row],
        "clean": seen.flux[row],
        "mu": found.mu[0],
        "posterior": found.flux[0],
        "sd": found.sd[0],
    }
    frame = pd.DataFrame({"wave_aa": np.asarray(source.wave), **{k: v.cpu().numpy() for k, v in parts.items()}})
    inside = frame.wave_aa.between(*window_aa)
    return frame[inside] if inside.sum() > 50 else frame


def flow(table: pd.DataFrame, controls: pd.DataFrame, label: str = "log_g") -> pd.DataFrame:
    """Return Ridge's test R2 from the noisy flux through the layers under one pooling, in the order of the computation."""
    raw = controls[(controls.arm == "raw_flux") & (controls.probe == "ridge") & (controls.label == label)]
    rows = table[(table.label == label) & (table.pooling == SEGMENTS) & (table.layer != FUSED[0]) & (table.probe == "ridge")]
    stages = pd.concat([raw.assign(stage="raw_flux"), rows.assign(stage=rows.layer)], ignore_index=True)
    return stages[["stage", *INTERVAL]]


def arms(*tables: pd.DataFrame, label: str = "log_g") -> pd.DataFrame:
    """Return one row per arm for one label: the arm, what it reads, its probe and its scores."""
    rows = pd.concat([t for t in tables if len(t)], ignore_index=True)
    rows = rows[rows.label == label].dropna(axis=1, how="all")
    for name in ("layer", "pooling", "direction"):
        rows[name] = rows[name].fillna("") if name in rows else ""
    what = rows.layer + " " + rows.pooling + " " + rows.direction
    rows = rows.assign(name=(rows.arm + " " + what).str.strip() + " (" + rows.probe + ")")
    scores = ["dim", "train_r2", *INTERVAL, "test_mae", "test_rmse"]
    return rows.drop_duplicates("name")[["name", *scores]].reset_index(drop=True)
