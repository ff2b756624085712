"""Inverse design on held-out specifications: search, mixture density network and look-up, before an independent judge."""

import time
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from lib import metrics
from lib.evidence import Measured, measure, share, why_not
from lib.files import read_json
from lib.inverse import spec as specs
from lib.inverse.diagnose import diagnose
from lib.inverse.model import InverseModel
from lib.inverse.refine import refine
from lib.inverse.search import Found, SearchConfig
from lib.inverse.spec import Goal, Goals, Spec
from lib.progress import Progress
from lib.runtime import Runtime
from lib.steps.opamp.data import Prepared, split
from lib.steps.opamp.inverse import InverseSpec, MixtureSpec, fit_opamp_inverse
from lib.studies.opamp_transfer.config import Config
from lib.studies.opamp_transfer.judge import Judge, choose, not_judged, simulable

METHODS = ("search", "mdn", "lookup")
CORRECTED = "corrected"  # the search, corrected by rounds of simulation
WITHIN = (0.05, 0.10)
EXAMPLE = {"slewrate_pos": 2.5e8, "dc_gain": 200.0, "ugf": 1.5e6, "phase_margin": 65.0, "cmrr": 20_000.0}  # the document's
DOCUMENTED = "5t_opamp"  # the type that the example is for
FRONT = 12  # weights along the front of two metrics
FIRST = ("dc_gain", "ugf")  # these two, where there are such


@dataclass(frozen=True)
class Inverted:
    """What inverse design gave: long results, the search's trace, and who judged."""

    results: pd.DataFrame  # specification, method, metric, wanted, predicted, judged, miss, promised_miss (of the prediction)
    trace: pd.DataFrame
    judge: str
    seconds: float
    found: Found | None = None  # by the search
    rounds: pd.DataFrame | None = None  # what each round of simulation and correction reached
    stand_in: bool = False  # the judge stands in for the simulator that made the data, which is not installed

    @property
    def tool(self) -> str:
        """The program outside Python that judged, if one did."""
        return self.judge if self.judge == "ngspice" else ""


def held_out(config: Config, prepared: Prepared) -> tuple[np.ndarray, np.ndarray]:
    """Return target rows that train the inverse model, and the held-out rows whose metrics become specifications."""
    kept, held = split(prepared.target, config.val_split, config.seed)
    return kept, held[: config.inverse_specs]


def train_inverse(config: Config, prepared: Prepared, runtime: Runtime, rows: np.ndarray) -> tuple[InverseModel, dict]:
    """Return the networks trained on the target designs `rows`, through the run cache, and how the training went.

    ensemble_nll, mixture_nll  negative log-likelihood of inner validation rows
    """
    c = config
    mixture = MixtureSpec(c.mdn_train, c.mdn_components, c.mdn_hidden, c.mdn_layers, c.mdn_batch, c.mdn_epochs, c.mdn_lr)
    ensemble = c.inverse_surrogate == "transfer", c.inverse_members, c.inverse_epochs, c.inverse_lr
    spec = InverseSpec(c.data(), tuple(map(int, rows)), *ensemble, mixture, c.seed)
    folder = fit_opamp_inverse(spec, runtime, force=c.force)
    said = {name: value for name, value in read_json(folder / "training.json").items() if name.endswith("_nll")}
    return InverseModel.load(folder / "model", runtime.device), said


def settings(config: Config) -> SearchConfig:
    """Return the search's settings from the study's parameters."""
    return SearchConfig(
        n_init=config.inverse_starts, steps=config.inverse_steps, lr=config.inverse_step_size, prior=config.inverse_prior,
        lbfgs=config.inverse_lbfgs, keep=config.inverse_keep,
    )  # fmt: skip


def invert_held_out(
    config: Config, prepared: Prepared, model: InverseModel, runtime: Runtime, held: np.ndarray, judge: Judge | None = None
) -> Inverted:
    """Ask for the metrics of held-out designs, and let the judge measure what each method answers.

    lookup  the nearest design among the training rows, with its true metrics
    mdn     the best of as many draws as the search has starts, by the forward model
    """
    judge = judge or choose(prepared)
    truth = prepared.target.iloc[held][prepared.targets].reset_index(drop=True)
    wanted = [specs.targets(row) for row in truth.to_dict("records")]
    with Progress("inverse design", 3) as bar:
        found = model.find(wanted, settings(config), runtime.seed)
        seconds = time.monotonic() - bar.began
        bar.advance(note="search")
        drawn = model.sample(wanted, config.inverse_starts, runtime.seed + 1)
        answers = {"search": [model.designs(found, i).iloc[0] for i in range(len(wanted))],
                   "mdn": [model.ranked(s, x).iloc[0] for s, x in zip(wanted, drawn, strict=True)],
                   "lookup": [_lookup(model, s) for s in wanted]}  # fmt: skip
        bar.advance(note="mixture")
        asked = pd.DataFrame([row[model.features] for m in ("search", "mdn") for row in answers[m]]).astype(float)
        judged = judge.measure(asked).to_numpy()
        bar.advance(note=judge.name)
    measured = {"search": judged[: len(wanted)], "mdn": judged[len(wanted) :]}
    results = pd.concat([_long(m, answers[m], truth, measured.get(m)) for m in METHODS], ignore_index=True)
    return Inverted(results, found.trace, judge.name, seconds, found, stand_in=simulable(prepared) and judge.name != "ngspice")


def with_rounds(config: Config, prepared: Prepared, model: InverseModel, inverted: Inverted, held: np.ndarray) -> Inverted:
    """Return the outcome with one method more, the search corrected by simulation; as it is where no simulator judges."""
    if inverted.judge != "ngspice" or not config.inverse_rounds:
        return inverted
    judge, names = choose(prepared), prepared.targets
    truth = prepared.target.iloc[held][names].reset_index(drop=True)

    def again(asked: list[Spec], begin: torch.Tensor) -> Found:
        return model.find(asked, settings(config), config.seed, begin)

    def simulate(x: np.ndarray) -> np.ndarray:
        return judge.measure(pd.DataFrame(x, columns=prepared.features)).to_numpy()

    known = torch.tensor(model.known[names].to_numpy())
    wanted = [specs.targets(row) for row in truth.to_dict("records")]
    done = refine(again, simulate, wanted, names, known, inverted.found, config.inverse_rounds)
    predicted = [pd.Series(row, names) for row in done.predicted]
    more = _long(CORRECTED, predicted, truth, done.measured)
    return replace(inverted, results=pd.concat([inverted.results, more], ignore_index=True), rounds=done.history)


def _lookup(model: InverseModel, wanted: Spec) -> pd.Series:
    y = torch.tensor(model.known[model.metrics].to_numpy())
    merit = Goals.stack([wanted], model.metrics, y).merit(y, torch.zeros_like(y))
    return model.known.iloc[int(merit.argmin())]


def _long(method: str, answers: list[pd.Series], truth: pd.DataFrame, judged: np.ndarray | None) -> pd.DataFrame:
    """Return one row per specification and metric; the look-up's metrics are measured already."""
    predicted = np.array([[row[m] for m in truth.columns] for row in answers], float)
    judged = predicted if judged is None else judged
    goals = Goals.stack(
        [specs.targets(r) for r in truth.to_dict("records")], list(truth.columns), torch.tensor(truth.to_numpy())
    )
    miss, promised = (goals.miss(torch.tensor(v)).nan_to_num(float("inf")).numpy() for v in (judged, predicted))
    rows = [
        pd.DataFrame({"specification": range(len(truth)), "metric": m, "wanted": truth[m], "predicted": predicted[:, i],
                      "judged": judged[:, i], "miss": miss[:, i], "promised_miss": promised[:, i]})
        for i, m in enumerate(truth.columns)
    ]  # fmt: skip
    return pd.concat(rows).assign(method=method)


def shares(inverted: Inverted) -> pd.DataFrame:
    """Return, per method and tolerance, the share of specifications with every metric within it, with its interval."""
    rows = []
    for method in dict.fromkeys(inverted.results.method):
        met = _met(inverted, method)
        for tolerance in WITHIN:
            found = share(met <= tolerance)
            row = {"met_share": found.value, "low": found.low, "high": found.high, "n": len(met)}
            rows.append({"method": method, "tolerance": tolerance} | row)
    return pd.DataFrame(rows)


def per_metric(inverted: Inverted) -> pd.DataFrame:
    """Return, per method and metric, the share within five percent and the median miss."""
    groups = inverted.results.groupby(["method", "metric"], sort=False).miss
    out = groups.agg(within_5=lambda m: (m <= WITHIN[0]).mean(), median_relative_miss="median").reset_index()
    return out.astype({"method": str})


@measure
def reached(inverted: Inverted, method: str = "search") -> Measured:
    """Return a method's share of specifications with every metric within five percent; a reason where a stand-in judges."""
    if inverted.stand_in:
        return not_judged()
    return replace(share(_met(inverted, method) <= WITHIN[0]), tool=inverted.tool)


@measure
def advantage(inverted: Inverted) -> Measured:
    """Return the search's share within five percent minus the look-up's, with the paired bootstrap interval."""
    if inverted.stand_in:
        return not_judged()
    ours, theirs = ((_met(inverted, m) <= WITHIN[0]).astype(float) for m in ("search", "lookup"))
    low, high = metrics.bootstrap_difference(lambda _, hits: hits.mean(0), ours, ours, theirs)
    gain = float(ours.mean() - theirs.mean())
    return Measured(gain, low, high, seeds=0, tool=inverted.tool, facts={"points": 100 * gain})


def _met(inverted: Inverted, method: str) -> np.ndarray:
    """Return the worst miss of each specification."""
    return inverted.results[inverted.results.method == method].groupby("specification").miss.max().to_numpy()


def model_says(results: pd.DataFrame, within: float = WITHIN[0]) -> tuple[str, str]:
    """Say in both languages how much of what the search misses is the forward model's error."""
    part = results[results.method == "search"]
    promised, kept = ((part.groupby("specification")[k].max() <= within).mean() for k in ("promised_miss", "miss"))
    error = ((part.predicted - part.judged) / part.judged).abs().groupby(part.metric).median()
    name, worst = error.idxmax(), error.max()
    return (
        f"按正向模型自己的预测，搜到的设计满足了 {promised:.0%} 的要求，评判认可的是 {kept:.0%}。两者之差来自正向模型与评判者的误差；"
        f"在搜到的设计上，预测与评判相差最大的是 {name}：相对误差的中位数为 {worst:.1%}。",
        f"By the forward model's own prediction the designs found meet {promised:.0%} of the specifications; the judge grants "
        f"{kept:.0%}. What lies between is error of the model and of the judge; at these designs they differ most on {name}: by "
        f"{worst:.1%} in the median, relative.",
    )


def rounds_say(rounds: pd.DataFrame | None) -> tuple[str, str]:
    """Say what simulation and correction bring, or why there are none, in Chinese and English."""
    if rounds is None:
        return (
            "没有产生这些数据的仿真器可用，或者参数 `inverse_rounds` 为零，因此不做“仿真—修正”。",
            "The simulator that made these data is not at hand, or `inverse_rounds` is zero: there are no rounds of simulation and "
            "correction.",
        )
    first, last = rounds.iloc[0], rounds.iloc[-1]
    n = int(last.simulations)
    return (
        f"测量搜到的设计，用“预测/测量”之比修正要求，再从这些设计出发搜索。每个要求共 {n} 次仿真，满足的比例从 "
        f"{first.met_share:.0%} 变为 {last.met_share:.0%}，最大相对偏差的中位数从 {first.median_worst_miss:.2%} 变为 "
        f"{last.median_worst_miss:.2%}。",
        f"The designs found are measured, the goals corrected by predicted over measured, and the search goes on from there. With {n} "
        f"simulations for each specification the share met goes from {first.met_share:.0%} to {last.met_share:.0%}, the median of "
        f"the worst relative miss from {first.median_worst_miss:.2%} to {last.median_worst_miss:.2%}.",
    )


def documented(prepared: Prepared) -> bool:
    """Return whether the document's example target is one for these data."""
    return set(prepared.targets) == set(EXAMPLE) and prepared.name == DOCUMENTED


def example(prepared: Prepared) -> Spec:
    """Return the document's example target, or, for other metrics, twice the largest value of each."""
    if documented(prepared):
        return specs.targets({m: EXAMPLE[m] for m in prepared.targets})
    return specs.targets({m: 2 * prepared.target[m].abs().max() for m in prepared.targets})


def feasibility(prepared: Prepared, model: InverseModel, config: Config) -> pd.DataFrame:
    """Diagnose the example target: a row per metric."""
    wanted = example(prepared)
    best = model.designs(model.find([wanted], settings(config), config.seed), 0).iloc[0]
    table = diagnose(wanted, prepared.target, prepared.targets, {m: float(best[m]) for m in prepared.targets})
    shown = table.rename(columns={"value": "wanted_value", "data_min": "known_min", "data_median": "known_median",
                                  "data_max": "known_max", "percentile": "known_percentile", "best": "best_found",
                                  "miss": "relative_miss"})  # fmt: skip
    shown["in_known_range"] = np.where(table.reachable, "inside_range", "outside_range")
    columns = ["metric", "wanted_value", "known_min", "known_median", "known_max", "known_percentile", "in_known_range",
               "best_found", "relative_miss"]  # fmt: skip
    return shown[columns]


@measure
def out_of_range(feasible: pd.DataFrame) -> Measured:
    """Return how many wanted values lie outside the range of the known designs, and the names of those metrics."""
    names = feasible.metric[feasible.in_known_range == "outside_range"].tolist()
    return Measured(float(len(names)), seeds=0, facts={"names": ", ".join(names) or "—"})


@measure
def beyond(prepared: Prepared, feasible: pd.DataFrame) -> Measured:
    """Return the same of the document's example; a reason where it does not fit the data."""
    if not documented(prepared):
        return why_not("原文的示例目标不适用于这些指标。", "The document's example target does not fit these metrics.")
    return out_of_range(feasible)


def pareto(config: Config, prepared: Prepared, model: InverseModel, judge: Judge | None = None) -> pd.DataFrame:
    """Return known designs, and designs that maximise two metrics at once by varied weights (kind, two metrics)."""
    judge = judge or choose(prepared)
    first, second = sorted(prepared.targets, key=lambda n: FIRST.index(n) if n in FIRST else len(FIRST))[:2]
    weights = np.linspace(0.02, 0.98, FRONT)
    wanted = [{first: Goal("max", weight=float(w)), second: Goal("max", weight=float(1 - w))} for w in weights]
    found = model.find(wanted, settings(config), config.seed)
    front = pd.concat([model.designs(found, i).head(1) for i in range(FRONT)], ignore_index=True)
    judged = judge.measure(front[model.features])
    parts = {"known": prepared.target, "predicted": front, judge.name: judged}
    return pd.concat([f[[first, second]].assign(kind=k) for k, f in parts.items()], ignore_index=True)
