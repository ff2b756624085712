"""The experiments of `latent_extraction` beside the table of cells: controls, random encoders, the arms."""

import itertools
from collections.abc import Callable
from functools import partial

import torch
from safetensors.torch import load_file
from torch import Tensor

from lib import denoising, latents
from lib.arms import Arm
from lib.data.batches import Source, whole_set
from lib.data.sets import SPLITS
from lib.heads import HeadTraining
from lib.latents import FUSED, Cell
from lib.models.blindspot import BlindSpotDenoiser
from lib.models.student import Student
from lib.runtime import Runtime
from lib.steps.denoiser import STUDENT, StudentSpec, distil_student, encoder_at
from lib.steps.head import PREDICTIONS, FluxSpec, train_on_flux
from lib.studies.latent_extraction.arms import DECODER, GLOBAL, LAST, PRE, PRETRAINED, SEGMENTS, planned
from lib.studies.latent_extraction.config import LatentExtractionConfig
from lib.studies.latent_extraction.probing import Probed, joined, probe, read_cells, ridge, scored, trees
from lib.studies.latent_extraction.sets import Sets, prepare, pretrained, weights

ALPHAS = (1e-3, 1.0, 30.0, 1e3, 3e4)  # Ridge penalties tried on raw flux, chosen on validation
LASTS = [(PRE, SEGMENTS), (LAST, SEGMENTS)]


def table_cells(config: LatentExtractionConfig, denoiser: BlindSpotDenoiser, pixels: int) -> list[Cell]:
    """Return every (layer, pooling) of the table; a pooling with more segments than a layer has pixels is left out."""
    return [cell for cell in _wanted(config, denoiser) if latents.fits(denoiser, pixels, cell)] + [FUSED]


def cells_left_out(config: LatentExtractionConfig, denoiser: BlindSpotDenoiser, pixels: int) -> str:
    """Return the cells that the table cannot hold, each with the pixels that its layer keeps; `-` where it holds them all."""
    absent = [cell for cell in _wanted(config, denoiser) if not latents.fits(denoiser, pixels, cell)]
    kept = [f"{layer} + {pooling} (L' = {latents.length(denoiser, pixels, layer)})" for layer, pooling in absent]
    return ", ".join(kept) or "-"


def _wanted(config: LatentExtractionConfig, denoiser: BlindSpotDenoiser) -> list[Cell]:
    layers = [*(f"layer{i}" for i in range(denoiser.config.num_layers - 1)), PRE, LAST, DECODER]
    return [(layer, pooling) for layer in layers for pooling in config.poolings]


def random_encoders(config: LatentExtractionConfig, sets: Sets) -> Probed:
    """Probe encoders with random weights, BatchNorm calibrated on training spectra: what the architecture alone gives."""
    cells, parts = [(PRE, GLOBAL), *LASTS], []
    for k in range(config.random_seeds):
        model = denoising.build(config.model_shape(), config.training(), sets.pretrain, config.seed + 1000 + k)
        model = calibrate(model, sets.pretrain)
        parts.append(probe(config, model, sets, cells, arm="random", shown=f"random_{k}", seed=k))
    return joined(parts)


@torch.no_grad()
def calibrate(denoiser: BlindSpotDenoiser, source: Source, rows: int = 1024) -> BlindSpotDenoiser:
    """Set the BatchNorm statistics of an untrained encoder from spectra; returns the denoiser in eval mode, on their device."""
    denoiser.to(source.labels.device).train()
    for seen in itertools.islice(denoising.in_order(source, batch_size=128), -(-rows // 128)):
        denoiser.latents(denoising.stack_input(seen.noisy, seen.sigma, denoiser.config), LAST)
    return denoiser.eval()


def controls(config: LatentExtractionConfig, runtime: Runtime, sets: Sets, *, arm: str = "") -> Probed:
    """Probe what needs no encoder: raw flux, noiseless flux, and the error vector alone, which must know nothing.

    arm  what stands before their names
    """
    seen = {s: whole_set(getattr(sets, s)) for s in SPLITS}
    parts = []
    for name, part in {"raw_flux": 0, "error_only": 1, "noiseless_flux": 3}.items():
        x = {s: values[part] for s, values in seen.items()}
        parts.append(ridge(config, x, sets.y, arm + name, ALPHAS, arm=arm + name))
    x = {s: values[0] for s, values in seen.items()}
    return joined([*parts, trees(config, runtime, x, sets.y, f"{arm}raw_flux", ["log_g"], arm=f"{arm}raw_flux")])


def raw_mlp(config: LatentExtractionConfig, runtime: Runtime, sets: Sets) -> Probed:
    """Train the documents' MLP head on the noisy flux itself: the baseline that a linear raw baseline hides."""
    spec = FluxSpec(sets.data, HeadTraining(epochs=config.mlp_epochs, batch_size=128), config.seed)
    found = load_file(train_on_flux(spec, runtime, force=config.force) / PREDICTIONS)
    column = config.labels.index("log_g")
    truth = {s: labels[:, [column]].double().cpu().numpy() for s, labels in sets.y.items()}
    pred = {s: found[s].double().numpy() for s in SPLITS}
    what = {"arm": "raw_flux", "probe": "mlp", "dim": len(sets.train.wave)}
    return scored(config, "raw_flux (mlp)", truth, pred, ["log_g"], **what)


def further_arms(
    config: LatentExtractionConfig, runtime: Runtime, denoiser: BlindSpotDenoiser, sets: Sets, probed: Probed, best: Cell
) -> Probed:
    """Run the arms of the table that a run names and that add features: what is compared with the pretrained denoiser's."""
    runs: dict[str, Callable[[Arm], Probed]] = {
        "directions": lambda _: directions(config, denoiser, sets),
        "noise": partial(other_noise, config, runtime),
        "losses": partial(other_training, config, runtime, sets),
        "student": lambda _: student(config, runtime, denoiser, sets, probed, best),
    }
    return joined([runs[arm.group](arm) for arm in planned(config) if arm.group in runs])


def directions(config: LatentExtractionConfig, denoiser: BlindSpotDenoiser, sets: Sets) -> Probed:
    """Compare how the two reading directions are merged, at both last layers, from one encoder pass."""
    names = ("forward", "mean", "concat")
    found = {s: latents.pooled_ways(denoiser, getattr(sets, s), LASTS, names, edges=config.edges) for s in SPLITS}
    by_name = {name: {s: ways[name] for s, ways in found.items()} for name in names}
    return joined(read_cells(config, sets, x, arm=n, shown=PRETRAINED, direction=n) for n, x in by_name.items())


def other_noise(config: LatentExtractionConfig, runtime: Runtime, arm: Arm) -> Probed:
    """Repeat the main contrasts at another noise, with a denoiser trained there."""
    sets, name = prepare(config, runtime, **arm.changes), f"noise_level_{arm.changes['noise_level']:g}"
    denoiser, _ = pretrained(config, runtime, sets, epochs=config.arm_epochs)
    cells = [(layer, pooling) for layer in (PRE, LAST) for pooling in (GLOBAL, SEGMENTS)]
    return joined([probe(config, denoiser, sets, cells, arm=name), controls(config, runtime, sets, arm=f"{name}_")])


def other_training(config: LatentExtractionConfig, runtime: Runtime, sets: Sets, arm: Arm) -> Probed:
    """Train the denoiser for `arm_epochs` with what the arm changes, and probe it at both last layers."""
    denoiser, _ = pretrained(config, runtime, sets, epochs=config.arm_epochs, **arm.changes)
    return probe(config, denoiser, sets, LASTS, arm=arm.name, shown=f"{arm.name}_{config.arm_epochs}_epochs")


def student(
    config: LatentExtractionConfig, runtime: Runtime, denoiser: BlindSpotDenoiser, sets: Sets, probed: Probed, cell: Cell
) -> Probed:
    """Train a small student on the teacher's features of a cell, and read what it returns by Ridge."""
    ways = {"direction": config.direction, "edges": config.edges, "epochs": config.student_epochs, "seed": config.seed}
    teacher = encoder_at(weights(config, runtime, sets))
    spec = StudentSpec(teacher, cell, train=sets.data.train, val=sets.data.val, **ways)
    small = Student(probed.features["train"][cell].shape[1], denoiser.config.in_channels)
    small.load_state_dict(load_file(distil_student(spec, runtime, force=config.force) / STUDENT))
    small.to(runtime.device).eval()
    x = {s: _imitated(small, denoiser, getattr(sets, s)) for s in SPLITS}
    columns = {"arm": "student", "layer": cell[0], "pooling": cell[1], "direction": config.direction}
    return ridge(config, x, sets.y, "student", **columns)


@torch.no_grad()
def _imitated(small: Student, denoiser: BlindSpotDenoiser, source: Source) -> Tensor:
    parts = denoising.in_order(source)
    return torch.cat([small(denoising.stack_input(p.noisy, p.sigma, denoiser.config)) for p in parts])
