"""Figures of `mlp_head`: how the head learns, and what it gains over Ridge."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lib.plots import CYCLE, axes, colour, styled


@styled
def history(df: pd.DataFrame, ridge_r2: float, *, reported: pd.DataFrame | None = None, ax: Axes | None = None) -> Axes:
    """Draw validation R2 by epoch, one line per head, with Ridge's value on the same rows."""
    ax = axes(ax, 7, 3.6)
    for i, (name, part) in enumerate(df.groupby("arm", sort=False)):
        shade = colour("mlp") if name == "mlp" else CYCLE[(i + 2) % len(CYCLE)]
        ax.plot(part.epoch, part.val_r2, marker="o", ms=2.5, lw=1.6 if name == "mlp" else 0.8, color=shade, label=name)
    ax.axhline(ridge_r2, color=colour("ridge"), ls="--", lw=1, label="Ridge, same rows")
    if reported is not None:
        ax.plot(reported.epoch, reported.reported_val_r2, "D", ms=3, mfc="none", color="0.2", label="reported (BOSZ)")
    low = df[df.epoch > 0].val_r2.min() if (df.epoch > 0).any() else 0
    ax.set(xlabel="epoch", ylabel="validation R² of log g", ylim=(max(-0.3, min(0, low)), 1.0))
    ax.legend(ncols=2, fontsize=7)
    return ax


@styled
def methods(df: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw test R2 of every head with its interval, best on top."""
    df = df.sort_values("test_r2")
    ax = axes(ax, 7, 0.8 + 0.3 * len(df))
    bars = np.abs(np.stack([df.test_r2 - df.test_r2_low, df.test_r2_high - df.test_r2]))
    for y, (x, bar, name) in enumerate(zip(df.test_r2, bars.T, df.method, strict=True)):
        ax.errorbar(x, y, xerr=bar[:, None], fmt="o", ms=4, color=colour(name))
    ax.set_yticks(range(len(df)), df.method)
    ax.set(xlabel="test R² of log g", ylabel="")
    return ax


@styled
def cells(df: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw Ridge and MLP test R2 side by side for every layer x pooling."""
    ax = axes(ax, 8, 3.6)
    x = np.arange(len(df))
    ax.bar(x - 0.2, df.ridge_r2, 0.38, color=colour("ridge"), label="Ridge")
    if "mlp_r2" in df:
        ax.bar(x + 0.2, df.mlp_r2, 0.38, color=colour("mlp"), label="MLP head")
    ax.set_xticks(x, df.layer + "\n" + df.pooling, fontsize=7)
    ax.set(xlabel="", ylabel="test R² of log g")
    ax.legend()
    return ax


@styled
def predicted(df: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw prediction against truth on the test stars for Ridge and the head."""
    ax = axes(ax, 4.6, 4.2)
    for name in ("ridge", "mlp"):
        ax.scatter(df.truth, df[name], s=5, alpha=0.35, lw=0, color=colour(name), label=name)
    lim = [df.truth.min(), df.truth.max()]
    ax.plot(lim, lim, color="0.2", lw=0.8)
    ax.set(xlabel="true log g (dex)", ylabel="predicted log g (dex)")
    ax.legend(markerscale=3)
    return ax
