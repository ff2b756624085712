"""The embedded pair of contrasts: T1 as measured, T2 as the spin-echo equation makes it from the tissue maps."""

import numpy as np

from lib.paths import EMBEDDED

FILE = EMBEDDED / "mni152_contrasts.npz"
TR_MS, TE_MS = 4000.0, 90.0  # a T2-weighted spin echo
# relative proton density, T1 and T2 in ms at 1.5 T: round textbook values, good for a contrast, not for a measurement
TISSUES = {"gm": (0.86, 950.0, 100.0), "wm": (0.77, 600.0, 80.0), "csf": (1.00, 4500.0, 2200.0)}


def spin_echo(density, t1_ms, t2_ms, tr_ms=TR_MS, te_ms=TE_MS):
    """Return the spin-echo signal density (1 - exp(-TR/T1)) exp(-TE/T2), for arrays or numbers, times in ms."""
    return density * (1 - np.exp(-tr_ms / t1_ms)) * np.exp(-te_ms / t2_ms)


def embedded_volumes():
    """Return (t1, t2, mask) of the embedded brain: float32 stacks (z, y, x), 2 x 2 x 1 mm; mask is the brain.

    A 152-person average: smooth, nearly mirror-symmetric, and only T1 is measured. What the tissue maps leave of a
    brain voxel counts as cerebrospinal fluid.
    """
    with np.load(FILE, allow_pickle=False) as stacks:
        t1, gm, wm = (stacks[name].astype(np.float32) / 255 for name in ("t1", "gm", "wm"))
    mask = t1 > 0
    fractions = {"gm": gm, "wm": wm, "csf": np.clip(1 - gm - wm, 0, 1)}
    t2 = sum(fractions[tissue] * spin_echo(*TISSUES[tissue]) for tissue in TISSUES)
    return t1, np.where(mask, t2, 0).astype(np.float32), mask
