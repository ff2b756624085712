"""The data section of the study: gravity in the lines, sigma and the sky, what sigma gives away, the ceiling against S/N.

All of it needs a grid; with the users' files there is none.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lib import metrics
from lib.data import frames
from lib.data.batches import whole_set
from lib.data.generated import GeneratedSpectra
from lib.data.noise import ERROR_SOURCES, preset
from lib.fisher import ceiling_table
from lib.probes import fit_ridge
from lib.studies.vit_scaling.evaluate import NUISANCE, Results

SHOWN_MAGNITUDES = (20.5, 21.5, 22.5)
CEILING_MAGNITUDES = (18.0, 19.0, 20.0, 20.5, 21.0, 21.5, 22.0, 22.5, 23.0)
CONTROL_STARS = {"train": 2048, "test": 1024}
CONTROL_PIXELS = 512
CONTROL_ALPHAS = (1e-3, 1e2)


def gravity(results: Results) -> pd.DataFrame:
    """Return spectra of a giant and a dwarf that share every other label: wave_aa, star, flux."""
    return frames.gravity_pair(results.sets.grid)


def features(results: Results) -> pd.DataFrame:
    """Return the gravity-sensitive features of the window: name, wave_aa, kind."""
    return frames.features(results.sets.wave)


def sigma(results: Results) -> pd.DataFrame:
    """Return the reference star's sigma at noise level 1: wave_aa, magnitude, sigma."""
    grid = results.sets.grid
    return frames.sigma_table(grid.wave, frames.sigmas(grid, SHOWN_MAGNITUDES))


def controls(results: Results) -> pd.DataFrame:
    """Return R2 of Ridge on sigma alone for each source of sigma, the best of two regularisations: error_source, r2."""
    rows = [{"error_source": f"sigma_{s}", "r2": _sigma_alone(results, s)} for s in ERROR_SOURCES]
    return pd.DataFrame(rows)


def _sigma_alone(results: Results, error_source: str) -> float:
    config, step = results.config, -(-len(results.sets.wave) // CONTROL_PIXELS)
    noise = preset(config.noise_preset, error_source=error_source)
    options = {"seed": config.seed, "noise": noise, "labels": (config.label,), "norm": "none"}
    sets = [GeneratedSpectra(results.sets.grid, n, split=split, **options) for split, n in CONTROL_STARS.items()]
    (x, y), (x_test, y_test) = (whole_set(s, fields=("sigma", "labels")) for s in sets)
    fits = [fit_ridge(x[:, ::step], y, alpha).predict(x_test[:, ::step]) for alpha in CONTROL_ALPHAS]
    return max(float(metrics.r2(y_test.double(), pred)[0]) for pred in fits)


def ceilings(results: Results) -> pd.DataFrame:
    """Return the ceiling at noise level 1 against magnitude, few and all labels free, with and without prior."""
    grid = results.sets.grid
    parameters = [grid.labels[:NUISANCE], grid.labels]
    stars = results.sets.parameters[: results.config.ceiling_stars]
    return ceiling_table(grid, frames.sigmas(grid, CEILING_MAGNITUDES), parameters=parameters, stars=stars)


def public_ceilings(reported: Mapping[float, Sequence[float]], ceilings: pd.DataFrame, label: str) -> pd.DataFrame:
    """Return reported ceilings beside this grid's without prior, read at the same S/N: snr, n_parameters, reported_public, this_run."""
    rows, own = [], ceilings[(ceilings.label == label) & ~ceilings.prior].sort_values("snr")
    for point in reported_ceilings(reported).itertuples():
        curve = own[own.n_parameters == point.n_parameters]
        here = np.interp(point.snr, curve.snr, curve.r2_max, left=np.nan, right=np.nan) if len(curve) else np.nan
        rows.append({"snr": point.snr, "n_parameters": point.n_parameters, "reported_public": point.r2_max, "this_run": here})
    return pd.DataFrame(rows)


def reported_ceilings(reported: Mapping[float, Sequence[float]]) -> pd.DataFrame:
    """Return reported ceilings of another grid as points: snr, n_parameters, r2_max; {magnitude: (snr, r2 of 5, r2 of 3)}."""
    rows = [
        {"snr": snr, "n_parameters": count, "r2_max": r2}
        for snr, five, three in reported.values()
        for count, r2 in ((5, five), (3, three))
    ]
    return pd.DataFrame(rows)
