"""What a run leaves (the denoiser, the recommended features as a teacher's target), and how a user's file is denoised with it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import pandas as pd
import torch

from lib import denoising, latents
from lib.data.parameters import describe
from lib.data.sets import SPLITS, open_grid
from lib.data.spectra.layout import FLUX, blocks, check_shapes, opened, read_wave
from lib.data.units import check_units
from lib.files import replacing, write_json
from lib.fisher import r2_ceiling
from lib.latents import Cell
from lib.models.blindspot import BlindSpotDenoiser, load_pretrained, save_pretrained
from lib.probes import fit_ridge
from lib.studies.latent_extraction.arms import DECODER, LAST, PRE, SEGMENTS
from lib.studies.latent_extraction.config import LatentExtractionConfig
from lib.studies.latent_extraction.probing import Probed
from lib.studies.latent_extraction.sets import Sets

ROWS = 256  # spectra denoised at a time
WRITTEN = ("flux", "error", "mu", "sigma")
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
    kept = [(layer, SEGMENTS) for layer in (PRE, LAST, DECODER)]
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


@torch.no_grad()
def denoise_file(model: Path, source_file: Path, target_file: Path, device: torch.device) -> None:
    """Denoise a file of the documents' layout: posterior flux and error in place of the noisy, mu and sigma beside them."""
    denoiser = load_pretrained(denoiser_file(model)).to(device)
    with opened(source_file) as source:
        check_shapes(source)
        with replacing(target_file) as temporary, h5py.File(temporary, "w") as target:
            for name in source:
                if name != "dataset":
                    source.copy(name, target)
            copy_tables(source["dataset"], target.create_group("dataset"))
            out = {n: target.create_dataset(f"dataset/arrays/{n}/value", source[FLUX].shape, "f4") for n in WRITTEN}
            for rows, found in denoised_blocks(source, denoiser):
                for name, values in zip(WRITTEN, (found.flux, found.sd, found.mu, found.sigma), strict=True):
                    out[name][rows] = values.cpu().numpy()


def denoiser_file(model: Path) -> Path:
    """Return the weights in a published model folder, or the file itself."""
    return model / denoising.WEIGHTS if model.is_dir() else model


def copy_tables(source: h5py.Group, target: h5py.Group) -> None:
    """Copy what lies beside the arrays, such as the table of labels."""
    for name in source:
        if name != "arrays":
            source.copy(name, target)


def denoised_blocks(source: h5py.File, denoiser: BlindSpotDenoiser) -> Iterator[tuple[slice, denoising.Denoised]]:
    """Read, check and denoise block by block, so that memory stays bounded."""
    device = next(denoiser.parameters()).device
    wave = read_wave(source)
    check_units({"wave": wave}, source.filename)
    pixels = len(wave)
    if pixels < denoiser.config.min_length:
        raise ValueError(f"{source.filename}: {pixels} pixels; the denoiser needs {denoiser.config.min_length}.")
    for rows, parts in blocks(source, ROWS):
        yield rows, denoising.denoise(denoiser, *(torch.from_numpy(part).to(device) for part in parts))
