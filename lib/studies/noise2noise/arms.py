"""The table of what is compared: the document's configurations, ours that take its advice apart, and the sweeps."""

from dataclasses import replace

import numpy as np
import pandas as pd

from lib.arms import Arm, chosen, table
from lib.losses.images import LossWeights
from lib.steps.noise2noise import Point, Recipe, Stage

PURE = "pure_noise2noise"  # what the other arms differ from, and what the sweeps of the weights vary


def once(epochs, **weights):
    """Return the one stage of a training that has no plan; the loss weights are those of `pure_noise2noise` unless given."""
    return (Stage(epochs, LossWeights(**weights)),)


PROGRESSIVE = (
    Stage(10, LossWeights(content=1.0, recon=1.0, cross=0.1)),
    Stage(40, LossWeights(content=0.5, recon=0.1, cross=1.0, edge=0.05), fine=True),
)
NOWHERE = {"stages": once(20, recon=0.05), "latent": 512, "same_domain_skip": False}
ARMS = table([
    Arm("original", "document", {"stages": once(20, content=0.0, recon=0.0), "skip_source": "target"}),
    Arm(PURE, "document"),
    Arm("extreme_denoising", "document", {"stages": once(30, content=0.5, recon=0.05), "latent": 512}),
    Arm("progressive", "document", {"stages": PROGRESSIVE}),
    Arm("no_skip_everywhere", "ours", NOWHERE),
    Arm("pure_long", "ours", {"stages": once(50)}),  # plan B's epochs without its plan
    Arm("latent_skips", "ours", {"skip_source": "latent"}),  # skips that carry no noise of the target
    Arm("target_skips", "ours", {"skip_source": "target"}),  # the leak, with the cured weights
    Arm("mixed_skips", "ours", {"skip_source": "mixed"}),
])  # fmt: skip
LEAKING = ("target", "mixed")  # sources of skips that bring the target's own noise
SWEEPS = {"noise_sigma": "sweep_noise"} | {k: f"sweep_{k}" for k in ("recon", "content", "edge", "cross", "latent")}
SWEPT = {"noise_sigma": ("original", PURE, "extreme_denoising")}  # the others vary `pure_noise2noise` alone


def recipe(arm):
    """Return what the arm trains, before a config shortens it; `latent` and the loss weights may be those of a sweep."""
    own = {k: v for k, v in arm.changes.items() if k in Recipe.__dataclass_fields__}
    weights = {k: float(v) for k, v in arm.changes.items() if k in LossWeights.__dataclass_fields__}
    return Recipe(arm.name, **{"stages": once(20)} | own, ours=arm.group == "ours").reweighted(**weights)


def setting(sweep, value, arm=PURE):
    """Return the address of a point of a sweep, as the measures take it."""
    return {"arm": arm, "sweep": sweep, "value": value}


def point(config, arm):
    """Return the training of an arm at the sizes of a run."""
    kind = {} if config.content_kind == "recipe" else {"content_kind": config.content_kind}
    used = recipe(arm).lasting(config.epochs).reweighted(**kind)
    same = config.model_dump(include={"noise_kind", "augment_sigma", "batch_size", "learning_rate", "clip", "schedule"})
    return Point(
        recipe=replace(used, alpha=config.alpha), noise_sigma=arm.changes.get("noise_sigma", config.noise_sigma),
        features=tuple(config.features), latent_channels=max(1, round(used.latent * config.latent_scale)),
        fine_learning_rate=config.stage2_learning_rate, seed=arm.seed, **same,
    )  # fmt: skip


def points(config):
    """Return every training of a run as rows (sweep, value, arm, seed, point); `sweep` is `main` for the configurations.

    The same training may stand in two sweeps; the run cache trains it once.
    """
    rows = [("main", np.nan, arm) for arm in chosen(ARMS, config.configs, "configs")]
    for sweep, parameter in SWEEPS.items():
        names = [n for n in SWEPT.get(sweep, (PURE,)) if n != "extreme_denoising" or n in config.configs]
        for value in getattr(config, parameter):
            rows += [(sweep, value, replace(ARMS[n], changes=ARMS[n].changes | {sweep: value})) for n in names]
    seeds = range(config.seed, config.seed + config.n_seeds)
    trained = [(sweep, value, one) for sweep, value, arm in rows for one in arm.seeded(seeds)]
    return pd.DataFrame([
        {"sweep": sweep, "value": value, "arm": arm.name, "seed": arm.seed, "point": point(config, arm)}
        for sweep, value, arm in trained
    ])  # fmt: skip
