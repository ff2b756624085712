"""Simulate the embedded op-amp data: python -m tools.simulate_opamps [--workers 2] (about 5 minutes on two cores).

Needs ngspice. Reads the netlists and process cards in lib/data/embedded/opamp and writes, beside each netlist,
source/ (process A) and target/ (process B) in the competition's CSV layout, gzip-compressed, 7 significant digits;
failures.csv.gz holds every design that was drawn but did not work, with the reason; generation.json says how.
Interrupted, it goes on from runs/ngspice/ when started again.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from lib.data import circuit
from lib.data.topology import TOPOLOGIES, Topology
from lib.files import replacing, write_json
from lib.paths import RUNS

SIZES = {"5t_opamp": {"source": 10_000, "target": 1_000}, "two_stage_opamp": {"source": 2_000, "target": 300}}
PROCESS = {"source": "a", "target": "b"}
PREFIX = {"source": "pretrain", "target": "target"}
HELD = {"two_stage_opamp": {"ibias": 10e-6}}  # in the source data, as the competition's two-stage data do
SEED = 20251126


def topology(name: str) -> Topology:
    """Return the amplifier called `name`, or say which ones can be simulated."""
    if name not in TOPOLOGIES:
        raise ValueError(f"opamp '{name}' has no netlist; ngspice can simulate {', '.join(TOPOLOGIES)}")
    return TOPOLOGIES[name]


def sample_designs(topo: Topology, n: int, seed: int, *, held: Mapping[str, float] | None = None) -> pd.DataFrame:
    """Draw `n` different designs uniformly from the grid; the first rows do not depend on `n`."""
    rng = np.random.default_rng(seed)
    sizes = [len(v) for v in topo.grid.values()]
    index = (rng.random((2 * n + 16, len(sizes))) * sizes).astype(int)
    frame = pd.DataFrame({k: np.asarray(v)[index[:, j]] for j, (k, v) in enumerate(topo.grid.items())})
    return frame.assign(**(held or {})).drop_duplicates(ignore_index=True).head(n)


def draw(topo: Topology, domain: str, n: int, workers: int) -> pd.DataFrame:
    """Return designs in the order drawn with metrics and `failure`, up to the one that makes `n` working ones."""
    held = HELD.get(topo.name) if domain == "source" else None
    designs = sample_designs(topo, int(1.5 * n), SEED + (domain == "target"), held=held)
    done = pd.DataFrame()
    while (working := int((done.failure == "").sum()) if len(done) else 0) < n:
        more = designs.iloc[len(done) : len(done) + max(100, n - working)]
        if more.empty:
            raise RuntimeError(f"{topo.name}, {domain}: only {working} of {len(designs)} designs worked")
        folder = RUNS / "ngspice"
        measured = circuit.simulate(topo, circuit.card(PROCESS[domain]), more, workers=workers, folder=folder)
        done = pd.concat([done, pd.concat([more.reset_index(drop=True), measured], axis=1)], ignore_index=True)
    last = (done.failure == "").cumsum().searchsorted(n)
    return done.iloc[: last + 1]


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write a gzip CSV whose bytes depend on the values alone."""
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.7g", compression={"method": "gzip", "mtime": 1})


def generate(topo: Topology, workers: int) -> dict:
    """Simulate both processes of one op-amp, write its files, and return what generation.json says."""
    failures, counts = [], {}
    for domain, n in SIZES[topo.name].items():
        frame = draw(topo, domain, n, workers)
        works = frame.failure == ""
        folder = topo.netlist.parent / domain
        write(frame.loc[works, topo.features], folder / f"{PREFIX[domain]}_design_features.csv.gz")
        write(frame.loc[works, list(circuit.METRICS)], folder / f"{PREFIX[domain]}_targets.csv.gz")
        lost = frame.loc[~works, [*topo.features, "failure"]]
        failures.append(lost.rename_axis("draw").reset_index().assign(domain=domain))
        counts[domain] = {"drawn": len(frame), "working": int(works.sum()), "failed": lost.failure.value_counts().to_dict()}
    record = pd.concat(failures)[["domain", "draw", *topo.features, "failure"]]
    write(record, topo.netlist.parent / "failures.csv.gz")
    return {"ngspice": circuit.ngspice_version(), "seed": SEED, "process": PROCESS, "designs": counts}


def main() -> None:
    """Generate every op-amp, or the ones named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("names", nargs="*", default=list(TOPOLOGIES))
    arguments = parser.parse_args()
    for topo in map(topology, arguments.names):
        write_json(topo.netlist.parent / "generation.json", generate(topo, arguments.workers))


if __name__ == "__main__":
    main()
