"""Train a small ViT and a small denoiser as torchrun, Slurm or a single process starts it: python distributed_cases.py FOLDER ROWS."""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import torch
from spectra_cases import TinyGrid

from lib.data.generated import GeneratedSpectra
from lib.data.noise import preset
from lib.denoising import Pretraining, pretrain
from lib.models.blindspot import BlindSpotConfig
from lib.runtime import Runtime
from lib.steps.vit import VitSpec, fit_vit
from lib.studies.vit_scaling.config import VitScalingConfig, vit_settings


def stars(n, split):
    options = {"noise": preset("mag215", noise_level=0.3), "labels": ("log_g",), "norm": "none"}
    return GeneratedSpectra(TinyGrid(64), n, split=split, **options)


def main(folder, rows):
    processes = int(os.environ.get("WORLD_SIZE", os.environ.get("SLURM_NTASKS", "1")))
    trainer = {"devices": processes, "strategy": "ddp"} if processes > 1 else {}
    runtime = Runtime(torch.device("cpu"), "32-true", 0, 1, time.time())
    torch.set_num_threads(1)
    config = VitScalingConfig.checked({"patch_size": 16, "hidden_size": 16, "num_layers": 2, "num_heads": 2, "dropout": 0.0})
    settings = replace(vit_settings(config), batch_size=64, lr=3e-3, clip=0.5, warmup_steps=5)
    train, val = stars(rows, "train"), stars(128, "val")
    spec = VitSpec(None, seed=0, epochs=4, fresh=True, settings=settings, **trainer)
    fit_vit(spec, SimpleNamespace(train=train, val=val), folder / "vit", runtime)
    shape = BlindSpotConfig(num_layers=3, embed_dim=4, kernel_size=5, use_bn=False)
    pretraining = Pretraining(epochs=4, batch_size=64, learning_rate=3e-3, schedule="onecycle")
    pretrain(shape, pretraining, train, val, folder=folder / "denoiser", runtime=runtime, **trainer)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
