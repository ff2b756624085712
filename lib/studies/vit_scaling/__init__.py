"""Study `vit_scaling`: a Vision Transformer on spectra, its scaling curve, and the ceiling above it.

`config` the parameters, `arms` the ablations, `points` the sweep of steps (`lib.steps.vit`, `lib.steps.baselines`), `results` its
predictions and scores, `measures` and `checks` what the claims are judged by, `tables` the other tables, `answer` the answer,
`artifact` the model for users' files.
"""

from lib.runtime import Runtime, start
from lib.steps.vit import model_config
from lib.studies.vit_scaling.answer import answer, short
from lib.studies.vit_scaling.arms import ARMS
from lib.studies.vit_scaling.artifact import predict_file, publish
from lib.studies.vit_scaling.config import VitScalingConfig, vit_settings
from lib.studies.vit_scaling.points import Sweep, points
from lib.studies.vit_scaling.results import Results

__all__ = [
    "ARMS", "Config", "Results", "Sweep", "VitScalingConfig", "answer", "model_config", "points", "predict_file", "publish", "run",
    "short", "start", "vit_settings",
]  # fmt: skip

Config = VitScalingConfig


def run(config: VitScalingConfig, runtime: Runtime) -> Results:
    """Compute every point that the cache does not have, and return them all."""
    sweep = Sweep(config, runtime)
    return Results(sweep, sweep.run_in_processes())
