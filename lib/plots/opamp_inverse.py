"""Figures of inverse design."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lib.plots import axes, colour, styled
from lib.plots.opamp import label

NAMES = {"search": "search", "mdn": "mixture density network", "lookup": "nearest known design",
         "corrected": "search corrected by simulation"}  # fmt: skip


@styled
def shares(df: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw, per method and tolerance, the share of specifications that are met, with its interval."""
    ax = axes(ax)
    methods, tolerances = list(dict.fromkeys(df.method)), sorted(df.tolerance.unique())
    width = 0.8 / len(methods)
    for k, method in enumerate(methods):
        part = df[df.method == method].sort_values("tolerance")
        at = np.arange(len(tolerances)) + (k - (len(methods) - 1) / 2) * width
        error = np.abs(part[["low", "high"]].to_numpy().T - part.met_share.to_numpy())
        ax.bar(at, part.met_share, width, color=colour(method), label=NAMES.get(method, method), yerr=error, capsize=3)
    ax.set_xticks(range(len(tolerances)), [f"all metrics within {t:.0%}" for t in tolerances])
    ax.set(ylim=(0, 1.02), ylabel="share of held-out specifications")
    ax.legend(title=None)
    return ax


@styled
def answered(df: pd.DataFrame, judge: str, log: list[str]) -> Any:
    """Draw, per metric, what the judge measures against what was wanted, beside the surrogate's prediction."""
    names = list(dict.fromkeys(df.metric))
    columns = min(len(names), 3)
    rows = -(-len(names) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(3.6 * columns, 3.2 * rows), squeeze=False)
    part = df[df.method == "search"]
    for ax, name in zip(grid.flat, names, strict=False):
        one = part[part.metric == name].sort_values("wanted")
        ends = np.array([one.wanted.min(), one.wanted.max()])
        ax.fill_between(ends, ends - 0.05 * np.abs(ends), ends + 0.05 * np.abs(ends), color="0.85", label="within 5 %")
        ax.scatter(one.wanted, one.predicted, s=18, facecolors="none", edgecolors=colour("mdn"), label="predicted")
        ax.scatter(one.wanted, one.judged, s=9, color=colour("search"), label=judge.replace("_", " "))
        scale = "log" if name in log and ends[1] > 20 * ends[0] else "linear"  # a narrow logarithmic axis has no room for ticks
        ax.set(xlabel=f"wanted {label(name)}", ylabel="reached", xscale=scale, yscale=scale)
    for ax in list(grid.flat)[len(names) :]:
        ax.set_visible(False)
    grid.flat[0].legend(title=None, fontsize="small")
    return figure


@styled
def front(df: pd.DataFrame, log: list[str], *, ax: Axes | None = None) -> Axes:
    """Draw known designs and the front of two maximised metrics, predicted and judged."""
    ax = axes(ax)
    first, second = (c for c in df.columns if c != "kind")
    known = df[df.kind == "known"]
    ax.scatter(known[first], known[second], s=6, color="0.7", label="known designs")
    judges = [k for k in dict.fromkeys(df.kind) if k not in ("known", "predicted")]
    predicted = df[df.kind == "predicted"].sort_values(first)
    ax.plot(predicted[first], predicted[second], "o-", mfc="none", color=colour("mdn"), label="front, predicted")
    for judge in judges:
        part = df[df.kind == judge]
        ax.scatter(part[first], part[second], s=16, color=colour("search"), label=f"front, {judge.replace('_', ' ')}", zorder=3)
    scales = ["log" if n in log else "linear" for n in (first, second)]
    ax.set(xlabel=label(first), ylabel=label(second), xscale=scales[0], yscale=scales[1])
    ax.legend(title=None)
    return ax


@styled
def traces(df: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the loss of the best and of the median start over Adam's steps, and after both L-BFGS stages."""
    ax = axes(ax)
    middle = df.groupby(["stage", "step"], sort=False)[["best", "median"]].median().reset_index()
    adam = middle[middle.stage == "adam"]
    end = adam.step.max() if len(adam) else 0
    for column, style in (("median", "--"), ("best", "-")):
        ax.plot(adam.step, adam[column].clip(lower=1e-4), style, color=colour("search"), label=f"{column} start")
    for k, stage in enumerate(("lbfgs", "rounded")):
        part = middle[middle.stage == stage]
        at = np.full(len(part), end * (1.05 + 0.06 * k) + k)
        ax.scatter(at, part.best.clip(lower=1e-4), marker="os"[k], color=colour("mdn"), zorder=3,
                   label={"lbfgs": "best after L-BFGS", "rounded": "best, coarse features on the grid"}[stage])  # fmt: skip
    ax.set(xlabel="step of Adam", ylabel="loss (median over specifications)", yscale="log")
    ax.legend(title=None)
    return ax
