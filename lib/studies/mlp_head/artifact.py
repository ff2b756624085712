"""The published model: encoder, head and recipe; and how it predicts for a user's file."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import torch

from lib import denoising
from lib.data.parameters import locate
from lib.data.spectra.layout import blocks, check_shapes, opened, read_wave
from lib.files import read_json, write_csv, write_json
from lib.heads import EncoderAndHead, load_head
from lib.legible import legible
from lib.models.blindspot import load_pretrained, save_pretrained
from lib.steps.head import HEAD
from lib.studies.mlp_head.config import MLPHeadConfig
from lib.studies.mlp_head.experiments import Prepared, Trained

RECIPE = "head.json"
ROWS = 256


def publish(config: MLPHeadConfig, folder: Path, prepared: Prepared, main: Trained, log: pd.DataFrame) -> None:
    """Write encoder, head, recipe and the training log of all heads (`histories`); no pickle."""
    write_csv(folder / "training_log.csv", log.drop(columns="seed").rename(columns={"arm": "method"}))
    save_pretrained(prepared.denoiser, folder / denoising.WEIGHTS)
    shutil.copy(main.folder / HEAD, folder / HEAD)
    recipe = {name: getattr(config, name) for name in ("layer", "pooling", "direction", "edges", "run_name", "window_aa")}
    write_json(
        folder / RECIPE,
        recipe | {"label": "log_g", "n_pixels": len(prepared.test.wave), "wave_aa": np.asarray(prepared.test.wave).tolist()},
    )


@torch.no_grad()
def load(folder: Path, device: torch.device) -> tuple[EncoderAndHead, dict]:
    """Return the published model in eval mode, and its recipe."""
    recipe = read_json(folder / RECIPE, ("layer", "pooling", "direction", "wave_aa"))
    denoiser, head = load_pretrained(folder / denoising.WEIGHTS), load_head(folder / HEAD)
    with legible(folder / RECIPE, "a recipe"):
        edges = recipe.get("edges", "adaptive")  # recipes before `edges` was a parameter have none
        model = EncoderAndHead(denoiser, recipe["layer"], recipe["pooling"], recipe["direction"], head, edges).eval()
        model(*torch.ones(2, 1, len(recipe["wave_aa"])))  # pooled latents that do not fit the head are found out here
    return model.to(device), recipe


def pixels_of(file: h5py.File, recipe: dict) -> np.ndarray:
    """Return which pixels of a file the model reads; ValueError where the file does not have them."""
    wave, wanted = read_wave(file), np.asarray(recipe["wave_aa"])
    nearest = np.clip(np.searchsorted(wave, wanted), 1, len(wave) - 1)
    nearest -= (wanted - wave[nearest - 1]) < (wave[nearest] - wanted)
    off = float(np.abs(wave[nearest] - wanted).max())
    step = float(np.diff(wanted).mean())
    if off > 0.1 * step or len(np.unique(nearest)) != len(wanted):
        raise ValueError(
            f"{file.filename}: its wavelengths miss the model's {len(wanted)} pixels ({wanted[0]:.1f} to {wanted[-1]:.1f} A) by up "
            f"to {off:.3g} A; resample the spectra first."
        )
    return nearest


@torch.no_grad()
def predict(model_dir: Path, source: Path, device: torch.device) -> pd.DataFrame:
    """Return one row per spectrum of a file in the documents' layout, in its order: log_g."""
    model, recipe = load(model_dir, device)
    found = []
    with opened(source) as file:
        rows, _ = check_shapes(file)
        pixels = pixels_of(file, recipe)
        for _, parts in blocks(file, ROWS, pixels):
            found.append(model(*(torch.from_numpy(part).to(device) for part in parts)).cpu())
    return pd.DataFrame({"row": np.arange(rows), "log_g": torch.cat(found)[:, 0].numpy()})


def real_spectra(config: MLPHeadConfig, folder: Path, device: torch.device) -> dict[str, float | int | None]:
    """Predict the file of real spectra that the params name: how many, median and spread; zero where there is none."""
    if not config.real_path:
        return {"n_real": 0, "median": None, "sd": None}
    found = predict(folder, locate(config, config.real_path), device).log_g
    return {"n_real": len(found), "median": float(found.median()), "sd": float(found.std())}
