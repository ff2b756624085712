"""What the page answers, in sentences that follow the numbers of the run, in Chinese and English."""

import numpy as np

from lib.studies.vit_scaling.measures import crossing_text, slope
from lib.studies.vit_scaling.results import Results

Words = dict[str, str]  # {"zh": ..., "en": ...}


def answer(results: Results, ceiling: float) -> Words:
    """Answer the study's question: growth with size, where the largest size gets, how far the ceiling is, and the crossing."""
    growth = slope(results)
    said = {
        "zh": f"固定噪声下，在试过的规模内，样本每增至十倍，ViT 的 R² 平均变化 {growth.shown('+.3f')}。",
        "en": f"Under fixed noise, over the sizes tried, the ViT's R² changes on average by {growth.shown('+.3f')} per tenfold.",
    }
    return joined(*([] if growth.why else [said]), short(results, ceiling))


def short(results: Results, ceiling: float) -> Words:
    """Answer in a few words: where the largest size gets, how far the ceiling is (NaN: none is known), and the crossing."""
    largest = {model: results.row(point) for model, point in results.largest().items()}
    n, vit, trees = largest["vit"].n_train, largest["vit"].r2, largest["lightgbm"].r2
    reached = {
        "zh": f"用 {n:,} 条光谱训练，ViT 的 R² 为 {vit:.3f}，LightGBM 为 {trees:.3f}。",
        "en": f"Trained on {n:,} spectra the ViT has R² {vit:.3f}, LightGBM {trees:.3f}.",
    }
    limit = {
        "zh": f"信息上限为 {ceiling:.3f}，ViT 达到其 {vit / ceiling:.0%}。",
        "en": f"The information ceiling is {ceiling:.3f}, of which the ViT reaches {vit / ceiling:.0%}.",
    }
    return joined(reached, *([] if np.isnan(ceiling) else [limit]), crossing_text(results))


def joined(*parts: Words) -> Words:
    """Return sentences as one text."""
    return {"zh": "".join(p["zh"] for p in parts), "en": " ".join(p["en"] for p in parts)}
