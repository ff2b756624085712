"""Figures of the op-amp study."""

from itertools import product
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from lib.plots import CYCLE, axes, colour, styled

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
        ax.xaxis.set_minor_formatter(NullFormatter())  # within a decade its labels would overlap
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
def methods(df: pd.DataFrame, *, ceiling: float = 2.0, ax: Axes | None = None) -> Axes:
    """Draw every arm's unexplained variance 1 - R2, averaged over the outputs, with its interval; smaller is better."""
    ax = axes(ax, 8, 0.27 * len(df) + 1.2)
    df = df.sort_values("average")
    for y, row in enumerate(df.itertuples()):
        value = min(1 - row.average, ceiling)
        low, high = (np.clip(1 - np.array([row.average_high, row.average_low], float), 1e-3, ceiling)).tolist()
        ax.plot([low, high], [y, y], color=colour(row.domain), lw=1.5, alpha=0.6)
        ax.plot(value, y, "o", color=colour(row.domain))
        if 1 - row.average > ceiling:
            ax.annotate(f"{1 - row.average:.3g}", (value, y), (-6, 0), textcoords="offset points", ha="right", va="center")
    names = [" · ".join(filter(None, (r.method, r.features, r.recipe))) for r in df.itertuples()]
    ax.set_yticks(range(len(df)), [n.replace("_", " ") for n in names])
    for domain in dict.fromkeys(df.domain):
        ax.plot([], [], "o", color=colour(domain), label=domain.replace("_", " "))
    ax.set(xscale="log", xlabel="1 - R², mean over the outputs, held-out target designs")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3)
    return ax


@styled
def outputs(df: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw 1 - R2 per output for some arms, with intervals; rows of `score_table`."""
    ax = axes(ax, 9, 4)
    names, arms = list(dict.fromkeys(df.metric)), list(dict.fromkeys(zip(df.domain, df.method, df.features, strict=True)))
    for i, (domain, method, features) in enumerate(arms):
        part = df[(df.method == method) & (df.domain == domain) & (df.features == features)].set_index("metric").loc[names]
        x = np.arange(len(names)) + (i - (len(arms) - 1) / 2) * 0.7 / len(arms)
        low, high = (1 - part.high.astype(float)).clip(lower=1e-5), (1 - part.low.astype(float)).clip(lower=1e-5)
        ax.vlines(x, low, high, color=CYCLE[i % len(CYCLE)], alpha=0.6)
        ax.plot(x, 1 - part.r2, "o", color=CYCLE[i % len(CYCLE)], label=f"{method}, {features}".replace("_", " "))
    ax.set_xticks(range(len(names)), names)
    ax.set(ylabel="1 - R² on held-out target designs", yscale="log")
    ax.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0))
    return ax


@styled
def budget(df: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw 1 - R2 of the first outputs against the number of target labels; target-only methods dashed."""
    ax = axes(ax, 8, 4.2)
    for i, ((method, domain), part) in enumerate(df.groupby(["method", "domain"], sort=False)):
        style = "--" if domain == "target_only" else "-"
        ax.plot(
            part.labels, 1 - part["first"], style, marker="o", color=CYCLE[i], label=f"{method}, {domain}".replace("_", " ")
        )
        low, high = ((1 - part[k].astype(float)).clip(lower=1e-3) for k in ("high", "low"))
        ax.vlines(part.labels * (1 + 0.015 * i), low, high, color=CYCLE[i], alpha=0.4)
    ax.set(xscale="log", yscale="log", xlabel="target labels", ylabel="1 - R², mean over all outputs but the cmrr")
    ax.set_xticks(sorted(df.labels.unique()), [str(n) for n in sorted(df.labels.unique())])
    ax.minorticks_off()
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2)
    return ax


@styled
def stages(df: pd.DataFrame) -> Any:
    """Draw the loss curves of each stage, one panel each: mean over networks of training and validation loss."""
    names = list(dict.fromkeys(df.stage))
    figure, grid = plt.subplots(1, len(names), figsize=(2.7 * len(names), 2.7), squeeze=False)
    for ax, name in zip(grid.flat, names, strict=True):
        part = df[df.stage == name].groupby("epoch")[["train", "val"]].mean()
        ax.plot(part.index, part.train, ".-", color=colour("source"), label="training")
        ax.plot(part.index, part.val, ".-", color=colour("target"), label="validation")
        ax.set(title=name, xlabel="epoch", ylabel="loss", yscale="log")
    grid.flat[0].legend()
    figure.tight_layout()
    return figure


@styled
def sweep(df: pd.DataFrame) -> Any:
    """Draw validation likelihood, R2 and the loss's largest rise at each swept value, every split seed a thin line."""
    labels = {"nll": "NLL (nats per value)", "r2": "R² (scaled)", "rise": "largest rise of the loss"}
    names = list(dict.fromkeys(df.parameter))
    figure, grid = plt.subplots(len(names), len(labels), figsize=(9, 2.4 * len(names)), squeeze=False)
    for (i, name), (j, column) in product(enumerate(names), enumerate(labels)):
        ax, part = grid[i, j], df[df.parameter == name].pivot(index="value", columns="seed", values=column)
        places = range(len(part))
        ax.plot(places, part, color="0.7", lw=0.8)
        ax.plot(places, part.mean(axis=1), "o-", color=colour("target"))
        ax.set(xlabel=name, ylabel=labels[column], xticks=places, xticklabels=[f"{v:g}" for v in part.index])
    figure.tight_layout()
    return figure


@styled
def coverage(df: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the coverage of the 90 % interval per output before and after calibration; rows of `calibration_table`."""
    ax = axes(ax, 8, 3.8)
    names, arms = list(dict.fromkeys(df.metric)), list(dict.fromkeys(df.method))
    for i, method in enumerate(arms):
        part = df[df.method == method].groupby("metric")[["cover_90_raw", "cover_90"]].mean().loc[names]
        x = np.arange(len(names)) + (i - (len(arms) - 1) / 2) * 0.14
        ax.vlines(x, part.cover_90_raw, part.cover_90, color=CYCLE[i % len(CYCLE)], alpha=0.4)
        ax.plot(x, part.cover_90_raw, "o", mfc="none", color=CYCLE[i % len(CYCLE)])
        ax.plot(x, part.cover_90, "o", color=CYCLE[i % len(CYCLE)], label=method.replace("_", " "))
    ax.axhspan(0.85, 0.95, color="0.9", zorder=0)
    ax.set_xticks(range(len(names)), names)
    ax.set(ylabel="coverage of the 90 % interval (open: before)")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3)
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
