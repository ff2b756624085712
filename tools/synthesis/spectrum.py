"""From labels to a spectrum: atmosphere, absorption, transfer, and the spectrograph's resolution and pixels."""

import numpy as np
import torch

from tools.synthesis.atmosphere import build_atmosphere
from tools.synthesis.continuum import HC_OVER_K, continuous_absorption
from tools.synthesis.hydrogen import add_paschen
from tools.synthesis.lines import add_lines, embedded_lines, interpolate
from tools.synthesis.molecules import molecular_absorption
from tools.synthesis.transfer import emergent_flux, planck

LOW_AA, HIGH_AA, N_PIXELS = 7100.0, 8850.0, 4096
RESOLUTION = 5000.0  # FWHM; a Gaussian
MARGIN_AA, STEP = 12.0, 6e-6  # synthesis beyond the pixels; spacing in ln wavelength
LINE_CUT = 4e-3  # of the continuum
CONTINUUM_POINTS = 33
LIVE, MEMORY = 16, 4 * 2**30  # arrays of a block alive at the same time; bytes that a block may take on a GPU


def pixel_wave():
    """Return the pixel centres (4096,) in Angstrom, in air, evenly spaced."""
    return torch.linspace(LOW_AA, HIGH_AA, N_PIXELS, dtype=torch.float64)


def fine_ln_wave(step=STEP):
    """Return the synthesis grid (W,) in ln wavelength."""
    low, high = np.log(LOW_AA - MARGIN_AA), np.log(HIGH_AA + MARGIN_AA)
    return low + step * torch.arange(int((high - low) / step) + 1, dtype=torch.float64)


def line_flux(atmosphere, ln_wave, *, lines=None, cut=LINE_CUT, blended=True, device="cpu", block=None):
    """Return the flux of every star at ln wavelengths (W,): (B, W), in units of 2 pi h c^2 per Angstrom^5.

    lines    `AtomicLines`, the embedded list by default; an empty list leaves them out
    cut      atomic lines end where they fall below this fraction of the continuum
    blended  whether TiO, CN and the Paschen lines are in
    device   where absorption and transfer are computed (the atmospheres come from the CPU)
    block    stars at a time; by default what `stars_at_once` gives
    """
    device = torch.device(device)
    lines = (embedded_lines() if lines is None else lines).to(device)
    size = block or stars_at_once(len(atmosphere.tau), len(ln_wave), device)
    blocks = (atmosphere.stars(slice(i, i + size), device) for i in range(0, len(atmosphere.labels), size))
    return torch.cat([_block_flux(one, ln_wave.to(device), lines, cut, blended) for one in blocks])


def stars_at_once(n_depth, n_wave, device):
    """Return how many stars pass through the transfer together.

    On a GPU as many as keep their arrays, about LIVE of depth x wavelength in float32, within MEMORY. On a CPU one: the arrays
    of a single star fill the cache already, and a block of more is slower.
    """
    return 1 if device.type == "cpu" else max(1, MEMORY // (4 * LIVE * n_depth * n_wave))


def _block_flux(atmosphere, ln_wave, lines, cut, blended):
    """Return the flux (B, W) of a block of stars; inside, arrays are (D, B, W)."""
    wave = ln_wave.exp()
    coarse = torch.linspace(
        float(wave[0]) - 1e-6, float(wave[-1]) + 1e-6, CONTINUUM_POINTS, dtype=wave.dtype, device=wave.device
    )
    absorption = interpolate(wave, coarse, continuous_absorption(atmosphere.gas, coarse).float().transpose(0, 1)).contiguous()
    if blended:
        absorption += molecular_absorption(atmosphere.gas, ln_wave)
        add_paschen(absorption, atmosphere, ln_wave)
    add_lines(absorption, lines, atmosphere, ln_wave, cut)
    t_eff = atmosphere.labels[:, :1]
    source = planck(wave.float(), atmosphere.temperature.T.unsqueeze(-1).float(), t_eff.float())
    flux = emergent_flux(absorption, atmosphere.reference.T.float(), atmosphere.tau, source)
    return flux * wave**-5 * (-HC_OVER_K / (wave * t_eff)).exp()


def observe(flux, ln_wave, resolution=RESOLUTION):
    """Convolve flux (B, W) with a Gaussian of FWHM wave / resolution and integrate over pixels: (B, 4096)."""
    step = float(ln_wave[1] - ln_wave[0])
    sigma = 1.0 / (resolution * 2.3548200450309493) / step
    reach = int(5 * sigma)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=flux.dtype, device=flux.device) / sigma) ** 2)
    scale = flux.amax(1, keepdim=True)
    kernel = (kernel / kernel.sum()).float()[None, None]
    smooth = torch.nn.functional.conv1d((flux / scale).float().unsqueeze(1), kernel, padding=reach)[:, 0].double() * scale
    pixels = pixel_wave().to(flux.device)
    half = 0.5 * (pixels[1] - pixels[0])
    edges = torch.cat([pixels[:1] - half, pixels + half]).log()
    area = torch.cumsum(smooth * ln_wave.exp(), 1)
    return (interpolate(edges[1:], ln_wave, area) - interpolate(edges[:-1], ln_wave, area)) * step / (2 * half)


def synthesize(labels, device="cpu"):
    """Synthesize spectra from first principles: labels (B, 5) -> (B, 4096) on the device, each divided by its mean.

    labels  t_eff (K), log_g (cm/s^2), m_h, a_m, c_m (dex); wavelengths are `pixel_wave()`.
    Raises ValueError where an atmosphere does not converge.
    """
    if labels.ndim != 2 or labels.shape[1] != 5:
        raise ValueError(f"labels have shape {tuple(labels.shape)}; expected (B, 5): t_eff, log_g, m_h, a_m, c_m")
    ln_wave = fine_ln_wave()
    flux = line_flux(build_atmosphere(labels.double().cpu()), ln_wave, device=device)
    seen = observe(flux, ln_wave.to(flux.device))
    return seen / seen.mean(1, keepdim=True)
