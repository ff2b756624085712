"""What each ingredient is worth: loss weights, scalers, the logarithm, and the number of target labels."""

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
    """Sweep the weights of CORAL and of the R2 loss, one at a time, all networks in one stack; one inner fold validates.

    Returns parameter, value, seed, and on the inner fold nll (nats per value) and r2 (mean over outputs, scaled).
    """
    return cached("opamp_sweep", lab, lambda: _sweep(lab))


def _sweep(lab: Lab) -> pd.DataFrame:
    config, how = lab.config, networks.recipe(lab.config, "compact")
    points = [("lambda_coral", v, v, config.alpha_r2) for v in config.lambda_grid]
    points += [("alpha_r2", v, config.lambda_coral, v) for v in config.alpha_grid]
    learn, trained = training(lab, 0), lab.sources("physics", "compact")
    grid = list(product(points, range(len(learn))))
    rows = networks.Rows(
        lab.bench.x["physics"], lab.bench.y, [learn[s] for _, s in grid], [config.seed + 1000 * s for _, s in grid],
        source_x=lab.bench.source_x["physics"], device=str(lab.runtime.device),
    )  # fmt: skip
    fresh = networks.fresh("hetero", trained[0].config, rows.seeds)
    nets = [start_from(net, trained[s % len(trained)]) for net, (_, s) in zip(fresh, grid, strict=True)]
    hyper = {"lambda": [p[2] for p, _ in grid], "alpha": [p[3] for p, _ in grid]}
    nets = rows.fit(nets, networks.aligned, how.train, hyper=hyper).nets
    out = []
    for (point, s), (mean, sd) in zip(grid, networks.predict(nets, rows.x), strict=True):
        held = lab.bench.inner[s] == 0
        out.append({"parameter": point[0], "value": point[1], "seed": s} | _inner(lab.bench.y[held], mean[held], sd[held]))
    return pd.DataFrame(out)


def _inner(y: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> dict[str, float]:
    nll = heteroscedastic_nll(*(torch.from_numpy(np.asarray(v, float)) for v in (mean, 2 * np.log(sd), y)))
    return {"nll": float(nll), "r2": float(r2_score(y, mean))}


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
        rows = networks.Rows(bench.x["physics"], y, learn, [lab.config.seed + s for s in range(len(learn))],
                             device=str(lab.runtime.device))  # fmt: skip
        how, sizes = networks.recipe(lab.config, "compact"), trained[0].config
        nets = networks.fit_method("fine_tune", rows, lab.config, how, sizes, trained)
        tuned = [mean for mean, _ in networks.predict(nets, rows.x)]
        offset = float(np.max([abs(y[s, r].mean(0)).max() for s, r in enumerate(learn)]))
        for method, means in (("mlp", [source] * len(learn)), ("fine_tune", tuned)):
            back = [clipped(lab, m * o[1] + o[0], s) for s, (m, o) in enumerate(zip(means, own, strict=True))]
            out.append(scored(lab, back).assign(scaling=scaling, method=method, offset=offset))
    return pd.concat(out, ignore_index=True)


def logarithm(lab: Lab) -> pd.DataFrame:
    """Compare the target-only network with and without log1p of the heavy-tailed outputs; returns scale, seed, metric, scores."""
    return cached("opamp_logarithm", lab, lambda: _logarithm(lab))


def _logarithm(lab: Lab) -> pd.DataFrame:
    bench, names, how = lab.bench, lab.prepared.targets, networks.recipe(lab.config, "compact")
    plain = Scaler.fit(lab.prepared.source.iloc[bench.source_rows[0]], names)
    learn, out = training(lab), []
    both = (("log1p", bench.y_scaler), ("linear", plain))
    for scale, scaler in both if lab.prepared.log_targets else both[1:]:
        y = scaler.transform(lab.prepared.target)
        rows = networks.Rows(bench.x["physics"], y, learn, [lab.config.seed + s for s in range(len(learn))],
                             device=str(lab.runtime.device))  # fmt: skip
        nets = networks.fit_method("mlp", rows, lab.config, how, how.sizes(rows.x.shape[1], len(names), None), [])
        means = [mean for mean, _ in networks.predict(nets, rows.x)]
        means = [np.clip(m, y[r].min(0), y[r].max(0)) for m, r in zip(means, learn, strict=True)]
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
