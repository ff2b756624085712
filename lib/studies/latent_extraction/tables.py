"""From long results to the tables and frames that the report shows; intervals are 95 %."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lib.data.batches import Source
from lib.denoising import denoise, in_order
from lib.evidence import gap, rows_of, score
from lib.latents import FUSED, Cell
from lib.models.blindspot import BlindSpotDenoiser
from lib.studies.latent_extraction.arms import DECODER, GLOBAL, LAST, MEAN_MAX, PRE, SEGMENTS, named
from lib.studies.latent_extraction.measures import best_row, variant_cells

INTERVAL = ["test_r2", "test_r2_low", "test_r2_high"]
SCORES = ["dim", "train_r2", "val_r2", *INTERVAL, "test_mae", "test_rmse"]
EFFECTS = {  # what is changed: (both cells, where the documents report the gain in percent)
    "layer_only": ((PRE, SEGMENTS), (LAST, SEGMENTS), "layer_gain_pct"),
    "pooling_only": ((PRE, SEGMENTS), (PRE, GLOBAL), "pooling_gain_pct"),
    "mean_max_only": ((PRE, MEAN_MAX), (PRE, GLOBAL), "mean_max_gain_pct"),
    "both": ((PRE, SEGMENTS), (LAST, GLOBAL), "both_gain_pct"),
}


def layer_pooling(table: pd.DataFrame, reported: Sequence[Sequence[Any]] = ()) -> pd.DataFrame:
    """Return layer x pooling for log g by Ridge, beside the documents' test R2 (rows: layer, pooling, dim, train R2, test R2)."""
    rows = rows_of(table, {"label": "log_g", "probe": "ridge"})[["layer", "pooling", *SCORES]].reset_index(drop=True)
    known = {(row[0], row[1]): row[4] for row in reported}
    found = [known.get(cell, np.nan) for cell in zip(rows.layer, rows.pooling, strict=True)]
    return rows.assign(reported_r2=found) if reported else rows


def variants(table: pd.DataFrame, trees: pd.DataFrame) -> pd.DataFrame:
    """Return the documents' variants V0-V5 with their Ridge scores and LightGBM's test R2."""
    cells = variant_cells(table)
    ridge = layer_pooling(table).set_index(["layer", "pooling"])
    boosted = rows_of(trees, {"label": "log_g"}).set_index(["layer", "pooling"]).test_r2
    rows = [{"variant": name, "layer": c[0], "pooling": c[1], **ridge.loc[c].to_dict()} for name, c in cells.items()]
    return pd.DataFrame(rows).astype({"dim": int}).assign(lightgbm_r2=[boosted.get(c, np.nan) for c in cells.values()])


def compare(log_g: pd.DataFrame, better: Cell, baseline: Cell) -> dict[str, Any]:
    """Return R2 of two cells, the gain with its paired interval, and the gain in percent of the baseline."""
    found, base = gap(log_g, named(better), named(baseline)), score(log_g, named(baseline), n=2).value
    return {
        "better": "/".join(better), "baseline": "/".join(baseline), "baseline_r2": base, "better_r2": base + found.value,
        "gain": found.value, "gain_low": found.low, "gain_high": found.high, "gain_pct": 100 * found.value / base if base > 0 else np.nan,
    }  # fmt: skip


def decomposition(log_g: pd.DataFrame, reported: dict[str, Any]) -> pd.DataFrame:
    """Return what changing the layer, the pooling, or both gives, beside the documents' gains in percent."""
    rows = [
        {"effect": name, **compare(log_g, *cells), "reported_gain_pct": reported[path]}
        for name, (*cells, path) in EFFECTS.items()
    ]
    return pd.DataFrame(rows)


def questions(log_g: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Answer Q1-Q4 by paired gains on log g; Q5 by whether the best cell differs between labels."""
    cells, own = variant_cells(table), recommended(table)
    pairs = {
        "Q1": ((best_row(table, pooling=SEGMENTS).layer, SEGMENTS), (LAST, SEGMENTS)), "Q2": (cells["V2"], cells["V0"]),
        "Q3": (cells["V3"], cells["V0"]), "Q4": (cells["V1"], cells["V0"]),
    }  # fmt: skip
    rows = [{"question": name, **compare(log_g, *pair)} for name, pair in pairs.items()]
    for row in rows:
        row["answer"] = "yes" if row["gain_low"] > 0 else "no" if row["gain_high"] < 0 else "unclear"
    gravity, rest = own[own.label == "log_g"].iloc[0], own[own.label != "log_g"]
    other = rest.iloc[0] if len(rest) else gravity
    last = compare(log_g, (gravity.layer, gravity.pooling), (other.layer, other.pooling))
    return pd.DataFrame([*rows, {"question": "Q5", **last, "answer": "no" if own.layer.nunique() > 1 else "yes"}])


def recommended(table: pd.DataFrame) -> pd.DataFrame:
    """Return the cell to use for each label: the smallest within 0.01 of the best validation R2."""
    rows = []
    for label in dict.fromkeys(table.label):
        of_label = rows_of(table, {"label": label, "probe": "ridge"})
        near = of_label[of_label.val_r2 >= of_label.val_r2.max() - 0.01]
        rows.append(near.sort_values(["dim", "val_r2"], ascending=[True, False]).iloc[0])
    return pd.DataFrame(rows)[["label", "layer", "pooling", *SCORES]].reset_index(drop=True)


def curves(table: pd.DataFrame) -> pd.DataFrame:
    """Return test R2 by layer, in the order of the computation, for the poolings of the table."""
    order = {name: i for i, name in enumerate(dict.fromkeys(table.layer)) if name not in (FUSED[0], DECODER)}
    rows = table[(table.probe == "ridge") & table.layer.isin(order)]
    return rows.assign(stage=rows.layer.map(order)).sort_values(["label", "pooling", "stage"]).reset_index(drop=True)


def pattern(log_g: pd.DataFrame, table: pd.DataFrame, threshold: float = 0.4) -> dict[str, Any]:
    """Decide the documents' pattern of R2 by layer under the global mean.

    B: no layer reaches the threshold; A: another layer beats the last with an interval above zero; C: the last is best
    or not beaten.
    """
    rows = curves(table)
    best = best_row(rows, pooling=GLOBAL)
    other = best_row(rows[rows.layer != LAST], pooling=GLOBAL).layer
    found = gap(log_g, named((other, GLOBAL)), named((LAST, GLOBAL)))
    name = "B" if best.test_r2 < threshold else "A" if best.layer != LAST and found.low > 0 else "C"
    gains = {"gain": found.value, "gain_low": found.low, "gain_high": found.high}
    return {"pattern": name, "layer": best.layer, "r2": best.test_r2, "other": other, **gains}


def percent(effects: pd.DataFrame, effect: str) -> float | None:
    """Return an effect in percent of its baseline; None where the baseline's R2 is not positive."""
    value = float(effects.set_index("effect").gain_pct[effect])
    return None if np.isnan(value) else value


def ceiling_of(ceilings: pd.DataFrame, label: str = "log_g") -> float | None:
    """Return the Cramer-Rao ceiling of a label, None where there is none."""
    rows = ceilings[ceilings.label == label]
    return float(rows.r2_max.iloc[0]) if len(rows) else None


def flow(table: pd.DataFrame, controls: pd.DataFrame) -> pd.DataFrame:
    """Return Ridge's test R2 of log g from the noisy flux through the layers under segments, in the order of the computation."""
    raw = rows_of(controls, {"arm": "raw_flux", "probe": "ridge", "label": "log_g"})
    rows = rows_of(table, {"label": "log_g", "pooling": SEGMENTS, "probe": "ridge"})
    return pd.concat([raw.assign(stage="raw_flux"), rows.assign(stage=rows.layer)], ignore_index=True)[["stage", *INTERVAL]]


def arms(*tables: pd.DataFrame) -> pd.DataFrame:
    """Return one row per arm for log g: the arm, what it reads, its probe and its scores."""
    rows = pd.concat([t for t in tables if len(t)], ignore_index=True)
    rows = rows[rows.label == "log_g"]
    what = rows[["layer", "pooling", "direction"]].fillna("").agg(" ".join, axis=1)
    rows = rows.assign(name=(rows.arm + " " + what).str.strip() + " (" + rows.probe + ")")
    scores = ["dim", "train_r2", *INTERVAL, "test_mae", "test_rmse"]
    return rows.drop_duplicates("name")[["name", *scores]].reset_index(drop=True)


def example(denoiser: BlindSpotDenoiser, source: Source, row: int = 0, window_aa: tuple[float, float] = (8480.0, 8680.0)):
    """Return one spectrum of the first batch around the Ca II triplet: wave_aa, noisy, clean, mu, posterior, sd."""
    seen = next(in_order(source, batch_size=64))
    found = denoise(denoiser, seen.noisy[row : row + 1], seen.sigma[row : row + 1])
    parts = {
        "noisy": seen.noisy[row],
        "clean": seen.flux[row],
        "mu": found.mu[0],
        "posterior": found.flux[0],
        "sd": found.sd[0],
    }
    frame = pd.DataFrame({"wave_aa": np.asarray(source.wave), **{k: v.cpu().numpy() for k, v in parts.items()}})
    inside = frame.wave_aa.between(*window_aa)
    return frame[inside] if inside.sum() > 50 else frame
