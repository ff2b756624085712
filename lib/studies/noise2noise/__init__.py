"""Does noise leak through the skips of a Noise2Noise network, and what cures it?"""

from lib.studies.noise2noise.config import Config
from lib.studies.noise2noise.cost import projection, share_of_weights, weights_over
from lib.studies.noise2noise.diagnose import diagnose
from lib.studies.noise2noise.publish import publish, reason
from lib.studies.noise2noise.recipes import RECIPES
from lib.studies.noise2noise.study import (
    MILESTONES,
    Data,
    classical,
    costs,
    floor_test,
    gallery,
    histories,
    prepare,
    scores,
    snapshots,
    summary,
    train,
    train_floor,
)  # fmt: skip
from lib.studies.noise2noise.tables import comparison, configurations, cost_table, diagnosis, milestones, settings, sweep_table
from lib.studies.noise2noise.verdicts import (
    Measured,
    after_first_stage,
    arm,
    at_epoch,
    best_gap,
    cost,
    cost_gap,
    early_fall,
    epoch_gap,
    first_stage_fall,
    floor_gap,
    gain,
    gap,
    kept_latent,
    offset,
    one_setting,
    over,
    passes_best,
    said,
    setting,
)  # fmt: skip

__all__ = [
    "MILESTONES", "RECIPES", "Config", "Data", "Measured", "after_first_stage", "arm", "at_epoch", "best_gap", "classical", "comparison",
    "configurations", "cost", "cost_gap", "cost_table", "costs", "diagnose", "diagnosis", "early_fall", "epoch_gap", "first_stage_fall",
    "floor_gap", "floor_test", "gain", "gallery", "gap", "histories", "kept_latent", "milestones", "offset", "one_setting", "over",
    "passes_best", "prepare", "projection", "publish", "reason", "said", "scores", "setting", "settings", "share_of_weights", "snapshots",
    "summary", "sweep_table", "train", "train_floor", "weights_over",
]  # fmt: skip
