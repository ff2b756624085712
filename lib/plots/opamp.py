"""Figures of the op-amp study."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from lib.plots import axes, colour, styled

UNITS = {
    "slewrate_pos": "slew rate (V/s)", "dc_gain": "dc gain (V/V)", "ugf": "unity-gain frequency (Hz)",
    "phase_margin": "phase margin (deg)", "cmrr": "CMRR (V/V)", "ibias": "ibias (A)",
}  # fmt: skip


def label(name: str) -> str:
    """Return symbol and unit of a column; sizes are in micrometres."""
    return UNITS.get(name, f"{name} (um)" if name[:1] in "wl" and name[1:].isdigit() else name)


@styled
def distributions(source: pd.DataFrame, target: pd.DataFrame, columns: list[str], *, log: list[str] | None = None) -> Any:
    """Draw one histogram per column for both processes; columns in `log` on a logarithmic axis."""
    rows = -(-len(columns) // 4)
    figure, grid = plt.subplots(rows, min(len(columns), 4), figsize=(11, 2.5 * rows), squeeze=False)
    for ax, name in zip(grid.flat, columns, strict=False):
        both = pd.concat([source[[name]].assign(process="source"), target[[name]].assign(process="target")], ignore_index=True)
        sns.histplot(
            both, x=name, hue="process", bins=30, stat="density", common_norm=False, element="step", alpha=0.3, ax=ax,
            palette={"source": colour("source"), "target": colour("target")}, log_scale=name in (log or []), legend=ax is grid.flat[0],
        )  # fmt: skip
        ax.set(xlabel=label(name), ylabel="density")
    for ax in list(grid.flat)[len(columns) :]:
        ax.set_visible(False)
    return figure


@styled
def skew(df: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the skewness of each output before and after log1p."""
    ax = axes(ax)
    long = df.melt("metric", ["skew_raw", "skew_log"], "scale", "skewness").replace(
        {"skew_raw": "as measured", "skew_log": "after log1p"}
    )
    sns.barplot(long, x="metric", y="skewness", hue="scale", ax=ax, palette=[colour("source"), colour("target")])
    ax.set_yscale("symlog")
    ax.axhline(0, color="0.3", lw=0.8)
    ax.set(xlabel="", ylabel="skewness of the source outputs (symlog)")
    ax.legend(title=None)
    return ax


@styled
def scores(df: pd.DataFrame, *, floor: float = -0.5, ax: Axes | None = None) -> Axes:
    """Draw R2 per output, method and training process, with intervals; values under `floor` are drawn at it and named."""
    ax = axes(ax, 9, 4)
    names, arms = list(dict.fromkeys(df.metric)), list(dict.fromkeys(zip(df.domain, df.method, strict=True)))
    for i, (domain, method) in enumerate(arms):
        part = df[(df.method == method) & (df.domain == domain)].set_index("metric").loc[names]
        x = np.arange(len(names)) + (i - (len(arms) - 1) / 2) * 0.13
        y = part.r2.clip(lower=floor)
        bars = np.stack(
            [
                (y - part.low.clip(lower=floor)).clip(lower=0).fillna(0),
                (part.high - y).clip(lower=0).where(part.r2 > floor, 0).fillna(0),
            ]
        )
        ax.errorbar(
            x,
            y,
            bars,
            fmt="o" if domain == "target_only" else "x",
            color=colour(method),
            label=f"{method}, {domain.replace('_', ' ')}",
        )
        for xi, value in zip(x, part.r2, strict=True):
            if value < floor:
                ax.annotate(
                    f"{value:.3g}", (xi, floor), (0, 5), textcoords="offset points", rotation=90, fontsize=7, ha="center"
                )
    ax.set_xticks(range(len(names)), names)
    ax.set(ylabel="R² on held-out target designs", ylim=(floor - 0.05, 1.05))
    ax.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1.0))
    return ax


@styled
def predicted(df: pd.DataFrame, columns: list[str], log: list[str]) -> Any:
    """Draw prediction against truth per output for one method."""
    figure, grid = plt.subplots(1, len(columns), figsize=(2.5 * len(columns), 2.7), squeeze=False)
    for ax, name in zip(grid.flat, columns, strict=True):
        part = df[df.metric == name]
        ax.scatter(part.truth, part.prediction, s=6, alpha=0.5, color=colour("target"), linewidths=0)
        lim = [part.truth.min(), part.truth.max()]
        ax.plot(lim, lim, color="0.3", lw=0.8)
        if name in log:
            ax.set(xscale="log", yscale="log")
        ax.set(xlabel=f"true {label(name)}", ylabel="predicted", title=name)
    return figure
