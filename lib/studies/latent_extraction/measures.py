"""What judges the documents' questions beyond lib.evidence; `predicted` is the frame of predictions of a `Probed`."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F

from lib import denoising
from lib.data.batches import Source
from lib.evidence import Measured, gap, measure, rows_of, score
from lib.latents import FUSED, Cell
from lib.models.blindspot import BlindSpotDenoiser, merge_directions
from lib.studies.latent_extraction.arms import DECODER, GLOBAL, LAST, PRE, SEGMENTS, named


def best_row(table: pd.DataFrame, label: str = "log_g", **where: Any) -> pd.Series:
    """Return the row that is best on the validation rows; it is then read off on the test rows."""
    rows = rows_of(table, {"label": label, "probe": "ridge", **where})
    return rows.loc[rows.val_r2.idxmax()]


def documents(table: pd.DataFrame) -> pd.DataFrame:
    """Return the documents' nine cells: three layers x three poolings."""
    return table[table.layer.isin([PRE, LAST, DECODER]) & table.pooling.isin([GLOBAL, "mean_max", SEGMENTS])]


def variant_cells(table: pd.DataFrame) -> dict[str, Cell]:
    """Return the cells of V0-V5 that the table holds; the middle layer is half of the depth."""
    have = set(zip(table.layer, table.pooling, strict=True))
    middle = f"layer{(sum(name.startswith('layer') for name in table.layer.unique()) + 1) // 2}"
    known = {
        "V0": (LAST, GLOBAL), "V1": (middle, GLOBAL), "V2": (LAST, "mean_max"), "V3": (LAST, SEGMENTS),
        "V4": (LAST, "seg_mean_K16"), "V4_K32": (LAST, "seg_mean_K32"), "V5": FUSED,
    }  # fmt: skip
    return {name: cell for name, cell in known.items() if cell in have}


@measure
def strongest_layer(log_g: pd.DataFrame, table: pd.DataFrame) -> Measured:
    """Return the gain over the last layer of the one that validation chooses among the others, both with segments (Q1)."""
    layer = best_row(table[~table.layer.isin((LAST, DECODER, FUSED[0]))], pooling=SEGMENTS).layer
    return gap(log_g, named((layer, SEGMENTS)), named((LAST, SEGMENTS))).saying(layer=layer)


@measure
def middle_layer(log_g: pd.DataFrame, table: pd.DataFrame) -> Measured:
    """Return the gain of the middle layer over the last under the global mean (Q4: V1 against V0)."""
    cells = variant_cells(table)
    return gap(log_g, named(cells["V1"]), named(cells["V0"])).saying(layer=cells["V1"][0])


@measure
def weaker_label(predicted: pd.DataFrame, labels: Sequence[str] = ("t_eff", "m_h"), **draws: Any) -> Measured:
    """Return the smaller test R2 of some labels under the documents' plain cell (enc_last, global mean); `name` says whose."""
    found = [score(part, named((LAST, GLOBAL)), **draws).saying(name=label) for label, part in _of_labels(predicted, labels)]
    return min(found, key=lambda m: m.value)


@measure
def most_sensitive(predicted: pd.DataFrame, labels: Sequence[str] = ("t_eff", "m_h")) -> Measured:
    """Return what segments change against the global mean of the last layer, for the label that changes most (`name`)."""
    cells = named((LAST, SEGMENTS)), named((LAST, GLOBAL))
    found = [gap(part, *cells).saying(name=label) for label, part in _of_labels(predicted, labels)]
    return max(found, key=lambda m: abs(m.value))


def _of_labels(predicted: pd.DataFrame, labels: Sequence[str]) -> list[tuple[str, pd.DataFrame]]:
    known = [label for label in labels if label in set(predicted.label)]
    return [(label, predicted[predicted.label == label]) for label in known]


@measure
def over_random(log_g: pd.DataFrame) -> Measured:
    """Return the smallest gain of the pretrained encoder over the random ones, at enc_pre_latent + seg_mean_K8."""
    cell, name = (PRE, SEGMENTS), named((PRE, SEGMENTS), "random")
    seeds = rows_of(log_g, name).seed.unique()
    return min((gap(log_g, named(cell), {"arm": name, "seed": seed}) for seed in seeds), key=lambda m: m.value)


@measure
def overfitting(log_g: pd.DataFrame, row: pd.Series, **draws: Any) -> Measured:
    """Return train R2 - test R2 of a cell (a row of the table); the interval is that of the test R2."""
    return score(log_g, named((row.layer, row.pooling)), **draws).mapped(lambda test: row.train_r2 - test)


@measure
def best_layers(recommended: pd.DataFrame, labels: Sequence[str] = ("log_g", "t_eff", "m_h")) -> Measured:
    """Return from how many layers the recommended cells of the documents' labels come, and which for which (Q5)."""
    rows = recommended[recommended.label.isin(labels)]
    return Measured(rows.layer.nunique(), seeds=1).saying(names=", ".join(f"{r.label}: {r.layer}" for r in rows.itertuples()))


@measure
@torch.no_grad()
def decoder_difference(denoiser: BlindSpotDenoiser, source: Source) -> Measured:
    """Return the largest difference between `enc_last` and what the decoder really receives in a forward pass."""
    seen = next(denoising.in_order(source, batch_size=32))
    x = denoising.stack_input(seen.noisy, seen.sigma, denoiser.config)
    heard: list[tuple[torch.Tensor, ...]] = []
    hook = denoiser.decoders_a[0].register_forward_pre_hook(lambda _, inputs: heard.append(inputs))
    denoiser(x)
    hook.remove()
    received = heard[0][1] if len(heard[0]) == 2 else heard[0][0][:, : denoiser.config.embed_dim]
    received = merge_directions(received, "concat")
    expected = denoiser.latents(x, LAST, "concat")
    if received.shape != expected.shape:  # the decoder got it upsampled
        expected = F.interpolate(expected, size=received.shape[-1], mode="nearest")
    return Measured(float((received - expected).abs().max()))
