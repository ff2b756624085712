"""Publish the trained model of a run, and apply it to a user's HDF5 file of spectra."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lib.arms import Arm
from lib.data.spectra.layout import ERROR, FLUX, blocks, check_shapes, opened, read_wave
from lib.runtime import generator
from lib.steps.vit import load, predict, save
from lib.studies.vit_scaling.results import Results

ROWS = 1024
TOLERANCE_AA = 0.05  # a twelfth of a pixel of the default grid


def publish(results: Results, point: Arm, folder: Path) -> None:
    """Write a point's model with what applying it needs: label, wavelengths, and whether flux is relative to its mean."""
    model, scaler, state = load(results.folder(point))
    grid = results.grid
    span = None if grid is None else [float(grid.wave[0]), float(grid.wave[-1])]
    more = {"label": results.config.label, "wave_aa": [round(float(w), 4) for w in results.sets.wave], "mean_over_aa": span}
    save(folder, model, scaler, {"settings": state["settings"], "n_train": point.changes["n_train"], **more})


def predict_file(model_dir: Path, path: Path, *, noise_level: float = 0.0, seed: int = 0) -> pd.DataFrame:
    """Return one row per spectrum of a file, in its order: row, the label and, where the head has it, <label>_sd.

    noise_level  add this factor times the file's error first, for files of noiseless models
    Raises ValueError naming what is absent or does not fit: data sets, wavelengths, values that are not finite.
    """
    model, scaler, state = load(model_dir)
    frames = []
    with opened(path) as file:
        check_shapes(file)
        wave = read_wave(file)
        pixels = _matching(wave, np.array(state["wave_aa"]), path)
        for rows, parts in blocks(file, ROWS, names=(FLUX, ERROR) if noise_level else (FLUX,)):
            flux, *error = (torch.from_numpy(part) for part in parts)
            flux = flux / _level(flux, wave, state["mean_over_aa"], path)
            if noise_level:
                flux = flux + noise_level * error[0] * torch.randn(flux.shape, generator=generator(seed, rows.start))
            label, sigma = predict(model, scaler, flux[:, pixels])
            frame = pd.DataFrame({"row": rows.start + np.arange(len(label)), state["label"]: label[:, 0].numpy()})
            frames.append(frame if sigma is None else frame.assign(**{f"{state['label']}_sd": sigma[:, 0].numpy()}))
    return pd.concat(frames, ignore_index=True)


def _matching(wave: np.ndarray, wanted: np.ndarray, path: Path) -> slice:
    """Return the pixels of the file that are the model's."""
    start = int(np.abs(wave - wanted[0]).argmin())
    found = wave[start : start + len(wanted)]
    if len(found) < len(wanted) or np.abs(found - wanted).max() > TOLERANCE_AA:
        raise ValueError(
            f"{path}: its {len(wave)} pixels of {wave[0]:.1f} to {wave[-1]:.1f} A do not hold the model's {len(wanted)} pixels "
            f"of {wanted[0]:.1f} to {wanted[-1]:.1f} A; resample to them"
        )
    return slice(start, start + len(wanted))


def _level(flux: torch.Tensor, wave: np.ndarray, span: list[float] | None, path: Path) -> torch.Tensor:
    """Return the level (n, 1) that flux is relative to: its mean over the grid's range, or 1 for models of users' files."""
    if span is None:
        return torch.ones(len(flux), 1)
    inside = torch.from_numpy((wave >= span[0] - 1) & (wave <= span[1] + 1))
    level = flux[:, inside].mean(1, keepdim=True)
    if not bool((level > 0).all()):
        raise ValueError(f"{path}: row {int((level[:, 0] <= 0).nonzero()[0])} of a block has no positive mean flux")
    return level
