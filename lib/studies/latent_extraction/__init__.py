"""Which layer and pooling of a blind-spot denoiser hold log g?"""

from lib.data.parameters import describe
from lib.denoising import measure
from lib.studies.latent_extraction.arms import further_arms
from lib.studies.latent_extraction.claims import (
    FINER,
    best_layers,
    between,
    earlier_probe,
    label_loss,
    middle_layer,
    strongest_layer,
    student,
)
from lib.studies.latent_extraction.config import ARMS
from lib.studies.latent_extraction.config import LatentExtractionConfig as Config
from lib.studies.latent_extraction.experiments import (
    cells_left_out,
    controls,
    decoder_difference,
    parameters,
    prepare,
    pretrained,
    probe,
    random_encoders,
    raw_mlp,
    table_cells,
    trees,
    with_epochs,
)  # fmt: skip
from lib.studies.latent_extraction.frames import arms, example, flow
from lib.studies.latent_extraction.occlusion import occlusion
from lib.studies.latent_extraction.publish import ceiling, publish
from lib.studies.latent_extraction.scale import projected
from lib.studies.latent_extraction.tables import (
    ceiling_of,
    chosen,
    curves,
    decomposition,
    documents,
    global_labels,
    insensitive,
    layer_pooling,
    of,
    over_random,
    over_raw,
    overfitting,
    pattern,
    percent,
    pooling_over_layer,
    questions,
    r2_shown,
    recommended,
    shown,
    variant_cells,
    variants,
    with_reported,
    with_reported_gain,
)  # fmt: skip

__all__ = [
    "ARMS", "FINER", "Config", "arms", "best_layers", "between", "ceiling", "ceiling_of", "cells_left_out", "chosen", "controls", "curves", "decoder_difference", "decomposition",
    "describe", "documents", "earlier_probe", "example", "flow", "further_arms", "global_labels", "insensitive", "label_loss", "layer_pooling", "measure", "middle_layer",
    "occlusion", "of", "over_random", "over_raw", "overfitting", "parameters", "pattern", "percent", "pooling_over_layer", "prepare",
    "pretrained", "probe", "projected", "publish", "questions", "r2_shown", "random_encoders", "raw_mlp", "recommended", "shown", "strongest_layer", "student",
    "table_cells", "trees", "variant_cells", "variants", "with_epochs", "with_reported", "with_reported_gain",
]  # fmt: skip
