"""Who checks a design: the circuit simulator where the data come from it, else a Gaussian process that took no part."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from lib.data import circuit
from lib.data.topology import TOPOLOGIES
from lib.evidence import Measured, why_not
from lib.models.ensemble import DesignFeatures
from lib.models.gp import GaussianProcess, GPConfig
from lib.paths import RUNS
from lib.steps.opamp.data import Prepared


@dataclass(frozen=True)
class Judge:
    """`name` is ngspice or gaussian_process; `measure` gives the metrics of designs, NaN where a design fails."""

    name: str
    prepared: Prepared
    workers: int = 1
    config: GPConfig = GPConfig()  # noqa: RUF009  (frozen)

    def measure(self, designs: pd.DataFrame) -> pd.DataFrame:
        """Return one row of metrics per design, in their order."""
        if self.name == "ngspice":
            return self._simulate(designs)
        return self._guess(designs)

    def _simulate(self, designs: pd.DataFrame) -> pd.DataFrame:
        topo = TOPOLOGIES[self.prepared.name]
        x = designs[topo.features].reset_index(drop=True)
        batch = max(-(-len(x) // self.workers), 1)
        folder = RUNS / "ngspice"
        measured = circuit.simulate(topo, circuit.card("b"), x, workers=self.workers, batch=min(batch, 100), folder=folder)
        return measured[self.prepared.targets]

    def _guess(self, designs: pd.DataFrame) -> pd.DataFrame:
        """Fit one process per metric on every usable target design and predict."""
        known, names = self.prepared.target, self.prepared.targets
        log = np.array([n in self.prepared.log_targets for n in names])
        y = known[names].to_numpy(float)
        z = np.where(log, np.log(np.where(log, y, 1.0)), y)
        mean, sd = z.mean(0), z.std(0)
        inputs = DesignFeatures(tuple(self.prepared.features)).double()
        x, asked = (torch.tensor(f[self.prepared.features].to_numpy(float)) for f in (known, designs))
        inputs.fit(x)
        gp = GaussianProcess.fit(inputs(x).expand(len(names), -1, -1), torch.tensor(((z - mean) / sd).T.copy()), self.config)
        guess = gp.predict(inputs(asked).expand(len(names), -1, -1))[0].T.numpy() * sd + mean
        return pd.DataFrame(np.where(log, np.exp(np.where(log, guess, 0.0)), guess), columns=names)


def choose(prepared: Prepared) -> Judge:
    """Return the simulator for the shipped data where it is on the PATH, on as many workers as threads; else the GP."""
    known = simulable(prepared) and circuit.ngspice_version() is not None
    return Judge("ngspice" if known else "gaussian_process", prepared, torch.get_num_threads())


def simulable(prepared: Prepared) -> bool:
    """Tell whether ngspice made the data, so that it can judge designs for them."""
    shipped = prepared.origin == "embedded" and prepared.name in TOPOLOGIES
    return shipped and set(prepared.targets) <= set(circuit.METRICS)


def not_judged() -> Measured:
    """Return that a claim about designs is left open, because ngspice, which made the data, is not there to measure them."""
    return why_not(
        "PATH 中没有 ngspice，此处无法评判：这些数据由 ngspice 仿真得到，搜到的设计也要由它测量（安装 ngspice 后重新运行即可）。"
        "表中给出的是高斯过程的估计。",
        "Not judged here, because ngspice is not on the PATH: it made these data, so it has to measure the designs (install ngspice "
        "and run again). The tables give the estimate of a Gaussian process.",
    )


def judge_says(judge: str) -> tuple[str, str]:
    """Return who judged and what that is worth, in Chinese and English."""
    if judge == "ngspice":
        return (
            "评判者是 ngspice：设计用产生目标数据的同一网表和工艺卡仿真。仿真数据的共模抑制比不遵循真实数据的规律，"
            "这一指标的结论只对仿真数据成立。",
            "The judge is ngspice: designs are simulated with the netlist and process card that made the target data. The simulated "
            "cmrr does not follow the real data, so what is found for it holds for the simulated data alone.",
        )
    return (
        "没有可用的仿真器，由独立的高斯过程评判：它用全部可用的目标设计拟合，没有参与搜索；查表给出的是已测得的真值。",
        "No simulator is at hand, so an independent Gaussian process judges: it is fitted on every usable target design and took no "
        "part in the search. Look-up answers with metrics that were measured.",
    )
