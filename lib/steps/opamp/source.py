"""Networks of the source process: trained once on source rows alone, loaded by every transfer method."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.torch import save_file
from torch import nn

from lib.files import read_json, write_csv, write_json
from lib.models.opamp import OpampNetConfig
from lib.runtime import Runtime
from lib.steps import step
from lib.steps.opamp.bench import Bench, bench_of
from lib.steps.opamp.networks import KINDS, Rows, fresh, mse, predict
from lib.steps.opamp.spec import Body, LabSpec, Recipe
from lib.train.stacked import StackedConfig
from lib.weights import fill, read_weights


@dataclass(frozen=True)
class SourceSpec:
    """Source networks of one feature set and recipe, on data and their source split alone."""

    lab: LabSpec
    features: str
    body: Body
    train: StackedConfig
    members: int
    seed: int


@step
def fit_opamp_source(spec: SourceSpec, folder: Path, runtime: Runtime) -> None:
    """Train the source networks and keep them with their curve."""
    fit = fit_source(bench_of(spec.lab), spec, str(runtime.device))
    save_networks(fit.nets, "mlp", folder)
    write_csv(folder / "curve.csv", fit.curves)


def source_spec(lab: LabSpec, features: str, how: Recipe) -> SourceSpec:
    """Return the spec of a lab's source networks."""
    return SourceSpec(lab.only(), features, how.body, how.source, how.members, lab.seed)


def fit_source(bench: Bench, spec: SourceSpec, device: str):
    """Train the source networks of one feature set; early stopping looks at held-out source rows, never at the target."""
    x, y = bench.source_x[spec.features], bench.source_y
    seeds = [spec.seed + 7 * m for m in range(spec.members)]
    learn, choose = bench.source_rows
    rows = Rows(x, y, [learn] * len(seeds), seeds, [choose] * len(seeds), device=device)
    nets = fresh("mlp", spec.body.sizes(x.shape[1], y.shape[1], bench.resonant), seeds)
    return rows.fit(nets, mse, spec.train)


def source_mean(nets: list[nn.Module], x: np.ndarray) -> np.ndarray:
    """Return the mean prediction (n, M) of source networks, scaled."""
    return np.mean([mean for mean, _ in predict(nets, x)], axis=0)


def save_networks(nets: list[nn.Module], kind: str, folder: Path) -> None:
    """Write networks of one architecture: networks.json (kind, sizes, count) and a safetensors file for each."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, net in enumerate(nets):
        save_file({n: p.detach().cpu().contiguous() for n, p in net.state_dict().items()}, folder / f"net_{k}.safetensors")
    write_json(folder / "networks.json", {"kind": kind, "sizes": vars(nets[0].config), "count": len(nets)})


def load_networks(folder: Path) -> list[nn.Module]:
    """Read what `save_networks` wrote."""
    state = read_json(folder / "networks.json", ("kind", "sizes", "count"))
    if state["kind"] not in KINDS:
        known = ", ".join(KINDS)
        raise ValueError(f"{folder / 'networks.json'} has the kind {state['kind']!r}, but it should be one of {known}.")
    nets = []
    for k in range(state["count"]):
        file = folder / f"net_{k}.safetensors"
        nets.append(fill(KINDS[state["kind"]](OpampNetConfig(**state["sizes"])), read_weights(file)[0], file))
    return nets
