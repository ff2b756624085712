"""The heads of `mlp_head` as a table: what each changes, what a run trains of them, and the spec of each."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lib.arms import Arm, chosen, table
from lib.latents import Cell
from lib.steps.head import AttentionSpec, HeadSpec, UnfrozenSpec

if TYPE_CHECKING:
    from lib.studies.mlp_head.config import MLPHeadConfig
    from lib.studies.mlp_head.experiments import Prepared

DOCUMENTS = tuple(
    (layer, pooling) for layer in ("enc_pre_latent", "enc_last") for pooling in ("global_mean", "mean_max", "seg_mean_K8")
)
MAIN = Arm("mlp")
ARMS = table(
    [
        Arm("cells", "cells"),  # the main head on each of the documents' cells
        Arm("linear", "follow_ups", {"num_hidden": 0}),
        Arm("mlp_2", "repeated", {"num_hidden": 2}),
        Arm("hidden_128", "follow_ups", {"hidden": 128}),
        Arm("hidden_512", "follow_ups", {"hidden": 512}),
        Arm("multitask", "repeated", {"predicts": "labels"}),
        Arm("attention", "attention"),  # pools by attention over the unpooled latents of one noise draw
        Arm("unfrozen", "unfrozen"),  # encoder and head trained on together: what decides `end to end`
        Arm("folds", "folds"),  # the main head without one part of the training rows after another
    ]
)


def trainings(config: "MLPHeadConfig") -> list[Arm]:
    """Return what a run trains: the main head, then the arms that it names, those compared over `head_seeds` with every seed."""
    asked, several = chosen(ARMS, config.arms), range(config.seed, config.seed + config.head_seeds)
    repeated = any(arm.group == "repeated" for arm in asked)
    rows = MAIN.seeded(several if repeated else [config.seed])
    for arm in asked:
        if arm.group == "cells":
            rows += [
                Arm(" + ".join(cell), "cells", {"cell": cell}, config.seed) for cell in DOCUMENTS if cell != own_cell(config)
            ]
        elif arm.group == "folds":
            rows += [Arm(f"fold {k}", "folds", {"fold": k, "folds": config.folds}, config.seed) for k in range(config.folds)]
        else:
            rows += arm.seeded(several if arm.group == "repeated" else [config.seed])
    return rows


def own_cell(config: "MLPHeadConfig") -> Cell:
    """Return the layer and pooling that the main head reads."""
    return config.layer, config.pooling


def spec_of(config: "MLPHeadConfig", prepared: "Prepared", arm: Arm) -> HeadSpec | AttentionSpec | UnfrozenSpec:
    """Return all that the training of an arm depends on."""
    build: Callable = {"attention": attention_spec, "unfrozen": unfrozen_spec}.get(arm.group, head_spec)
    return build(config, prepared, arm)


def head_spec(config: "MLPHeadConfig", prepared: "Prepared", arm: Arm) -> HeadSpec:
    """Return the spec of a head on the frozen encoder; the main one trains for `epochs`, the others for `arm_epochs`."""
    changes: dict[str, Any] = {"cell": own_cell(config)} | dict(arm.changes)
    if changes.get("predicts") == "labels":
        changes["predicts"] = tuple(config.labels)
    own = {name: getattr(config, name) for name in ("direction", "edges", "hidden", "dropout", "realisations")}
    training = config.training(epochs=config.epochs if arm.name == MAIN.name else config.arm_epochs)
    return HeadSpec(prepared.encoder, prepared.data, training=training, seed=arm.seed, **own | changes)


def attention_spec(config: "MLPHeadConfig", prepared: "Prepared", arm: Arm) -> AttentionSpec:
    """Return the spec of the head that pools by attention."""
    own = {name: getattr(config, name) for name in ("layer", "direction", "dropout")}
    return AttentionSpec(
        prepared.encoder, prepared.data, training=config.training(epochs=config.arm_epochs), seed=arm.seed, **own
    )


def unfrozen_spec(config: "MLPHeadConfig", prepared: "Prepared", arm: Arm) -> UnfrozenSpec:
    """Return the spec of encoder and head trained together, from the main head on."""
    changes = {"epochs": config.arm_epochs, "learning_rate": config.unfrozen_rate, "batch_size": min(config.batch_size, 64)}
    return UnfrozenSpec(head_spec(config, prepared, replace(MAIN, seed=arm.seed)), config.training(**changes), arm.seed)
