"""The two-headed network's stages, each runnable alone: source, bias of head B, head B with L2-SP, last layer and head B."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from lib.files import write_csv
from lib.models.opamp import start_from
from lib.runtime import Runtime
from lib.steps import step
from lib.steps.opamp.arms import Lab, lab_of
from lib.steps.opamp.bench import SCORED
from lib.steps.opamp.networks import STAGES, Rows, fresh, run_stage
from lib.steps.opamp.source import fit_source, load_networks, save_networks, source_spec
from lib.steps.opamp.spec import LabSpec

ORDER = ("source", *STAGES)
FOLD = 0  # the inner fold that the curves are validated on
Advice = Callable[[str], str]  # what to do where the checkpoint of a stage is not there, by stage


@step
def run_opamp_stages(spec: LabSpec, folder: Path, runtime: Runtime) -> None:
    """Run all stages of the compact recipe, one after another."""
    lab = lab_of(spec, runtime)
    for stage in ORDER:
        run(stage, lab, folder)


def checkpoint(
    stage: str, lab: Lab, folder: Path, how: str, features: str, advice: Advice = "run '{}'.".format
) -> list[nn.Module]:
    """Return the networks that `stage` left in `folder`; ValueError ends with the advice how they are made anew."""
    if not (folder / stage / "networks.json").is_file():
        raise ValueError(f"The checkpoint of stage '{stage}' is missing in {folder}: {advice(stage)}")
    nets = load_networks(folder / stage)
    body = getattr(lab.spec, how).body
    if nets[0].config != body.sizes(lab.bench.x[features].shape[1], lab.bench.y.shape[1], lab.bench.resonant):
        raise ValueError(f"The checkpoint of stage '{stage}' in {folder} is of other data or another recipe: {advice(stage)}")
    return nets


def run(
    stage: str, lab: Lab, folder: Path, how: str = "compact", features: str = "physics", advice: Advice = "run '{}'.".format
) -> pd.DataFrame:
    """Run one stage from its predecessor's checkpoint, on one network per split; write checkpoint and curve, return the curve.

    Raises ValueError where the stage is unknown or its predecessor has not been run.
    """
    if stage not in ORDER:
        raise ValueError(f"Unknown stage '{stage}': the stages are {', '.join(ORDER)}.")
    made = getattr(lab.spec, how)
    if stage == "source":
        fit = fit_source(lab.bench, source_spec(lab.spec, features, made), str(lab.runtime.device))
        kind = "mlp"
    else:
        before = checkpoint(STAGES[stage].before, lab, folder, how, features, advice)
        trained = checkpoint("source", lab, folder, how, features, advice)
        rows = _rows(lab, features)
        two_heads = fresh("dual", trained[0].config, rows.seeds)
        start = [start_from(net, trained[k % len(trained)]) for k, net in enumerate(two_heads)]
        nets = start if STAGES[stage].before == "source" else before
        fit = run_stage(stage, nets, rows, lab.spec.weights, made, start)
        kind = "dual"
    save_networks(fit.nets, kind, folder / stage)
    curve = fit.curves.assign(stage=stage)
    write_csv(folder / stage / "curve.csv", curve)
    return curve


def _rows(lab: Lab, features: str) -> Rows:
    learn = [np.flatnonzero((f != SCORED) & (f != FOLD)) for f in lab.bench.inner]
    check = [np.flatnonzero(f == FOLD) for f in lab.bench.inner]
    seeds = [lab.spec.seed + 1000 * s for s in range(len(learn))]
    return Rows(lab.bench.x[features], lab.bench.y, learn, seeds, check, device=str(lab.runtime.device))
