"""What `latent_extraction` starts from: the sets of spectra, and the denoiser, from a checkpoint, the run cache or a training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from lib import denoising, paths
from lib.data.batches import Source
from lib.data.sets import SPLITS, SpectraSpec, Splits, open_set
from lib.models.blindspot import BlindSpotDenoiser, load_pretrained
from lib.runtime import Runtime
from lib.steps.denoiser import DenoiserSpec, pretrain_denoiser
from lib.studies.latent_extraction.config import LatentExtractionConfig


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


def prepare(config: LatentExtractionConfig, runtime: Runtime, **noise: Any) -> Sets:
    """Open the sets; `noise` changes noise_level or error_source."""
    data, pretrain = config.splits(**noise), config.spectra("train", config.n_pretrain, **noise)
    return Sets(open_set(pretrain, runtime.device), **data.open(runtime.device), of_pretrain=pretrain, data=data)


def pretrained(
    config: LatentExtractionConfig, runtime: Runtime, sets: Sets, **changes: Any
) -> tuple[BlindSpotDenoiser, pd.DataFrame]:
    """Return the denoiser and its history (no rows for a checkpoint); `changes` of the training."""
    file = weights(config, runtime, sets, force=config.force, **changes)
    if config.checkpoint and not changes:
        none = pd.DataFrame(columns=["epoch", "train_loss", "val_loss"], dtype=float)
        return load_pretrained(file).to(runtime.device), none
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
