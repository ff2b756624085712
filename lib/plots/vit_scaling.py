"""Figures of the study `vit_scaling`: DataFrame -> Axes, chart text in English."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from lib.plots import axes as new_axes
from lib.plots import colour, styled

NAMES = {"vit": "ViT", "lightgbm": "LightGBM", "ridge": "Ridge"}
LINES = {"fixed": "-", "fresh": "--"}


@styled
def scaling_curves(ladder: pd.DataFrame, *, ceiling: float | None = None, ax: Axes | None = None) -> Axes:
    """Draw R2 against training size per model; ladder: model, protocol, n_train, r2, low, high. Dashed: fresh noise."""
    ax = new_axes(ax)
    for (model, protocol), part in ladder.groupby(["model", "protocol"]):
        part = part.drop_duplicates("n_train").sort_values("n_train")
        errors = np.clip([part.r2 - part.low, part.high - part.r2], 0, None)
        label = f"{NAMES[model]}, {protocol} noise"
        ax.errorbar(part.n_train, part.r2, errors, fmt="o", ls=LINES[protocol], color=colour(model), label=label,
                    mfc=colour(model) if protocol == "fixed" else "white", capsize=2)  # fmt: skip
    if ceiling is not None and np.isfinite(ceiling):
        ax.axhline(ceiling, color=colour("ceiling"), ls=":", label="Cramer-Rao ceiling")
    ax.set(xscale="log", xlabel="training spectra n", ylabel="$R^2$ (test)")
    ax.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.01, 1))
    return ax


@styled
def reported_scaling(curves: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the reported curves (public logs, BOSZ spectra); curves: model, n_train, r2."""
    ax = new_axes(ax)
    for model, part in curves.groupby("model"):
        ax.plot(part.n_train, part.r2, "s-", color=colour(model), label=f"{NAMES[model]}, reported")
    ax.set(xscale="log", xlabel="training spectra n", ylabel="$R^2$ (reported, BOSZ)")
    ax.legend(fontsize="small")
    return ax


@styled
def snr_bins(bins: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw R2 and the ceiling against the median SNR of quantile bins; bins: snr, model, r2, low, high, ceiling."""
    ax = new_axes(ax)
    for model, part in bins.groupby("model"):
        errors = np.clip([part.r2 - part.low, part.high - part.r2], 0, None)
        ax.errorbar(part.snr, part.r2, errors, fmt="o-", color=colour(model), label=NAMES[model], capsize=2)
    top = bins.drop_duplicates("bin")
    ax.plot(top.snr, top.ceiling, ":", color=colour("ceiling"), label="Cramer-Rao ceiling")
    ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    ax.set(xlabel="median S/N of the bin", ylabel="$R^2$ within the bin")
    ax.legend(fontsize="small")
    return ax


@styled
def ablations(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw each arm's gain of R2 over Run 1 with its paired interval; table: arm, gain, gain_low, gain_high."""
    part = table[table.arm != "run_1"].sort_values("gain")
    ax = new_axes(ax, 6.4, 1.2 + 0.28 * len(part))
    errors = np.clip([part.gain - part.gain_low, part.gain_high - part.gain], 0, None)
    ax.errorbar(part.gain, part.arm, xerr=errors, fmt="o", color=colour("vit"), capsize=2)
    ax.axvline(0, color="0.6", lw=0.8, zorder=0)
    ax.set(xlabel="$R^2$ minus $R^2$ of Run 1", ylabel="")
    return ax


@styled
def training_curves(history: pd.DataFrame, *, axes: Sequence[Axes] | None = None) -> np.ndarray:
    """Draw training loss, validation R2 and MAE by epoch and arm; history: arm, epoch, train_loss, val_r2, val_mae."""
    axes = plt.subplots(1, 3, figsize=(10.5, 3), layout="constrained")[1] if axes is None else np.asarray(axes)
    names = (("train_loss", "training loss"), ("val_r2", "$R^2$ (validation)"), ("val_mae", "MAE (validation, dex)"))
    for ax, (column, label) in zip(axes, names, strict=True):
        for arm, part in history.groupby("arm", sort=False):
            ax.plot(part.epoch, part[column], "o-", ms=3, label=arm)
        ax.set(xlabel="epoch", ylabel=label)
    axes[0].legend(fontsize="small")
    return axes


@styled
def noise_sweep(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw R2 against the factor on sigma; table: noise_level, r2, low, high."""
    ax = new_axes(ax)
    part = table.sort_values("noise_level")
    errors = np.clip([part.r2 - part.low, part.high - part.r2], 0, None)
    ax.errorbar(part.noise_level, part.r2, errors, fmt="o-", color=colour("vit"), capsize=2)
    ax.set(xlabel="noise level (factor on $\\sigma$)", ylabel="$R^2$ (test)")
    return ax


@styled
def label_cells(cells: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw R2 per cell of effective temperature and metallicity; cells: t_eff, m_h, r2."""
    ax = new_axes(ax)
    grid = cells.assign(t_eff=cells.t_eff.round(-1).astype(int), m_h=cells.m_h.round(2)).pivot(
        index="m_h", columns="t_eff", values="r2"
    )
    sns.heatmap(grid.sort_index(ascending=False), annot=True, fmt=".2f", cmap="viridis", ax=ax, cbar_kws={"label": "$R^2$"})
    ax.set(xlabel="$T_\\mathrm{eff}$ (K)", ylabel="[M/H]")
    return ax


@styled
def attention_over_wavelength(
    frame: pd.DataFrame, spectrum: pd.DataFrame, features: Sequence[tuple[str, float]], *, ax: Axes | None = None
) -> Axes:
    """Draw attention per layer over wavelength above a mean spectrum, gravity-sensitive features marked.

    frame: wave_aa, layer, attention (1 = uniform);  spectrum: wave_aa, flux;  features: (name, Angstrom)
    """
    ax = new_axes(ax, 9, 3.4)
    shades = sns.color_palette("viridis", frame.layer.nunique())
    for shade, (layer, part) in zip(shades, frame.groupby("layer"), strict=True):
        ax.step(part.wave_aa, part.attention, where="mid", color=shade, label=f"layer {layer}")
    behind = ax.twinx()
    behind.plot(spectrum.wave_aa, spectrum.flux, color="0.7", lw=0.6, zorder=0)
    behind.set_ylabel("mean flux", color="0.5")
    _mark(ax, features)
    ax.set(xlabel="wavelength (Angstrom)", ylabel="attention / uniform")
    ax.legend(fontsize="small", loc="lower left")
    return ax


@styled
def residuals(truth: np.ndarray, pred: np.ndarray, *, ax: Axes | None = None) -> Axes:
    """Draw predicted against true log g (n,), dex."""
    ax = new_axes(ax, 4.2, 4)
    ax.plot(truth, pred, ".", ms=2, alpha=0.4, color=colour("vit"), rasterized=True)
    ends = [float(min(truth.min(), pred.min())), float(max(truth.max(), pred.max()))]
    ax.plot(ends, ends, color="0.5", lw=0.8)
    ax.set(xlabel="true $\\log g$ (dex)", ylabel="predicted $\\log g$ (dex)")
    return ax


@styled
def coverage(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw reached against nominal coverage of the sigma head; table: nominal, raw, rescaled."""
    ax = new_axes(ax, 4.2, 4)
    for column, style in (("raw", "o-"), ("rescaled", "s--")):
        ax.plot(table.nominal, table[column], style, label=column)
    ax.plot([0.4, 1], [0.4, 1], color="0.6", lw=0.8)
    ax.set(xlabel="nominal coverage", ylabel="reached coverage")
    ax.legend(fontsize="small")
    return ax


@styled
def example(spectrum: pd.DataFrame, features: Sequence[tuple[str, float]], *, ax: Axes | None = None) -> Axes:
    """Draw one spectrum with and without noise, features marked; spectrum: wave_aa, flux, noisy."""
    ax = new_axes(ax, 9, 3.2)
    ax.plot(spectrum.wave_aa, spectrum.noisy, color="0.75", lw=0.6, label="noisy")
    ax.plot(spectrum.wave_aa, spectrum.flux, color=colour("vit"), lw=1, label="noiseless")
    _mark(ax, features)
    ax.set(xlabel="wavelength (Angstrom)", ylabel="flux / mean flux")
    ax.legend(fontsize="small", loc="lower left")
    return ax


def _mark(ax: Axes, features: Sequence[tuple[str, float]]) -> None:
    top = ax.get_ylim()[1]
    for name, wave in features:
        ax.axvline(wave, color="0.4", lw=0.8, ls=":")
        ax.annotate(name, (wave, top), rotation=90, fontsize=7, ha="right", va="top")
