"""The two-headed network's stages, each runnable alone: source, bias of head B, head B with L2-SP, last layer and head B."""

import shlex
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from lib import runs
from lib.files import write_csv
from lib.models.opamp import start_from
from lib.studies.opamp_transfer.arms import Lab
from lib.studies.opamp_transfer.bench import SCORED
from lib.studies.opamp_transfer.config import Config
from lib.studies.opamp_transfer.networks import STAGES, Rows, fresh, recipe, run_stage
from lib.studies.opamp_transfer.source import fit_source, load_networks, model_settings, save_networks

ORDER = ("source", *STAGES)
FOLD = 0  # the inner fold that the curves are validated on


def command(stage: str, folder: Path, config: Config, how: str) -> str:
    """Return the command that runs a stage on the same data with the same parameters."""
    words = ["python", "-m", "lib.studies.opamp_transfer", "stage", stage, "--folder", str(folder)]
    words += ["--data", config.data_dir] if config.data_dir else []
    words += ["--opamp", config.opamp, "--profile", config.profile, "--recipe", how]
    return shlex.join(words)


def checkpoint(stage: str, lab: Lab, folder: Path, how: str, features: str) -> list[nn.Module]:
    """Return the networks that `stage` left in `folder`; ValueError names the command that makes them anew."""
    make = f"make it with `{command(stage, folder, lab.config, how)}`."
    if not (folder / stage / "networks.json").is_file():
        raise ValueError(f"The checkpoint of stage '{stage}' is missing in {folder}: {make}")
    nets = load_networks(folder / stage)
    sizes = recipe(lab.config, how).sizes(lab.bench.x[features].shape[1], lab.bench.y.shape[1], lab.bench.resonant)
    if nets[0].config != sizes:
        raise ValueError(f"The checkpoint of stage '{stage}' in {folder} is of other data or another recipe: {make}")
    return nets


def run(stage: str, lab: Lab, folder: Path, how: str = "compact", features: str = "physics") -> pd.DataFrame:
    """Run one stage from its predecessor's checkpoint, on one network per split; write checkpoint and curve, return the curve.

    Raises ValueError where the stage is unknown or its predecessor has not been run.
    """
    if stage not in ORDER:
        raise ValueError(f"Unknown stage '{stage}': the stages are {', '.join(ORDER)}.")
    made = recipe(lab.config, how)
    if stage == "source":
        fit = fit_source(lab.bench, lab.config, features, made, str(lab.runtime.device))
        kind = "mlp"
    else:
        before = checkpoint(STAGES[stage].before, lab, folder, how, features)
        trained = checkpoint("source", lab, folder, how, features)
        rows = _rows(lab, features)
        two_heads = fresh("dual", trained[0].config, rows.seeds)
        start = [start_from(net, trained[k % len(trained)]) for k, net in enumerate(two_heads)]
        fit = run_stage(stage, start if STAGES[stage].before == "source" else before, rows, lab.config, made, start)
        kind = "dual"
    save_networks(fit.nets, kind, folder / stage)
    curve = fit.curves.assign(stage=stage)
    write_csv(folder / stage / "curve.csv", curve)
    return curve


def _rows(lab: Lab, features: str) -> Rows:
    learn = [np.flatnonzero((f != SCORED) & (f != FOLD)) for f in lab.bench.inner]
    check = [np.flatnonzero(f == FOLD) for f in lab.bench.inner]
    seeds = [lab.config.seed + 1000 * s for s in range(len(learn))]
    return Rows(lab.bench.x[features], lab.bench.y, learn, seeds, check, device=str(lab.runtime.device))


def curves(lab: Lab) -> pd.DataFrame:
    """Run all stages through the run cache and return their curves (stage, network, epoch, train, val)."""

    def compute(folder: Path) -> None:
        for stage in ORDER:
            run(stage, lab, folder)

    folder = runs.cached(
        "opamp_stages", compute, config=model_settings(lab.config), runtime=lab.runtime, data=lab.prepared.fingerprint,
        force=lab.config.force,
    )  # fmt: skip
    return pd.concat([pd.read_csv(folder / stage / "curve.csv") for stage in ORDER], ignore_index=True)
