"""Figures of `latent_extraction`: what the denoiser removes, and where in it log g can be read."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.plots import CYCLE, axes, colour, styled

POOLINGS = {
    "global_mean": CYCLE[7], "mean_max": CYCLE[4], "seg_mean_K8": CYCLE[0], "seg_mean_K16": CYCLE[5], "seg_mean_K32": CYCLE[3],
}  # fmt: skip
CA_TRIPLET_AA = (8498.02, 8542.09, 8662.14)  # air, NIST Atomic Spectra Database
R2_LOG_G = "test R² of log g"


def whiskers(df: pd.DataFrame, value: str = "test_r2") -> np.ndarray:
    """Return the distances from a value to its interval, (2, n), as errorbar wants them."""
    return np.abs(np.stack([df[value] - df[f"{value}_low"], df[f"{value}_high"] - df[value]]))


@styled
def history(df: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the training and validation loss by epoch."""
    ax = axes(ax)
    for name, shade in (("train_loss", CYCLE[0]), ("val_loss", CYCLE[1])):
        ax.plot(df.epoch + 1, df[name], marker="o", ms=3, color=shade, label=name.split("_")[0])
    ax.set(xlabel="epoch", ylabel="loss (nats per pixel)")
    ax.legend()
    return ax


@styled
def denoised(df: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw one spectrum at the Ca II triplet: noisy, noiseless, prior mean, and posterior with its spread."""
    ax = axes(ax, 9, 3.6)
    ax.plot(df.wave_aa, df.noisy, lw=0.5, color="0.7", label="noisy")
    ax.fill_between(df.wave_aa, df.posterior - df.sd, df.posterior + df.sd, color=CYCLE[0], alpha=0.2, lw=0)
    ax.plot(df.wave_aa, df.mu, lw=0.8, color=CYCLE[1], label="mu (own pixel unseen)")
    ax.plot(df.wave_aa, df.posterior, lw=0.9, color=CYCLE[0], label="posterior")
    ax.plot(df.wave_aa, df.clean, lw=0.9, color="0.1", ls="--", label="noiseless")
    for line in CA_TRIPLET_AA:
        if df.wave_aa.min() < line < df.wave_aa.max():
            ax.axvline(line, color="0.6", lw=0.6, ls=":")
    ax.set(xlabel="wavelength (Angstrom, air)", ylabel="flux / mean flux", xlim=(df.wave_aa.min(), df.wave_aa.max()))
    ax.legend(ncols=2)
    return ax


@styled
def cells(df: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw test R2 of layer x pooling with intervals, the documents' value beside it where they give one."""
    ax = axes(ax, 8, 3.8)
    layers = list(dict.fromkeys(df.layer))
    poolings = list(dict.fromkeys(df.pooling))
    for i, pooling in enumerate(poolings):
        part = df[df.pooling == pooling]
        x = part.layer.map(layers.index) + (i - (len(poolings) - 1) / 2) * 0.8 / len(poolings)
        shade = POOLINGS.get(pooling, "0.3")
        ax.bar(x, part.test_r2, 0.75 / len(poolings), yerr=whiskers(part), color=shade, label=pooling, error_kw={"lw": 0.8})
        if "reported_r2" in part:
            ax.plot(x, part.reported_r2, "D", ms=4, mfc="none", color="0.1", label="reported" if i == 0 else None)
    ax.set_xticks(range(len(layers)), layers)
    ax.set(xlabel="", ylabel=R2_LOG_G)
    ax.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1.0))
    return ax


@styled
def curves(df: pd.DataFrame, *, ceiling: float | None = None, ax: Axes | None = None) -> Axes:
    """Draw test R2 of one label by layer, one line per pooling, with intervals and the Cramer-Rao ceiling."""
    ax = axes(ax, 7.5, 3.8)
    for pooling, part in df.groupby("pooling", sort=False):
        ax.errorbar(
            part.stage, part.test_r2, whiskers(part), marker="o", ms=3, color=POOLINGS.get(str(pooling), "0.3"), label=pooling
        )
    if ceiling is not None:
        ax.axhline(ceiling, color=colour("ceiling"), ls="--", lw=1, label="Cramer-Rao ceiling")
    names = df.drop_duplicates("stage").sort_values("stage")
    ax.set_xticks(names.stage, names.layer, rotation=20)
    ax.set(xlabel="layer", ylabel=R2_LOG_G)
    ax.legend(ncols=2)
    return ax


@styled
def labels(df: pd.DataFrame, ceilings: pd.DataFrame) -> Figure:
    """Draw test R2 by layer for every label, one panel each, with its ceiling."""
    names = list(dict.fromkeys(df.label))
    figure, grid = plt.subplots(1, len(names), figsize=(2.3 * len(names), 2.9), sharey=True, squeeze=False)
    known = dict(zip(ceilings.label, ceilings.r2_max, strict=True))
    for ax, name in zip(grid.flat, names, strict=True):
        for pooling, part in df[df.label == name].groupby("pooling", sort=False):
            ax.plot(part.stage, part.test_r2, marker="o", ms=3, color=POOLINGS.get(str(pooling), "0.3"), label=pooling)
        if name in known:
            ax.axhline(known[name], color=colour("ceiling"), ls="--", lw=1, label="Cramer-Rao ceiling")
        ax.set(title=name, xlabel="layer", ylabel="test R²" if ax is grid.flat[0] else "")
    grid.flat[0].set_ylim(max(-0.2, grid.flat[0].get_ylim()[0]), 1.05)
    grid.flat[-1].legend(fontsize=6)
    return figure


@styled
def flow(df: pd.DataFrame, *, ceiling: float | None = None, ax: Axes | None = None) -> Axes:
    """Draw the information flow: test R2 of log g from the noisy flux through the layers, with intervals."""
    ax = axes(ax, 8, 3.4)
    y = np.arange(len(df))
    shades = [CYCLE[8] if stage == "raw_flux" else CYCLE[0] for stage in df.stage]
    ax.bar(y, df.test_r2, yerr=whiskers(df), color=shades, width=0.7, error_kw={"lw": 0.8})
    for i in range(len(df) - 1):
        ax.annotate("", (i + 0.62, 0.02), (i + 0.38, 0.02), arrowprops={"arrowstyle": "->", "lw": 0.8})
    if ceiling is not None:
        ax.axhline(ceiling, color=colour("ceiling"), ls="--", lw=1, label="Cramer-Rao ceiling")
        ax.legend()
    ax.set_xticks(y, df.stage, rotation=20)
    ax.set(xlabel="", ylabel=R2_LOG_G, ylim=(min(0, df.test_r2.min()), 1.05))
    return ax


@styled
def arms(df: pd.DataFrame, *, ceiling: float | None = None, ax: Axes | None = None) -> Axes:
    """Draw test R2 of every arm with its interval, best on top."""
    df = df.sort_values("test_r2")
    ax = axes(ax, 7.5, 0.6 + 0.27 * len(df))
    ax.errorbar(df.test_r2, range(len(df)), xerr=whiskers(df), fmt="o", ms=4, color=CYCLE[0])
    if ceiling is not None:
        ax.axvline(ceiling, color=colour("ceiling"), ls="--", lw=1, label="Cramer-Rao ceiling")
        ax.legend(loc="lower right")
    ax.axvline(0, color="0.6", lw=0.6)
    ax.set_yticks(range(len(df)), df.name)
    ax.set(xlabel=R2_LOG_G, ylabel="", xlim=(max(-0.3, df.test_r2.min() - 0.1), 1.05))
    return ax


@styled
def occlusion(df: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw what hiding each wavelength segment costs, with the Ca II triplet marked."""
    ax = axes(ax, 8, 3.2)
    centre, width = (df.wave_low_aa + df.wave_high_aa) / 2, df.wave_high_aa - df.wave_low_aa
    ax.bar(centre, df.loss, width * 0.95, yerr=whiskers(df, "loss"), color=CYCLE[5], error_kw={"lw": 0.8})
    for line in CA_TRIPLET_AA:
        if df.wave_low_aa.min() < line < df.wave_high_aa.max():
            ax.axvline(line, color="0.4", lw=0.8, ls=":")
    ax.axhline(0, color="0.3", lw=0.6)
    ax.set(xlabel="hidden segment: wavelength (Angstrom, air)", ylabel="loss of test R² of log g")
    return ax
