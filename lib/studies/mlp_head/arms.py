"""Follow-ups of the head: attention pooling, the unfrozen encoder, folds, and the table of all that were asked for."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from lib import metrics
from lib.runtime import Runtime
from lib.steps.head import AttentionSpec, UnfrozenSpec, left_out, train_attention, train_unfrozen
from lib.studies.mlp_head.config import ARMS, MLPHeadConfig
from lib.studies.mlp_head.experiments import Prepared, Trained, head, head_spec, read, truth


def attention_spec(config: MLPHeadConfig, prepared: Prepared) -> AttentionSpec:
    """Return the spec of the head that pools by attention over the unpooled latents (one noise realisation)."""
    own = {name: getattr(config, name) for name in ("layer", "direction", "dropout", "seed")}
    return AttentionSpec(prepared.encoder, prepared.data, training=config.training(epochs=config.arm_epochs), **own)


def unfrozen_spec(config: MLPHeadConfig, prepared: Prepared) -> UnfrozenSpec:
    """Return the spec of encoder and head trained together from the frozen head on: the arm that decides `end-to-end`."""
    changes = {"epochs": config.arm_epochs, "learning_rate": config.unfrozen_rate, "batch_size": min(config.batch_size, 64)}
    start = head_spec(config, prepared, (config.layer, config.pooling))
    return UnfrozenSpec(start, config.training(**changes), config.seed)


def folds(config: MLPHeadConfig, runtime: Runtime, prepared: Prepared) -> pd.DataFrame:
    """Cross-validate: one row per fold with R2 on its held-out rows and on the test set; validation rows stop the training."""
    if "folds" not in config.arms:
        return pd.DataFrame(columns=["fold", "held_r2", "test_r2"])
    cell, y, rows = (config.layer, config.pooling), truth(config, prepared, "train"), []
    for k in range(config.folds):
        trained = head(config, runtime, prepared, cell, epochs=config.arm_epochs, fold=k, folds=config.folds)
        held = y[left_out(len(y), config.seed, k, config.folds).numpy()]
        scores = {
            "held_r2": metrics.r2(held, trained.pred["held"]),
            "test_r2": metrics.r2(truth(config, prepared), trained.pred["test"]),
        }
        rows.append({"fold": k, **{name: float(value) for name, value in scores.items()}})
    return pd.DataFrame(rows)


def follow_ups(config: MLPHeadConfig, runtime: Runtime, prepared: Prepared) -> tuple[dict[str, Trained], str]:
    """Train the heads that `arms` names; return them by name, and the names of the arms left out."""
    train = partial(head, config, runtime, prepared, (config.layer, config.pooling), epochs=config.arm_epochs)
    known: dict[str, Callable[[], Trained]] = {
        **{name: partial(train, **changes) for name, changes in recipes(config).items()},
        "attention": lambda: read(train_attention(attention_spec(config, prepared), runtime, force=config.force)),
        "unfrozen": lambda: read(train_unfrozen(unfrozen_spec(config, prepared), runtime, force=config.force)),
    }
    trained = {name: make() for name, make in known.items() if name in config.arms}
    left_out = [name for name in ARMS if name not in config.arms]
    return trained, ", ".join(left_out) or "-"


def recipes(config: MLPHeadConfig) -> dict[str, dict[str, Any]]:
    """Return how the heads on the frozen encoder differ from the main one, by name."""
    return {
        "linear": {"num_hidden": 0},
        "mlp_2": {"num_hidden": 2},
        "hidden_128": {"hidden": 128},
        "hidden_512": {"hidden": 512},
        "multitask": {"predicts": tuple(config.labels)},
    }


def repeats(config: MLPHeadConfig, runtime: Runtime, prepared: Prepared, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Train the main head and those of `names` that `arms` asks for with `head_seeds` seeds; return test predictions (S, n).

    Initial weights, order of the batches and dropout differ between the seeds; encoder, stars and noise stay.
    """
    asked = [name for name in names if name in config.arms]
    changes = {"mlp": {}} | {name: recipes(config)[name] | {"epochs": config.arm_epochs} for name in asked}
    seeds = range(config.seed, config.seed + config.head_seeds) if asked else []
    train = partial(head, config, runtime, prepared, (config.layer, config.pooling))
    return {
        name: np.stack([train(seed=seed, **more).pred["test"] for seed in seeds]) for name, more in changes.items() if asked
    }
