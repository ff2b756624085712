"""What a fibre of the Subaru PFS red arm (medium resolution) collects per pixel: star, sky and detector electrons."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import erf

from lib.paths import EMBEDDED

PLANCK, LIGHT = 6.62607015e-27, 2.99792458e18  # erg s, A/s
AB_ZERO = 48.6  # mag of 1 erg/s/cm2/Hz
ARCSEC_PER_RAD = 206264.806

# PFS Exposure Time Calculator, configuration PFS.redMR (Subaru-PFS/spt_ExposureTimeCalculator, throughput of 2016-02-29):
# aperture 8.3 m with 0.22 central obscuration, and five points over the field (0 to 0.65 degrees)
APERTURE_CM2 = np.pi / 4 * 830.0**2 * (1 - 0.22**2)
FIELD_DEG = np.linspace(0, 0.65, 5)
FOCAL_LENGTH_M = np.array([23.39, 23.92, 24.48, 25.07, 25.68])
VIGNETTING = np.array([0.94, 0.90, 0.84, 0.78, 0.71])
SPOT_RMS_UM = np.array([7.1, 8.4, 9.7, 11.2, 13.2])
FIBRE_RADIUS_UM = 63.5
TRACE_PIXELS = 5  # across dispersion
READ_NOISE_E = 4.0
DARK_E_PER_S = 1e-4
THROUGHPUT_AA = np.array([7100, 7200, 7400, 7600, 7800, 8000, 8200, 8400, 8600, 8850])
THROUGHPUT = np.array([0.2344, 0.2450, 0.2637, 0.2629, 0.2789, 0.2842, 0.2859, 0.2766, 0.2700, 0.2514])
RESOLVING_POWER = 5000.0

# Dark sky between the lines: about 21.0 AB mag/arcsec2 at 8000 A (Noll et al. 2012, A&A 543, A92: zodiacal light, scattered
# starlight and airglow continuum); extinction at 8000 A over Mauna Kea (Buton et al. 2013, A&A 549, A8) about 0.05 mag.
SKY_CONTINUUM_AB = 21.0
EXTINCTION_MAG = 0.05
AIRGLOW_FLUX = 1e-16  # erg/s/cm2/arcsec2, the unit of airglow.csv
MOFFAT_BETA = (
    3.5  # wings of the seeing disc, between 2.5 (observed) and 4.765 (turbulence; Trujillo et al. 2001, MNRAS 328, 977)
)


@dataclass(frozen=True)
class FibreRates:
    """Electrons per second and pixel, each (L,), at the zenith, before fibre losses and vignetting.

    star       of a source of AB magnitude 0 with flat f_lambda (that of 8000 A)
    continuum  of one arcsec2 of sky between the lines;  lines: of one arcsec2 of airglow lines
    """

    star: np.ndarray
    continuum: np.ndarray
    lines: np.ndarray


def fibre_rates(wave_aa: np.ndarray) -> FibreRates:
    """Compute the electron rates of a pixel grid: wave_aa (L,) air wavelengths, increasing."""
    edges = pixel_edges(wave_aa)
    width = np.diff(edges)
    per_erg = np.interp(wave_aa, THROUGHPUT_AA, THROUGHPUT) * APERTURE_CM2 * wave_aa / (PLANCK * LIGHT)
    flat = ab_to_flambda(0.0, 8000.0)
    return FibreRates(
        star=flat * width * per_erg,
        continuum=ab_to_flambda(SKY_CONTINUUM_AB, wave_aa) * width * per_erg,
        lines=airglow_per_pixel(edges) * per_erg,
    )


def airglow() -> pd.DataFrame:
    """Return the embedded sky lines: wave_aa (air) and flux (1e-16 erg/s/cm2/arcsec2). Source: Hanuschik 2003."""
    return pd.read_csv(EMBEDDED / "airglow.csv", comment="#")


def airglow_per_pixel(edges: np.ndarray) -> np.ndarray:
    """Return erg/s/cm2/arcsec2 of airglow per pixel, (L,): each line a Gaussian of FWHM wave / R over the edges (L + 1,)."""
    lines = airglow()
    centre = lines.wave_aa.to_numpy()
    sigma = centre / RESOLVING_POWER / 2.354820045
    below = 0.5 * (1 + erf((edges[:, None] - centre) / (np.sqrt(2) * sigma)))  # (L + 1, lines)
    return np.diff(below, axis=0) @ lines.flux.to_numpy() * AIRGLOW_FLUX


def fibre_losses(seeing_arcsec: np.ndarray, zenith_deg: np.ndarray, field_deg: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return per star the part of its light that is detected, the fibre's sky area in arcsec2 times vignetting, the airmass.

    The seeing disc (Moffat, FWHM growing with airmass^0.6) and the optics' spot add in quadrature; the fibre takes what
    falls inside its radius. Inputs (n,): FWHM at the zenith, zenith angle, distance from the field's centre.
    """
    airmass = 1 / np.cos(np.radians(zenith_deg))
    focal, vignetting, spot = (np.interp(field_deg, FIELD_DEG, values) for values in (FOCAL_LENGTH_M, VIGNETTING, SPOT_RMS_UM))
    arcsec_per_um = ARCSEC_PER_RAD * 1e-6 / focal
    radius = FIBRE_RADIUS_UM * arcsec_per_um
    optics = 2.354820045 * spot / np.sqrt(2) * arcsec_per_um  # two-dimensional rms -> FWHM
    fwhm = np.hypot(seeing_arcsec * airmass**0.6, optics)
    core = fwhm / (2 * np.sqrt(2 ** (1 / MOFFAT_BETA) - 1))
    inside = 1 - (1 + (radius / core) ** 2) ** (1 - MOFFAT_BETA)
    extinction = 10 ** (-0.4 * EXTINCTION_MAG * airmass)
    return inside * vignetting * extinction, np.pi * radius**2 * vignetting, airmass


def ab_to_flambda(magnitude: float, wave_aa: np.ndarray | float) -> np.ndarray | float:
    """Return f_lambda in erg/s/cm2/A of an AB magnitude."""
    return 10 ** (-0.4 * (magnitude + AB_ZERO)) * LIGHT / np.square(wave_aa)


def pixel_edges(wave_aa: np.ndarray) -> np.ndarray:
    """Return the (L + 1,) borders of pixels with centres wave_aa (L,)."""
    middle = (wave_aa[1:] + wave_aa[:-1]) / 2
    return np.concatenate([[2 * wave_aa[0] - middle[0]], middle, [2 * wave_aa[-1] - middle[-1]]])
