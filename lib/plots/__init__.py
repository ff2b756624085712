"""DataFrame -> Axes, one module per study; the style is `report.mplstyle`, a method keeps its colour everywhere."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

mpl.use("agg", force=False)
STYLE = str(Path(__file__).with_name("report.mplstyle"))
CYCLE = ("#0b5fa5", "#d1603d", "#2e8b57", "#8a5bb5", "#b8860b", "#4fb3bf", "#c04f8a", "#6b7280", "#8c564b", "#17202a")
COLOURS = {  # a method keeps its colour in every figure of every study
    "ridge": CYCLE[0], "lightgbm": CYCLE[2], "mlp": CYCLE[1], "vit": CYCLE[3], "ceiling": CYCLE[9],
    "source": CYCLE[0], "target": CYCLE[1], "source_only": CYCLE[0], "target_only": CYCLE[1], "transfer": CYCLE[2],
    "search": CYCLE[1], "corrected": CYCLE[0], "mdn": CYCLE[3], "lookup": CYCLE[7],
}  # fmt: skip


def styled(draw: Callable[..., Any]) -> Callable[..., Any]:
    """Draw with the project's style, leaving the global one alone."""

    @functools.wraps(draw)
    def inside(*args: Any, **kwargs: Any) -> Any:
        with plt.style.context(STYLE):
            return draw(*args, **kwargs)

    return inside


def axes(ax: Axes | None, width: float = 6.4, height: float = 3.8) -> Axes:
    """Return `ax`, or the axes of a new figure of that size in inches."""
    return ax if ax is not None else plt.subplots(figsize=(width, height))[1]


def colour(name: str) -> str:
    """Return the colour of a method; names not in `COLOURS` get a steady one from the cycle."""
    return COLOURS.get(name) or CYCLE[sum(name.encode()) % len(CYCLE)]
