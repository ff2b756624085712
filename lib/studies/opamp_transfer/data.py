"""What the study reads: cleaned designs of both processes, splits, and what the two processes share."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.model_selection import GroupShuffleSplit

from lib.data import opamp
from lib.data.units import check_units, check_varies, doubts
from lib.progress import LOG
from lib.studies.opamp_transfer.config import Config
from lib.studies.opamp_transfer.scope import absent


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
        kind = (
            "simulated in ngspice with the project's own process cards" if self.origin == "embedded" else "the user's CSV files"
        )
        return f"{self.name}, {kind}"


def prepare(config: Config) -> Prepared:
    """Read the user's CSVs, or the embedded data, and drop unusable designs by the stated rule."""
    read = (
        opamp.load(config.data_dir, config.opamp, config.targets)
        if config.data_dir
        else opamp.embedded(config.opamp, config.targets)
    )
    _check_names("log_targets", config.log_targets, read.targets)
    _check_names("resonant", [config.resonant] if config.resonant else [], read.targets)
    log_targets = [n for n in config.log_targets if n in read.targets]
    kept, dropped = {}, []
    for process, frame in (("source", read.source), ("target", read.target)):
        check_units(frame[read.features], f"Op-amp {config.opamp}, {process} process")
        for doubt in doubts(frame):
            LOG.warning("%s process: %s", process, doubt)
        reason = opamp.invalid(frame, log_targets)
        kept[process] = frame[reason == ""].reset_index(drop=True)
        dropped.append(frame[reason != ""].assign(process=process, reason=reason[reason != ""]))
        if len(kept[process]) < 20:
            raise ValueError(
                f"Only {len(kept[process])} usable designs of the {process} process are left; a study needs at least 20."
            )
        where = f"Op-amp {config.opamp}, usable designs of the {process} process"
        check_varies(kept[process][read.targets], where, "leave it out by naming the others in the parameter 'targets'")
    return Prepared(
        kept["source"], kept["target"], pd.concat(dropped, ignore_index=True), read.features, read.targets, log_targets,
        read.fingerprint, "csv" if config.data_dir else "embedded", config.opamp,
    )  # fmt: skip


def _check_names(key: str, given: Sequence[str], targets: list[str]) -> None:
    """Refuse a name that is no target, unless it is one of the parameter's defaults, which suit the competition's metrics."""
    for name in set(given) - set(targets) - set(np.atleast_1d(getattr(Config(), key)).tolist()):
        near = difflib.get_close_matches(name, targets, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"the targets are {', '.join(targets)}."
        raise ValueError(f"{key} names '{name}', which is not a target column: {hint}")


def split(frame: pd.DataFrame, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return row numbers (kept, held out); equal designs stay on one side."""
    groups = opamp.duplicates(frame)
    kept, held = next(GroupShuffleSplit(1, test_size=share, random_state=seed).split(frame, groups=groups))
    return kept, held


def cleaning(prepared: Prepared) -> pd.DataFrame:
    """Count, per process, designs read, dropped by reason, duplicated, and columns that do not vary."""
    rows = []
    for process, frame in (("source", prepared.source), ("target", prepared.target)):
        lost = prepared.dropped[prepared.dropped.process == process].reason.value_counts().to_dict()
        constant = [c for c in prepared.features if frame[c].nunique() == 1]
        repeated = len(frame) - len(set(opamp.duplicates(frame)))
        counts = {"read": len(frame) + sum(lost.values()), **lost, "usable": len(frame), "repeated_designs": repeated,
                  "constant_columns": len(constant)}  # fmt: skip
        rows += [{"process": process, "what": k, "count": int(v)} for k, v in counts.items()]
    return pd.DataFrame(rows)


def alignment(prepared: Prepared) -> pd.DataFrame:
    """Compare each input between the processes: medians and the Kolmogorov-Smirnov distance."""
    return _compare(prepared, prepared.features)


def shift(prepared: Prepared) -> pd.DataFrame:
    """Compare each output between the processes: medians, their ratio and the Kolmogorov-Smirnov distance."""
    return _compare(prepared, prepared.targets)


def _compare(prepared: Prepared, columns: list[str]) -> pd.DataFrame:
    rows = []
    for name in columns:
        a, b = prepared.source[name], prepared.target[name]
        ratio = b.median() / a.median() if a.median() else np.nan
        rows.append(
            {
                "metric": name,
                "median_a": a.median(),
                "median_b": b.median(),
                "ratio": ratio,
                "ks": stats.ks_2samp(a, b).statistic,
            }
        )
    return pd.DataFrame(rows)


def share_below(prepared: Prepared, metric: str, limit: float, process: str = "target") -> dict[str, Any]:
    """Return the share of a process's designs with `metric` below `limit` and its 95 % Wilson interval; untested where it is absent."""
    if metric not in prepared.targets:
        return absent(metric)
    values = getattr(prepared, process)[metric]
    count = int((values < limit).sum())
    interval = stats.binomtest(count, len(values)).proportion_ci(method="wilson")
    return {"value": count / len(values), "low": float(interval.low), "high": float(interval.high)}


def lowest(prepared: Prepared, metric: str) -> float:
    """Return the smallest value of `metric` among target designs, NaN where it is absent."""
    return float(prepared.target[metric].min()) if metric in prepared.targets else np.nan


def middle(prepared: Prepared, metric: str) -> float:
    """Return the median of `metric` among target designs."""
    return float(prepared.target[metric].median())


def skewness(prepared: Prepared) -> pd.DataFrame:
    """Return the skewness of every output of the source process as read and after log1p."""
    rows = []
    for name in prepared.targets:
        values = prepared.source[name]
        after = float(stats.skew(np.log1p(values))) if values.min() > -1 else np.nan
        rows.append(
            {"metric": name, "skew_raw": float(stats.skew(values)), "skew_log": after, "log": name in prepared.log_targets}
        )
    return pd.DataFrame(rows)
