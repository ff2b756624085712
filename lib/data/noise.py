"""Noise of a Subaru PFS red-arm exposure: sigma per pixel from magnitude and conditions, and who may see it.

A spectrum has flux with mean 1 over its pixels. With c = electrons per unit flux, the variance of a pixel in electrons is
flux * c (the star) + sky continuum and airglow + dark current and read noise of every exposure; sigma is its root over c.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lib.data.sky import DARK_E_PER_S, READ_NOISE_E, TRACE_PIXELS, fibre_losses, fibre_rates
from lib.runtime import generator

BLOCK = 256  # rows whose randomness is drawn together: row r belongs to block r // BLOCK
CONDITIONS = ("magnitude", "seeing_arcsec", "zenith_deg", "field_deg")
ERROR_SOURCES = ("reference", "noisy", "clean")
NOMINAL = (0.8, 30.0, 0.35)  # seeing (the exposure time calculator's default), zenith and field angle of `at_magnitude`
CONDITION_STREAM, NOISE_STREAM = 1, 2


@dataclass(frozen=True)
class NoiseConfig:
    """What is observed and how: ranges are (low, high), drawn uniformly (the field angle uniformly in area).

    error_source  where sigma comes from. `reference`: a reference star of the same magnitude plus sky, so that sigma tells
                  nothing of this star's spectrum. `noisy`: drawn with the true sigma, told the one estimated from the
                  noisy counts. `clean`: the true sigma from the noiseless flux, which leaks the labels; for parity with
                  the documents' simulator.
    noise_level   factor on sigma
    """

    magnitude: tuple[float, float] = (20.5, 22.5)
    seeing_arcsec: tuple[float, float] = (0.6, 0.9)
    zenith_deg: tuple[float, float] = (0.0, 35.0)
    field_deg: tuple[float, float] = (0.0, 0.65)
    exposures: int = 12
    exposure_s: float = 900.0
    noise_level: float = 1.0
    error_source: str = "reference"

    def __post_init__(self) -> None:
        for name in CONDITIONS:
            low, high = getattr(self, name)
            if not low <= high:
                raise ValueError(f"Noise range {name} is ({low}, {high}): low should not exceed high.")
        limits = {"seeing_arcsec": (0.2, 5.0), "zenith_deg": (0.0, 75.0), "field_deg": (0.0, 0.65)}
        for name, (least, most) in limits.items():
            low, high = getattr(self, name)
            if low < least or high > most:
                raise ValueError(f"Noise range {name} is ({low}, {high}), but it should lie within {least} to {most}.")
        if self.error_source not in ERROR_SOURCES:
            raise ValueError(f"error_source is '{self.error_source}', but it should be one of {', '.join(ERROR_SOURCES)}.")
        if self.exposures < 1 or self.exposure_s <= 0 or self.noise_level < 0:
            raise ValueError("exposures and exposure_s should be positive and noise_level should not be negative.")


PRESETS = {"mag215": NoiseConfig(magnitude=(21.5, 21.5)), "mag205_225": NoiseConfig()}


def preset(name: str, **changes: object) -> NoiseConfig:
    """Return a named setting with some fields changed: `mag215` (magnitude 21.5) or `mag205_225` (20.5 to 22.5)."""
    if name not in PRESETS:
        raise ValueError(f"Noise preset '{name}' is unknown: use {' or '.join(PRESETS)}.")
    return replace(PRESETS[name], **changes)


def snr(flux: Tensor, sigma: Tensor) -> Tensor:
    """Return the signal-to-noise ratio of spectra, the median over pixels of flux / sigma: (B, L) -> (B,)."""
    return (flux / sigma).median(-1).values


def blocks_of(start: int, stop: int) -> range:
    """Return the numbers of the aligned blocks that hold rows start..stop."""
    return range(start // BLOCK, -(-stop // BLOCK))


def draw_block(out: Tensor, block: int, *, seed: int, epoch: int = 0) -> None:
    """Fill `out` (256, L) with the standard normal noise of an aligned block of rows, keyed by (seed, epoch, block).

    A row's noise is then the same whatever the batch, device count or set size. CPU and CUDA draw different numbers.
    """
    keyed = generator(seed, NOISE_STREAM, epoch, block, device=out.device)
    torch.randn(out.shape, generator=keyed, out=out)


class PfsNoise:
    """Sigma and noise for spectra on one pixel grid, on the device of what it is given.

    wave       (L,) Angstrom, air
    config     NoiseConfig or the name of a preset
    reference  (L,) flux of the reference star, mean 1; flat where it is not given
    """

    def __init__(
        self, wave: Tensor | np.ndarray, config: NoiseConfig | str = "mag205_225", reference: Tensor | None = None
    ) -> None:
        self.wave = torch.as_tensor(np.asarray(wave, np.float64))
        self.config = preset(config) if isinstance(config, str) else config
        rates = fibre_rates(self.wave.numpy())
        per_electron = 1 / rates.star
        seconds = self.config.exposures * self.config.exposure_s
        detector = TRACE_PIXELS * (self.config.exposures * READ_NOISE_E**2 + DARK_E_PER_S * seconds)
        star = np.ones_like(rates.star) if reference is None else reference.double().cpu().numpy()
        # variance = star_i * flux * per_electron + [reference_i, sky_i, detector_i] @ rows, per unit flux squared
        rows = [per_electron * star, (rates.continuum + rates.lines) * per_electron**2, detector * per_electron**2]
        self.rows = torch.from_numpy(np.stack([*rows, per_electron])).float()
        self._placed: dict[torch.device, Tensor] = {}

    def conditions(self, n: int, seed: int) -> Tensor:
        """Draw observing conditions: (n, 4) float64 in the order of CONDITIONS, keyed by (seed, aligned block)."""
        draws = [
            torch.rand((BLOCK, 4), generator=generator(seed, CONDITION_STREAM, block), dtype=torch.float64)
            for block in blocks_of(0, n)
        ]
        unit = torch.cat(draws)[:n] if draws else torch.zeros((0, 4), dtype=torch.float64)
        low, high = torch.tensor([getattr(self.config, name) for name in CONDITIONS], dtype=torch.float64).T
        drawn = low + (high - low) * unit
        drawn[:, 3] = (low[3] ** 2 + (high[3] ** 2 - low[3] ** 2) * unit[:, 3]).sqrt()
        return drawn

    def weights(self, conditions: Tensor) -> Tensor:
        """Return per star the factors of the star's, the sky's and the detector's variance: (B, 4) -> (B, 3) float32."""
        magnitude, *geometry = conditions.double().cpu().numpy().T
        kept, area, airmass = fibre_losses(*geometry)
        seconds = self.config.exposures * self.config.exposure_s
        star = 10 ** (-0.4 * magnitude) * kept * seconds
        factors = np.stack([1 / star, area * airmass * seconds / star**2, 1 / star**2], axis=1)
        return torch.from_numpy(factors).float().to(conditions.device)

    def sigma(self, weights: Tensor, flux: Tensor | None = None) -> Tensor:
        """Return the noise standard deviation per pixel, (B, L), in units of flux and at noise_level 1.

        weights  (B, 3) of `weights`;  flux: (B, L) the star's own photon noise, or None for the reference star's
        """
        rows = self._on(weights.device)
        if flux is None:
            return (weights @ rows[:3]).sqrt_()
        return torch.addcmul(weights[:, 1:] @ rows[1:3], weights[:, :1] * rows[3], flux.clamp_min(0)).sqrt_()

    def drawn_sigma(self, weights: Tensor, flux: Tensor) -> Tensor:
        """Return the sigma that the noise is drawn with, at noise_level 1: the reference star's or this star's."""
        return self.sigma(weights, None if self.config.error_source == "reference" else flux)

    def observe(self, flux: Tensor, weights: Tensor, normal: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return noisy flux and the sigma told with it, both (B, L); normal (B, L) is standard normal noise, None for none."""
        sigma = self.drawn_sigma(weights, flux) * self.config.noise_level
        noisy = flux if normal is None else torch.addcmul(flux, sigma, normal)
        if self.config.error_source == "noisy":
            sigma = self.sigma(weights, noisy) * self.config.noise_level
        return noisy, sigma

    def at_magnitude(self, magnitude: float | Sequence[float]) -> Tensor:
        """Return weights for magnitudes under NOMINAL conditions, (B, 3): what ceilings against magnitude are stated for."""
        values = torch.atleast_1d(torch.as_tensor(magnitude, dtype=torch.float64))
        return self.weights(torch.cat([values[:, None], torch.tensor([NOMINAL] * len(values)).double()], 1))

    def _on(self, device: torch.device) -> Tensor:
        if device not in self._placed:
            self._placed[device] = self.rows.to(device)
        return self._placed[device]
