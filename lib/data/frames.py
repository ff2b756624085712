"""Long DataFrames of spectra, noise and ceilings, for figures and tables."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib.data.generated import Grid, reference_flux
from lib.data.noise import PfsNoise, snr
from lib.data.windows import features_between

SNR_QUANTILES = (0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0)


def spectra(wave: Tensor, flux: Tensor, names: Sequence[str], noisy: Tensor | None = None) -> pd.DataFrame:
    """Return one row per pixel and star: wave_aa, star, flux and, where given, noisy; flux (B, L), B names."""
    frame = pd.DataFrame(
        {
            "wave_aa": np.tile(wave.cpu().numpy(), len(names)),
            "star": np.repeat(list(names), len(wave)),
            "flux": flux.cpu().numpy().ravel(),
        }
    )
    return frame if noisy is None else frame.assign(noisy=noisy.cpu().numpy().ravel())


def gravity_pair(grid: Grid, **others: float) -> pd.DataFrame:
    """Return the spectra of a giant and a dwarf (the ends of the log g range) that share every other label.

    others  values of the other labels (default: the middle of their ranges)
    """
    middle = {name: others.get(name, sum(grid.ranges[name]) / 2) for name in grid.labels}
    rows = [[end if name == "log_g" else middle[name] for name in grid.labels] for end in grid.ranges["log_g"]]
    names = [f"log g = {end:g}" for end in grid.ranges["log_g"]]
    return spectra(grid.wave, grid.flux(torch.tensor(rows, dtype=torch.float64)), names)


def features(wave: Tensor) -> pd.DataFrame:
    """Return the gravity-sensitive lines and band heads within a wavelength range: name, wave_aa, kind."""
    found = features_between(float(wave[0]), float(wave[-1]))
    return pd.DataFrame([{"name": f.name, "wave_aa": f.wave_aa, "kind": f.kind} for f in found])


def sigmas(grid: Grid, magnitudes: Sequence[float]) -> dict[float, Tensor]:
    """Return sigma per pixel (L,) of the reference star at each magnitude, under nominal conditions."""
    noise = PfsNoise(grid.wave, "mag205_225", reference_flux(grid))
    return dict(zip(magnitudes, noise.sigma(noise.at_magnitude(magnitudes)), strict=True))


def sigma_table(wave: Tensor, by_magnitude: Mapping[float, Tensor]) -> pd.DataFrame:
    """Return one row per pixel and magnitude: wave_aa, magnitude, sigma."""
    parts = [pd.DataFrame({"wave_aa": wave.numpy(), "magnitude": m, "sigma": s.numpy()}) for m, s in by_magnitude.items()]
    return pd.concat(parts, ignore_index=True)


def snr_quantiles(ratio: Sequence[float], reported: Mapping[float, float]) -> pd.DataFrame:
    """Return quantiles of S/N beside reported ones: quantile, snr, reported (NaN where there is none).

    reported  {percent: S/N}, as in the reference figures
    """
    values = np.quantile(np.asarray(ratio), SNR_QUANTILES)
    beside = [reported.get(round(100 * q), np.nan) for q in SNR_QUANTILES]
    return pd.DataFrame({"quantile": SNR_QUANTILES, "snr": values, "reported": beside})


def snr_of(flux: Tensor, sigma: Tensor) -> pd.DataFrame:
    """Return one row per spectrum: snr."""
    return pd.DataFrame({"snr": snr(flux, sigma).cpu().numpy()})
