"""Does an op-amp performance model of process A carry over to process B?"""

from lib.studies.opamp_transfer.baselines import evaluate, publish_best
from lib.studies.opamp_transfer.config import Config
from lib.studies.opamp_transfer.data import Prepared, alignment, cleaning, lowest, prepare, share_below, shift, skewness
from lib.studies.opamp_transfer.tables import (
    best_target_only,
    published_average,
    reported_path,
    score_table,
    strongest_shift,
    worst_metric,
)  # fmt: skip

__all__ = [
    "Config", "Prepared", "alignment", "best_target_only", "cleaning", "evaluate", "lowest", "prepare", "publish_best",
    "published_average", "reported_path", "score_table", "share_below", "shift", "skewness", "strongest_shift", "worst_metric",
]  # fmt: skip
