"""The methods that are compared, and how each is fitted on a list of jobs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lib.runtime import Runtime
from lib.steps import step
from lib.steps.opamp import networks
from lib.steps.opamp.bench import SCORED, Bench, Inputs, Job, Predicted, bagged_jobs, bench_of, gather, jobs
from lib.steps.opamp.classical import Linear, Predictor, Processes, Trees, fit_processes
from lib.steps.opamp.data import Prepared, opened
from lib.steps.opamp.source import fit_opamp_source, load_networks, save_networks, source_mean, source_spec
from lib.steps.opamp.spec import Arm, LabSpec
from lib.train.stacked import predict_stacked

SOURCE = "_source"  # suffix of a feature set that also holds the source networks' predictions
LOGS = "_logs"  # its logarithms alone: a Gaussian process has a length to find for every feature


@dataclass(frozen=True)
class Lab:
    """What a fit may use: its spec, the designs, the bench, and source networks by feature set and recipe."""

    spec: LabSpec
    prepared: Prepared
    bench: Bench
    runtime: Runtime

    def sources(self, features: str, how: str) -> list[nn.Module]:
        """Return the source networks, trained on all designs of the spec, whatever the bench was replaced by."""
        spec = source_spec(self.spec, features, getattr(self.spec, how))
        return load_networks(fit_opamp_source(spec, self.runtime))

    def reading(self, arm: Arm) -> "Lab":
        """Return a lab whose bench has the feature set that the arm reads, source predictions among them where asked for."""
        if features_of(arm) in self.bench.x:
            return self
        own, trained = torch.from_numpy(self.bench.x[arm.features]), self.sources(arm.features, "compact")
        with torch.no_grad():
            more = with_source(self.bench.inputs, {arm.features: own}, {arm.features: trained})
        return replace(self, bench=replace(self.bench, x=self.bench.x | {name: t.numpy() for name, t in more.items()}))


def lab_of(spec: LabSpec, runtime: Runtime) -> Lab:
    """Open the lab of a spec."""
    return Lab(spec, opened(spec.data), bench_of(spec.only("folds")), runtime)


@dataclass(frozen=True)
class ArmSpec:
    """One arm on all splits of a lab with `arm.settings` alone."""

    lab: LabSpec
    arm: Arm
    seed: int


@step
def compare_opamp_arm(spec: ArmSpec, folder: Path, runtime: Runtime) -> None:
    """Fit an arm on every split; keep mean and sd (S, n, M) of all rows, each from fits that have not seen it."""
    lab, arm = lab_of(spec.lab, runtime), spec.arm
    done = fit_and_predict(arm, lab, todo_of(arm, lab.bench.inner, members_of(arm, spec.lab)))
    mean, sd = gather(lab.bench, done.todo, done.predictions, source_only=arm.domain == "source_only")
    np.savez(folder / "predictions.npz", mean=mean, sd=sd)


def with_source(inputs: Inputs, x: dict[str, Tensor], sources: dict[str, list[nn.Module]]) -> dict[str, Tensor]:
    """Return the feature sets, and for each set that has source networks it and its logarithms beside their predictions.

    Tensors (n, d) of float32 in and out, differentiable.
    """
    out = dict(x)
    for name, nets in sources.items():
        mean = predict_stacked(nets, x[name], slope=True).double().mean(0).float()
        out[name + SOURCE] = torch.cat([x[name], mean], 1)
        logs = x[name][:, log_columns(inputs)] if name == "physics" else x[name]
        out[name + LOGS + SOURCE] = torch.cat([logs, mean], 1)
    return out


def log_columns(inputs: Inputs) -> list[int]:
    """Return the positions of the logarithms, and of what has none, among the physics features."""
    return [i for i, n in enumerate(inputs.physics.names) if n.startswith("ln_") or n in inputs.plain]


class Networks(Predictor):
    """Networks of one architecture that predict together: the mean of their mixture."""

    def __init__(self, nets: Sequence[nn.Module], kind: str) -> None:
        self.nets, self.kind = list(nets), kind

    def on(self, x: Tensor, *, deviation: bool = True) -> tuple[Tensor, Tensor | None]:
        out = predict_stacked(self.nets, x.float(), slope=True)
        if not isinstance(out, tuple):
            return out.double().mean(0), None
        mu, sd = out[0].double(), (out[1] / 2).exp().double()
        return mu.mean(0), ((mu**2 + sd**2).mean(0) - mu.mean(0) ** 2).sqrt()

    def save(self, folder: Path) -> None:
        """Write safetensors and JSON."""
        save_networks(self.nets, self.kind, folder)

    @classmethod
    def load(cls, folder: Path) -> "Networks":
        """Read what `save` wrote."""
        return cls(load_networks(folder), "")


class Affine:
    """Source networks, unchanged or with a straight line per output fitted on target rows."""

    def __init__(self, nets: Sequence[nn.Module], slope: np.ndarray, offset: np.ndarray) -> None:
        self.nets, self.slope, self.offset = list(nets), slope, offset

    def __call__(self, x: np.ndarray) -> Predicted:
        return source_mean(self.nets, x) * self.slope + self.offset, None


def members_of(arm: Arm, spec: LabSpec) -> int:
    """Return how many networks of an arm predict together."""
    return getattr(spec, arm.recipe).members if arm.recipe else 1


def todo_of(arm: Arm, inner: np.ndarray, members: int) -> list[Job]:
    """List the jobs of an arm: networks of the document's recipe stop early, Gaussian processes leave one out instead."""
    if arm.recipe == "document":
        return bagged_jobs(inner, members)
    one = 1 if not arm.recipe or arm.domain == "source_only" or arm.how.family == "source" else members
    every = jobs(inner, one)
    return [j for j in every if j.seed % 1000 >= 100] if arm.how.family == "gp" else every


def fit(arm: Arm, lab: Lab, todo: Sequence[Job]) -> list:
    """Fit an arm other than a Gaussian process on every job; return a predictor (scaled features -> mean, sd) for each."""
    lab = lab.reading(arm)
    if arm.how.family in ("ridge", "lightgbm"):
        one, x = _classical(arm, lab.spec), lab.bench.x[features_of(arm)]
        if arm.domain == "source_only":
            return [one(*_source_rows(lab.bench, arm.features), lab.spec.seed)] * len(todo)
        return [one(x[job.rows], lab.bench.y[job.rows], job.seed) for job in todo]
    if arm.domain == "source_only" or arm.how.family == "source":
        return _from_source(arm, lab, todo)
    return _networks(arm, lab, todo)


@dataclass(frozen=True)
class Fitted:
    """The jobs of an arm, the predictor of each, and their predictions of all target rows."""

    todo: list[Job]
    predictors: list
    predictions: list[Predicted]


def fit_and_predict(arm: Arm, lab: Lab, todo: Sequence[Job]) -> Fitted:
    """Fit `arm` on every job and predict all rows; a Gaussian process adds those of its own rows, each left out."""
    lab = lab.reading(arm)
    x = lab.bench.x[features_of(arm)]
    if arm.how.family != "gp":
        predictors = fit(arm, lab, todo)
        return Fitted(list(todo), predictors, [p(x) for p in predictors])
    out, seen, predictors = [], [], []
    for job, (predictor, rows, left) in zip(todo, processes(arm, lab, todo), strict=True):
        mean, sd = predictor(x)
        mean[rows], sd[rows] = left
        rest = np.setdiff1d(np.flatnonzero(lab.bench.inner[job.split] != SCORED), rows)  # dropped for equal sizes: seen by none
        out.append(replace(job, out=np.concatenate([rows, rest, job.out])))
        seen.append((mean, sd))
        predictors.append(predictor)
    return Fitted(out, predictors, seen)


def features_of(arm: Arm) -> str:
    """Return the feature set that the arm's predictor reads."""
    if not arm.how.reads_source:
        return arm.features
    return arm.features + (LOGS if arm.how.family == "gp" else "") + SOURCE


def processes(arm: Arm, lab: Lab, todo: Sequence[Job]) -> list[tuple[Processes, np.ndarray, Predicted]]:
    """Fit the Gaussian processes of an arm, with their left-one-out predictions."""
    lab = lab.reading(arm)
    return fit_processes(lab.bench.x[features_of(arm)], lab.bench.y, [j.rows for j in todo], lab.spec.gp, lab.spec.seed)


def _classical(arm: Arm, spec: LabSpec) -> Callable:
    """Return fit(x, y, seed); ridge takes products of physics features too, so that each feature set has its usual form."""
    if arm.how.family == "ridge":
        return lambda x, y, _: Linear.fit(x, y, spec.ridge_alpha, degree=2 if arm.features == "physics" else 1)
    return lambda x, y, seed: Trees.fit(x, y, spec.trees, seed)


def _source_rows(bench: Bench, features: str) -> tuple[np.ndarray, np.ndarray]:
    learn = bench.source_rows[0]
    return bench.source_x[features][learn], bench.source_y[learn]


def _from_source(arm: Arm, lab: Lab, todo: Sequence[Job]) -> list[Affine]:
    nets, y = lab.sources(arm.features, arm.recipe), lab.bench.y
    if arm.domain == "source_only":
        return [Affine(nets, np.ones(y.shape[1]), np.zeros(y.shape[1]))] * len(todo)
    mean = source_mean(nets, lab.bench.x[arm.features])
    lines = [[np.polyfit(mean[j.rows, m], y[j.rows, m], 1) for m in range(y.shape[1])] for j in todo]
    return [Affine(nets, *np.array(line).T) for line in lines]


def _networks(arm: Arm, lab: Lab, todo: Sequence[Job]) -> list[Networks]:
    """Fit the networks of all jobs as one stack."""
    bench, spec, how = lab.bench, lab.spec, getattr(lab.spec, arm.recipe)
    x = bench.x[features_of(arm)]
    resonant = None if arm.method == "mlp" else bench.resonant
    sizes = how.body.sizes(x.shape[1], bench.y.shape[1], resonant)
    known = [np.flatnonzero(bench.inner[j.split] != SCORED) for j in todo]
    stop_by = [np.setdiff1d(k, j.rows) for k, j in zip(known, todo, strict=True)] if how.target.keep == "best" else None
    rows = networks.Rows(
        x, bench.y, [j.rows for j in todo], [spec.seed + j.seed for j in todo], stop_by,
        source_x=bench.source_x[arm.features] if arm.method == "align_hetero" else None, device=str(lab.runtime.device),
    )  # fmt: skip
    trained = lab.sources(arm.features, arm.recipe) if arm.how.moved else []
    return [
        Networks([net], arm.how.network) for net in networks.fit_method(arm.method, rows, spec.weights, how, sizes, trained)
    ]
