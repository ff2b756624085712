"""Op-amp designs of two processes: the competition's CSV layout, what is wrong with its rows, and the scaling."""

import csv
import gzip
import re
import warnings
import zlib
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import pandas as pd

from lib import paths
from lib.files import fingerprint, read_json, write_text
from lib.schema import Schema

FILES = {
    "source": ("source/pretrain_design_features.csv", "source/pretrain_targets.csv"),
    "target": ("target/target_design_features.csv", "target/target_targets.csv"),
}
MARKUP = re.compile(r"[$`\\\x00-\x1f]|!\[")  # what prose, formulas and chart labels would not show as it stands
UGF_FAILED = 1e11  # Hz; what the competition's simulator wrote when the gain never crossed one
UNIT_RATIO = 100.0  # medians of one column that differ more than this between the processes are in different units


class OpAmpFrames(NamedTuple):
    """Designs of the source process A and the target process B: one row per design, features then targets.

    Feature columns are inputs (um, A, F as in the files), target columns are measured in SI units; which are which
    stands in `frame.attrs["features"]` and `frame.attrs["targets"]`.
    """

    source: pd.DataFrame
    target: pd.DataFrame

    @property
    def features(self) -> list[str]:
        """Names of the design variables."""
        return list(self.source.attrs["features"])

    @property
    def targets(self) -> list[str]:
        """Names of the performance metrics."""
        return list(self.source.attrs["targets"])

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the files read."""
        return self.source.attrs["fingerprint"]


def load(data_dir: str | Path, name: str = "5t_opamp", targets: list[str] | None = None) -> OpAmpFrames:
    """Read `<data_dir>/01_train_set/<name>/{source,target}/*.csv` (or .csv.gz).

    targets  the target columns to keep (all of them when empty)
    Raises ValueError, naming file and column, for missing or empty files, differing row counts or columns, values that are
    not finite numbers, an absent target column, or columns whose units differ between the processes.
    """
    return _read(folder_of(data_dir, name), targets)


def embedded(name: str = "5t_opamp", targets: list[str] | None = None) -> OpAmpFrames:
    """Read the data set that ships with the project."""
    return _read(folder_of("", name), targets)


def folder_of(data_dir: str | Path, name: str) -> Path:
    """Return the folder of an op-amp's tables (no `data_dir`: the embedded ones); ValueError where it is not there."""
    base = paths.resolve(data_dir) if data_dir else paths.EMBEDDED / "opamp"
    above = base / "01_train_set" if data_dir else base
    known = sorted(p.name for p in above.glob("*") if p.is_dir())
    if name in known:  # so that no name leads out of the folder
        return above / name
    if not data_dir:
        raise ValueError(f"No embedded op-amp '{name}': the embedded ones are {', '.join(known)}.")
    found = f"it holds {', '.join(known)}" if known else "that folder has no 01_train_set"
    raise ValueError(f"No op-amp '{name}' under {base}: {found}; expected {above / name}/source and /target.")


def mark(folder: Path) -> str:
    """Return the fingerprint of the tables in a folder."""
    return fingerprint(*(_find(folder / name) for names in FILES.values() for name in names))


def _read(folder: Path, targets: list[str] | None) -> OpAmpFrames:
    files = {process: [_find(folder / name) for name in names] for process, names in FILES.items()}
    frames = {process: _join(*pair, targets) for process, pair in files.items()}
    source, target = frames["source"], frames["target"]
    if sorted(source.columns) != sorted(target.columns):
        odd = sorted(set(source.columns) ^ set(target.columns))
        raise ValueError(f"Source and target of {folder} differ in columns {odd}: both processes need the same ones.")
    target = target[source.columns]
    _check_units(source, target, folder)
    for frame in (source, target):
        frame.attrs |= {"features": source.attrs["features"], "targets": source.attrs["targets"], "fingerprint": mark(folder)}
    return OpAmpFrames(source, target)


def _find(file: Path) -> Path:
    packed = file.with_name(file.name + ".gz")
    if not file.is_file() and not packed.is_file():
        raise ValueError(f"{file} does not exist: an op-amp folder holds {', '.join(n for v in FILES.values() for n in v)}.")
    return file if file.is_file() else packed


def _join(features_file: Path, targets_file: Path, targets: list[str] | None) -> pd.DataFrame:
    features, measured = read_numbers(features_file), read_numbers(targets_file)
    if len(features) != len(measured):
        raise ValueError(
            f"{features_file} has {len(features)} rows but {targets_file} has {len(measured)}: one row per design."
        )
    both = sorted(set(features.columns) & set(measured.columns))
    if both:
        raise ValueError(f"Columns {both} stand in {features_file} and in {targets_file}: a column is an input or a target.")
    absent = sorted(set(targets or []) - set(measured.columns))
    if absent:
        raise ValueError(f"Target columns {absent} are not in {targets_file}; it has {list(measured.columns)}.")
    measured = measured[list(targets)] if targets else measured
    joined = pd.concat([features, measured], axis=1)
    joined.attrs = {"features": list(features.columns), "targets": list(measured.columns)}
    return joined


def read_numbers(file: Path) -> pd.DataFrame:
    """Read a CSV of finite numbers; ValueError names the file, the column and the first bad line.

    Columns are known by their names, in any order.
    """
    try:
        names = _header(file)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # a row longer than the header is no matter of taste
            frame = pd.read_csv(file, names=names, header=0, index_col=False, low_memory=False)
    except (OSError, EOFError, csv.Error, zlib.error, ValueError, pd.errors.ParserWarning) as error:
        raise ValueError(f"{file} is not a readable CSV file ({str(error).splitlines()[0]}).") from None
    if frame.empty:
        raise ValueError(f"{file} holds no rows.")
    numbers = frame.apply(pd.to_numeric, errors="coerce")
    bad = ~np.isfinite(numbers.to_numpy(float))
    if bad.any():
        row, column = (int(i[0]) for i in np.nonzero(bad))
        shown = f"line {row + 2}, column '{frame.columns[column]}' is '{frame.iat[row, column]}'"
        raise ValueError(f"{file}, {shown}, not a finite number.")
    return numbers.astype(float)


def _header(file: Path) -> list[str]:
    """Return the column names; ValueError where there are none, or where two are the same."""
    with (gzip.open if file.suffix == ".gz" else open)(file, "rt", encoding="utf-8-sig", newline="") as lines:
        names = [name.strip() for name in next(csv.reader(lines), [])]
    if not names:
        raise ValueError("it is empty")
    if len(set(names)) < len(names) or "" in names:
        raise ValueError(f"its header needs one distinct name per column, but it is {names}")
    odd = [name for name in names if MARKUP.search(name)]
    if odd:
        raise ValueError(f"its header names a column {odd[0]!r}: no $, backtick, backslash, ![ or control character, please")
    if any(re.fullmatch(r"[-+.\d][-+.\deE]*", name) for name in names):
        raise ValueError(f"its first line should name the columns, but it is {names}")
    return names


def _check_units(source: pd.DataFrame, target: pd.DataFrame, folder: Path) -> None:
    for name in source.attrs["features"]:
        a, b = (float(f[name].abs().median()) for f in (source, target))
        if min(a, b) > 0 and max(a / b, b / a) > UNIT_RATIO:
            raise ValueError(
                f"Column '{name}' of {folder} has median {a:.3g} in source and {b:.3g} in target: use one unit for both."
            )


def invalid(frame: pd.DataFrame, log_targets: list[str]) -> pd.Series:
    """Return, per row, why a design cannot be used ("" where it can).

    A failed simulation shows as a gain below one (dc_gain < 1) or a unity-gain frequency of 1e11 Hz (ugf); a target that
    is modelled as a logarithm must be positive. Columns that are not there are not judged.
    """
    reason = pd.Series("", index=frame.index)
    if "dc_gain" in frame:
        reason[frame.dc_gain < 1] = "gain_below_one"
    if "ugf" in frame:
        reason[(frame.ugf >= UGF_FAILED) & (reason == "")] = "no_unity_crossing"
    for name in (n for n in log_targets if n in frame):
        reason[(frame[name] <= 0) & (reason == "")] = "log_of_nonpositive"
    return reason


def duplicates(frame: pd.DataFrame) -> np.ndarray:
    """Return a group number per row: equal designs share one, so that a split can keep them on one side."""
    return frame.groupby(frame.attrs["features"], sort=False).ngroup().to_numpy()


class Scaler(Schema):
    """log1p where asked for, then zero mean and unit variance; fitted on training rows of one process, stored as JSON."""

    names: list[str]
    log: list[bool]
    mean: list[float]
    scale: list[float]

    @classmethod
    def fit(cls, frame: pd.DataFrame, names: list[str], log: list[str] | None = None) -> Self:
        """Fit on the rows of `frame`; a column that does not vary keeps scale 1."""
        flags = [n in (log or []) for n in names]
        values = _log1p(frame[names].to_numpy(float), flags)
        scale = values.std(0)
        scale[scale < 1e-12 * np.maximum(abs(values.mean(0)), 1e-30)] = 1.0
        return cls(names=names, log=flags, mean=values.mean(0).tolist(), scale=scale.tolist())

    def transform(self, frame: pd.DataFrame) -> np.ndarray:
        """Return (n, k) float32 standardised values; a missing column is a ValueError."""
        absent = [n for n in self.names if n not in frame]
        if absent:
            raise ValueError(f"Columns {absent} are missing; the model needs {self.names} and was given {list(frame.columns)}.")
        values = _log1p(frame[self.names].to_numpy(float), self.log)
        return ((values - self.mean) / self.scale).astype(np.float32)

    def inverse(self, scaled: np.ndarray) -> np.ndarray:
        """Return (n, k) physical values from standardised ones."""
        values = np.asarray(scaled, float) * self.scale + self.mean
        return np.where(self.log, np.expm1(np.where(self.log, values, 0.0)), values)

    def save(self, file: Path) -> None:
        """Write JSON."""
        write_text(file, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read what `save` wrote."""
        return cls.checked(read_json(file))


def _log1p(values: np.ndarray, flags: list[bool]) -> np.ndarray:
    if (values[:, flags] <= -1).any():
        raise ValueError("log1p needs values above -1: drop failed designs first, or take that column out of log_targets.")
    out = values.copy()
    out[:, flags] = np.log1p(values[:, flags])
    return out
