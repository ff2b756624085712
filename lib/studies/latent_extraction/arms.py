"""The arms of `latent_extraction` as a table, the cells (layer, pooling) that the claims compare, and how both are named."""

from typing import TYPE_CHECKING

from lib.arms import Arm, chosen, table
from lib.latents import Cell

if TYPE_CHECKING:
    from lib.studies.latent_extraction.config import LatentExtractionConfig

PRE, LAST, DECODER = "enc_pre_latent", "enc_last", "dec_input"
GLOBAL, MEAN_MAX, SEGMENTS = "global_mean", "mean_max", "seg_mean_K8"
PRETRAINED = "pretrained"

ARMS = table(
    [
        Arm("directions", "directions"),  # ways to merge the two reading directions
        Arm("lightgbm", "probes"),  # the documents' second probe on every label, not on log g alone
        Arm("documents_noise", "noise", {"noise_level": 1.0}),
        Arm("e1", "losses", {"loss": "e1"}),
        Arm("e2", "losses", {"loss": "e2"}),
        Arm("label", "losses", {"label_weight": 0.1}),
        Arm("student", "student"),  # a small network that imitates the chosen cell
    ]
)


def planned(config: "LatentExtractionConfig") -> list[Arm]:
    """Return the arms of a run; losses are compared with the study's own at equal epochs, which comes before them."""
    rows: list[Arm] = []
    for arm in chosen(ARMS, config.arms):
        if arm.group == "losses" and not any(row.name == config.loss for row in rows):
            rows.append(Arm(config.loss, "losses"))
        if arm.name != config.loss:
            rows.append(arm)
    return rows


def named(cell: Cell, arm: str = PRETRAINED) -> str:
    """Return what a frame of predictions calls a cell of an arm; the pretrained denoiser's by layer and pooling alone."""
    return " + ".join(cell) if arm == PRETRAINED else f"{arm}: {' + '.join(cell)}"
