"""Continuous absorption of a cool stellar gas: H-, H, Rayleigh and electron scattering (taken as absorption)."""

import torch

from tools.synthesis.chemistry import K_BOLTZMANN, ln_partition

HC_OVER_K = 1.438776877e8  # Angstrom K
RYDBERG = 1.0967758e-3  # per Angstrom, hydrogen
JOHN_C = (152.519, 49.534, -118.858, 92.536, -34.194, 4.982)
JOHN_EDGE_UM = 1.6419
BELL_BERRINGTON = (
    (-2.2763, -1.6850, 0.76661, -0.053346, 0.0),
    (15.2827, -9.2846, 1.99381, -0.142631, 0.0),
    (-197.789, 190.266, -67.9775, 10.6913, -0.625151),
)
HYDROGEN_LEVELS = 15


def continuous_absorption(gas, wave_aa):
    """Return the absorption coefficient (B, D, W) in cm^-1 at wavelengths (W,) in Angstrom."""
    wave = torch.as_tensor(wave_aa, dtype=torch.float64)
    temperature = gas.temperature.unsqueeze(-1)
    neutral = gas.atoms[1, 0].unsqueeze(-1)
    electron_pressure = (gas.electrons * K_BOLTZMANN).unsqueeze(-1) * temperature
    per_atom = (h_minus_bound_free(temperature, wave) + h_minus_free_free(temperature, wave)) * electron_pressure
    scattering = gas.electrons.unsqueeze(-1) * 6.6524587e-25 + gas.molecules["H2"].unsqueeze(-1) * rayleigh_h2(wave)
    return neutral * (per_atom + rayleigh_h(wave)) + hydrogen(gas, wave) + scattering


def h_minus_bound_free(temperature, wave_aa):
    """Return cm^2 per H atom per dyn/cm^2 of electrons, stimulated emission included.   Source: John 1988, A&A 193, 189."""
    um = wave_aa * 1e-4
    beyond = (1.0 / um - 1.0 / JOHN_EDGE_UM).clamp_min(0.0)
    shape = sum(c * beyond ** (n / 2) for n, c in enumerate(JOHN_C))
    section = 1e-18 * um**3 * beyond**1.5 * shape
    stimulated = -torch.expm1(-HC_OVER_K / (wave_aa * temperature))
    return 0.750 * temperature**-2.5 * (HC_OVER_K * 1e-4 / (JOHN_EDGE_UM * temperature)).exp() * stimulated * section


def h_minus_free_free(temperature, wave_aa):
    """Return cm^2 per H atom per dyn/cm^2 of electrons.

    Source: Bell & Berrington 1987, J. Phys. B 20, 801, as polynomials in Gray 2005, ch. 8.
    """
    log_wave, log_theta = torch.log10(wave_aa), torch.log10(5040.0 / temperature)
    f0, f1, f2 = (sum(c * log_wave**n for n, c in enumerate(row)) for row in BELL_BERRINGTON)
    return 1e-26 * 10.0 ** (f0 + f1 * log_theta + f2 * log_theta**2)


def rayleigh_h(wave_aa):
    """Return cm^2 per H atom.   Source: Dalgarno (1962), as in Kurucz 1970, SAO Special Report 309."""
    return 5.799e-13 / wave_aa**4 + 1.422e-6 / wave_aa**6 + 2.784 / wave_aa**8


def rayleigh_h2(wave_aa):
    """Return cm^2 per H2 molecule.   Source: Dalgarno & Williams 1962, ApJ 136, 690."""
    return 8.14e-13 / wave_aa**4 + 1.28e-6 / wave_aa**6 + 1.61 / wave_aa**8


def hydrogen(gas, wave_aa):
    """Return bound-free and free-free absorption of neutral hydrogen (B, D, W) in cm^-1, Kramers with Gaunt factors.

    Source: Gray 2005, ch. 8 (Gaunt factors of Menzel & Pekeris 1935).
    """
    temperature = gas.temperature.unsqueeze(-1)
    stimulated = -torch.expm1(-HC_OVER_K / (wave_aa * temperature))
    lower = gas.atoms[1, 0].unsqueeze(-1) / ln_partition(1, 0, temperature).exp()
    scale = 0.3456 / (wave_aa * RYDBERG) ** (1 / 3)
    total = 0.0
    for n in range(2, HYDROGEN_LEVELS + 1):
        edge = n**2 / RYDBERG
        gaunt = 1.0 - scale * (wave_aa * RYDBERG / n**2 - 0.5)
        section = torch.where(wave_aa < edge, 7.9070e-18 * n * (wave_aa / edge) ** 3 * gaunt, 0.0)
        excitation = -HC_OVER_K * RYDBERG * (1.0 - 1.0 / n**2) / temperature
        total = total + lower * 2.0 * n**2 * excitation.exp() * section
    frequency = 2.99792458e18 / wave_aa
    gaunt = 1.0 + scale * (wave_aa * temperature / HC_OVER_K + 0.5)
    free = 3.6919e8 * gaunt / (temperature.sqrt() * frequency**3)
    protons = (gas.atoms[1, 1] * gas.electrons).unsqueeze(-1)
    return (total + protons * free) * stimulated
