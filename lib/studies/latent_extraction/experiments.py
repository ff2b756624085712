"""The experiments of `latent_extraction`: each prepares, trains or probes, and returns a long DataFrame."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from lib import denoising, latents, metrics, paths
from lib.data.batches import Source, whole_set
from lib.data.sets import SPLITS, SpectraSpec, Splits, open_set
from lib.heads import HeadTraining
from lib.latents import FUSED, Cell
from lib.models.blindspot import BlindSpotDenoiser, load_pretrained, merge_directions
from lib.probes import RIDGE_ALPHA, frame, lightgbm_rows, ridge_path, ridge_rows, score
from lib.runtime import Runtime
from lib.steps.denoiser import DenoiserSpec, pretrain_denoiser
from lib.steps.head import PREDICTIONS, FluxSpec, train_on_flux
from lib.studies.latent_extraction.config import LatentExtractionConfig

PRE, LAST, DECODER = "enc_pre_latent", "enc_last", "dec_input"
GLOBAL, SEGMENTS = "global_mean", "seg_mean_K8"
ALPHAS = (1e-3, 1.0, 30.0, 1e3, 3e4)  # Ridge penalties tried on raw flux, chosen on validation


@dataclass(frozen=True)
class Sets:
    """The denoiser's stars and the probes': sources with labels (n, k) in their own units, and the specs that they are opened from."""

    pretrain: Source
    train: Source
    val: Source
    test: Source
    of_pretrain: SpectraSpec
    data: Splits

    @property
    def y(self) -> dict[str, Tensor]:
        """Labels of the probes' splits."""
        return {split: getattr(self, split).labels for split in SPLITS}


@dataclass
class Probed:
    """Scores of a set of features, and the test predictions behind them (n, k) by cell."""

    table: pd.DataFrame
    predictions: dict[Cell, np.ndarray]
    features: dict[str, dict[Cell, Tensor]] = field(default_factory=dict)


def prepare(config: LatentExtractionConfig, runtime: Runtime, **noise: Any) -> Sets:
    """Open the sets; `noise` changes noise_level or error_source."""
    data, pretrain = config.splits(**noise), config.spectra("train", config.n_pretrain, **noise)
    return Sets(open_set(pretrain, runtime.device), **data.open(runtime.device), of_pretrain=pretrain, data=data)


def pretrained(
    config: LatentExtractionConfig, runtime: Runtime, sets: Sets, **changes: Any
) -> tuple[BlindSpotDenoiser, pd.DataFrame]:
    """Return the denoiser and its history, from the checkpoint, the run cache or a training; `changes` of the training."""
    file = weights(config, runtime, sets, force=config.force, **changes)
    if config.checkpoint and not changes:
        return load_pretrained(file).to(runtime.device), pd.DataFrame()
    return denoising.load(file.parent, runtime.device)


def weights(config: LatentExtractionConfig, runtime: Runtime, sets: Sets, *, force: bool = False, **changes: Any) -> Path:
    """Return the file of the denoiser: the checkpoint, or with `changes` a training's."""
    if config.checkpoint and not changes:
        return paths.resolve(config.checkpoint)
    return pretrain_denoiser(denoiser_spec(config, sets, **changes), runtime, force=force) / denoising.WEIGHTS


def denoiser_spec(config: LatentExtractionConfig, sets: Sets, **changes: Any) -> DenoiserSpec:
    """Return the spec of a pretraining on the sets; `changes` of the training."""
    several = {"devices": config.devices, "num_nodes": config.num_nodes, "strategy": config.strategy}
    data = {"train": sets.of_pretrain, "val": sets.data.val}
    return DenoiserSpec(config.model_shape(), config.training(**changes), **data, seed=config.seed, **several)


def with_epochs(history: pd.DataFrame) -> pd.DataFrame:
    """Return a history to draw; a checkpoint that came without one gives an empty frame."""
    return history if len(history) else pd.DataFrame(columns=["epoch", "train_loss", "val_loss"], dtype=float)


def parameters(denoiser: BlindSpotDenoiser) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in denoiser.parameters())


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


def probe(
    config: LatentExtractionConfig,
    denoiser: BlindSpotDenoiser,
    sets: Sets,
    cells: Sequence[Cell],
    *,
    direction: str | None = None,
    arm: str = "pretrained",
) -> Probed:
    """Extract features of every cell on the three splits, fit Ridge on train, choose nothing, score on val and test."""
    direction = direction or config.direction
    options = {"direction": direction, "edges": config.edges}
    features = {s: latents.pooled(denoiser, getattr(sets, s), cells, **options) for s in SPLITS}
    return scored(config, sets, features, direction=direction, arm=arm)


def scored(
    config: LatentExtractionConfig, sets: Sets, features: dict[str, dict[Cell, Tensor]], *, direction: str, arm: str
) -> Probed:
    """Fit Ridge on the training features of every cell and score it on val and test."""
    rows, predictions = [], {}
    cells = features["train"]
    for cell in cells:
        _, found, predictions[cell] = ridge(config, {s: features[s][cell] for s in SPLITS}, sets.y)
        rows += [{"arm": arm, "layer": cell[0], "pooling": cell[1], "direction": direction, **row} for row in found]
    return Probed(frame(rows), predictions, features)


def ridge(config: LatentExtractionConfig, x: dict[str, Tensor], y: dict[str, Tensor], alphas: Sequence[float] = (RIDGE_ALPHA,)):
    """Return the penalty that validation chooses for log g, one row of scores per label, and the test predictions."""
    column = config.labels.index("log_g")
    path = ridge_path(x["train"], y["train"], alphas)
    errors = [(p.predict(x["val"])[:, column] - y["val"][:, column]).square().mean().item() for p in path]
    best = int(np.argmin(errors))
    splits = {split: (x[split], y[split]) for split in SPLITS}
    return alphas[best], *ridge_rows(path[best], splits, config.labels, n_boot=config.n_boot, seed=config.seed)


def trees(config: LatentExtractionConfig, runtime: Runtime, sets: Sets, probed: Probed, cells: Sequence[Cell]) -> pd.DataFrame:
    """Probe features with LightGBM, label by label: the documents' second probe; log g alone without the arm `lightgbm`."""
    rows = []
    for cell in cells:
        x = {s: probed.features[s][cell] for s in SPLITS}
        names = [label for label in config.labels if label == "log_g" or "lightgbm" in config.arms]
        head = {"arm": "pretrained", "layer": cell[0], "pooling": cell[1], "direction": config.direction}
        rows += [head | row for row, _ in _trees(config, runtime, x, sets.y, names)]
    return frame(rows)


def _trees(config, runtime: Runtime, x: dict[str, Tensor], y: dict[str, Tensor], labels: Sequence[str]):
    pair = ((x["train"], y["train"]), (x["test"], y["test"]))
    columns = {label: config.labels.index(label) for label in labels}
    return lightgbm_rows(*pair, columns, n_boot=config.n_boot, seed=config.seed, threads=runtime.threads)


def directions(config: LatentExtractionConfig, denoiser: BlindSpotDenoiser, sets: Sets) -> pd.DataFrame:
    """Compare how the two reading directions are merged, at both last layers."""
    cells = [(PRE, SEGMENTS), (LAST, SEGMENTS)]
    names = ("forward", "mean", "concat")
    found = {s: latents.pooled_ways(denoiser, getattr(sets, s), cells, names, edges=config.edges) for s in SPLITS}
    by_name = {name: {s: ways[name] for s, ways in found.items()} for name in names}
    tables = [scored(config, sets, x, direction=name, arm="pretrained").table for name, x in by_name.items()]
    return pd.concat(tables, ignore_index=True)


def random_encoders(config: LatentExtractionConfig, sets: Sets) -> tuple[pd.DataFrame, dict[int, np.ndarray]]:
    """Probe encoders with random weights, BatchNorm calibrated on training spectra: what the architecture alone gives."""
    cells, tables, predictions = [(PRE, GLOBAL), (PRE, SEGMENTS), (LAST, SEGMENTS)], [], {}
    for k in range(config.random_seeds):
        model = denoising.build(config.model_shape(), config.training(), sets.pretrain, config.seed + 1000 + k)
        probed = probe(config, calibrate(model, sets.pretrain), sets, cells, arm=f"random_{k}")
        tables.append(probed.table)
        predictions[k] = probed.predictions[PRE, SEGMENTS]
    return pd.concat(tables, ignore_index=True), predictions


@torch.no_grad()
def calibrate(denoiser: BlindSpotDenoiser, source: Source, rows: int = 1024) -> BlindSpotDenoiser:
    """Set the BatchNorm statistics of an untrained encoder from spectra; returns the denoiser in eval mode, on their device."""
    denoiser.to(source.labels.device).train()
    for seen in itertools.islice(denoising.in_order(source, batch_size=128), -(-rows // 128)):
        denoiser.latents(denoising.stack_input(seen.noisy, seen.sigma, denoiser.config), LAST)
    return denoiser.eval()


def controls(config: LatentExtractionConfig, runtime: Runtime, sets: Sets) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Probe what needs no encoder: raw flux, noiseless flux, and the error vector alone, which must know nothing."""
    seen = {s: whole_set(getattr(sets, s)) for s in SPLITS}
    inputs = {"raw_flux": 0, "error_only": 1, "noiseless_flux": 3}
    rows, predictions = [], {}
    for name, part in inputs.items():
        x = {s: values[part] for s, values in seen.items()}
        best, found, predictions[name] = ridge(config, x, sets.y, ALPHAS)
        rows += [{"arm": name, "alpha": best, **row} for row in found]
    x = {s: values[0] for s, values in seen.items()}
    ((row, pred),) = _trees(config, runtime, x, sets.y, ["log_g"])
    predictions["raw_flux_lightgbm"] = pred
    return frame([*rows, {"arm": "raw_flux", "alpha": np.nan, **row}]), predictions


@torch.no_grad()
def decoder_difference(denoiser: BlindSpotDenoiser, source: Source) -> float:
    """Return the largest difference between `enc_last` and what the decoder really receives in a forward pass."""
    seen = next(denoising.in_order(source, batch_size=32))
    x = denoising.stack_input(seen.noisy, seen.sigma, denoiser.config)
    heard: list[tuple[Tensor, ...]] = []
    hook = denoiser.decoders_a[0].register_forward_pre_hook(lambda _, inputs: heard.append(inputs))
    denoiser(x)
    hook.remove()
    received = heard[0][1] if len(heard[0]) == 2 else heard[0][0][:, : denoiser.config.embed_dim]
    received = merge_directions(received, "concat")
    expected = denoiser.latents(x, LAST, "concat")
    if received.shape != expected.shape:  # the decoder got it upsampled
        expected = F.interpolate(expected, size=received.shape[-1], mode="nearest")
    return float((received - expected).abs().max())


def documents_noise(config: LatentExtractionConfig, runtime: Runtime) -> pd.DataFrame:
    """Repeat the main contrasts at the documents' noise_level 1.0, with a denoiser trained there."""
    sets = prepare(config, runtime, noise_level=1.0)
    denoiser, _ = pretrained(config, runtime, sets, epochs=config.arm_epochs)
    cells = [(layer, pooling) for layer in (PRE, LAST) for pooling in (GLOBAL, SEGMENTS)]
    table = probe(config, denoiser, sets, cells, arm="noise_level_1").table
    raw, _ = controls(config, runtime, sets)
    return pd.concat([table, raw.assign(arm="noise_level_1_" + raw.arm)], ignore_index=True)


def other_losses(config: LatentExtractionConfig, runtime: Runtime, sets: Sets) -> pd.DataFrame:
    """Train with E1, E2 and the auxiliary label loss beside the main loss at equal epochs, and probe each."""
    arms = {"e1": {"loss": "e1"}, "e2": {"loss": "e2"}, "label": {"label_weight": config.label_weight or 0.1}}
    chosen = {name: changes for name, changes in arms.items() if name in config.arms}
    tables = []
    for name, changes in ({config.loss: {}} | chosen).items():
        denoiser, _ = pretrained(config, runtime, sets, epochs=config.arm_epochs, **changes)
        arm = f"{name}_{config.arm_epochs}_epochs"
        tables.append(probe(config, denoiser, sets, [(PRE, SEGMENTS), (LAST, SEGMENTS)], arm=arm).table)
    return pd.concat(tables, ignore_index=True)


def raw_mlp(config: LatentExtractionConfig, runtime: Runtime, sets: Sets) -> pd.DataFrame:
    """Train the documents' MLP head on the noisy flux itself: the baseline that a linear raw baseline hides."""
    spec = FluxSpec(sets.data, HeadTraining(epochs=config.mlp_epochs, batch_size=128), config.seed)
    found = load_file(train_on_flux(spec, runtime, force=config.force) / PREDICTIONS)
    column = config.labels.index("log_g")
    truth = {s: labels[:, column].double().cpu().numpy() for s, labels in sets.y.items()}
    pred = {s: values[:, 0].double().numpy() for s, values in found.items()}
    r2 = {s: float(metrics.r2(truth[s], pred[s])) for s in SPLITS}
    scores = score(truth["test"], pred["test"], n_boot=config.n_boot, seed=config.seed)
    head = {"arm": "raw_flux", "probe": "mlp", "label": "log_g", "dim": len(sets.train.wave)}
    return frame([head | {"train_r2": r2["train"], "val_r2": r2["val"]} | scores])
