"""Figures of the Noise2Noise study."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from lib.plots import CYCLE, axes, styled

CONFIGS = {
    "original": CYCLE[1], "pure_noise2noise": CYCLE[0], "extreme_denoising": CYCLE[2], "progressive": CYCLE[3],
    "no_skip_everywhere": CYCLE[4], "latent_skips": CYCLE[5], "target_skips": CYCLE[6], "mixed_skips": CYCLE[8],
    "pure_long": CYCLE[9], "noisy": CYCLE[7],
}  # fmt: skip
KINDS = ("clean", "noisy", "output", "residual", "noise")
SWEEPS = {
    "noise_sigma": "acquisition noise sigma", "recon": "weight of the recon loss", "content": "weight of the content loss",
    "edge": "weight of the edge loss", "cross": "weight of the cross loss", "latent": "documented latent channels",
}  # fmt: skip


def config_colour(name: str) -> str:
    """Return the colour that a configuration keeps in every figure."""
    return CONFIGS.get(name, CYCLE[7])


@styled
def cross_loss(df: pd.DataFrame, milestones: dict[int, float], floor: float, *, ax: Axes | None = None) -> Axes:
    """Draw the cross loss of training by epoch, the milestones as triangles and the noise floor as a line."""
    ax = axes(ax)
    for name, part in df.groupby("arm", sort=False):
        mean = part.groupby("epoch").train_cross.mean()
        ax.plot(mean.index, mean, color=config_colour(name), marker=".", label=name)
    ax.axhline(floor, color="0.3", lw=0.9, ls="--", label="noise floor")
    ax.plot(list(milestones), list(milestones.values()), "v", color="0.3", mfc="none", label="milestones of the document")
    ax.set(xlabel="epoch", ylabel="cross loss (sum of two L1)", yscale="log")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(fontsize=8)
    return ax


@styled
def psnr_by_epoch(df: pd.DataFrame, noisy_db: float, *, ax: Axes | None = None) -> Axes:
    """Draw the PSNR of the validation cross output by epoch, beside that of the noisy image."""
    ax = axes(ax)
    for name, part in df.groupby("arm", sort=False):
        mean = part.groupby("epoch").val_psnr_db.mean()
        ax.plot(mean.index, mean, color=config_colour(name), marker=".", label=name)
    ax.axhline(noisy_db, color="0.3", lw=0.9, ls="--", label="noisy image")
    ax.set(xlabel="epoch", ylabel="PSNR inside the object (dB)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(fontsize=8)
    return ax


@styled
def content(df: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the content loss and its ratio to the latents' variance by epoch."""
    ax = axes(ax)
    for name, part in df.groupby("arm", sort=False):
        mean = part.groupby("epoch")[["val_content", "val_content_ratio"]].mean()
        ax.plot(mean.index, mean.val_content, color=config_colour(name), label=f"{name}: absolute")
        ax.plot(mean.index, mean.val_content_ratio, color=config_colour(name), ls=":", label=f"{name}: ratio to variance")
    ax.axhline(0.01, color="0.3", lw=0.9, ls="--")
    ax.set(xlabel="epoch", ylabel="content loss", yscale="log")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(fontsize=8)
    return ax


def _shrink(names: list[str], width: float, height: float) -> tuple[float, float]:
    """Return the size of a grid of images, inches; more than four rows share the area of four, so that a page stays light."""
    factor = min(1.0, (4 / len(names)) ** 0.5)
    return factor * width, factor * height


@styled
def gallery(df: pd.DataFrame, *, path: str = "cross", domain: str = "a", noise: float = 0.1) -> Any:
    """Draw clean, noisy, output, residual and the target's noise, one row per configuration; a leak shows as equal panels."""
    part = df[(df.path == path) & (df.domain == domain)]
    names = list(dict.fromkeys(part.arm))
    size = _shrink(names, 8.4, 2.05 * len(names))
    figure, grid = plt.subplots(len(names), len(KINDS), figsize=size, squeeze=False)
    for row, name in zip(grid, names, strict=True):
        for ax, kind in zip(row, KINDS, strict=True):
            image = part[(part.arm == name) & (part.kind == kind)].image.iloc[0]
            signed = kind in ("residual", "noise")
            limits = (
                {"vmin": -3 * noise, "vmax": 3 * noise, "cmap": "RdBu_r"}
                if signed
                else {"vmin": 0, "vmax": 1.1, "cmap": "gray"}
            )
            ax.imshow(image, **limits)
            ax.set(xticks=[], yticks=[])
            ax.grid(False)
        row[0].set_ylabel(name, fontsize=8 if len(names) <= 4 else 6)
    for ax, kind in zip(grid[0], ("clean", "noisy target", "output", "output - clean", "target - clean"), strict=True):
        ax.set_title(kind, fontsize=9)
    return figure


@styled
def by_epoch(df: pd.DataFrame) -> Any:
    """Draw the cross output of one validation slice after some epochs, one row per configuration."""
    names, epochs = list(dict.fromkeys(df.arm)), list(dict.fromkeys(df.epoch))
    size = _shrink(names, 1.35 * len(epochs) + 0.4, 1.75 * len(names))
    figure, grid = plt.subplots(len(names), len(epochs), figsize=size, squeeze=False)
    for row, name in zip(grid, names, strict=True):
        for ax, epoch in zip(row, epochs, strict=True):
            found = df[(df.arm == name) & (df.epoch == epoch)]
            ax.set(xticks=[], yticks=[])
            ax.grid(False)
            if found.empty:
                ax.set_visible(False)
                continue
            ax.imshow(found.image.iloc[0], cmap="gray", vmin=0, vmax=1.1)
        row[0].set_ylabel(name, fontsize=8 if len(names) <= 4 else 6)
    for ax, epoch in zip(grid[0], epochs, strict=True):
        ax.set_title({0: "clean", -1: "noisy"}.get(epoch, f"epoch {epoch}"), fontsize=8)
    return figure


@styled
def scores(df: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the PSNR of every method and path; hatched bars are same-domain outputs, the line is the noisy image."""
    ax = axes(ax, 7, 0.34 * len(df) + 1)
    names = [f"{m} ({p})" if p in ("cross", "same") else m for m, p in zip(df.method, df.path, strict=True)]
    bars = ax.barh(range(len(df)), df.psnr_db, color=[config_colour(m) for m in df.method])
    for bar, path in zip(bars, df.path, strict=True):
        bar.set_hatch("//" if path == "same" else "")
    ax.axvline(df.psnr_db.iloc[0], color="0.3", lw=0.9, ls="--")
    ax.set_yticks(range(len(df)), names)
    ax.invert_yaxis()
    ax.set(xlabel="PSNR inside the object (dB)", ylabel="")
    return ax


@styled
def floors(df: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the held-out cross loss less its noise floor with a 95% interval; left of zero means leakage."""
    ax = axes(ax, 6.4, 0.45 * len(df) + 1)
    for i, row in enumerate(df.itertuples()):
        spread = [[row.difference - row.low], [row.high - row.difference]]
        ax.errorbar(row.difference, i, xerr=np.abs(spread), fmt="o", color=config_colour(row.config))
    ax.axvline(0, color="0.3", lw=0.9, ls="--")
    ax.set_yticks(range(len(df)), df.config)
    ax.invert_yaxis()
    ax.set(xlabel="held-out cross loss - noise floor", ylabel="")
    return ax


@styled
def sweeps(df: pd.DataFrame) -> Any:
    """Draw PSNR, leak and detail over every swept setting, one column per sweep; the dashes are the noisy image."""
    names = list(dict.fromkeys(df.sweep))
    figure, grid = plt.subplots(3, len(names), figsize=(2.6 * len(names) + 0.6, 6.2), squeeze=False, sharex="col")
    for column, sweep in zip(grid.T, names, strict=True):
        for name, part in df[df.sweep == sweep].groupby("config", sort=False):
            for ax, score in zip(column, ("psnr_db", "leak", "detail"), strict=True):
                ax.plot(part.value, part[score], "o-", color=config_colour(name), label=name)
        column[0].plot(part.value, part.noisy_psnr_db, "--", color="0.3", lw=0.9, label="noisy image")
        column[2].set_xlabel(SWEEPS[sweep])
    for ax, label in zip(grid[:, 0], ("PSNR (dB)", "leak", "detail kept"), strict=True):
        ax.set_ylabel(label)
    grid[0, 0].legend(fontsize=7)
    return figure
