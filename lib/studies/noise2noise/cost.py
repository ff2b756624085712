"""What the trainings of a run cost, and what those of the `full` profile would cost on the same device."""

import time

import numpy as np
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from lib import paths
from lib.data.images import split
from lib.evidence import Measured, measure
from lib.losses.images import shared_latent_loss
from lib.models.shared_latent import SharedLatentDenoiser, count_parameters
from lib.studies.noise2noise.arms import ARMS, PURE, point, points
from lib.studies.noise2noise.config import Config


def documented():
    """Return the Config of the full profile: the document's sizes."""
    return Config.load(paths.PARAMS / "full" / "noise2noise.yaml")


def share_of_weights(config):
    """Return this run's weights over the document's, for `pure_noise2noise`."""
    own, theirs = (count_parameters(_on_meta(point(c, ARMS[PURE]))) for c in (config, documented()))
    return own / theirs


@measure
def weights_over(config, name, other):
    """Return the parameters of one arm over those of another, at the sizes of this run; needs no training."""
    own, theirs = (count_parameters(_on_meta(point(config, ARMS[n]))) for n in (name, other))
    return Measured(own / theirs, seeds=0)


def projection(config, data, trained, runtime):
    """Return two rows, this run and the full profile: sizes, GFLOP and slices per second of training, and hours.

    The hours of this run are those that its trainings took. The full profile is computed: all its trainings on every slice
    that the split leaves, at the operations per second of one timed step of the documented network, on this device, with
    a quarter of an image.
    """
    full, shape = documented(), data.images.a.shape[1:]
    seconds = sum({row.point: row.trained.seconds for row in trained.itertuples()}.values())
    left = len(split(data.images, 0, config.n_val, config.n_test)["train"])
    own = _row("this_run", config, len(data.parts["train"]), shape)
    theirs = _row("full", full, left, shape)
    pure, quarter = point(full, ARMS[PURE]), tuple(max(16, n // 2) for n in shape)
    speed = flop(pure, quarter) / step_seconds(pure, quarter, runtime.device)
    theirs["slices_per_second"] = speed / flop(pure, shape)
    own["slices_per_second"] = own["slices"] / seconds
    return pd.DataFrame([row | {"hours": row["slices"] / row["slices_per_second"] / 3600} for row in (own, theirs)])


def _row(name, config, n_train, shape):
    distinct, pure = set(points(config).point), point(config, ARMS[PURE])
    return {
        "run": name, "trainings": len(distinct), "epochs": sum(p.recipe.epochs for p in distinct),
        "slices": n_train * sum(p.recipe.epochs for p in distinct), "parameters": count_parameters(_on_meta(pure)),
        "gflop_per_slice": flop(pure, shape) / 1e9,
    }  # fmt: skip


def flop(p, shape):
    """Return the floating-point operations of one training step of point p on one pair of images of that shape."""
    with FlopCounterMode(display=False) as counter:
        _step(_on_meta(p), p, torch.empty(1, 1, *shape, device="meta"))
    return counter.get_total_flops()


def step_seconds(p, shape, device):
    """Return the seconds of one training step of point p on one pair of images; a GPU is warmed up by a first step."""
    model, x = p.model().to(device), torch.from_numpy(np.random.default_rng(0).random((1, 1, *shape), np.float32)).to(device)
    if device.type == "cuda":
        _step(model, p, x)
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    _step(model, p, x)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def _step(model, p, x):
    shared_latent_loss(model(x, x), x, x, p.recipe.stages[-1].weights)["loss"].backward()


def _on_meta(p):
    """Return the network of point p without any memory behind its weights."""
    with torch.device("meta"):
        return SharedLatentDenoiser(p.sizes())
