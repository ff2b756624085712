"""Small trainings and models of the noise-leakage study, for its tests."""

import numpy as np
import torch

from lib.data.images import load
from lib.models.shared_latent import SharedLatentConfig, SharedLatentDenoiser
from lib.runtime import Runtime
from lib.steps.noise2noise import save_model
from lib.studies import noise2noise as study

IMAGES = load().take(np.arange(60, 66))
RUNTIME = Runtime(torch.device("cpu"), "32-true", 0, 1, 0.0)
TINY = {"configs": ["pure_noise2noise"], "features": [4], "n_train": 4, "n_val": 2, "n_test": 2, "num_threads": 1}


def run(runtime=RUNTIME, **changes):
    """Train a tiny study and return its config, data and trained points."""
    config = study.Config.checked(TINY | changes)
    data = study.prepare(config)
    return config, data, study.train(config, data, runtime)


def saved(folder, **skips):
    torch.manual_seed(0)
    model = SharedLatentDenoiser(SharedLatentConfig(features=(4,), latent_channels=4, **skips))
    for decoder in model.decoders.values():
        torch.nn.init.constant_(decoder.to_image.bias, 0.5)  # images are not negative
    save_model(model, folder, recipe="x")
    return model.eval()
