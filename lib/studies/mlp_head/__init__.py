"""Does a small network on the frozen encoder read log g better than Ridge?"""

from lib.data.parameters import describe
from lib.studies.mlp_head.arms import folds, follow_ups, repeats
from lib.studies.mlp_head.config import ARMS
from lib.studies.mlp_head.config import MLPHeadConfig as Config
from lib.studies.mlp_head.experiments import blank_cells, features, head, log_g, prepare, ridge, truth
from lib.studies.mlp_head.publish import publish, real_spectra
from lib.studies.mlp_head.tables import (
    DOCUMENTS,
    ahead_of_ridge,
    arm_gain,
    at_once,
    best_epoch,
    beyond_linear,
    cells_table,
    early_share,
    first_past,
    gain_of,
    gain_percent,
    half_width,
    history_table,
    late_drop,
    long_history,
    parameters,
    prediction_frame,
    r2,
    r2_of,
    repeated_gain,
    results,
)  # fmt: skip

__all__ = [
    "ARMS", "DOCUMENTS", "Config", "ahead_of_ridge", "arm_gain", "at_once", "best_epoch", "beyond_linear", "blank_cells", "cells_table", "describe",
    "early_share", "features", "first_past", "folds", "follow_ups", "gain_of", "gain_percent", "half_width", "head", "history_table", "late_drop", "log_g",
    "long_history", "parameters", "prediction_frame", "prepare", "publish", "r2", "r2_of", "real_spectra", "repeated_gain", "repeats", "results", "ridge", "truth",
]  # fmt: skip
