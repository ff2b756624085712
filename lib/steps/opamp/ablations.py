"""What each ingredient is worth: loss weights, clipping, L2-SP, scalers, the logarithm, and the number of target labels.

Every step leaves table.csv, scores by split.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lib import metrics
from lib.data.opamp import Scaler
from lib.files import write_csv
from lib.losses.domain import heteroscedastic_nll
from lib.models.opamp import start_from
from lib.runtime import Runtime
from lib.steps import step
from lib.steps.opamp import networks
from lib.steps.opamp.arms import Lab, fit_and_predict, lab_of
from lib.steps.opamp.bench import SCORED, Job, gather
from lib.steps.opamp.source import source_mean
from lib.steps.opamp.spec import Arm, LabSpec

TABLE = "table.csv"
BUDGET_ARMS = (
    Arm("resonant", "target_only"), Arm("gp", "target_only", recipe=""), Arm("fine_tune", "transfer"),
    Arm("align_hetero", "transfer"), Arm("mlp_source_features", "transfer"), Arm("gp_source_features", "transfer", recipe=""),
)  # fmt: skip
FEW = 200  # with fewer labels an epoch has too few steps: there are more epochs then, up to MORE times as many
MORE = 3
NO_CLIP = 0.0  # how the sweep writes that gradients are not clipped
Pair = tuple[float, float]  # weights of CORAL and of the R2 loss


def training(lab: Lab, fold: int | None = None) -> list[np.ndarray]:
    """Return each split's training rows, without inner fold `fold`."""
    return [np.flatnonzero((f != SCORED) & (f != fold)) for f in lab.bench.inner]


def scored(lab: Lab, predictions: Sequence[np.ndarray], scaler: Scaler | None = None) -> pd.DataFrame:
    """Score each split's predictions (n, M) of all rows on its held-out rows."""
    parts = []
    for s, folds in enumerate(lab.bench.inner):
        rows = np.flatnonzero(folds == SCORED)
        truth = lab.prepared.target.iloc[rows]
        values = predictions[s][rows]
        parts.append(score(scaler or lab.bench.y_scaler, truth, values, lab.prepared.log_targets).assign(seed=s))
    return pd.concat(parts, ignore_index=True)


def score(scaler: Scaler, truth: pd.DataFrame, scaled: np.ndarray, log_targets: Sequence[str]) -> pd.DataFrame:
    """Score scaled predictions (n, M) in physical units; ln-R2 for outputs that are modelled as logarithms."""
    predicted = scaler.inverse(scaled)
    out = []
    for i, name in enumerate(scaler.names):
        y, p = truth[name].to_numpy(float), predicted[:, i]
        ln = float(metrics.ln_r2(y, p)) if name in log_targets else np.nan
        row = {"metric": name, "r2": metrics.r2(y, p), "ln_r2": ln, "mae": metrics.mae(y, p), "mse": metrics.mse(y, p)}
        out.append(row | {"mre": float(metrics.median_relative_error(y, p))})
    return pd.DataFrame(out)


def clipped(lab: Lab, mean: np.ndarray, s: int) -> np.ndarray:
    """Clip predictions to the outputs of the split's training rows."""
    return np.clip(mean, *lab.bench.limits(training(lab)[s]))


@dataclass(frozen=True)
class SweepSpec:
    """Weights to try, one at a time, beside those of the lab."""

    lab: LabSpec
    coral: tuple[float, ...]
    r2: tuple[float, ...]
    seed: int


@step
def sweep_opamp_losses(spec: SweepSpec, folder: Path, runtime: Runtime) -> None:
    """Sweep the weights of CORAL and of the R2 loss, one at a time, and train once without clipping; one inner fold validates."""
    lab = lab_of(spec.lab, runtime)
    weights, clip = lab.spec.weights, lab.spec.compact.target.clip
    points = {("lambda_coral", v): (v, weights.r2) for v in sorted({*spec.coral, weights.coral})}
    points |= {("alpha_r2", v): (weights.coral, v) for v in sorted({*spec.r2, weights.r2})}
    points[("clip", clip)] = default = (weights.coral, weights.r2)
    clipped = _aligned(lab, list(dict.fromkeys(points.values())), clip)
    found = {p: clipped[w] for p, w in points.items()} | {("clip", NO_CLIP): _aligned(lab, [default], math.inf)[default]}
    rows = [{"parameter": p, "value": v, **row} for (p, v), rows in found.items() for row in rows]
    write_csv(folder / TABLE, pd.DataFrame(rows))


def _aligned(lab: Lab, pairs: Sequence[Pair], clip: float) -> dict[Pair, list[dict[str, float]]]:
    """Train AlignHeteroMLP for every pair of weights and split as one stack; return the inner fold's scores by pair."""
    seed, how = lab.spec.seed, lab.spec.compact
    learn, trained = training(lab, 0), lab.sources("physics", "compact")
    grid = list(product(pairs, range(len(learn))))
    held = [np.flatnonzero(folds == 0) for folds in lab.bench.inner]
    rows = networks.Rows(
        lab.bench.x["physics"], lab.bench.y, [learn[s] for _, s in grid], [seed + 1000 * s for _, s in grid],
        [held[s] for _, s in grid], source_x=lab.bench.source_x["physics"], device=str(lab.runtime.device),
    )  # fmt: skip
    fresh = networks.fresh("hetero", trained[0].config, rows.seeds)
    nets = [start_from(net, trained[s % len(trained)]) for net, (_, s) in zip(fresh, grid, strict=True)]
    hyper = {"lambda": [pair[0] for pair, _ in grid], "alpha": [pair[1] for pair, _ in grid]}
    fit = rows.fit(nets, networks.aligned, replace(how.target, clip=clip), hyper=hyper)
    rise = fit.curves.groupby("network").val.apply(lambda val: max(0.0, val.diff().max()))
    out: dict[Pair, list[dict[str, float]]] = {pair: [] for pair in pairs}
    for k, ((pair, s), (mean, sd)) in enumerate(zip(grid, networks.predict(fit.nets, rows.x), strict=True)):
        out[pair].append({"seed": s, "rise": rise[k]} | _inner(lab.bench.y[held[s]], mean[held[s]], sd[held[s]]))
    return out


def _inner(y: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> dict[str, float]:
    y = np.asarray(y, float)
    nll = heteroscedastic_nll(*(torch.from_numpy(np.asarray(v, float)) for v in (mean, 2 * np.log(sd), y)))
    return {"nll": float(nll), "r2": float(metrics.r2(y, mean).mean())}


@step
def sweep_opamp_l2sp(spec: LabSpec, folder: Path, runtime: Runtime) -> None:
    """Fine-tune the two-headed network with the weight of L2-SP and without."""
    lab = lab_of(spec, runtime)
    trained, x = lab.sources("physics", "compact"), lab.bench.x["physics"]
    out = []
    for weight in dict.fromkeys((spec.weights.l2sp, 0.0)):
        rows = _plain_rows(lab, x, lab.bench.y)
        weights = replace(spec.weights, l2sp=weight)
        nets = networks.fit_method("dual_head", rows, weights, spec.compact, trained[0].config, trained)
        means = [clipped(lab, mean, s) for s, (mean, _) in enumerate(networks.predict(nets, rows.x))]
        out.append(scored(lab, means).assign(l2sp=weight))
    write_csv(folder / TABLE, pd.concat(out, ignore_index=True))


def _plain_rows(lab: Lab, x: np.ndarray, y: np.ndarray) -> networks.Rows:
    """Return every split's training rows of x and y, a seed for each."""
    learn = training(lab)
    return networks.Rows(x, y, learn, [lab.spec.seed + s for s in range(len(learn))], device=str(lab.runtime.device))


@step
def sweep_opamp_scalers(spec: LabSpec, folder: Path, runtime: Runtime) -> None:
    """Fine-tune with outputs scaled on the source alone, and with outputs scaled on each process."""
    lab = lab_of(spec, runtime)
    bench, learn, trained = lab.bench, training(lab), lab.sources("physics", "compact")
    source = source_mean(trained, bench.x["physics"])
    out = []
    for scaling in ("source", "each_process"):
        own = [(bench.y[r].mean(0), bench.y[r].std(0)) for r in learn]
        own = own if scaling == "each_process" else [(np.zeros(bench.y.shape[1]), np.ones(bench.y.shape[1]))] * len(learn)
        y = np.stack([(bench.y - m) / s for m, s in own])
        rows = _plain_rows(lab, bench.x["physics"], y)
        nets = networks.fit_method("fine_tune", rows, None, spec.compact, trained[0].config, trained)
        tuned = [mean for mean, _ in networks.predict(nets, rows.x)]
        offset = float(np.max([abs(y[s, r].mean(0)).max() for s, r in enumerate(learn)]))
        for method, means in (("mlp", [source] * len(learn)), ("fine_tune", tuned)):
            back = [clipped(lab, m * o[1] + o[0], s) for s, (m, o) in enumerate(zip(means, own, strict=True))]
            out.append(scored(lab, back).assign(scaling=scaling, method=method, offset=offset))
    write_csv(folder / TABLE, pd.concat(out, ignore_index=True))


@step
def sweep_opamp_logarithm(spec: LabSpec, folder: Path, runtime: Runtime) -> None:
    """Fit the target-only network with log1p of the heavy-tailed outputs, without it, and with nothing standardised."""
    lab = lab_of(spec, runtime)
    bench, names = lab.bench, lab.prepared.targets
    plain = Scaler.fit(lab.prepared.source.iloc[bench.source_rows[0]], names)
    none = {"mean": [0.0] * len(names), "scale": [1.0] * len(names)}
    x, inputs = bench.x["physics"], bench.inputs.physics
    both = {"log1p": (x, bench.y_scaler), "linear": (x, plain)}
    kinds = (both if lab.prepared.log_targets else {"linear": both["linear"]}) | {
        "unscaled": (x * inputs.scale + inputs.mean, bench.y_scaler.model_copy(update=none))
    }
    out = []
    for scale, (features, scaler) in kinds.items():
        y = scaler.transform(lab.prepared.target)
        rows = _plain_rows(lab, features, y)
        sizes = spec.compact.body.sizes(rows.x.shape[1], len(names), None)
        nets = networks.fit_method("mlp", rows, None, spec.compact, sizes, [])
        means = [mean for mean, _ in networks.predict(nets, rows.x)]
        means = [np.clip(m, y[r].min(0), y[r].max(0)) for m, r in zip(means, rows.rows, strict=True)]
        out.append(scored(lab, means, scaler).assign(scale=scale))
    write_csv(folder / TABLE, pd.concat(out, ignore_index=True))


@dataclass(frozen=True)
class BudgetSpec:
    """Learning from so many labels of each split."""

    lab: LabSpec
    labels: int
    seed: int


@step
def sweep_opamp_budget(spec: BudgetSpec, folder: Path, runtime: Runtime) -> None:
    """Fit the methods of `BUDGET_ARMS` on the first labels of each split's training rows."""
    lab, n = lab_of(spec.lab, runtime), spec.labels
    compact = lab.spec.compact
    small = replace(
        lab, spec=replace(spec.lab, compact=compact.lasting(round(compact.target.epochs * min(max(FEW / n, 1), MORE))))
    )
    todo = []
    for s, rows in enumerate(training(lab)):
        few = np.random.default_rng([spec.seed, s]).permutation(rows)[:n]  # smaller budgets are part of larger ones
        todo.append(Job(s, few, np.flatnonzero(lab.bench.inner[s] == SCORED), 1000 * s + 100))
    out = []
    for arm in BUDGET_ARMS:
        arm = arm if arm.method != "resonant" or lab.bench.resonant is not None else replace(arm, method="mlp")
        done = fit_and_predict(arm, small, todo)
        mean, _ = gather(lab.bench, [replace(j, rows=t.rows) for j, t in zip(done.todo, todo, strict=True)], done.predictions)
        out.append(scored(lab, mean).assign(labels=n, method=arm.method, domain=arm.domain))
    write_csv(folder / TABLE, pd.concat(out, ignore_index=True))
