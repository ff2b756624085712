"""Plane-parallel atmospheres in hydrostatic equilibrium on the optical depth at 5000 Angstrom."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import CubicSpline

from tools.synthesis.chemistry import Gas, ln_constants, log_abundances, solve_gas, tables
from tools.synthesis.continuum import continuous_absorption

REFERENCE_AA = 5000.0
N_DEPTH, TOP, BOTTOM = 32, -4.9, 1.5  # log10 tau_5000
ATOMIC_MASS_G = 1.66053907e-24
MEAN_WEIGHT = {1: 1.008, 2: 4.0026, 6: 12.011, 7: 14.007, 8: 15.999, 12: 24.305, 14: 28.086, 16: 32.06, 26: 55.845}
MAX_STEPS, TOLERANCE = 60, 1e-4


@dataclass
class Atmosphere:
    """State of B stars with depth: labels (B, 5), tau_5000 (D,), gas, absorption at 5000 A in 1/cm and pressure (B, D)."""

    labels: torch.Tensor
    tau: torch.Tensor
    gas: Gas
    reference: torch.Tensor
    pressure: torch.Tensor

    @property
    def temperature(self):
        """Kinetic temperature (B, D) in K."""
        return self.gas.temperature

    def stars(self, which, device="cpu"):
        """Return the atmospheres of a slice of the stars, on a device."""
        parts = (part[which].to(device) for part in (self.labels, self.reference, self.pressure))
        labels, reference, pressure = parts
        return Atmosphere(labels, self.tau.to(device), self.gas.stars(which, device), reference, pressure)


def temperature_structure(t_eff, tau):
    """Return T(tau_5000) = t_eff * r(log tau) (B, D), r from the MARCS solar model (Gustafsson et al. 2008).

    The scaled solar structure ignores how line blanketing and convection change with the labels: it is the weakest part
    of the models below about 4250 K.
    """
    ratio = CubicSpline(tables()["log_tau5000"], tables()["t_over_teff"])(np.log10(tau.numpy()))
    return t_eff.double().unsqueeze(-1) * torch.from_numpy(ratio)


def mass_per_hydrogen(ln_abundance):
    """Return grams per hydrogen nucleus (B, 1)."""
    weight = torch.zeros(ln_abundance.shape[-1], dtype=torch.float64)
    for element, mass in MEAN_WEIGHT.items():
        weight[element] = mass * ATOMIC_MASS_G
    return (ln_abundance.exp() @ weight).unsqueeze(-1)


def build_atmosphere(labels, n_depth=N_DEPTH):
    """Solve hydrostatic equilibrium and the gas for labels (B, 5): t_eff, log_g, m_h, a_m, c_m.

    The first star starts from a guess, the others from the first: fastest where a batch is made of neighbours.
    Raises ValueError where pressure and opacity do not settle.
    """
    first = _hydrostatic(labels[:1], n_depth, None)
    return first if len(labels) == 1 else _hydrostatic(labels, n_depth, first)


def _hydrostatic(labels, n_depth, start):
    """Iterate pressure, gas and opacity from a guess or from the atmosphere of one star."""
    tau = torch.logspace(TOP, BOTTOM, n_depth, dtype=torch.float64)
    temperature = temperature_structure(labels[:, 0], tau)
    abundance = log_abundances(labels)
    gravity = 10.0 ** labels[:, 1].double().unsqueeze(-1)
    grams = mass_per_hydrogen(abundance)
    constants = ln_constants(temperature)
    pressure, solution = (gravity * tau / 0.05).sqrt() * 50.0, None
    if start is not None:
        pressure = start.pressure.expand(len(labels), -1)
        solution = start.gas.solution.expand(len(labels), -1, -1)
    for _ in range(MAX_STEPS):
        gas = solve_gas(temperature, pressure, abundance, solution, constants)
        solution = gas.solution
        reference = continuous_absorption(gas, torch.tensor([REFERENCE_AA], dtype=torch.float64))[..., 0]
        updated = integrate_pressure(gravity * gas.hydrogen * grams / reference, pressure, tau)
        change = (updated / pressure).log()
        if float(change.abs().max()) < TOLERANCE:
            return Atmosphere(labels=labels, tau=tau, gas=gas, reference=reference, pressure=pressure)
        pressure = pressure * (change * 0.7).exp()
    raise ValueError(f"hydrostatic equilibrium did not converge: last change {float(change.abs().max()):.1e} in ln P")


def integrate_pressure(slope, pressure, tau):
    """Integrate dP / dtau = slope (B, D) = g * rho / absorption, as P^1.5 against ln tau: (B, D).

    Above the first layer slope * P is taken as constant.
    """
    top = (2.0 * slope[:, :1] * pressure[:, :1] * tau[0]).sqrt()
    rate = 1.5 * pressure.sqrt() * slope * tau
    step = torch.log(tau[1:] / tau[:-1])
    inner = torch.cumsum(0.5 * (rate[:, 1:] + rate[:, :-1]) * step, -1)
    return (top**1.5 + torch.nn.functional.pad(inner, (1, 0))) ** (2.0 / 3.0)
