"""Features that circuit theory suggests for a sized op-amp, built from whatever size columns a table has."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

Array = Any  # a column: numpy array, pandas series or tensor

SIZE = re.compile(r"^(w|l)(\d+)$")


def devices(columns) -> list[str]:
    """Return the numbers of the devices of which both a width and a length column exist, in order."""
    found = {kind: {m[2] for c in columns if (m := SIZE.match(c)) and m[1] == kind} for kind in "wl"}
    return sorted(found["w"] & found["l"], key=int)


def physics_features(designs: pd.DataFrame, plain: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return one row per design: logarithms, overdrive proxies ibias*l/w, inverse sizes and areas.

    designs  columns w<i>, l<i> (um), ibias (A), cc, cr or any other positive size
    plain    columns that are not sizes (zero or negative somewhere): passed on as they are
    Raises ValueError where a size is not positive: a logarithm needs that.
    """
    sizes = designs.drop(columns=list(plain))
    bad = [c for c in sizes if not (sizes[c] > 0).all()]
    if bad:
        low = sizes[bad[0]].min()
        raise ValueError(f"Column '{bad[0]}' holds {low:g}, but the logarithm of a size needs values above 0.")
    columns = physics_columns({c: designs[c] for c in designs}, plain, np.log, np.exp)
    return pd.DataFrame(columns, index=designs.index)


def physics_columns(
    designs: Mapping[str, Array], plain: Sequence[str], log: Callable[[Array], Array], exp: Callable[[Array], Array]
) -> dict[str, Array]:
    """Return the same features column by column, of arrays or tensors alike: `log` and `exp` are theirs.

    ln(ibias l / w) and its square roots stand for a device's overdrive and its gm/I, 1/l for its output conductance,
    w*l for its capacitance, ibias/cc for a slew rate.
    """
    sizes = {c: v for c, v in designs.items() if c not in plain}
    ln = {c: log(v) for c, v in sizes.items()}
    out = {f"ln_{c}": v for c, v in ln.items()}
    for i in devices(sizes):
        drive = ln.get("ibias", 0.0) + ln[f"l{i}"] - ln[f"w{i}"]
        out |= {f"ln_drive{i}": drive, f"sqrt_drive{i}": exp(drive / 2), f"inv_drive{i}": exp(-drive / 2)}
        out |= {f"inv_l{i}": 1 / sizes[f"l{i}"], f"inv_w{i}": 1 / sizes[f"w{i}"]}
        out[f"ln_area{i}"] = ln[f"w{i}"] + ln[f"l{i}"]
    if "ibias" in sizes and "cc" in sizes:
        out["ln_slew"] = ln["ibias"] - ln["cc"]
    return out | {c: designs[c] for c in plain}
