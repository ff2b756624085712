"""What judges the documents' questions: paired gains of cells, and arms that a profile may leave out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lib.latents import FUSED, Cell
from lib.studies.latent_extraction.config import LatentExtractionConfig
from lib.studies.latent_extraction.experiments import DECODER, GLOBAL, LAST, PRE, SEGMENTS, Probed
from lib.studies.latent_extraction.tables import chosen, compare, of, r2_shown, recommended, shown, variant_cells

FINER = "seg_mean_K16"
Judged = dict[str, Any]  # value, low, high and what a sentence names; or value None and why_not


def between(probed: Probed, y: np.ndarray, column: int, better: Cell, baseline: Cell) -> Judged:
    """Return R2 of one cell - R2 of another, with its paired interval; untested where the table lacks one of them."""
    absent = [" + ".join(cell) for cell in (better, baseline) if cell not in probed.predictions]
    if absent:
        return {"value": None, "why_not": {"zh": f"表中没有单元 {absent[0]}（见参数 `poolings`）。", "en": f"The table has no cell {absent[0]} (see the parameter `poolings`)."}}  # fmt: skip
    return shown(compare(probed, y, column, better, baseline))


def strongest_layer(probed: Probed, y: np.ndarray, column: int) -> Judged:
    """Return the gain over the last layer of the one that validation chooses among the others, both with segments (Q1)."""
    others = of(probed.table, pooling=SEGMENTS)
    layer = chosen(others[~others.layer.isin((LAST, DECODER, FUSED[0]))]).layer
    return between(probed, y, column, (layer, SEGMENTS), (LAST, SEGMENTS)) | {"layer": layer}


def middle_layer(probed: Probed, y: np.ndarray, column: int) -> Judged:
    """Return the gain of the middle layer over the last under the global mean (Q4: V1 against V0)."""
    cells = variant_cells(probed.table)
    return between(probed, y, column, cells["V1"], cells["V0"]) | {"layer": cells["V1"][0]}


def best_layers(table: pd.DataFrame, labels: Sequence[str] = ("log_g", "t_eff", "m_h")) -> Judged:
    """Return from how many layers the recommended cells of the documents' labels come, and which for which (Q5)."""
    rows = recommended(table[table.label.isin(labels)])
    return {"value": rows.layer.nunique(), "names": ", ".join(f"{r.label}: {r.layer}" for r in rows.itertuples())}


def earlier_probe(trees: pd.DataFrame, label: str = "log_g") -> Judged:
    """Return LightGBM's test R2 on the documents' earlier extraction (`enc_last`, global mean)."""
    return r2_shown(of(trees, layer=LAST, pooling=GLOBAL, label=label).iloc[0])


def label_loss(config: LatentExtractionConfig, arms: pd.DataFrame) -> Judged:
    """Return R2 of log g with the label loss in the pretraining - R2 without, at equal epochs; untested without that arm."""
    if "label" not in config.arms:
        return {"value": None, "why_not": {"zh": "本运行档没有带标签损失的预训练（参数 `arms` 中的 `label`）。", "en": "This profile has no pretraining with the label loss (`label` in the parameter `arms`)."}}  # fmt: skip
    cell = {"layer": PRE, "pooling": SEGMENTS, "label": "log_g", "probe": "ridge"}
    on, off = (of(arms, arm=f"{name}_{config.arm_epochs}_epochs", **cell).iloc[0] for name in ("label", config.loss))
    return apart(on, off)


def student(config: LatentExtractionConfig, arms: pd.DataFrame, teacher: pd.Series) -> Judged:
    """Return R2 of log g read off the distilled student - R2 off its teacher's cell; untested without that arm."""
    if "student" not in config.arms:
        return {"value": None, "why_not": {"zh": "本运行档没有蒸馏学生网络（参数 `arms` 中的 `student`）。", "en": "This profile distils no student (`student` in the parameter `arms`)."}}  # fmt: skip
    return apart(of(arms, arm="student", label="log_g").iloc[0], teacher)


def apart(one: pd.Series, other: pd.Series) -> Judged:
    """Return the difference of two rows' test R2; its interval spans both rows' own, wider than a paired one would be."""
    low, high = one.test_r2_low - other.test_r2_high, one.test_r2_high - other.test_r2_low
    return {"value": one.test_r2 - other.test_r2, "low": low, "high": high}
