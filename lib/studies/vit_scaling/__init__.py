"""Study `vit_scaling`: a Vision Transformer on spectra, its scaling curve, and the ceiling above it.

`config` the parameters and sweep points, `points` the sweep of steps (`lib.steps.vit`, `lib.steps.baselines`), `scaling` and
`evaluate` the tables, `survey` the data section, `beside` what stands beside reported figures; `claims` (the ladder), `arms`,
`histories` and `flux_error` what the claims are judged by, `words` what is said of them, `apply` the model for users' files.
"""

from lib.runtime import Runtime, start
from lib.steps.vit import model_config
from lib.studies.vit_scaling import arms, beside, claims, evaluate, flux_error, histories, survey, words
from lib.studies.vit_scaling.apply import predict_file, publish
from lib.studies.vit_scaling.config import ARMS, Point, VitScalingConfig, points, vit_settings
from lib.studies.vit_scaling.evaluate import Results
from lib.studies.vit_scaling.points import Sweep, fingerprint

__all__ = [
    "ARMS",
    "Config",
    "Point",
    "Results",
    "Sweep",
    "VitScalingConfig",
    "arms",
    "beside",
    "claims",
    "evaluate",
    "fingerprint",
    "flux_error",
    "histories",
    "judge",
    "model_config",
    "points",
    "predict_file",
    "publish",
    "run",
    "start",
    "survey",
    "vit_settings",
    "words",
]


Config = VitScalingConfig
judge = claims.judge


def run(config: VitScalingConfig, runtime: Runtime) -> Results:
    """Compute every point that the cache does not have, and return them all."""
    sweep = Sweep(config, runtime)
    return Results(sweep, sweep.run_in_processes())
