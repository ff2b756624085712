"""Atomic line absorption: populations, damping, and Voigt profiles added up on a wavelength grid."""

from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tools.synthesis.chemistry import K_EV, ln_partition, tables
from tools.synthesis.continuum import HC_OVER_K, continuous_absorption
from tools.synthesis.voigt import voigt

FILE = Path(__file__).with_name("atomic_lines.csv.gz")
C_KMS = 2.99792458e5
CLASSICAL = 8.8528e-21  # pi e^2 / (m_e c^2) in cm, over 1e8: times f n lambda^2 (Angstrom) gives cm^-1 per Angstrom
GAS_CONSTANT = 8.314462618e-3  # (km/s)^2 per K, of unit atomic mass
MICROTURBULENCE_KMS = 1.5
BOHR_AREA, ABO_VELOCITY = 2.8002852e-17, 1e6  # cm^2; cm/s
WIDTHS = (6, 12, 24, 64, 192, 640, 2560, 12288)  # half-widths of the profile windows, in pixels of the wavelength grid


@dataclass
class AtomicLines:
    """One entry per line, (N,): wavelength in air, lower energy, log gf, damping, element and ion."""

    wave: torch.Tensor
    e_low: torch.Tensor
    ln_gf: torch.Tensor
    vdw: torch.Tensor
    gamma_rad: torch.Tensor
    log_stark: torch.Tensor
    element: torch.Tensor
    ion: torch.Tensor

    @classmethod
    def from_frame(cls, frame):
        """Build from a frame with the columns of `FILE`; species without partition functions are dropped."""
        known = [f"{z}.0{i}" in tables()["ln_partition"] for z, i in zip(frame.element, frame.ion, strict=True)]
        frame = frame[known]
        to = lambda column: torch.from_numpy(np.asarray(column, dtype=np.float64).copy())  # noqa: E731
        rad = frame.gamma_rad if "gamma_rad" in frame else 10.0**frame.log_gamma_rad
        return cls(
            to(frame.wave_aa), to(frame.e_low_ev), to(frame.log_gf) * 2.302585093, to(frame.vdw), to(rad),
            to(frame.log_stark), to(frame.element).long(), to(frame.ion).long(),
        )  # fmt: skip

    def __len__(self):
        return len(self.wave)

    def take(self, index):
        """Return the lines at `index`."""
        return AtomicLines(*(getattr(self, f.name)[index] for f in fields(self)))

    def to(self, device):
        """Return the lines on a device."""
        return AtomicLines(*(getattr(self, f.name).to(device) for f in fields(self)))

    @property
    def mass(self):
        """Atomic mass (N,)."""
        return torch.tensor(MASSES, dtype=torch.float64, device=self.wave.device)[self.element]


@cache
def embedded_lines():
    """Return the list that the grid is made from (Heiter et al. 2021, the Gaia-ESO line list; tools/make_line_list.py)."""
    return AtomicLines.from_frame(pd.read_csv(FILE))


def line_strength(lines, atmosphere):
    """Return absorption integrated over wavelength (B, D, N) in cm^-1 Angstrom, stimulated emission included."""
    temperature = atmosphere.temperature
    species, which = torch.unique(lines.element * 10 + lines.ion, return_inverse=True)
    ln_ground = temperature.new_empty(*temperature.shape, len(species))
    for column, (element, ion) in enumerate((code // 10, code % 10) for code in species.tolist()):
        density = atmosphere.gas.density(element, ion).clamp_min(1e-30)
        ln_ground[..., column] = density.log() - ln_partition(element, ion, temperature)
    ln_ground = ln_ground.float()[..., which]
    cold = (1.0 / (K_EV * temperature)).float().unsqueeze(-1)
    stimulated = -torch.expm1(-(HC_OVER_K * K_EV / lines.wave).float() * cold)
    fixed = (lines.ln_gf + (CLASSICAL * lines.wave**2).log()).float()
    return ((ln_ground + fixed - lines.e_low.float() * cold).exp() * stimulated).double()


def doppler_width(lines, atmosphere):
    """Return the Doppler width (B, D, N) in Angstrom: thermal motion and microturbulence."""
    speed = (2.0 * GAS_CONSTANT * atmosphere.temperature.unsqueeze(-1) / lines.mass + MICROTURBULENCE_KMS**2).sqrt()
    return lines.wave * speed / C_KMS


def damping_rate(lines, atmosphere):
    """Return gamma (B, D, N) in rad/s: radiative, quadratic Stark and van der Waals.

    van der Waals, by the code of the list: >= 20 Anstee-Barklem-O'Mara sigma.alpha (Barklem & O'Mara 1998, MNRAS 300,
    863); < 0 log10 gamma per perturber at 10,000 K; else a multiple of Unsold 1955 as in Gray 2005, ch. 11.
    Perturbers: H + 0.42 He + 0.85 H2.
    Stark: the list's value per electron at 10,000 K, else 1e-8 n*^5 (Kurucz & Avrett 1981, SAO Special Report 391).
    """
    temperature = atmosphere.temperature.unsqueeze(-1)
    gas = atmosphere.gas
    perturbers = (gas.atoms[1, 0] + 0.42 * gas.atoms[2, 0] + 0.85 * gas.molecules["H2"]).unsqueeze(-1)
    n_upper = effective_level(lines, lines.e_low + 12398.42 / lines.wave)
    stark = torch.where(lines.log_stark < 0, 10.0**lines.log_stark, 1e-8 * n_upper.clamp_max(5.0) ** 5)
    return (
        lines.gamma_rad
        + stark * (temperature / 1e4) ** (1 / 6) * gas.electrons.unsqueeze(-1)
        + van_der_waals(lines, temperature, n_upper) * perturbers
    )


def effective_level(lines, energy):
    """Return the effective principal quantum number of levels at `energy` eV, at most 10."""
    limits = tables()["ionisation_ev"]
    keys = [f"{z}.0{i + 1}" for z, i in zip(lines.element.tolist(), lines.ion.tolist(), strict=True)]
    limit = torch.tensor([limits.get(key, 10.0) for key in keys], dtype=torch.float64, device=energy.device)
    return ((lines.ion + 1) * (13.598 / (limit - energy).clamp_min(0.136)).sqrt()).clamp_max(10.0)


def van_der_waals(lines, temperature, n_upper):
    """Return gamma per perturber (B, D, N) in rad/s cm^3; see `damping_rate`."""
    speed = (8.0 * 8.314462618e7 * temperature / torch.pi * (1.0 / 1.008 + 1.0 / lines.mass)).sqrt()
    section, alpha = lines.vdw.floor(), lines.vdw - lines.vdw.floor()
    gamma_function = torch.lgamma(2.0 - alpha / 2.0).exp()
    abo = 2.0 * (4.0 / torch.pi) ** (alpha / 2.0) * gamma_function * ABO_VELOCITY * section * BOHR_AREA
    abo = abo * (speed / ABO_VELOCITY) ** (1.0 - alpha)
    given = 10.0 ** lines.vdw.clamp_max(0.0) * (temperature / 1e4) ** 0.3
    n_lower = effective_level(lines, lines.e_low)
    c6 = 0.3e-30 * ((n_upper**4 - n_lower**4) / (13.598 * (lines.ion + 1)) ** 2).clamp_min(1e-3)
    unsold = 17.0 * c6**0.4 * speed**0.6 * lines.vdw.clamp(0.0, 20.0)
    return torch.where(lines.vdw >= 20, abo, torch.where(lines.vdw < 0, given, unsold))


def strength_ratio(lines, atmosphere):
    """Return line absorption at the line centre over the continuum (B, D, N), without damping."""
    peak = line_strength(lines, atmosphere) / (1.7724539 * doppler_width(lines, atmosphere))
    grid = torch.linspace(float(lines.wave.min()), float(lines.wave.max()) + 1e-3, 65, dtype=torch.float64)
    return peak / interpolate(lines.wave, grid, continuous_absorption(atmosphere.gas, grid))


def interpolate(x, grid, values):
    """Interpolate values (..., G) on a uniform increasing grid (G,) linearly at x (N,): (..., N)."""
    place = ((x - grid[0]) / (grid[1] - grid[0])).clamp(0, len(grid) - 1 - 1e-9)
    left = place.long()
    part = (place - left).to(values.dtype)
    return values[..., left] * (1 - part) + values[..., left + 1] * part


def add_lines(absorption, lines, atmosphere, ln_wave, cut):
    """Add Voigt profiles to absorption (D, B, W), contiguous, in place, on a uniform grid ln_wave (W,).

    cut  a profile ends where it falls below this fraction of the star's continuum in every layer; weaker lines are skipped.
    """
    step = ln_wave[1] - ln_wave[0]
    centre = ((lines.wave.log() - ln_wave[0]) / step).round().long()
    floor = cut * absorption[..., centre.clamp(0, len(ln_wave) - 1)].double()
    strength, doppler = (x.transpose(0, 1) for x in (line_strength(lines, atmosphere), doppler_width(lines, atmosphere)))
    seen = (strength > 1.7724539 * doppler * floor).any(0)  # (B, N)
    kept = seen.any(0).nonzero()[:, 0]
    lines, centre, seen = lines.take(kept), centre[kept], seen[:, kept]
    floor, strength, doppler = floor[..., kept], strength[..., kept], doppler[..., kept]  # (D, B, N)
    damping = damping_rate(lines, atmosphere).transpose(0, 1) * lines.wave**2 / (4.0 * torch.pi * 2.99792458e18 * doppler)
    peak = strength / (1.7724539 * doppler)
    core = doppler * (peak / floor).clamp_min(1.0).log().sqrt()
    wing = (strength * damping * doppler / (torch.pi * floor)).sqrt()
    reach = (torch.maximum(core, wing) * (peak > floor)).amax(0) / lines.wave / step * seen
    previous = 0
    for width in WIDTHS:
        pairs = ((reach > previous) & ((reach <= width) | (width == WIDTHS[-1]))).nonzero()  # (n, 2): star, line
        previous = width
        for part in pairs.split(max(1, 2_000_000 // (len(absorption) * (2 * width + 1)))):
            star, line = part.unbind(1)
            shape = (x[:, star, line] for x in (peak, doppler, damping))
            _add_window(absorption, star, lines.wave[line], centre[line], *shape, ln_wave, width)


def _add_window(absorption, star, wave, centre, peak, doppler, damping, ln_wave, width):
    """Add the profiles (D, n) of n pairs of star and line over pixels centre - width .. centre + width."""
    pixel = centre[:, None] + torch.arange(-width, width + 1, device=centre.device)  # (n, w)
    inside = (pixel >= 0) & (pixel < len(ln_wave))
    pixel = pixel.clamp(0, len(ln_wave) - 1)
    distance = (ln_wave[pixel].exp() - wave[:, None]).float()
    profile = voigt(damping[..., None], distance / doppler[..., None].float()) * peak[..., None].float() * inside
    place = star[:, None] * len(ln_wave) + pixel
    absorption.view(len(absorption), -1).index_add_(1, place.flatten(), profile.flatten(1).to(absorption.dtype))


# Standard atomic weights (CIAAW 2021), element 0 unused.
MASSES = (
    1.0, 1.008, 4.0026, 6.94, 9.0122, 10.81, 12.011, 14.007, 15.999, 18.998, 20.18, 22.99, 24.305, 26.982, 28.085, 30.974,
    32.06, 35.45, 39.95, 39.098, 40.078, 44.956, 47.867, 50.942, 51.996, 54.938, 55.845, 58.933, 58.693, 63.546, 65.38,
    69.723, 72.63, 74.922, 78.971, 79.904, 83.798, 85.468, 87.62, 88.906, 91.224, 92.906, 95.95, 98.0, 101.07, 102.91,
    106.42, 107.87, 112.41, 114.82, 118.71, 121.76, 127.6, 126.9, 131.29, 132.91, 137.33, 138.91, 140.12, 140.91, 144.24,
    145.0, 150.36, 151.96, 157.25, 158.93, 162.5, 164.93, 167.26, 168.93, 173.05, 174.97, 178.49, 180.95, 183.84, 186.21,
    190.23, 192.22, 195.08, 196.97, 200.59, 204.38, 207.2, 208.98, 209.0, 210.0, 222.0, 223.0, 226.0, 227.0, 232.04,
    231.04, 238.03,
)  # fmt: skip
