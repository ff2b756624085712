"""Features that circuit theory suggests for a sized op-amp, built from whatever size columns a table has."""

import re

import numpy as np
import pandas as pd

SIZE = re.compile(r"^(w|l)(\d+)$")


def devices(columns) -> list[str]:
    """Return the numbers of the devices of which both a width and a length column exist, in order."""
    found = {kind: {m[2] for c in columns if (m := SIZE.match(c)) and m[1] == kind} for kind in "wl"}
    return sorted(found["w"] & found["l"], key=int)


def physics_features(designs: pd.DataFrame, plain: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return one row per design: logarithms, overdrive proxies ibias*l/w, inverse sizes and areas.

    designs  columns w<i>, l<i> (um), ibias (A), cc, cr or any other positive size
    plain    columns that are not sizes (zero or negative somewhere): passed on as they are
    ln(ibias l / w) and its square roots stand for a device's overdrive and its gm/I, 1/l for its output conductance,
    w*l for its capacitance, ibias/cc for a slew rate.
    Raises ValueError where a size is not positive: a logarithm needs that.
    """
    sizes = designs.drop(columns=list(plain))
    bad = [c for c in sizes if not (sizes[c] > 0).all()]
    if bad:
        low = sizes[bad[0]].min()
        raise ValueError(f"Column '{bad[0]}' holds {low:g}, but the logarithm of a size needs values above 0.")
    log = np.log(sizes)
    out = {f"ln_{c}": log[c] for c in sizes}
    ibias = log["ibias"] if "ibias" in sizes else 0.0
    for i in devices(sizes.columns):
        drive = ibias + log[f"l{i}"] - log[f"w{i}"]
        out |= {f"ln_drive{i}": drive, f"sqrt_drive{i}": np.exp(drive / 2), f"inv_drive{i}": np.exp(-drive / 2)}
        out |= {f"inv_l{i}": 1 / sizes[f"l{i}"], f"inv_w{i}": 1 / sizes[f"w{i}"]}
        out[f"ln_area{i}"] = log[f"w{i}"] + log[f"l{i}"]
    if "ibias" in sizes and "cc" in sizes:
        out["ln_slew"] = ibias - log["cc"]
    return pd.DataFrame(out | {c: designs[c] for c in plain}, index=designs.index)
