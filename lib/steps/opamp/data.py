"""The designs of both processes that can be used, and which of them are held out."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupShuffleSplit

from lib.data import opamp
from lib.steps.opamp.spec import DataSpec


@dataclass(frozen=True)
class Prepared:
    """Designs that can be used, those that were dropped and why, and the frames' names of features and targets."""

    source: pd.DataFrame
    target: pd.DataFrame
    dropped: pd.DataFrame  # process, reason and the row as read
    features: list[str]
    targets: list[str]
    log_targets: list[str]
    fingerprint: str
    origin: str  # embedded or csv
    name: str

    @property
    def title(self) -> str:
        """What the data are called on the page."""
        kinds = {"embedded": "simulated in ngspice with the project's own process cards", "csv": "the user's CSV files"}
        return f"{self.name}, {kinds[self.origin]}"


@lru_cache(maxsize=2)
def opened(spec: DataSpec) -> Prepared:
    """Read the tables and drop unusable designs by the stated rule; ValueError where they are no longer those of the spec."""
    names = list(spec.targets)
    read = opamp.load(spec.data_dir, spec.opamp, names) if spec.data_dir else opamp.embedded(spec.opamp, names)
    if read.fingerprint != spec.fingerprint:
        raise ValueError(f"The tables of op-amp {spec.opamp} were replaced since {spec.fingerprint}: run again.")
    log_targets = [n for n in spec.log_targets if n in read.targets]
    kept, dropped = {}, []
    for process, frame in (("source", read.source), ("target", read.target)):
        reason = opamp.invalid(frame, log_targets)
        kept[process] = frame[reason == ""].reset_index(drop=True)
        dropped.append(frame[reason != ""].assign(process=process, reason=reason[reason != ""]))
    return Prepared(
        kept["source"], kept["target"], pd.concat(dropped, ignore_index=True), read.features, read.targets, log_targets,
        read.fingerprint, "csv" if spec.data_dir else "embedded", spec.opamp,
    )  # fmt: skip


def split(frame: pd.DataFrame, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return row numbers (kept, held out); equal designs stay on one side."""
    groups = opamp.duplicates(frame)
    kept, held = next(GroupShuffleSplit(1, test_size=share, random_state=seed).split(frame, groups=groups))
    return kept, held
