"""Measure operational amplifiers in ngspice: one deck per batch of designs, one process per deck."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from lib.data.topology import CARDS, STEP, Topology, check_designs
from lib.files import sha256, write_csv
from lib.progress import Progress

METRICS = ("slewrate_pos", "dc_gain", "ugf", "phase_margin", "cmrr")
LOW, HIGH = 0.8 + 0.3 * STEP, 0.8 + 0.7 * STEP  # V, between which the slew rate is taken
STOPPED = "ngspice stopped or hung"
SECONDS_PER_DESIGN = 3.0  # before a batch counts as hung; a design takes about 0.05 s

_VALUE = re.compile(r"^(\w+)\s*=\s*([-+0-9.eE]+)")


def ngspice_version() -> str | None:
    """Return ngspice's version, such as '39', or None where it is not installed."""
    if shutil.which("ngspice") is None:
        return None
    text = subprocess.run(["ngspice", "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"ngspice-(\S+)", text)
    return found.group(1) if found else None


def _alter(topo: Topology, design: Mapping[str, float]) -> list[str]:
    lines = []
    for feature, targets in topo.knobs.items():
        value = float(design[feature]) * (1e-6 if feature[0] in "wl" else 1.0)
        for target in targets:
            element, parameter = target.split(".")
            lines += [f"alter @{element}{copy}[{parameter}] = {value:.9g}" for copy in "ab"]
    return lines


def _measure(topo: Topology, design: Mapping[str, float], number: int) -> list[str]:
    """Return the control lines that measure one design: dc gain, unity gain and phase, common-mode gain, step."""
    stop = 2e-8 + topo.settle(design)
    return [
        f"echo begin {number}",
        *_alter(topo, design),
        "ac lin 1 10 10",
        "let adc = vm(outa)",
        "print adc",
        "ac dec 20 1k 10g",
        "let mag = vm(outa)",
        "let phase = 180/pi*cph(v(outa))",
        "meas ac ugf when mag=1 fall=1",
        "meas ac shift find phase when mag=1 fall=1",
        "alter @vna[acphase] = 0",
        "ac lin 1 10 10",
        "let acm = vm(outa)",
        "print acm",
        "alter @vna[acphase] = 180",
        f"tran {stop / 300:.6g} {stop:.6g}",
        f"meas tran early when v(outb)={LOW:g} rise=1",
        f"meas tran late when v(outb)={HIGH:g} rise=1",
        "destroy all",
        f"echo end {number}",
    ]


def deck(topo: Topology, models: Path, designs: pd.DataFrame) -> str:
    """Return the ngspice input that measures every row of `designs` with the models of `card`."""
    rows = designs[topo.features].to_dict("records")
    control = [line for i, row in enumerate(rows) for line in _measure(topo, row, i)]
    begin = [".control", "set num_threads=1"]  # ngspice's threads spin: on a busy machine 20 times slower than one
    parts = [topo.netlist.read_text("utf-8"), models.read_text("utf-8"), *begin, *control, "quit", ".endc", ".end", ""]
    return "\n".join(parts)


def parse(text: str, n: int) -> pd.DataFrame:
    """Return one row per design from ngspice's output: the metrics, and why a design failed ('' where it did not)."""
    found: list[dict[str, float]] = [{} for _ in range(n)]
    current: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("begin "):
            current = found[int(line.split()[1])]
        elif match := _VALUE.match(line):
            current[match.group(1)] = float(match.group(2))
        elif line.startswith("end "):
            current["end"] = 1.0
            current = {}
    return pd.DataFrame([_metrics(values) for values in found], columns=[*METRICS, "failure"])


def _metrics(v: Mapping[str, float]) -> dict[str, float | str]:
    """Turn one design's readings into metrics; the common-mode drive is half a volt, hence the 2 in cmrr."""
    failed = {name: float("nan") for name in METRICS}
    if "end" not in v:
        return {**failed, "failure": STOPPED}
    if not np.isfinite(v.get("adc", np.nan)) or "acm" not in v:
        return {**failed, "failure": "no operating point"}
    if v["adc"] <= 1:
        return {**failed, "failure": "gain below one"}
    if "ugf" not in v or "shift" not in v:
        return {**failed, "failure": "no unity-gain crossing"}
    if "early" not in v or "late" not in v or v["late"] <= v["early"]:
        return {**failed, "failure": "step not followed"}
    return {
        "slewrate_pos": (HIGH - LOW) / (v["late"] - v["early"]),
        "dc_gain": v["adc"],
        "ugf": v["ugf"],
        "phase_margin": 180 + v["shift"],
        "cmrr": v["adc"] / (2 * v["acm"]),
        "failure": "",
    }


def _run_batch(topo: Topology, models: Path, designs: pd.DataFrame) -> pd.DataFrame:
    """Measure one batch in one process; one that hangs or dies is halved until the design at fault stands alone."""
    result = parse(run_deck(deck(topo, models, designs), 10 + SECONDS_PER_DESIGN * len(designs)), len(designs))
    if len(designs) == 1 or not (result.failure == STOPPED).any():
        return result
    half = len(designs) // 2
    return pd.concat([_run_batch(topo, models, part) for part in (designs[:half], designs[half:])], ignore_index=True)


def run_deck(text: str, seconds: float) -> str:
    """Return what ngspice prints for a deck; nothing where it takes longer than `seconds`."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "deck.cir").write_text(text, "utf-8")
        try:
            done = subprocess.run(
                ["ngspice", "-n", "-b", "deck.cir"], cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"},
                capture_output=True, text=True, errors="replace", check=False, timeout=seconds,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return ""
    return done.stdout


def card(process: str) -> Path:
    """Return the shipped model card of process `a` (source) or `b` (target)."""
    path = CARDS / f"process_{process}.cir"
    if not path.is_file():
        raise ValueError(f"process '{process}' has no card; there are a (source) and b (target)")
    return path


def simulate(
    topo: Topology,
    models: Path,
    designs: pd.DataFrame,
    *,
    workers: int = 1,
    batch: int = 100,
    folder: Path | None = None,
) -> pd.DataFrame:
    """Measure `designs` in ngspice with the model card `models`; rows in the order given.

    folder  keeps finished batches, so that an interrupted run goes on where it stopped
    Returns the metrics (V/s, ratio, Hz, degree, ratio) and `failure`, '' where the design worked.
    Raises ValueError for a missing column or a non-positive value, RuntimeError where ngspice is not installed.
    """
    check_designs(topo, designs)
    version = ngspice_version()
    if version is None:
        raise RuntimeError("ngspice is not on the PATH; install it (Debian or conda-forge: package ngspice)")
    parts = [designs.iloc[i : i + batch] for i in range(0, len(designs), batch)]
    results = [pd.DataFrame(columns=[*METRICS, "failure"])] if not parts else []
    with ThreadPoolExecutor(max_workers=workers) as pool, Progress(f"ngspice {topo.name}", len(designs)) as bar:
        for result in pool.map(lambda part: _kept_batch(topo, models, part, folder, version), parts):
            results.append(result)
            bar.advance(len(result))
    return pd.concat(results, ignore_index=True)


def _kept_batch(topo: Topology, models: Path, designs: pd.DataFrame, folder: Path | None, version: str) -> pd.DataFrame:
    if folder is None:
        return _run_batch(topo, models, designs)
    path = folder / f"{sha256(version, deck(topo, models, designs))[7:27]}.csv"
    if not path.is_file():
        write_csv(path, _run_batch(topo, models, designs))
    return pd.read_csv(path, converters={"failure": str})
