"""Hydrogen lines of the Paschen series, upper levels 9 to 18, with a Holtsmark-like Stark profile."""

import torch

from tools.synthesis.chemistry import K_EV, ln_partition
from tools.synthesis.continuum import HC_OVER_K, RYDBERG
from tools.synthesis.lines import C_KMS, CLASSICAL, GAS_CONSTANT, MICROTURBULENCE_KMS

LOWER, UPPER = 3, range(9, 19)
AIR_INDEX = 1.000274
WINDOW_AA = 120.0
# phi(beta) = NORM / (1 + |beta / CORE|^2.5): normalised, with the wing 0.75 |beta|^-2.5 of the Holtsmark distribution.
CORE, NORM = 1.578, 0.2398


def paschen_wave(upper):
    """Return the wavelength of 3 - upper in air, Angstrom."""
    return 1.0 / (RYDBERG * (1 / LOWER**2 - 1 / upper**2)) / AIR_INDEX


def oscillator_strength(upper):
    """Return the absorption f of 3 - upper: Kramers times a Gaunt factor of 0.90 (Menzel & Pekeris 1935)."""
    return 0.90 * 1.9603 / (1 / LOWER**2 - 1 / upper**2) ** 3 / (LOWER**5 * upper**3)


def stark_scale(upper, electrons):
    """Return the wavelength of beta = 1 in Angstrom: K F0, K = 5.5e-5 (n m)^4 / (m^2 - n^2), F0 = 1.25e-9 n_e^(2/3).

    Source: Griem 1960, ApJ 132, 883.
    """
    k = 5.5e-5 * (LOWER * upper) ** 4 / (upper**2 - LOWER**2)
    return k * 1.25e-9 * electrons ** (2 / 3)


def surviving(upper, electrons):
    """Return the fraction of a level that has not dissolved: Inglis & Teller 1939, log n_e = 23.26 - 7.5 log m, softened."""
    last = 10.0 ** ((23.26 - torch.log10(electrons)) / 7.5)
    return torch.sigmoid(3.0 * (last - upper))


def add_paschen(absorption, atmosphere, ln_wave):
    """Add the Paschen lines to absorption (D, B, W) in place."""
    temperature, electrons = atmosphere.temperature.T, atmosphere.gas.electrons.T
    energy = 13.598 * (1 - 1 / LOWER**2)
    lower = atmosphere.gas.atoms[1, 0].T / ln_partition(1, 0, temperature).exp() * 2 * LOWER**2
    lower = lower * (-energy / (K_EV * temperature)).exp()
    speed = (2 * GAS_CONSTANT * temperature / 1.008 + MICROTURBULENCE_KMS**2).sqrt() / C_KMS
    for upper in UPPER:
        centre = paschen_wave(upper)
        edges = torch.tensor([centre - WINDOW_AA, centre + WINDOW_AA], dtype=torch.float64, device=ln_wave.device).log()
        first, last = torch.searchsorted(ln_wave, edges).tolist()
        if first == last:
            continue
        distance = ln_wave[first:last].exp() - centre
        stimulated = -torch.expm1(-HC_OVER_K / (centre * temperature))
        strength = CLASSICAL * centre**2 * oscillator_strength(upper) * lower * stimulated * surviving(upper, electrons)
        width = ((CORE * stark_scale(upper, electrons)) ** 2 + (centre * speed) ** 2).sqrt()
        profile = CORE * NORM / width.unsqueeze(-1) / (1 + (distance.abs() / width.unsqueeze(-1)) ** 2.5)
        absorption[..., first:last] += (strength.unsqueeze(-1) * profile).to(absorption.dtype)
