"""What a run leaves: the denoiser, the recommended features as a teacher's target, a distilled student, the ceiling."""

from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor

from lib import denoising, latents
from lib.data.parameters import describe
from lib.data.sets import SPLITS, open_grid
from lib.files import write_json
from lib.fisher import r2_ceiling
from lib.latents import Cell
from lib.models.blindspot import BlindSpotDenoiser, save_pretrained
from lib.models.student import Student
from lib.probes import fit_ridge, frame
from lib.runtime import Runtime
from lib.steps.denoiser import STUDENT, StudentSpec, distil_student, encoder_at
from lib.studies.latent_extraction.config import LatentExtractionConfig
from lib.studies.latent_extraction.experiments import LAST, PRE, SEGMENTS, Probed, Sets, ridge, weights

SPECTRA = ("window_aa", "mask_ratio", "noise_preset", "noise_level", "error_source", "grid_path")


def publish(
    config: LatentExtractionConfig, folder: Path, denoiser: BlindSpotDenoiser, sets: Sets, probed: Probed, cell: Cell
) -> dict[str, Any]:
    """Write denoiser, probe, encoder.json, teacher.h5 (the recommended cell) and layer_features.h5; return the recipe."""
    save_pretrained(denoiser, folder / denoising.WEIGHTS)
    recipe = {"layer": cell[0], "pooling": cell[1], "direction": config.direction, "edges": config.edges}
    spectra = {name: getattr(config, name) for name in SPECTRA} | {"data": describe(config)["fingerprint"]}
    pixels = {"n_pixels": len(sets.test.wave), "labels": config.labels}
    write_json(folder / "encoder.json", recipe | pixels | {"spectra": spectra})
    fit_ridge(probed.features["train"][cell], sets.train.labels).save(folder / "ridge_probe.json")
    labels = {s: y.cpu().numpy() for s, y in sets.y.items()}
    latents.write_features(folder / "teacher.h5", {s: {cell: probed.features[s][cell]} for s in SPLITS}, labels)
    kept = [(layer, SEGMENTS) for layer in (PRE, LAST, "dec_input")]
    features = {s: {c: probed.features[s][c] for c in kept} for s in SPLITS}
    latents.write_features(folder / "layer_features.h5", features, labels)
    return recipe


def ceiling(config: LatentExtractionConfig, sets: Sets) -> pd.DataFrame:
    """Return the Cramer-Rao ceiling of R2 per label at the noise of the test stars; empty for files (no derivatives)."""
    if not config.embedded:
        return pd.DataFrame(columns=["label", "r2_max", "r2_max_no_prior"])
    grid = open_grid(config.grid_path, tuple(config.window_aa))
    rows = min(config.ceiling_stars, len(sets.test), 256)
    stars = getattr(sets.test, "source", sets.test).parameters[:rows]
    sigma = next(denoising.in_order(sets.test, batch_size=256)).sigma[:rows]
    with_prior, without = (
        r2_ceiling(grid, sigma.double().cpu(), prior=prior, stars=stars.double().cpu()) for prior in (True, False)
    )
    table = pd.DataFrame({"label": with_prior.index, "r2_max": with_prior.values, "r2_max_no_prior": without.values})
    return table[table.label.isin(config.labels)].reset_index(drop=True)


def distil(
    config: LatentExtractionConfig, runtime: Runtime, denoiser: BlindSpotDenoiser, sets: Sets, probed: Probed, cell: Cell
) -> pd.DataFrame:
    """Train a small student on the teacher's recommended features and probe what it returns."""
    teacher = encoder_at(weights(config, runtime, sets))
    ways = {"direction": config.direction, "edges": config.edges, "epochs": config.student_epochs, "seed": config.seed}
    spec = StudentSpec(teacher, cell, train=sets.data.train, val=sets.data.val, **ways)
    folder = distil_student(spec, runtime, force=config.force)
    student = Student(probed.features["train"][cell].shape[1], denoiser.config.in_channels)
    student.load_state_dict(load_file(folder / STUDENT))
    student.to(runtime.device).eval()
    x = {s: _imitate(student, denoiser, getattr(sets, s)) for s in SPLITS}
    _, rows, _ = ridge(config, x, sets.y)
    return frame([{"arm": "student", "layer": cell[0], "pooling": cell[1], "direction": config.direction, **r} for r in rows])


@torch.no_grad()
def _imitate(student: Student, denoiser: BlindSpotDenoiser, source) -> Tensor:
    parts = denoising.in_order(source)
    return torch.cat([student(denoising.stack_input(p.noisy, p.sigma, denoiser.config)) for p in parts])
