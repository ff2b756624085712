"""Pixel windows by wavelength, and the lines between 7100 and 8850 A whose shape tells surface gravity."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Feature:
    """A line or band head: name, wavelength in air (A), and the half width (A) of the window that shows its wings."""

    name: str
    wave_aa: float
    half_width_aa: float
    kind: str  # "line" or "band": a band starts at its head and runs redward


# Lines: NIST Atomic Spectra Database (air wavelengths). Band heads: TiO (gamma system 7126 and 7589,
# epsilon system 8432), Kirkpatrick et al. 1991 (ApJS 77, 417) and Valenti et al. 1998 (ApJ 498, 851); CN red system (2,0),
# Sneden et al. 2014 (ApJS 214, 26).
GRAVITY_FEATURES = (
    Feature("Ca II 8498", 8498.02, 15.0, "line"),
    Feature("Ca II 8542", 8542.09, 25.0, "line"),
    Feature("Ca II 8662", 8662.14, 25.0, "line"),
    Feature("Na I 8183", 8183.26, 6.0, "line"),
    Feature("Na I 8195", 8194.82, 6.0, "line"),
    Feature("K I 7665", 7664.90, 6.0, "line"),
    Feature("K I 7699", 7698.96, 6.0, "line"),
    Feature("Mg I 8807", 8806.76, 6.0, "line"),
    Feature("TiO 7126", 7125.6, 60.0, "band"),
    Feature("TiO 7589", 7589.0, 60.0, "band"),
    Feature("TiO 8432", 8432.0, 60.0, "band"),
    Feature("CN 7876", 7876.0, 60.0, "band"),
)

QUICK_WINDOW_AA = (8412.0, 8850.0)  # Ca II triplet, Mg I 8807, TiO 8432: 1,024 of the default grid's 4,096 pixels


def pixel_slice(wave: Any, low_aa: float, high_aa: float, *, multiple: int = 1) -> slice:
    """Return the pixels with low <= wave <= high as a slice; its length is cut at the blue end to a multiple.

    wave  (L,) increasing, Angstrom, array or tensor. Raises ValueError naming both ranges where no whole multiple lies inside.
    """
    wave = np.asarray(wave)
    start, stop = np.searchsorted(wave, low_aa, "left"), np.searchsorted(wave, high_aa, "right")
    start = stop - (stop - start) // multiple * multiple
    if stop <= start:
        raise ValueError(
            f"The window {low_aa:g} to {high_aa:g} A holds no {multiple} pixels of a spectrum of {wave[0]:g} to {wave[-1]:g} A; "
            "wavelengths are expected in Angstrom, the smaller one first."
        )
    return slice(int(start), int(stop))


def cut_grid(grid: Any, pixels: slice) -> Any:
    """Return a `SpectralGrid` on a slice of its pixels; flux stays relative to the mean of the whole spectrum."""
    parts = {name: getattr(grid, name)[..., pixels] for name in ("wave", "mean", "components")}
    return replace(grid, **parts, fingerprint=f"{grid.fingerprint}[{pixels.start}:{pixels.stop}]")


def features_between(low_aa: float, high_aa: float) -> tuple[Feature, ...]:
    """Return the gravity-sensitive features of a wavelength range."""
    return tuple(f for f in GRAVITY_FEATURES if low_aa <= f.wave_aa <= high_aa)
