"""What the page says of its results in sentences that follow the numbers of the run, in Chinese and English."""

from typing import Any

import numpy as np
import pandas as pd

Words = dict[str, str]  # {"zh": ..., "en": ...}


def answer(
    top: dict[str, Any], lightgbm: float, slope: dict[str, float] | None, ceiling: float, crossing: float | None, least: int
) -> Words:
    """Answer the study's question: growth with size, where the largest size gets, how far the ceiling is, and the crossing.

    top  the ViT's row at the largest size; slope  its R2 per decade, if any; ceiling  NaN without a grid
    crossing  n from which the ViT stays above LightGBM (None: nowhere); least  the smallest size
    """
    parts = [_growth(slope), _reached(top, lightgbm), _limit(top["r2"], ceiling), _passes(crossing, least)]
    return {"zh": "".join(p["zh"] for p in parts), "en": " ".join(p["en"] for p in parts if p["en"])}


def _growth(slope: dict[str, float] | None) -> Words:
    if slope is None:
        return {"zh": "", "en": ""}
    return {"zh": f"固定噪声下，训练光谱增加到十倍，ViT 的 R² 变化 {slope['value']:+.3f}。",
            "en": f"Under fixed noise, ten times the training spectra change the ViT's R² by {slope['value']:+.3f}."}  # fmt: skip


def _reached(top: dict[str, Any], lightgbm: float) -> Words:
    n, r2 = top["n_train"], top["r2"]
    return {"zh": f"用 {n:,} 条光谱训练，ViT 的 R² 为 {r2:.3f}，LightGBM 为 {lightgbm:.3f}。",
            "en": f"Trained on {n:,} spectra the ViT has R² {r2:.3f}, LightGBM {lightgbm:.3f}."}  # fmt: skip


def _limit(r2: float, ceiling: float) -> Words:
    if np.isnan(ceiling):
        return {"zh": "", "en": ""}
    return {"zh": f"信息上限为 {ceiling:.3f}，ViT 达到其 {r2 / ceiling:.0%}。",
            "en": f"The information ceiling is {ceiling:.3f}, of which the ViT reaches {r2 / ceiling:.0%}."}  # fmt: skip


def _passes(crossing: float | None, least: int) -> Words:
    if crossing is None:
        return {"zh": "在试过的规模内，ViT 没有超过 LightGBM。", "en": "Within the sizes tried it does not pass LightGBM."}
    if crossing <= least:
        return {"zh": "在试过的每个规模上，ViT 都高于 LightGBM。", "en": "It is above LightGBM at every size tried."}
    return {
        "zh": f"从约 {crossing:,.0f} 条光谱起，ViT 超过 LightGBM。",
        "en": f"It passes LightGBM from about {crossing:,.0f} spectra on.",
    }


def protocols(verdict: str) -> Words:
    """Say what the two noise protocols tell, from the verdict on fresh noise."""
    said = {
        "supported": {"zh": "同样多的星，只要每轮换一次噪声，R² 就更高：固定噪声下的成绩不只受星的数目限制。",
                      "en": "With as many stars, new noise every epoch raises R²: under fixed noise it is not the number of stars alone that limits the result."},
        "refuted": {"zh": "每轮换噪声并没有使 R² 更高：在这样的训练步数下，缺的不是噪声抽样。",
                    "en": "New noise every epoch does not raise R²: with this many steps it is not draws of noise that are short."},
    }  # fmt: skip
    return said.get(
        verdict,
        {"zh": "两种噪声协议孰优，本次运行分不出来。", "en": "Which of the two protocols is better this run cannot tell."},
    )


def limits(bins: pd.DataFrame) -> Words:
    """Set the ViT's efficiency at the lowest S/N beside that at the highest; nothing where the spectra have no S/N or ceiling."""
    vit = bins[bins.model == "vit"].dropna(subset=["efficiency"])
    if vit.empty:
        return {"zh": "", "en": ""}
    low, high = vit.iloc[0], vit.iloc[-1]
    return {"zh": f"信噪比最低的一箱上限只有 {low.ceiling:.2f}，ViT 的效率为 {low.efficiency:.0%}；最高的一箱上限为 {high.ceiling:.2f}，效率为 {high.efficiency:.0%}。",
            "en": f"In the bin of the lowest S/N the ceiling is only {low.ceiling:.2f} and the ViT's efficiency {low.efficiency:.0%}; in the highest they are {high.ceiling:.2f} and {high.efficiency:.0%}."}  # fmt: skip
