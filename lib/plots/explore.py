"""What the viewers of the notebooks draw where no figure of the page does."""

import numpy as np
from matplotlib.axes import Axes

from lib.plots import CYCLE, axes, styled


@styled
def agreement(truth: np.ndarray, pred: np.ndarray, name: str, *, ax: Axes | None = None) -> Axes:
    """Draw prediction against truth, both (n,) in the unit of `name`; the line is where they agree."""
    ax = axes(ax, 4.8, 4.2)
    ax.scatter(truth, pred, s=6, alpha=0.4, lw=0, color=CYCLE[0])
    ends = [float(np.min(truth)), float(np.max(truth))]
    ax.plot(ends, ends, color="0.2", lw=0.8)
    ax.set(xlabel=f"true {name}", ylabel=f"predicted {name}")
    return ax


@styled
def residuals(truth: np.ndarray, pred: np.ndarray, name: str, *, ax: Axes | None = None) -> Axes:
    """Draw prediction - truth against truth, both (n,) in the unit of `name`."""
    ax = axes(ax, 5.6, 3.6)
    ax.scatter(truth, pred - truth, s=6, alpha=0.4, lw=0, color=CYCLE[0])
    ax.axhline(0, color="0.2", lw=0.8)
    ax.set(xlabel=f"true {name}", ylabel="predicted - true")
    return ax
