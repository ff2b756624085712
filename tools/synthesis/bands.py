"""TiO and CN bands: line lists from spectroscopic constants.

Positions come from Dunham constants (good to about 1 cm^-1 near the band heads, worse at high J), vibrational strengths
from Franck-Condon factors of Morse potentials, rotational ones from Honl-London factors, the scale from radiative
lifetimes or oscillator strengths. Fit for R = 5000, not for identifying single lines.

Constants: Huber & Herzberg 1979 (through the NIST WebBook); TiO E-X: Jorgensen 1994, A&A 284, 179, its sub-band origins
set to the band heads 8432, 8442, 8452 A; CN: Huber & Herzberg 1979.
Strengths: lifetimes of TiO A3Phi 102.8 ns, B3Pi 65.6 ns (Hedgecock, Naulin & Costes 1995, A&A 304, 667) and of CN A2Pi
11.3 us (Bauschlicher, Langhoff & Taylor 1988, ApJ 332, 531); f_el of TiO delta 0.048 and epsilon 0.014 (Jorgensen 1994).
"""

from dataclasses import dataclass

import numpy as np

from tools.synthesis.continuum import HC_OVER_K

SECOND_RADIATION = HC_OVER_K * 1e-8  # cm K
V_MAX, J_MAX = 9, 180


@dataclass(frozen=True)
class State:
    """Electronic state: energy, vibration and rotation in cm^-1, electronic degeneracy, spin-orbit splitting A."""

    energy: float
    omega: float
    omega_x: float
    b: float
    alpha: float
    d: float
    degeneracy: int
    splitting: float = 0.0

    def vibration(self, v, rho=1.0):
        """Return G(v) above the potential minimum; rho = sqrt(mu / mu_isotope)."""
        return rho * self.omega * (v + 0.5) - rho**2 * self.omega_x * (v + 0.5) ** 2

    def rotation(self, v, rho=1.0):
        """Return B_v."""
        return rho**2 * self.b - rho**3 * self.alpha * (v + 0.5)


TIO = {
    "X": State(0.0, 1009.02, 4.498, 0.53541, 0.00301, 6.03e-7, 6, 49.4),
    "a": State(3446.0, 1009.3, 3.93, 0.53760, 0.00298, 5.9e-7, 2),
    "d": State(5661.0, 1014.6, 4.64, 0.54922, 0.00337, 6.0e-7, 1),
    "E": State(11894.0, 924.2, 5.1, 0.51730, 0.0032, 6.5e-7, 6, 86.0),
    "A": State(14149.0, 867.78, 3.942, 0.50739, 0.00315, 6.92e-7, 6, 57.95),
    "b": State(14768.0, 911.2, 3.72, 0.51337, 0.00291, 6.1e-7, 2),
    "B": State(16215.0, 875.0, 5.0, 0.50617, 0.0031, 6.86e-7, 6, 21.5),
}
CN = {
    "X": State(0.0, 2068.59, 13.087, 1.8997, 0.01736, 6.4e-6, 2),
    "A": State(9245.28, 1812.56, 12.609, 1.7151, 0.01708, 5.93e-6, 4, -52.64),
}


@dataclass(frozen=True)
class System:
    """Band system: states, Lambda, sub-bands (origin 0-0, lower energy, spin projection), and its strength."""

    name: str
    upper: str
    lower: str
    lambda_upper: int
    lambda_lower: int
    sub_bands: tuple
    lifetime_s: float = 0.0
    f_el: float = 0.0


TIO_SYSTEMS = (
    System("gamma", "A", "X", 3, 2, ((14021.0, 0.0, -1), (14095.9, 98.8, 0), (14163.0, 197.5, 1)), lifetime_s=102.8e-9),
    System("gamma'", "B", "X", 1, 2, ((16226.0, 0.0, -1), (16148.5, 98.8, 0), (16066.7, 197.5, 1)), lifetime_s=65.6e-9),
    System("epsilon", "E", "X", 1, 2, ((11841.3, 0.0, -1), (11827.3, 98.8, 0), (11813.0, 197.5, 1)), f_el=0.014),
    System("delta", "b", "a", 1, 2, ((11272.8, 3446.0, 0),), f_el=0.048),
)
CN_SYSTEM = System("red", "A", "X", 1, 0, ((9117.4, 0.0, 0),), lifetime_s=11.3e-6)
TITANIUM = {45.95263: 0.0825, 46.95176: 0.0744, 47.94795: 0.7372, 48.94787: 0.0541, 49.94479: 0.0518}
OXYGEN, CARBON, NITROGEN = 15.99491, 12.0, 14.00307


def reduced_mass(one, other):
    """Return the reduced mass of two atoms, in the unit of their masses."""
    return one * other / (one + other)


def vibrational_states(state, mass_u):
    """Return vibrational wave functions (R, V) of the state's Morse potential on `radius_grid`, normalised to sum 1."""
    radius = radius_grid()
    energy = 16.857629206  # hbar^2 / (2 u Angstrom^2) in cm^-1
    re = np.sqrt(energy / (mass_u * state.b))
    depth = state.omega**2 / (4 * state.omega_x)
    beta = np.sqrt(state.omega_x * mass_u / energy)
    potential = depth * (1 - np.exp(-beta * (radius - re))) ** 2
    index = np.arange(len(radius))
    gap = index[:, None] - index[None, :]
    step = radius[1] - radius[0]
    kinetic = np.where(gap == 0, np.pi**2 / 3, 2.0 * (-1.0) ** gap / np.where(gap == 0, 1, gap) ** 2)  # Colbert & Miller 1992
    _, vectors = np.linalg.eigh(energy / (mass_u * step**2) * kinetic + np.diag(potential))
    return vectors[:, : V_MAX + 1]


def radius_grid():
    """Return internuclear distances in Angstrom that hold the states of TiO and CN."""
    return np.linspace(0.8, 2.4, 321)


def franck_condon(upper, lower, mass_u):
    """Return Franck-Condon factors (v', v'')."""
    return (vibrational_states(upper, mass_u).T @ vibrational_states(lower, mass_u)) ** 2


def electronic_strength(system, states, overlap):
    """Return f_el of a system, from the lifetime of its level v' = 0 where no f_el is given.

    A band has f = f_el q nu / nu_00 and A = f nu^2 g'' / (1.4992 g'), in 1/s and 1/cm (Herzberg 1950).
    """
    if system.f_el:
        return system.f_el
    upper, lower = states[system.upper], states[system.lower]
    v = np.arange(V_MAX + 1)
    wavenumber = system.sub_bands[len(system.sub_bands) // 2][0] - (lower.vibration(v) - lower.vibration(0))
    band_f = overlap[0] * wavenumber.clip(0) / wavenumber[0]
    rate = (band_f * wavenumber**2).sum() / 1.4992 * lower.degeneracy / upper.degeneracy
    return 1.0 / system.lifetime_s / rate


def honl_london(j, omega, step):
    """Return P, Q, R factors for Lambda changing by `step` from a lower level (J, Omega); they add up to 2J + 1.

    Source: Herzberg 1950, Spectra of Diatomic Molecules, p. 208, normalised to the lower level.
    """
    w = step * omega
    if step == 0:
        raise ValueError("parallel bands are not among the systems; step is +1 or -1")
    p = (j - 1 - w) * (j - w) / (2 * j)
    q = (j + 1 + w) * (j - w) * (2 * j + 1) / (2 * j * (j + 1))
    r = (j + 2 + w) * (j + 1 + w) / (2 * (j + 1))
    return [np.where(x > 0, x, 0.0) for x in (p, q, r)]


def tio_lines(low, high):
    """Return wavenumbers, g f and lower energies (n,) of TiO lines between two wavenumbers, all isotopologues."""
    parts = []
    mass48 = reduced_mass(47.94795, OXYGEN)
    for system in TIO_SYSTEMS:
        upper, lower = TIO[system.upper], TIO[system.lower]
        overlap = franck_condon(upper, lower, mass48)
        strength = electronic_strength(system, TIO, overlap)
        for mass, share in TITANIUM.items():
            rho = np.sqrt(mass48 / reduced_mass(mass, OXYGEN))
            parts += _bands(system, upper, lower, overlap * strength * share, rho, low, high)
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _bands(system, upper, lower, strengths, rho, low, high):
    """Return the lines of every sub-band and vibrational band that starts near the window."""
    out = []
    for origin, energy, spin in system.sub_bands:
        shift = (upper.vibration(0, rho) - upper.vibration(0)) - (lower.vibration(0, rho) - lower.vibration(0))
        for v_up, v_low in np.ndindex(strengths.shape):
            jump = upper.vibration(v_up, rho) - upper.vibration(0, rho)
            below = lower.vibration(v_low, rho) - lower.vibration(0, rho)
            centre = origin + shift + jump - below
            if low - 100 < centre < high + 2500 and strengths[v_up, v_low] > 1e-7:
                gf = strengths[v_up, v_low] * centre / origin
                band = _branches(system, upper, lower, spin, v_up, v_low, rho)
                wave, factor, rotation = band
                keep = (centre + wave > low) & (centre + wave < high)
                out.append((centre + wave[keep], 2.0 * gf * factor[keep], energy + below + rotation[keep]))
    return out


def _branches(system, upper, lower, spin, v_up, v_low, rho):
    """Return offsets from the band origin, Honl-London factors and lower rotational energies of P, Q, R lines."""
    omega = system.lambda_lower + spin
    j = np.arange(max(omega, 1), J_MAX, dtype=float)
    step = system.lambda_upper - system.lambda_lower

    def term(state, v, lam, j):
        b = state.rotation(v, rho)
        b = b * (1 + 2 * b * spin / (lam * state.splitting)) if state.splitting else b
        om = lam + spin
        return b * (j * (j + 1) - om**2) - state.d * (j * (j + 1)) ** 2

    down = term(lower, v_low, system.lambda_lower, j)
    waves = [term(upper, v_up, system.lambda_upper, j + k) - down for k in (-1, 0, 1)]
    return np.concatenate(waves), np.concatenate(honl_london(j, omega, step)), np.tile(down, 3)


def cn_lines(low, high):
    """Return wavenumbers, g f and lower energies (n,) of lines of the CN red system between two wavenumbers.

    A2Pi levels follow Hill & Van Vleck 1928; both spin components of a level absorb, the satellite branches fading from
    half of the strength (Hund's case a) to none (case b).
    """
    upper, lower = CN["A"], CN["X"]
    overlap = franck_condon(upper, lower, reduced_mass(CARBON, NITROGEN))
    strengths = overlap * electronic_strength(CN_SYSTEM, CN, overlap)
    origin = CN_SYSTEM.sub_bands[0][0]
    out = []
    for v_up, v_low in np.ndindex(strengths.shape):
        below = lower.vibration(v_low) - lower.vibration(0)
        centre = origin + upper.vibration(v_up) - upper.vibration(0) - below
        if low - 400 < centre < high + 2500:
            gf = strengths[v_up, v_low] * centre / origin
            out += _cn_band(upper, lower, v_up, v_low, centre, gf, below, low, high)
    return [np.concatenate(column) for column in zip(*out, strict=True)]


def _cn_band(upper, lower, v_up, v_low, centre, gf, below, low, high):
    """Return the twelve branches of one CN band."""
    n = np.arange(1, 110, dtype=float)
    down = lower.rotation(v_low) * n * (n + 1) - lower.d * (n * (n + 1)) ** 2
    b = upper.rotation(v_up)
    y = upper.splitting / b
    out = []
    for lower_spin in (0.5, -0.5):
        j = n + lower_spin
        for branch, factor in zip((-1, 0, 1), honl_london(j, 0, 1), strict=True):
            half = j + branch + 0.5
            root = np.sqrt(4 * half**2 + y * (y - 4))
            pure = np.sqrt(np.clip(1 - ((y - 2) / root) ** 2, 0, 1))
            for upper_spin in (0.5, -0.5):
                wave = centre + b * (half**2 - 1 - np.sign(upper_spin) * root / 2) - upper.d * half**4 - down
                share = 0.5 * (1 + pure) if upper_spin == lower_spin else 0.5 * (1 - pure)
                keep = (wave > low) & (wave < high) & (j + branch > 0.4)
                out.append((wave[keep], gf * (factor * share)[keep], (below + down)[keep]))
    return out


def partition(states, temperature):
    """Return the internal partition function of a molecule: Dunham vibration, classical rotation; T (...) in K."""
    t = np.asarray(temperature, dtype=float)[..., None]
    v = np.arange(25)
    total = 0.0
    for state in states.values():
        energy = state.energy + state.vibration(v) - next(iter(states.values())).vibration(0)
        total = total + state.degeneracy * (
            np.exp(-SECOND_RADIATION * energy / t) * t / (SECOND_RADIATION * state.rotation(v))
        ).sum(-1)
    return total
