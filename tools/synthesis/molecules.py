"""Absorption of TiO and CN: their line lists added up to cross sections on a wavelength grid, once per process."""

from functools import cache

import numpy as np
import torch

from tools.synthesis.bands import CN, SECOND_RADIATION, TIO, cn_lines, partition, tio_lines
from tools.synthesis.lines import C_KMS, GAS_CONSTANT, MICROTURBULENCE_KMS

PI_E2_MC2 = 8.8528e-13  # cm
THETA = np.arange(0.5, 2.35, 0.1)  # 5040 K / T of the tabulated cross sections
FLOOR_SECTION = 1e-30  # cm^2
AIR_INDEX = 1.000274  # refractive index of air near 8000 A (Ciddor 1996, Appl. Opt. 35, 1566)


@cache
def cross_sections(first, step, count):
    """Return ln cross sections (2, len(THETA), count) float32 of TiO and CN in cm^2 on a grid of ln wavelength in air.

    Doppler profiles with the microturbulence of the atomic lines; stimulated emission is included.
    """
    ln_wave = first + step * np.arange(count)
    low, high = 1e8 / (np.exp(ln_wave[-1]) + 5), 1e8 / (np.exp(ln_wave[0]) - 5)
    table = np.empty((2, len(THETA), count), dtype=np.float32)
    for row, (lines, states, mass) in enumerate(((tio_lines, TIO, 63.9), (cn_lines, CN, 26.0))):
        wavenumber, gf, energy = lines(low, high)
        centre = (np.log(1e8 / wavenumber / AIR_INDEX) - first) / step
        for column, theta in enumerate(THETA):
            t = 5040.0 / theta
            strength = PI_E2_MC2 * gf * np.exp(-SECOND_RADIATION * energy / t) / partition(states, t)
            strength *= -np.expm1(-SECOND_RADIATION * wavenumber / t) / wavenumber  # per unit ln wavelength
            width = np.sqrt(2 * GAS_CONSTANT * t / mass + MICROTURBULENCE_KMS**2) / C_KMS / step
            table[row, column] = np.log(_spread(centre, strength / step, width, count) + FLOOR_SECTION)
    return torch.from_numpy(table)


def _spread(centre, strength, width, count):
    """Add Gaussians of `width` pixels (Doppler width) at fractional pixels."""
    total = np.zeros(count)
    nearest = np.round(centre).astype(int)
    for offset in range(-int(4 * width) - 1, int(4 * width) + 2):
        pixel = nearest + offset
        inside = (pixel >= 0) & (pixel < count)
        profile = np.exp(-(((pixel - centre) / width)[inside] ** 2)) / (np.sqrt(np.pi) * width)
        total += np.bincount(pixel[inside], strength[inside] * profile, count)
    return total


def molecular_absorption(gas, ln_wave):
    """Return absorption (D, B, W) in cm^-1 of TiO and CN, float32."""
    table = cross_sections(float(ln_wave[0]), float(ln_wave[1] - ln_wave[0]), len(ln_wave)).to(ln_wave.device)
    theta = (5040.0 / gas.temperature.T).clamp(THETA[0], THETA[-1] - 1e-6)
    place = (theta - THETA[0]) / (THETA[1] - THETA[0])
    left = place.long().clamp_max(len(THETA) - 2)
    part = (place - left).float().unsqueeze(-1)
    total = 0.0
    for row, name in enumerate(("TiO", "CN")):
        section = torch.lerp(table[row, left], table[row, left + 1], part).exp()
        total = total + section * gas.molecules[name].T.float().unsqueeze(-1)
    return total
