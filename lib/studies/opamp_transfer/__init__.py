"""Does an op-amp performance model of process A carry over to process B?"""

from lib.steps.opamp.data import Prepared
from lib.studies.opamp_transfer.ablations import budgets, held_back, logarithm, scalers, sweep
from lib.studies.opamp_transfer.answers import CARRIES, advice, answer, disagreements, key_facts, left_out, short
from lib.studies.opamp_transfer.claims import (
    clip_gap,
    coral_excess,
    coral_gap,
    distance,
    ensemble_gap,
    few_gap,
    few_labels,
    hold_gap,
    largest,
    log_gap,
    r2_term_gap,
    scaled_mean,
    skew_of_tails,
    source_bias,
    standard_gap,
)
from lib.studies.opamp_transfer.comparison import PAIR, STEADY, best, evaluate, held_out, scores
from lib.studies.opamp_transfer.config import Config
from lib.studies.opamp_transfer.data import (
    Lab,
    alignment,
    cleaning,
    lowest,
    middle,
    open_lab,
    prepare,
    share_below,
    shift,
    skewness,
)
from lib.studies.opamp_transfer.publish import fit_model, save
from lib.studies.opamp_transfer.scope import GAIN
from lib.studies.opamp_transfer.stages import curves
from lib.studies.opamp_transfer.tables import (
    averages,
    beside_public,
    budget_table,
    calibration_table,
    chosen,
    coverage_gap,
    effect_table,
    gap,
    hard_designs,
    hardest,
    interval,
    last_help,
    member_names,
    method_table,
    of,
    score_table,
    strongest_shift,
    worst_metric,
)  # fmt: skip

__all__ = [
    "CARRIES", "GAIN", "PAIR", "STEADY", "Config", "Lab", "Prepared", "advice", "alignment", "answer", "averages", "beside_public", "best", "budget_table",
    "budgets", "calibration_table", "chosen", "cleaning", "clip_gap", "coral_excess", "coral_gap", "coverage_gap", "curves", "disagreements", "distance",
    "effect_table", "ensemble_gap", "evaluate", "few_gap", "few_labels", "fit_model", "gap", "hard_designs", "hardest", "held_back", "held_out", "hold_gap",
    "interval", "key_facts", "largest", "last_help", "left_out", "log_gap", "logarithm", "lowest", "member_names", "method_table", "middle", "of", "open_lab",
    "prepare", "r2_term_gap", "save", "scaled_mean", "scalers", "score_table", "scores", "share_below", "shift", "short", "skew_of_tails", "skewness", "source_bias",
    "standard_gap", "strongest_shift", "sweep", "worst_metric",
]  # fmt: skip
