"""Tiny cases of the steps of the denoiser and its heads: stars of the embedded grid, an untrained encoder, files of both."""

import atexit
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import torch
from latent_cases import SMALL

from lib.data.sets import Splits, open_set
from lib.data.spectra import write_hdf5
from lib.denoising import Pretraining
from lib.heads import HeadTraining
from lib.models.blindspot import BlindSpotConfig, BlindSpotDenoiser, save_pretrained
from lib.steps.denoiser import DenoiserSpec, StudentSpec, distil_student, encoder_at, pretrain_denoiser
from lib.steps.head import (
    AttentionSpec,
    FluxSpec,
    HeadSpec,
    UnfrozenSpec,
    train_attention,
    train_head,
    train_on_flux,
    train_unfrozen,
)  # fmt: skip
from lib.studies.mlp_head import Config

CPU = torch.device("cpu")
TINY = Config(**SMALL | {"n_train": 48, "n_val": 32, "n_test": 32})
CELL = ("enc_pre_latent", "seg_mean_K8")
TRAINING = HeadTraining(epochs=2, batch_size=16)
SHAPE = BlindSpotConfig(num_layers=3, embed_dim=4, kernel_size=5)


@cache
def folder():
    made = tempfile.TemporaryDirectory()
    atexit.register(made.cleanup)
    return Path(made.name)


@cache
def encoder():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_pretrained(BlindSpotDenoiser(SHAPE), folder() / "denoiser.safetensors")
    return encoder_at(folder() / "denoiser.safetensors")


def write_files(where):
    """Write the three sets as files, each with the noise of other pixels; return the parameters that name them."""
    for k, (split, spec) in enumerate(vars(TINY.splits()).items()):
        made = open_set(spec, CPU)
        error = made.sigma.numpy() * np.roll(np.linspace(1, 3, len(made.wave), dtype=np.float32), 50 * k)
        write_hdf5(where / f"{split}.h5", np.asarray(made.wave), made.source.table(), [(made.flux.numpy(), error)])
    named = {f"{split}_path": str(where / f"{split}.h5") for split in ("train", "val", "test")}
    return named | {"train_path": [named["train_path"]], "window_aa": [], "mask_ratio": 0.5}


@cache
def files():
    masked = TINY.model_copy(update=write_files(folder()))
    return Splits(*(masked.spectra(split, 24) for split in ("train", "val", "test")))


def head(**changes):
    shape = {"hidden": 8, "dropout": 0.1, "realisations": 2, "predicts": ("log_g", "m_h"), "fold": 1, "folds": 3}
    return HeadSpec(encoder(), TINY.splits(), CELL, "mean", "adaptive", TRAINING, seed=3, **shape | changes)


CASES = {
    pretrain_denoiser: lambda: DenoiserSpec(
        SHAPE, Pretraining(epochs=2, batch_size=16, label_weight=0.1, clip=0.5), TINY.splits().train, TINY.splits().val, seed=3
    ),
    distil_student: lambda: StudentSpec(
        encoder(), CELL, "mean", "adaptive", TINY.splits().train, TINY.splits().val, epochs=1, seed=3
    ),
    train_head: head,
    train_attention: lambda: AttentionSpec(encoder(), TINY.splits(), "enc_last", "mean", TRAINING, 0.1, seed=3),
    train_unfrozen: lambda: UnfrozenSpec(head(predicts=("log_g",), folds=0), TRAINING, seed=4),
    train_on_flux: lambda: FluxSpec(files(), TRAINING, seed=3),
}
