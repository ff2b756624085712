"""Units that values betray: a median that no transistor, circuit or star can have was written in another unit.

The bounds are physical and wide, so that other op-amps and instruments pass: what lies inside may still be wrong, and is the
user's to know. Only names that are listed here are judged, and only where a study takes a user's data (not by the readers).
"""

import re
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

# name pattern: (lowest, highest median, unit expected, what else such values may be)
LIMITS = {
    r"w\d+": (1e-3, 1e5, "micrometres", "metres times 1e6"),
    r"l\d+": (
        1e-3,
        300.0,
        "micrometres",
        "metres times 1e6, nanometres times 1e-3",
    ),  # no atom is shorter, no layout draws longer
    r"ibias": (1e-13, 0.1, "ampere", "microampere times 1e-6"),  # 0.1 A melts a transistor of micrometres
    r"cc|cl|cload": (1e-18, 1e-3, "farad", "picofarad times 1e-12"),
    r"t_eff": (100.0, 1e7, "kelvin", "kilokelvin times 1000, or ten to the logarithm"),
    r"log_g": (-5.0, 20.0, "log10 of cm/s2", "the logarithm of a linear gravity"),
    r"wave": (900.0, 1e7, "Angstrom", "nanometres times 10, micrometres times 10000"),  # 912: the Lyman limit hides all below
}
RATIOS = ("dc_gain", "cmrr", "psrr")  # in V/V: a negative one reads like decibels


def check_units(columns: Mapping[str, Iterable[float]], where: str) -> None:
    """Raise ValueError where the median of a column with a known name cannot be in the expected unit."""
    for name in columns:
        limits = next((v for pattern, v in LIMITS.items() if re.fullmatch(pattern, str(name).lower())), None)
        median = np.nan if limits is None else float(np.median(np.abs(np.asarray(columns[name], float))))
        if np.isnan(median) or median == 0:
            continue
        low, high, unit, other = limits
        if not low <= median <= high:
            raise ValueError(
                f"{where}: the median of '{name}' is {median:.3g}, but {unit} are expected ({low:g} to {high:g}): convert it ({other})."
            )


def doubts(frame: pd.DataFrame) -> list[str]:
    """Return a sentence for every column that is possible in the expected unit, but looks like another: to be shown, not refused."""
    found = [
        f"'{name}' is negative in {int((frame[name] < 0).sum())} rows: V/V are expected; decibels are 20 log10 of them."
        for name in RATIOS
        if name in frame and (frame[name] < 0).any()
    ]
    for name, unit in (("ugf", "Hz"), ("slewrate_pos", "V/s"), ("slewrate_neg", "V/s")):
        if name in frame and frame[name].abs().median() < 1000:
            found.append(
                f"'{name}' has a median of {frame[name].median():.3g}: {unit} are expected, this reads like a multiple of it."
            )
    if "phase_margin" in frame and frame.phase_margin.abs().max() < 2 * np.pi:
        found.append("'phase_margin' stays below 2 pi in all rows: degrees are expected, these look like radians.")
    return found


def check_varies(columns: Mapping[str, Iterable[float]], where: str, advice: str) -> None:
    """Raise ValueError for a target that has the same value in every row: nothing can be learned of it, and its R2 is undefined."""
    for name in columns:
        values = np.asarray(columns[name], float)
        if len(values) and np.ptp(values) <= 1e-12 * abs(values[0]):
            raise ValueError(
                f"{where}: the target '{name}' is {values[0]:.6g} in all {len(values)} rows, but it must vary to be predicted; {advice}."
            )
