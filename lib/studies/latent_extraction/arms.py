"""Arms that a profile may leave out: they run where `arms` names them, and the report says which it left out."""

import pandas as pd

from lib.models.blindspot import BlindSpotDenoiser
from lib.runtime import Runtime
from lib.studies.latent_extraction.config import ARMS, LOSS_ARMS, LatentExtractionConfig
from lib.studies.latent_extraction.experiments import Probed, Sets, directions, documents_noise, other_losses
from lib.studies.latent_extraction.publish import distil


def further_arms(
    config: LatentExtractionConfig, runtime: Runtime, denoiser: BlindSpotDenoiser, sets: Sets, probed: Probed, best: pd.Series
) -> tuple[pd.DataFrame, str]:
    """Run the named arms; return their long results, and the names of those left out."""
    tables = [pd.DataFrame()]
    if "directions" in config.arms:
        tables.append(directions(config, denoiser, sets))
    if "documents_noise" in config.arms:
        tables.append(documents_noise(config, runtime))
    if set(LOSS_ARMS) & set(config.arms):
        tables.append(other_losses(config, runtime, sets))
    if "student" in config.arms:
        tables.append(distil(config, runtime, denoiser, sets, probed, (best.layer, best.pooling)))
    left_out = [name for name in ARMS if name not in config.arms]
    return pd.concat(tables, ignore_index=True), ", ".join(left_out) or "-"
