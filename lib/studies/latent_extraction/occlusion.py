"""Which wavelengths carry log g: hide one segment of the test spectra and see what the fixed probe loses."""

import itertools

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib import denoising, metrics
from lib.data.batches import whole_set
from lib.evidence import Measured, measure
from lib.models.blindspot import BlindSpotDenoiser
from lib.models.latent import pool_by_name
from lib.probes import RidgeProbe, fit_ridge
from lib.studies.latent_extraction.arms import PRE, SEGMENTS
from lib.studies.latent_extraction.config import LatentExtractionConfig
from lib.studies.latent_extraction.probing import Probed
from lib.studies.latent_extraction.sets import Sets


def occlusion(
    config: LatentExtractionConfig, denoiser: BlindSpotDenoiser, sets: Sets, probed: Probed, *, segments: int = 8, top: int = 2
) -> tuple[pd.DataFrame, Measured]:
    """Replace a segment by the mean spectrum; the denoiser and the probe stay as they were fitted.

    Returns one row per segment (the loss of R2 with its paired interval), and the part of all losses that the `top` most
    telling segments make, with its interval; an even spread gives top / segments.
    """
    column, rows = config.labels.index("log_g"), config.occlusion_rows
    fitted = fit_ridge(probed.features["train"][PRE, SEGMENTS], sets.train.labels[:, column : column + 1])
    noisy, sigma, labels = (part[:rows] for part in whole_set(sets.test, fields=("noisy", "sigma", "labels")))
    (mean,) = (part.mean(0) for part in whole_set(sets.val, fields=("noisy",)))
    edges = np.linspace(0, noisy.shape[1], segments + 1).astype(int)
    shown = [None, *itertools.pairwise(edges.tolist())]
    read = [read_hidden(config, denoiser, fitted, noisy, sigma, mean, span) for span in shown]
    losses = lost(labels[:, column].double().cpu().numpy(), read, config.n_boot, config.seed)
    wave = np.asarray(sets.test.wave)
    spans = [{"segment": i, "wave_low_aa": wave[a], "wave_high_aa": wave[b - 1]} for i, (a, b) in enumerate(shown[1:])]
    low, high = np.quantile(losses[1:], [0.025, 0.975], axis=0)
    table = pd.DataFrame(spans).assign(loss=losses[0], loss_low=low, loss_high=high)
    return table, concentration(losses, top)


def read_hidden(
    config: LatentExtractionConfig, denoiser: BlindSpotDenoiser, fitted: RidgeProbe, noisy: Tensor, sigma: Tensor, mean: Tensor,
    span: tuple[int, int] | None,
) -> np.ndarray:  # fmt: skip
    """Return the probe's predictions (n,) with the pixels of `span` hidden."""
    noisy = noisy.clone()
    if span is not None:
        noisy[:, span[0] : span[1]] = mean[span[0] : span[1]]
    x = denoising.stack_input(noisy, sigma, denoiser.config)
    with torch.no_grad():
        parts = [denoiser.latents(part, PRE, config.direction) for part in x.split(denoising.rows_at_once(x.device))]
    pooled = torch.cat([pool_by_name(part, SEGMENTS, config.edges) for part in parts])
    return fitted.predict(pooled)[:, 0].cpu().numpy()


def lost(y: np.ndarray, read: list[np.ndarray], n_boot: int, seed: int) -> np.ndarray:
    """Return R2 with everything shown - R2 with a segment hidden: (1 + n_boot, segments), the whole sample first."""
    draws = np.random.default_rng(seed).integers(0, len(y), (len(y), n_boot))
    rows = np.concatenate([np.arange(len(y))[:, None], draws], axis=1)
    r2 = [metrics.r2(y[rows], pred[rows]) for pred in read]
    return np.stack([r2[0] - hidden for hidden in r2[1:]], axis=1)


@measure
def concentration(losses: np.ndarray, top: int) -> Measured:
    """Return the `top` segments' part of all losses (those of the whole sample, in every draw), with its interval."""
    best = np.argsort(losses[0])[::-1][:top]
    positive = losses.clip(min=0)
    share = positive[:, best].sum(1) / positive.sum(1).clip(min=1e-12)
    low, high = np.quantile(share[1:], [0.025, 0.975])
    return Measured(float(share[0]), float(low), float(high))
