"""The amplifiers that ngspice can simulate: design grids, and which element of the netlist each feature sets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lib.paths import EMBEDDED

CARDS = EMBEDDED / "opamp"
STEP = 0.6  # V, height of the follower's input step

_WIDTHS = tuple(np.arange(1, 101) * 0.5)  # um
_LENGTHS = (0.5, 1.0, 1.5, 2.0)  # um
_CURRENTS = (5e-6, 10e-6, 15e-6, 20e-6)  # A


@dataclass(frozen=True)
class Topology:
    """What ngspice needs to know of one amplifier.

    grid    feature -> allowed values (widths and lengths in um, ibias in A, cc in F, cr in ohm)
    knobs   feature -> the element parameters that it sets in each copy, `element.parameter`
    settle  seconds that the step response is followed, as a function of the design
    """

    name: str
    grid: Mapping[str, tuple[float, ...]]
    knobs: Mapping[str, tuple[str, ...]]
    settle: Callable[[Mapping[str, float]], float]

    @property
    def features(self) -> list[str]:
        return list(self.grid)

    @property
    def netlist(self) -> Path:
        return CARDS / self.name / "netlist.cir"


def _mosfets(groups: Mapping[int, str]) -> dict[str, tuple[str, ...]]:
    """Map w1.. and l1.. to the transistors that share them."""
    return {f"{p}{k}": tuple(f"m{d}.{p}" for d in devices) for p in "wl" for k, devices in groups.items()}


FIVE_T = Topology(
    name="5t_opamp",
    grid={**{f"w{i}": _WIDTHS for i in (1, 2, 3)}, **{f"l{i}": _LENGTHS for i in (1, 2, 3)}, "ibias": _CURRENTS},
    knobs={**_mosfets({1: "12", 2: "34", 3: "56"}), "ibias": ("ib.dc",)},
    settle=lambda d: 2.5 * STEP * 2.2e-12 / d["ibias"],
)
TWO_STAGE = Topology(
    name="two_stage_opamp",
    grid={
        **{f"w{i}": _WIDTHS for i in range(1, 6)},
        **{f"l{i}": _LENGTHS for i in range(1, 6)},
        "cc": tuple(np.arange(2, 13) * 2.5e-13),
        "cr": tuple(np.arange(1, 17) * 500.0),
        "ibias": _CURRENTS,
    },
    knobs={
        **_mosfets({1: "12", 2: "34", 3: "58", 4: "6", 5: "7"}),
        "cc": ("cc.capacitance",),
        "cr": ("rz.resistance",),
        "ibias": ("ib.dc",),
    },
    settle=lambda d: 4 * STEP * (d["cc"] / d["ibias"] + 3e-12 / (d["ibias"] * d["w5"] * d["l3"] / d["l5"] / d["w3"])),
)
TOPOLOGIES = {t.name: t for t in (FIVE_T, TWO_STAGE)}


def check_designs(topo: Topology, designs: pd.DataFrame) -> None:
    """Raise ValueError where a feature is missing or not a positive finite number."""
    missing = [f for f in topo.features if f not in designs]
    if missing:
        raise ValueError(f"designs for {topo.name} lack the columns {', '.join(missing)}; needed: {', '.join(topo.features)}")
    values = designs[topo.features].to_numpy(float)
    bad = np.argwhere(~(np.isfinite(values) & (values > 0)))
    if len(bad):
        row, col = bad[0]
        raise ValueError(f"design row {row}: {topo.features[col]} is {values[row, col]}, but must be a positive number")
