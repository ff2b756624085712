"""Small sets, models and params of the two studies of the latents, from the embedded grid."""

import time

import torch

from lib.runtime import Runtime

SMALL = {
    "window_aa": [8480.0, 8710.0], "n_train": 128, "n_val": 64, "n_test": 96, "n_boot": 60, "labels": ["t_eff", "log_g", "m_h"],
}  # fmt: skip
DENOISER = {"num_layers": 4, "embed_dim": 4, "kernel_size": 5, "n_pretrain": 128, "mlp_epochs": 1, "occlusion_rows": 32}


def runtime(seed=0):
    return Runtime(torch.device("cpu"), "32-true", seed, 1, time.time())
