"""Solar mixture, Saha ionisation and chemical equilibrium: number densities of atoms, ions, molecules and electrons."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

FILE = Path(__file__).with_name("chemistry.json")
K_BOLTZMANN = 1.380649e-16  # erg / K
K_EV = 8.617333262e-5  # eV / K
SAHA = 2.4146830e15  # (2 pi m_e k / h^2)^1.5, cm^-3 K^-1.5; CODATA 2018
ALPHA_ELEMENTS = (8, 10, 12, 14, 16, 18, 20, 22)  # O Ne Mg Si S Ar Ca Ti
DONORS = (6, 11, 12, 13, 14, 16, 19, 20, 22, 23, 24, 25, 26, 28)
ELEMENTS = (1, 2, 7, 8, *DONORS)  # solved together; every other element is a trace
NEWTON_STEPS, NEWTON_LIMIT, NEWTON_TOLERANCE = 80, 3.0, 1e-7


@cache
def tables():
    """Return the chemistry data; tools/make_chemistry.py says where every number comes from."""
    return json.loads(FILE.read_text())


def log_abundances(labels):
    """Return ln(n_element / n_H) of elements 1-92 for labels t_eff, log_g, m_h, a_m, c_m: (B, 5) -> (B, 93), 0 unused.

    [M/H] scales all but H and He, [a/M] the alpha elements, [C/M] carbon.
    """
    solar = torch.tensor([-99.0, *tables()["log_abundance"]], dtype=torch.float64)
    metal, alpha, carbon = (torch.zeros(93, dtype=torch.float64) for _ in range(3))
    metal[3:] = 1.0
    alpha[list(ALPHA_ELEMENTS)] = 1.0
    carbon[6] = 1.0
    m_h, a_m, c_m = labels.double()[:, 2:5].T.unsqueeze(-1)
    return (solar - 12.0 + m_h * metal + a_m * alpha + c_m * carbon) * torch.log(torch.tensor(10.0))


def ln_partition(element, ion, temperature):
    """Return ln U of an atom (ion 0), or of its first or second ion.   Source: Irwin 1981, ApJS 45, 621."""
    if element == 1 and ion == 2:
        raise ValueError("hydrogen has no second ion")
    coefficients = tables()["ln_partition"].get(f"{element}.0{ion}")
    if coefficients is None:
        raise ValueError(f"no partition function for element {element}, ion {ion}")
    ln_t = torch.log(temperature)
    return sum(c * ln_t**power for power, c in enumerate(coefficients))


def ln_saha(element, ion, temperature):
    """Return ln(n_ion * n_e / n_(ion-1)) in cm^-3, for ion 1 or 2 (Saha equation; energies in eV)."""
    energy = tables()["ionisation_ev"][f"{element}.0{ion}"]
    ratio = ln_partition(element, ion, temperature) - ln_partition(element, ion - 1, temperature)
    return (2.0 * ratio.exp() * SAHA * temperature**1.5).log() - energy / (K_EV * temperature)


def has_second_ion(element):
    """Return whether the tables hold the second ion of an element."""
    return element != 1 and f"{element}.02" in tables()["ln_partition"] and f"{element}.02" in tables()["ionisation_ev"]


def ln_dissociation(molecule, temperature):
    """Return ln of prod n_atoms / n_molecule, in cm^-3 to the power (atoms - 1), from log10 Kp in dyn / cm^2."""
    data = tables()["molecules"][molecule]
    theta = 5040.0 / temperature
    log_kp = sum(c * theta**power for power, c in enumerate(data["log_kp"]))
    order = sum(data["atoms"].values()) - 1
    return log_kp * 2.302585092994046 - order * torch.log(K_BOLTZMANN * temperature)


@dataclass
class Gas:
    """Number densities in cm^-3, each (B, D): `atoms` {(element, ion)}, `molecules` {name}, `electrons`, `hydrogen` nuclei."""

    temperature: torch.Tensor
    electrons: torch.Tensor
    hydrogen: torch.Tensor
    atoms: dict
    molecules: dict
    ln_abundance: torch.Tensor
    solution: torch.Tensor

    def density(self, element, ion):
        """Return n of an atom or ion (B, D); trace elements follow the Saha equation at these electrons."""
        if (element, ion) not in self.atoms:
            self.atoms.update(_trace(element, self))
        return self.atoms[element, ion]

    def stars(self, which, device="cpu"):
        """Return the gas of a slice of the stars, on a device."""
        kinds = ({key: value[which].to(device) for key, value in kind.items()} for kind in (self.atoms, self.molecules))
        names = ("temperature", "electrons", "hydrogen", "ln_abundance", "solution")
        atoms, molecules = kinds
        return Gas(atoms=atoms, molecules=molecules, **{name: getattr(self, name)[which].to(device) for name in names})


def _trace(element, gas):
    """Return the stages of an element that is too rare to supply electrons."""
    first = (ln_saha(element, 1, gas.temperature) - gas.electrons.log()).exp()
    second = torch.zeros_like(first)
    if has_second_ion(element):
        second = first * (ln_saha(element, 2, gas.temperature) - gas.electrons.log()).exp()
    total = gas.hydrogen * gas.ln_abundance[:, element, None].exp()
    neutral = total / (1.0 + first + second)
    return {(element, 0): neutral, (element, 1): neutral * first, (element, 2): neutral * second}


@cache
def species():
    """Return the species solved for: kind and name, stoichiometry (S, E) over ELEMENTS, and charge (S,)."""
    names, rows, charge = [], [], []
    for column, element in enumerate(ELEMENTS):
        for ion in range(3 if has_second_ion(element) else 2):
            row = [0.0] * len(ELEMENTS)
            row[column] = 1.0
            names.append((element, ion))
            rows.append(row)
            charge.append(float(ion))
    for molecule, data in tables()["molecules"].items():
        names.append(molecule)
        rows.append([float(data["atoms"].get(str(element), 0)) for element in ELEMENTS])
        charge.append(0.0)
    return names, torch.tensor(rows, dtype=torch.float64), torch.tensor(charge, dtype=torch.float64)


def ln_constants(temperature):
    """Return ln K of every species, so that ln n = ln K + stoichiometry @ ln n_atoms - charge * ln n_e: (B, D, S)."""
    names, _, _ = species()
    out = []
    for name in names:
        if isinstance(name, str):
            out.append(-ln_dissociation(name, temperature))
        else:
            element, ion = name
            out.append(sum((ln_saha(element, i, temperature) for i in range(1, ion + 1)), torch.zeros_like(temperature)))
    return torch.stack(out, -1)


def solve_gas(temperature, pressure, ln_abundance, start=None, constants=None):
    """Solve ionisation and molecular equilibrium by Newton's method in logarithms.

    temperature, pressure  (B, D) in K and dyn / cm^2
    ln_abundance           (B, 93)
    start                  (B, D, E + 2) of an earlier `Gas.solution`: fewer steps
    constants              `ln_constants(temperature)`, where it is already known
    Raises ValueError where the iteration does not converge.
    """
    names, matrix, charge = species()
    constants = ln_constants(temperature) if constants is None else constants
    x = _first_guess(temperature, pressure, ln_abundance) if start is None else start.clone()
    for _ in range(NEWTON_STEPS):
        residual, jacobian = _equations(x, constants, temperature, pressure, ln_abundance)
        step = torch.linalg.solve(jacobian, residual)
        x = x - step.clamp(-NEWTON_LIMIT, NEWTON_LIMIT)
        if float(step.abs().max()) < NEWTON_TOLERANCE:
            break
    else:
        raise ValueError(f"chemical equilibrium did not converge: last step {float(step.abs().max()):.1e} in ln n")
    density = (constants + x[..., :-2] @ matrix.T - charge * x[..., -2:-1]).exp()
    by_name = dict(zip(names, density.unbind(-1), strict=True))
    return Gas(
        temperature=temperature,
        electrons=x[..., -2].exp(),
        hydrogen=x[..., -1].exp(),
        atoms={name: n for name, n in by_name.items() if not isinstance(name, str)},
        molecules={name: n for name, n in by_name.items() if isinstance(name, str)},
        ln_abundance=ln_abundance,
        solution=x,
    )


def _first_guess(temperature, pressure, ln_abundance):
    """Return neutral atoms at their abundances and electrons from half of the easy donors."""
    ln_h = (0.9 * pressure / (K_BOLTZMANN * temperature)).log().unsqueeze(-1)
    atoms = ln_h + ln_abundance[:, None, list(ELEMENTS)]
    metals = torch.logsumexp(atoms[..., [ELEMENTS.index(z) for z in (12, 14, 26)]], -1, keepdim=True) - 2.0
    protons = 0.5 * (atoms[..., :1] + ln_saha(1, 1, temperature).unsqueeze(-1))
    return torch.cat([atoms, torch.logaddexp(metals, protons), ln_h], -1)


def _equations(x, constants, temperature, pressure, ln_abundance):
    """Return residuals (B, D, E + 2) and Jacobian: element balances, charge balance, total pressure, all in logarithms.

    Unknowns: ln n of the neutral atoms of ELEMENTS, ln n_e, ln n of hydrogen nuclei.
    """
    _, matrix, charge = species()
    ln_n = constants + x[..., :-2] @ matrix.T - charge * x[..., -2:-1]
    slope = torch.cat([matrix, -charge[:, None], torch.zeros_like(charge)[:, None]], 1)  # d ln n / d x: (S, E + 2)
    weights = torch.cat([matrix, charge[:, None]], 1).T  # (E + 1, S)
    peak = ln_n.amax(-1, keepdim=True)
    density = (ln_n - peak).clamp_min(-600.0).exp()
    linear = density @ weights.T
    sums = linear.log() + peak
    terms = weights * density.unsqueeze(-2) / linear.unsqueeze(-1)
    wanted = torch.cat([x[..., -1:] + ln_abundance[:, None, list(ELEMENTS)], x[..., -2:-1]], -1)
    jacobian = terms @ slope
    jacobian[..., :-1, -1] -= 1.0
    jacobian[..., -1, -1] = 0.0
    jacobian[..., -1, -2] -= 1.0
    total = torch.cat([ln_n, x[..., -2:-1]], -1)  # the electrons press too
    shares = total.softmax(-1)
    last = shares[..., :-1] @ slope
    last[..., -2] += shares[..., -1]
    ln_p = (pressure / (K_BOLTZMANN * temperature)).log()
    residual = torch.cat([sums - wanted, (total.logsumexp(-1) - ln_p).unsqueeze(-1)], -1)
    return residual, torch.cat([jacobian, last.unsqueeze(-2)], -2)
