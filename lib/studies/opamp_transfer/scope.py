"""What the study can ask of the data at hand: a question about a metric that is not there is left out, with the reason."""

from typing import Any

import pandas as pd

HARD = "cmrr"  # one design can carry a third of its sum of squares: averages are given without it as well
GAIN = "dc_gain"  # the document says where process B's begins
SKEWED = 2.0  # skewness from which a positive metric is better modelled as a logarithm

Untested = dict[str, Any]


def untested(zh: str, en: str) -> Untested:
    """Return what a claim is given in place of a value: none, and why, in both languages."""
    return {"value": None, "low": None, "high": None, "why_not": {"zh": zh, "en": en}}


def absent(metric: str) -> Untested:
    """Return that a claim needs a metric which the data do not have."""
    return untested(f"数据中没有指标 {metric}，无法检验。", f"The data have no metric {metric}: this cannot be tested on them.")


def besides_hard(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of all metrics but the cmrr; all rows where there is no other metric."""
    rest = frame[frame.metric != HARD]
    return rest if len(rest) else frame
