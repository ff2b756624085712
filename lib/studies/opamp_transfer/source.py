"""Networks of the source process: trained once on source rows alone, kept in the run cache, loaded by every transfer method."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.torch import save_file
from torch import nn

from lib import runs
from lib.files import read_json, write_csv, write_json
from lib.models.opamp import OpampNetConfig
from lib.runtime import Runtime
from lib.studies.opamp_transfer.bench import Bench
from lib.studies.opamp_transfer.config import Config
from lib.studies.opamp_transfer.data import Prepared
from lib.studies.opamp_transfer.networks import KINDS, Recipe, Rows, fresh, mse, predict, recipe
from lib.weights import fill, read_weights

SOURCE_BATCH = 128  # compact recipe: about 70 steps per epoch on 9,000 rows


def fit_source(bench: Bench, config: Config, features: str, how: Recipe, device: str):
    """Train the source networks of one feature set; early stopping looks at held-out source rows, never at the target."""
    train = how.train
    if how.name == "compact":
        train = replace(train, epochs=config.source_epochs, batch_size=SOURCE_BATCH, lr=train.lr / 2, eval_every=1)
    x, y = bench.source_x[features], bench.source_y
    seeds = [config.seed + 7 * m for m in range(config.members)]
    learn, choose = bench.source_rows
    rows = Rows(x, y, [learn] * len(seeds), seeds, [choose] * len(seeds), device=device)
    nets = fresh("mlp", how.sizes(x.shape[1], y.shape[1], bench.resonant), seeds)
    return rows.fit(nets, mse, train)


def source_networks(
    bench: Bench, config: Config, prepared: Prepared, runtime: Runtime, features: str, how: str = "compact"
) -> list[nn.Module]:
    """Return the source networks of a feature set and recipe, from the run cache where they are there."""
    settings = model_settings(config) | {"features": features, "recipe": how}

    def compute(folder: Path) -> None:
        fit = fit_source(bench, config, features, recipe(config, how), str(runtime.device))
        save_networks(fit.nets, "mlp", folder)
        write_csv(folder / "curve.csv", fit.curves)

    folder = runs.cached(
        "opamp_source", compute, config=settings, runtime=runtime, data=prepared.fingerprint, force=config.force
    )
    return load_networks(folder)


def source_mean(nets: list[nn.Module], x: np.ndarray) -> np.ndarray:
    """Return the mean prediction (n, M) of source networks, scaled."""
    return np.mean([mean for mean, _ in predict(nets, x)], axis=0)


def model_settings(config: Config) -> dict:
    """Return what a fit depends on: the parameters without places, profile, display and those of the inverse design."""
    elsewhere = {"profile", "out_dir", "data_dir", "force", "lang", "device", "precision", "num_threads", "raw", "document",
                 "lambda_grid", "alpha_grid", "budgets"}  # fmt: skip
    return config.model_dump(exclude=elsewhere | {k for k in type(config).model_fields if k.startswith(("inverse_", "mdn_"))})


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
