"""Does noise leak through the skips of a Noise2Noise network, and what cures it?"""

from lib.studies.noise2noise.answers import advice, answer, numbers
from lib.studies.noise2noise.arms import ARMS, setting
from lib.studies.noise2noise.artifact import publish, reason
from lib.studies.noise2noise.config import Config
from lib.studies.noise2noise.cost import projection, weights_over
from lib.studies.noise2noise.diagnose import diagnose
from lib.studies.noise2noise.experiments import (
    MILESTONES,
    Data,
    classical,
    costs,
    gallery,
    histories,
    prepare,
    scores,
    snapshots,
    train,
    train_floor,
)
from lib.studies.noise2noise.measures import (
    at_epoch,
    best_gap,
    cost,
    first_stage,
    floor_gap,
    floor_test,
    gap,
    gap_at_epoch,
    kept_latent,
    left,
    lowest_loss,
    one_setting,
    score,
)
from lib.studies.noise2noise.tables import comparison, configurations, cost_table, diagnosis, milestones, settings, sweep_table

__all__ = [
    "ARMS", "MILESTONES", "Config", "Data", "advice", "answer", "at_epoch", "best_gap", "classical", "comparison",
    "configurations", "cost", "cost_table", "costs", "diagnose", "diagnosis", "first_stage", "floor_gap", "floor_test",
    "gallery", "gap", "gap_at_epoch", "histories", "kept_latent", "left", "lowest_loss", "milestones", "numbers",
    "one_setting", "prepare", "projection", "publish", "reason", "score", "scores", "setting", "settings",
    "snapshots", "sweep_table", "train", "train_floor", "weights_over",
]  # fmt: skip
