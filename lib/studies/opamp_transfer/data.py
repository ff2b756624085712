"""What the study reads: cleaned designs of both processes, what the two share, and the lab that fits are made in."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from lib.data import opamp
from lib.data.units import check_units, check_varies, doubts
from lib.progress import LOG
from lib.runtime import Runtime
from lib.steps import Step
from lib.steps.opamp import ablations, arms
from lib.steps.opamp.data import Prepared, opened
from lib.studies.opamp_transfer.config import Config

HARD = "cmrr"  # one design can carry a third of its sum of squares: averages are given without it as well
GAIN = "dc_gain"  # the document says where process B's begins


def prepare(config: Config) -> Prepared:
    """Return the usable designs of the user's CSVs, or of the embedded data, once names and units are in order."""
    found = opened(config.data())
    _check_names("log_targets", config.log_targets, found.targets)
    _check_names("resonant", [config.resonant] if config.resonant else [], found.targets)
    for process in ("source", "target"):
        kept, lost = getattr(found, process), found.dropped[found.dropped.process == process]
        frame = pd.concat([kept, lost[kept.columns]])
        check_units(frame[found.features], f"Op-amp {config.opamp}, {process} process")
        for doubt in doubts(frame):
            LOG.warning("%s process: %s", process, doubt)
        if len(kept) < 20:
            raise ValueError(f"Only {len(kept)} usable designs of the {process} process are left; a study needs at least 20.")
        where = f"Op-amp {config.opamp}, usable designs of the {process} process"
        check_varies(kept[found.targets], where, "leave it out by naming the others in the parameter 'targets'")
    return found


def _check_names(key: str, given: Sequence[str], targets: list[str]) -> None:
    """Refuse a name that is no target, unless it is one of the parameter's defaults, which suit the competition's metrics."""
    for name in set(given) - set(targets) - set(np.atleast_1d(getattr(Config(), key)).tolist()):
        near = difflib.get_close_matches(name, targets, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"the targets are {', '.join(targets)}."
        raise ValueError(f"{key} names '{name}', which is not a target column: {hint}")


@dataclass(frozen=True)
class Lab(arms.Lab):
    """The steps' lab with the study's parameters."""

    config: Config

    def folder(self, step: Step, spec: Any) -> Path:
        """Return the folder of a finished step."""
        return step(spec, self.runtime, force=self.config.force)

    def table(self, step: Step, spec: Any) -> pd.DataFrame:
        """Return the table of a finished step."""
        return pd.read_csv(self.folder(step, spec) / ablations.TABLE)


def open_lab(config: Config, prepared: Prepared, runtime: Runtime) -> Lab:
    """Scale the data, draw splits and inner folds: what every method works on."""
    spec = config.lab()
    return Lab(spec, prepared, arms.lab_of(spec, runtime).bench, runtime, config)


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


def compared(prepared: Prepared, columns: list[str]) -> pd.DataFrame:
    """Compare columns between the processes: medians, their ratio and the Kolmogorov-Smirnov distance."""
    rows = []
    for name in columns:
        a, b = prepared.source[name], prepared.target[name]
        medians = {"median_a": a.median(), "median_b": b.median(), "ratio": b.median() / a.median() if a.median() else np.nan}
        rows.append({"metric": name} | medians | {"ks": stats.ks_2samp(a, b).statistic})
    return pd.DataFrame(rows)


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
