"""Does an op-amp performance model of process A carry over to process B?"""

from lib.runtime import Runtime
from lib.studies.opamp_transfer.ablations import budgets, logarithm, scalers, sweep
from lib.studies.opamp_transfer.arms import Lab
from lib.studies.opamp_transfer.bench import build
from lib.studies.opamp_transfer.comparison import STEADY, best, evaluate, held_out, scores
from lib.studies.opamp_transfer.config import Config
from lib.studies.opamp_transfer.data import Prepared, alignment, cleaning, lowest, middle, prepare, share_below, shift, skewness
from lib.studies.opamp_transfer.publish import fit_model, save
from lib.studies.opamp_transfer.stages import curves
from lib.studies.opamp_transfer.tables import (
    averages,
    budget_gap,
    budget_table,
    calibration_table,
    chosen,
    coverage_gap,
    effect_table,
    gap,
    hard_designs,
    interval,
    last_help,
    member_names,
    method_table,
    of,
    reported_path,
    score_table,
    strongest_shift,
    worst_metric,
)  # fmt: skip


def open_lab(config: Config, prepared: Prepared, runtime: Runtime) -> Lab:
    """Scale the data, draw splits and inner folds: what every method works on."""
    return Lab(build(config, prepared), config, prepared, runtime)


__all__ = [
    "STEADY", "Config", "Lab", "Prepared", "alignment", "averages", "best", "budget_gap", "budget_table", "budgets", "calibration_table",
    "chosen", "cleaning", "coverage_gap", "curves", "effect_table", "evaluate", "fit_model", "gap", "hard_designs", "held_out",
    "interval", "last_help", "logarithm", "lowest", "member_names", "method_table", "middle", "of", "open_lab", "prepare",
    "reported_path", "save", "scalers", "score_table", "scores", "share_below", "shift", "skewness", "strongest_shift", "sweep",
    "worst_metric",
]  # fmt: skip
