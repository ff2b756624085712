"""Does a small network on the frozen encoder read log g better than Ridge?"""

from lib.data.parameters import describe
from lib.heads import squared_error
from lib.models.heads import MLPHead
from lib.studies.mlp_head.arms import ARMS, DOCUMENTS, own_cell
from lib.studies.mlp_head.artifact import publish, real_spectra
from lib.studies.mlp_head.config import MLPHeadConfig as Config
from lib.studies.mlp_head.experiments import (
    cell_predictions,
    features,
    folds,
    histories,
    predictions,
    prepare,
    ridge,
    ridge_validation,
    train,
    truth,
)
from lib.studies.mlp_head.measures import (
    ahead_of_ridge,
    at_once,
    best_epoch,
    beyond_linear,
    cells_table,
    early_share,
    first_past,
    gain_percent,
    half_width,
    history_table,
    late_drop,
    parameters,
    predicted_table,
    results,
)

__all__ = [
    "ARMS", "DOCUMENTS", "Config", "MLPHead", "ahead_of_ridge", "at_once", "best_epoch", "beyond_linear", "cell_predictions",
    "cells_table", "describe", "early_share", "features", "first_past", "folds", "gain_percent", "half_width", "histories",
    "history_table", "late_drop", "own_cell", "parameters", "predicted_table", "predictions", "prepare", "publish", "real_spectra",
    "results", "ridge", "ridge_validation", "squared_error", "train", "truth",
]  # fmt: skip
