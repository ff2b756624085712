"""Make tests/data/sme_reference.json: line strengths and continuum by SME (PySME, pysme-astro) in given atmospheres.

Two environments, because pysme-astro needs pandas < 3:

    python -m tools.make_sme_reference export reference_input.json          # this project's environment
    python3 -m venv sme && sme/bin/pip install pysme-astro 'pandas<3'
    sme/bin/python tools/make_sme_reference.py run reference_input.json tests/data/sme_reference.json

SME gets the same depth points (column mass, T, electron and particle densities), abundances and line data, and computes
its own equation of state, opacities and transfer (Wehrhahn, Piskunov & Ryabchikova 2023, A&A 671, A171).
"""

import json
import sys

import numpy as np

MODELS = (
    (5777.0, 4.44, 0.0, 0.0, 0.0),
    (4500.0, 2.0, 0.0, 0.0, 0.0),
    (4500.0, 4.5, -0.5, 0.2, -0.3),
    (5250.0, 3.0, -1.5, 0.4, -0.3),
    (6000.0, 4.0, 0.5, 0.0, -0.2),
    (4000.0, 1.5, -1.0, 0.2, -0.3),
)
LINES = (
    (20, 1, 8542.091), (20, 1, 8498.023), (26, 0, 8688.624), (26, 0, 8582.257), (26, 0, 7511.019), (12, 0, 8806.757),
    (11, 0, 8194.824), (19, 0, 7698.964), (22, 0, 8434.957), (14, 0, 7932.348), (28, 0, 7714.308), (26, 1, 7711.721),
)  # fmt: skip
HALF_AA, WIDE_HALF_AA, STEP_AA = 4.0, 20.0, 0.01
SYMBOLS = {11: "Na", 12: "Mg", 14: "Si", 19: "K", 20: "Ca", 22: "Ti", 26: "Fe", 28: "Ni"}


def window(element, ion, centre):
    """Return the wavelength range in which the equivalent width is taken."""
    half = WIDE_HALF_AA if (element, ion) in ((20, 1), (11, 0), (19, 0), (12, 0)) else HALF_AA
    return centre - half, centre + half


def export(path):
    """Write the atmospheres, abundances and line data of this project."""
    import torch

    from tools.synthesis.atmosphere import build_atmosphere, mass_per_hydrogen
    from tools.synthesis.lines import MICROTURBULENCE_KMS, effective_level, embedded_lines

    lines = embedded_lines()
    picked = []
    for element, ion, wave in LINES:
        near = (lines.element == element) & (lines.ion == ion) & ((lines.wave - wave).abs() < 0.01)
        picked.append(int(near.nonzero()[0, 0]))
    chosen = lines.take(torch.tensor(picked))
    level = effective_level(chosen, chosen.e_low + 12398.42 / chosen.wave).clamp_max(5.0)
    stark = torch.where(chosen.log_stark < 0, chosen.log_stark, torch.log10(1e-8 * level**5))
    out = {"v_mic": MICROTURBULENCE_KMS, "lines": [], "models": []}
    for i, (element, ion, _) in enumerate(LINES):
        out["lines"].append({
            "element": element, "ion": ion, "wave": float(chosen.wave[i]), "e_low": float(chosen.e_low[i]),
            "log_gf": float(chosen.ln_gf[i] / np.log(10)), "vdw": float(chosen.vdw[i]),
            "log_rad": float(torch.log10(chosen.gamma_rad[i])), "log_stark": float(stark[i]),
        })  # fmt: skip
    for labels in MODELS:
        atmosphere = build_atmosphere(torch.tensor([labels], dtype=torch.float64), n_depth=64)
        gas = atmosphere.gas
        particles = atmosphere.pressure / (1.380649e-16 * gas.temperature) - gas.electrons
        out["models"].append({
            "labels": labels, "log_abundance": (gas.ln_abundance[0] / np.log(10)).tolist(),
            "tau": atmosphere.tau.tolist(), "rhox": (atmosphere.pressure[0] / 10 ** labels[1]).tolist(),
            "temperature": gas.temperature[0].tolist(), "xne": gas.electrons[0].tolist(), "xna": particles[0].tolist(),
            "rho": (gas.hydrogen * mass_per_hydrogen(gas.ln_abundance))[0].tolist(),
        })  # fmt: skip
    with open(path, "w") as file:
        json.dump(out, file)


def run(source, target):
    """Synthesize every line alone in every atmosphere with SME and write equivalent widths and continua."""
    with open(source) as file:
        data = json.load(file)
    results = [sme_model(model, data["lines"], data["v_mic"]) for model in data["models"]]
    with open(target, "w") as file:
        windows = [[round(edge, 3) for edge in window(*line)] for line in LINES]
        json.dump({"source": "pysme-astro 1.2", "lines": LINES, "windows": windows, "models": results}, file)
        file.write("\n")


def sme_model(model, lines, v_mic):
    """Return labels, equivalent widths in mA and continuum fluxes (per steradian scale of SME) of one model."""
    import pandas as pd
    from pysme.abund import Abund
    from pysme.atmosphere.atmosphere import Atmosphere
    from pysme.linelist.linelist import LineList
    from pysme.sme import SME_Structure
    from pysme.synthesize import synthesize_spectrum

    widths, continua = [], []
    for line in lines:
        sme = SME_Structure()
        sme.teff, sme.logg, sme.monh = model["labels"][0], model["labels"][1], 0.0
        sme.vmic, sme.vmac, sme.vsini = v_mic, 0.0, 0.0
        pattern = np.array(model["log_abundance"][1:]) + 12.0
        names = Abund(0, "empty").elem
        sme.abund = Abund(0, {name: pattern[i] if i < len(pattern) else -87.0 for i, name in enumerate(names)}, type="H=12")
        symbol = f"{SYMBOLS[line['element']]} {line['ion'] + 1}"
        frame = pd.DataFrame([{
            "species": symbol, "atom_number": float(line["element"]), "ionization": float(line["ion"] + 1),
            "wlcent": line["wave"], "excit": line["e_low"], "gflog": line["log_gf"], "gamrad": line["log_rad"],
            "gamqst": line["log_stark"], "gamvw": line["vdw"], "lande": 0.0, "depth": 0.5, "reference": "", "error": 0.5,
            "lande_lower": 0.0, "lande_upper": 0.0, "j_lo": 0.0, "e_upp": 0.0, "j_up": 0.0, "term_lower": "", "term_upper": "",
        }])  # fmt: skip
        sme.linelist = LineList(frame, lineformat="short", medium="air")
        sme.atmo = Atmosphere(
            teff=sme.teff, logg=sme.logg, vturb=v_mic, method="embedded", depth="RHOX", interp="RHOX",
            geom="PP", rhox=np.array(model["rhox"]), tau=np.array(model["tau"]), temp=np.array(model["temperature"]),
            xne=np.array(model["xne"]), xna=np.array(model["xna"]), rho=np.array(model["rho"]), wlstd=5000.0,
            opflag=np.array([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]),
        )  # fmt: skip
        low, high = window(line["element"], line["ion"], line["wave"])
        sme.wave = [np.arange(low, high, STEP_AA)]
        sme.vrad_flag, sme.cscale_flag, sme.normalize_by_continuum = "none", "none", True
        sme.medium = "air"
        sme = synthesize_spectrum(sme)
        depth = 1.0 - np.asarray(sme.synth[0])
        widths.append(float(np.trapezoid(depth, np.asarray(sme.wave[0])) * 1e3))
        continua.append(float(np.median(np.asarray(sme.cont[0]))))
    return {"labels": model["labels"], "equivalent_width_ma": widths, "continuum": continua}


if __name__ == "__main__":
    {"export": export, "run": run}[sys.argv[1]](*sys.argv[2:])
