"""What each ingredient is worth: loss weights, clipping, L2-SP, scalers, the logarithm, and the number of target labels."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import r2_score

from lib import runs
from lib.data.opamp import Scaler
from lib.files import write_csv
from lib.losses.domain import heteroscedastic_nll
from lib.models.opamp import start_from
from lib.progress import Progress
from lib.studies.opamp_transfer import networks
from lib.studies.opamp_transfer.arms import Arm, Lab, fit_and_predict
from lib.studies.opamp_transfer.bench import SCORED, Job, gather
from lib.studies.opamp_transfer.comparison import score
from lib.studies.opamp_transfer.source import model_settings, source_mean

BUDGET_ARMS = (
    Arm("resonant", "target_only"), Arm("gp", "target_only", recipe=""), Arm("fine_tune", "transfer"),
    Arm("align_hetero", "transfer"), Arm("mlp_source_features", "transfer"), Arm("gp_source_features", "transfer", recipe=""),
)  # fmt: skip
FEW = 200  # with fewer labels an epoch has too few steps: there are more epochs then, up to MORE times as many
MORE = 3
NO_CLIP = 0.0  # how the sweep writes that gradients are not clipped
Pair = tuple[float, float]  # weights of CORAL and of the R2 loss


def cached(name: str, lab: Lab, compute: Callable[[], pd.DataFrame], **settings) -> pd.DataFrame:
    """Return a table from the run cache, computing it where it is not there."""
    more = {k: getattr(lab.config, k) for k in ("lambda_grid", "alpha_grid")} if name == "opamp_sweep" else {}

    def write(folder: Path) -> None:
        write_csv(folder / "table.csv", compute())

    folder = runs.cached(
        name, write, config=model_settings(lab.config) | more | settings, runtime=lab.runtime,
        data=lab.prepared.fingerprint, force=lab.config.force,
    )  # fmt: skip
    return pd.read_csv(folder / "table.csv")


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


def clipped(lab: Lab, mean: np.ndarray, s: int) -> np.ndarray:
    """Clip predictions to the outputs of the split's training rows."""
    return np.clip(mean, *lab.bench.limits(training(lab)[s]))


def sweep(lab: Lab) -> pd.DataFrame:
    """Sweep the weights of CORAL and of the R2 loss, one at a time, and train once without clipping; one inner fold validates.

    Returns parameter, value, seed, and on the inner fold nll (nats per value), r2 (mean over outputs, scaled) and
    rise (the loss's largest rise between two evaluations, 0 where it only falls).
    """
    return cached("opamp_sweep", lab, lambda: _sweep(lab))


def _sweep(lab: Lab) -> pd.DataFrame:
    config = lab.config
    default = (config.lambda_coral, config.alpha_r2)
    points = {("lambda_coral", v): (v, default[1]) for v in sorted({*config.lambda_grid, default[0]})}
    points |= {("alpha_r2", v): (default[0], v) for v in sorted({*config.alpha_grid, default[1]})}
    points[("clip", config.clip)] = default
    clipped = _aligned(lab, list(dict.fromkeys(points.values())), config.clip)
    found = {p: clipped[w] for p, w in points.items()} | {("clip", NO_CLIP): _aligned(lab, [default], math.inf)[default]}
    return pd.DataFrame([{"parameter": p, "value": v, **row} for (p, v), rows in found.items() for row in rows])


def _aligned(lab: Lab, pairs: Sequence[Pair], clip: float) -> dict[Pair, list[dict[str, float]]]:
    """Train AlignHeteroMLP for every pair of weights and split as one stack; return the inner fold's scores by pair."""
    config, how = lab.config, networks.recipe(lab.config, "compact")
    learn, trained = training(lab, 0), lab.sources("physics", "compact")
    grid = list(product(pairs, range(len(learn))))
    held = [np.flatnonzero(folds == 0) for folds in lab.bench.inner]
    rows = networks.Rows(
        lab.bench.x["physics"], lab.bench.y, [learn[s] for _, s in grid], [config.seed + 1000 * s for _, s in grid],
        [held[s] for _, s in grid], source_x=lab.bench.source_x["physics"], device=str(lab.runtime.device),
    )  # fmt: skip
    fresh = networks.fresh("hetero", trained[0].config, rows.seeds)
    nets = [start_from(net, trained[s % len(trained)]) for net, (_, s) in zip(fresh, grid, strict=True)]
    hyper = {"lambda": [pair[0] for pair, _ in grid], "alpha": [pair[1] for pair, _ in grid]}
    fit = rows.fit(nets, networks.aligned, replace(how.train, clip=clip), hyper=hyper)
    rise = fit.curves.groupby("network").val.apply(lambda val: max(0.0, val.diff().max()))
    out: dict[Pair, list[dict[str, float]]] = {pair: [] for pair in pairs}
    for k, ((pair, s), (mean, sd)) in enumerate(zip(grid, networks.predict(fit.nets, rows.x), strict=True)):
        out[pair].append({"seed": s, "rise": rise[k]} | _inner(lab.bench.y[held[s]], mean[held[s]], sd[held[s]]))
    return out


def _inner(y: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> dict[str, float]:
    nll = heteroscedastic_nll(*(torch.from_numpy(np.asarray(v, float)) for v in (mean, 2 * np.log(sd), y)))
    return {"nll": float(nll), "r2": float(r2_score(y, mean))}


def held_back(lab: Lab) -> pd.DataFrame:
    """Fine-tune the two-headed network with the weight of L2-SP and without: l2sp, seed, metric, scores."""
    return cached("opamp_l2sp", lab, lambda: _held_back(lab))


def _held_back(lab: Lab) -> pd.DataFrame:
    trained, how = lab.sources("physics", "compact"), networks.recipe(lab.config, "compact")
    out = []
    for weight in dict.fromkeys((lab.config.l2sp, 0.0)):
        config = lab.config.model_copy(update={"l2sp": weight})
        rows = _plain_rows(lab, lab.bench.x["physics"], lab.bench.y)
        nets = networks.fit_method("dual_head", rows, config, how, trained[0].config, trained)
        means = [clipped(lab, mean, s) for s, (mean, _) in enumerate(networks.predict(nets, rows.x))]
        out.append(scored(lab, means).assign(l2sp=weight))
    return pd.concat(out, ignore_index=True)


def _plain_rows(lab: Lab, x: np.ndarray, y: np.ndarray) -> networks.Rows:
    """Return every split's training rows of x and y, a seed for each."""
    learn = training(lab)
    return networks.Rows(x, y, learn, [lab.config.seed + s for s in range(len(learn))], device=str(lab.runtime.device))


def scalers(lab: Lab) -> pd.DataFrame:
    """Compare outputs scaled on the source alone with outputs scaled on each process; nothing else differs.

    Returns scaling, method (source unchanged, fine-tuned), seed, metric and scores; `offset` is the largest mean of a
    scaled target output: the shift that a model is shown.
    """
    return cached("opamp_scalers", lab, lambda: _scalers(lab))


def _scalers(lab: Lab) -> pd.DataFrame:
    bench, learn, trained = lab.bench, training(lab), lab.sources("physics", "compact")
    source = source_mean(trained, bench.x["physics"])
    out = []
    for scaling in ("source", "each_process"):
        own = [(bench.y[r].mean(0), bench.y[r].std(0)) for r in learn]
        own = own if scaling == "each_process" else [(np.zeros(bench.y.shape[1]), np.ones(bench.y.shape[1]))] * len(learn)
        y = np.stack([(bench.y - m) / s for m, s in own])
        rows = _plain_rows(lab, bench.x["physics"], y)
        how, sizes = networks.recipe(lab.config, "compact"), trained[0].config
        nets = networks.fit_method("fine_tune", rows, lab.config, how, sizes, trained)
        tuned = [mean for mean, _ in networks.predict(nets, rows.x)]
        offset = float(np.max([abs(y[s, r].mean(0)).max() for s, r in enumerate(learn)]))
        for method, means in (("mlp", [source] * len(learn)), ("fine_tune", tuned)):
            back = [clipped(lab, m * o[1] + o[0], s) for s, (m, o) in enumerate(zip(means, own, strict=True))]
            out.append(scored(lab, back).assign(scaling=scaling, method=method, offset=offset))
    return pd.concat(out, ignore_index=True)


def logarithm(lab: Lab) -> pd.DataFrame:
    """Compare the target-only network with log1p of the heavy-tailed outputs, without it, and with nothing standardised.

    Returns scale (log1p, linear, unscaled: inputs and outputs as they are, log1p kept), seed, metric and scores.
    """
    return cached("opamp_logarithm", lab, lambda: _logarithm(lab))


def _logarithm(lab: Lab) -> pd.DataFrame:
    bench, names, how = lab.bench, lab.prepared.targets, networks.recipe(lab.config, "compact")
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
        nets = networks.fit_method("mlp", rows, lab.config, how, how.sizes(rows.x.shape[1], len(names), None), [])
        means = [mean for mean, _ in networks.predict(nets, rows.x)]
        means = [np.clip(m, y[r].min(0), y[r].max(0)) for m, r in zip(means, rows.rows, strict=True)]
        out.append(scored(lab, means, scaler).assign(scale=scale))
    return pd.concat(out, ignore_index=True)


def budgets(lab: Lab) -> pd.DataFrame:
    """Score methods that learn from the first n of each split's training rows: labels, method, domain, seed, metric, scores.

    Budgets larger than the training rows are left out; where all are, half of the rows is the one budget.
    """
    out = []
    rows = min(map(len, training(lab)))
    sizes = [n for n in lab.config.budgets if n <= rows] or [rows // 2]
    with Progress("label budgets", len(sizes)) as bar:
        for n in sizes:
            out.append(cached("opamp_budget", lab, lambda n=n: _budget(lab, n), labels=n))
            bar.advance(note=f"{n} labels")
    return pd.concat(out, ignore_index=True)


def _budget(lab: Lab, n: int) -> pd.DataFrame:
    more = round(lab.config.compact_epochs * min(max(FEW / n, 1), MORE))
    small = replace(lab, config=lab.config.model_copy(update={"compact_epochs": more}))
    todo = []
    for s, rows in enumerate(training(lab)):
        few = np.random.default_rng([lab.config.seed, s]).permutation(rows)[:n]  # smaller budgets are part of larger ones
        todo.append(Job(s, few, np.flatnonzero(lab.bench.inner[s] == SCORED), 1000 * s + 100))
    out = []
    for arm in BUDGET_ARMS:
        arm = arm if arm.method != "resonant" or lab.bench.resonant is not None else replace(arm, method="mlp")
        done = fit_and_predict(arm, small, todo)
        mean, _ = gather(lab.bench, [replace(j, rows=t.rows) for j, t in zip(done.todo, todo, strict=True)], done.predictions)
        out.append(scored(lab, mean).assign(labels=n, method=arm.method, domain=arm.domain))
    return pd.concat(out, ignore_index=True)
