"""A tiny training of the shared-latent network, of two stages, on the embedded images."""

from noise2noise_cases import TINY

from lib.steps.noise2noise import train_shared_latent
from lib.studies import noise2noise as study
from lib.studies.noise2noise.arms import points
from lib.studies.noise2noise.experiments import training


def spec(**changes):
    """Return the spec of the first training of a tiny study."""
    config = study.Config.checked(TINY | {"configs": ["progressive"], "schedule": "one_cycle", "augment_sigma": 0.05} | changes)
    return training(config, points(config).point[0], study.prepare(config))


CASES = {train_shared_latent: spec}
