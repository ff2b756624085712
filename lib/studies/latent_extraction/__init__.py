"""Which layer and pooling of a blind-spot denoiser hold log g?"""

from lib.data.parameters import describe
from lib.denoising import measure as denoising_quality
from lib.losses.spectra import posterior
from lib.models.blindspot import merge_directions
from lib.models.latent import pool
from lib.studies.latent_extraction.arms import ARMS, named
from lib.studies.latent_extraction.artifact import ceiling, publish
from lib.studies.latent_extraction.config import LatentExtractionConfig as Config
from lib.studies.latent_extraction.experiments import (
    cells_left_out,
    controls,
    further_arms,
    random_encoders,
    raw_mlp,
    table_cells,
)
from lib.studies.latent_extraction.measures import (
    best_layers,
    best_row,
    decoder_difference,
    documents,
    middle_layer,
    most_sensitive,
    over_random,
    overfitting,
    strongest_layer,
    variant_cells,
    weaker_label,
)
from lib.studies.latent_extraction.occlusion import occlusion
from lib.studies.latent_extraction.probing import joined, probe, tree_cells
from lib.studies.latent_extraction.scale import projected
from lib.studies.latent_extraction.sets import prepare, pretrained
from lib.studies.latent_extraction.tables import (
    arms,
    ceiling_of,
    curves,
    decomposition,
    example,
    flow,
    layer_pooling,
    pattern,
    percent,
    questions,
    recommended,
    variants,
)

__all__ = [
    "ARMS", "Config", "arms", "best_layers", "best_row", "ceiling", "ceiling_of", "cells_left_out", "controls", "curves",
    "decoder_difference", "decomposition", "denoising_quality", "describe", "documents", "example", "flow", "further_arms", "joined",
    "layer_pooling", "merge_directions", "middle_layer", "most_sensitive", "named", "occlusion", "over_random", "overfitting", "pattern",
    "percent", "pool", "posterior", "prepare", "pretrained", "probe", "projected", "publish", "questions", "random_encoders", "raw_mlp",
    "recommended", "strongest_layer", "table_cells", "tree_cells", "variant_cells", "variants", "weaker_label",
]  # fmt: skip
