"""Figures of spectra, their noise and what it lets anybody learn."""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from lib.plots import axes, colour, styled

WAVE = "wavelength (Angstrom, air)"


@styled
def spectra(df: pd.DataFrame, features: pd.DataFrame | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw flux against wavelength, one line per `star`; mark `features` (name, wave_aa) along the top."""
    ax = axes(ax, 9, 3.6)
    for star, part in df.groupby("star", sort=False):
        if "noisy" in part:
            ax.plot(part.wave_aa, part.noisy, lw=0.3, alpha=0.35, color=colour(str(star)))
        ax.plot(part.wave_aa, part.flux, lw=0.8, label=star, color=colour(str(star)))
    if features is not None:
        for _, row in features.iterrows():
            ax.axvline(row.wave_aa, color="0.6", lw=0.6, ls=":" if row.kind == "band" else "-", zorder=0)
            ax.annotate(
                row["name"], (row.wave_aa, 1.01), xycoords=("data", "axes fraction"), rotation=90, fontsize=6,
                ha="center", va="bottom", color="0.3",
            )  # fmt: skip
    ax.set(xlabel=WAVE, ylabel="flux / mean flux", xlim=(df.wave_aa.min(), df.wave_aa.max()))
    ax.legend(title=None, loc="lower left")
    return ax


@styled
def sigma(df: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the noise standard deviation against wavelength, one line per magnitude: the spikes are airglow lines."""
    ax = axes(ax, 9, 3.2)
    shades = sns.color_palette("crest", df.magnitude.nunique())
    for shade, (magnitude, part) in zip(shades, df.groupby("magnitude"), strict=True):
        ax.plot(part.wave_aa, part.sigma, lw=0.5, color=shade, label=f"mag {magnitude:g}")
    ax.set(xlabel=WAVE, ylabel="sigma / mean flux", yscale="log", xlim=(df.wave_aa.min(), df.wave_aa.max()))
    ax.legend(title=None, ncols=3, loc="upper left")
    return ax


@styled
def snr(df: pd.DataFrame, quantiles: pd.DataFrame | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw the distribution of S/N; `quantiles` (quantile, snr, reported) marks the reported ones."""
    ax = axes(ax)
    sns.histplot(df, x="snr", bins=40, stat="density", color=colour("source"), ax=ax, label="this run")
    if quantiles is not None:
        marks = quantiles.dropna(subset=["reported"])
        ax.plot(
            marks.reported, [0.0] * len(marks), "v", color=colour("target"), clip_on=False, ms=6, label="reported quantiles"
        )
    ax.set(xlabel="S/N per pixel (median)", ylabel="density")
    ax.legend(title=None)
    return ax


@styled
def ceiling(df: pd.DataFrame, *, label: str = "log_g", reported: pd.DataFrame | None = None, ax: Axes | None = None) -> Axes:
    """Draw the Cramer-Rao ceiling of R2 against S/N: with (solid) and without (dashed) prior, by number of free labels.

    df        rows of `lib.fisher.ceiling_table`;  reported: snr, r2_max, n_parameters of another grid, drawn as points
    """
    ax = axes(ax)
    chosen = df[df.label == label]
    shades = dict(zip(sorted(chosen.n_parameters.unique()), (colour("source"), colour("target"), colour("vit")), strict=False))
    for (count, prior), part in chosen.groupby(["n_parameters", "prior"]):
        part = part.sort_values("snr")
        name = f"{count} labels free, {'with' if prior else 'no'} prior"
        ax.plot(part.snr, part.r2_max, color=shades[count], ls="-" if prior else "--", label=name)
    if reported is not None:
        for count, part in reported.groupby("n_parameters"):
            ax.plot(part.snr, part.r2_max, "o", ms=4, mfc="none", color=shades.get(count), label=f"reported, {count} labels")
    ax.set(xlabel="S/N per pixel (median)", ylabel=f"ceiling of R2 ({label})", xscale="log", ylim=(-0.02, 1.02))
    ax.legend(title=None, fontsize=7)
    return ax
