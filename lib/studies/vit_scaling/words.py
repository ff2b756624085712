"""What the page says of its results in sentences that follow the numbers of the run, in Chinese and English."""

from typing import Any

import numpy as np
import pandas as pd

from lib.studies.vit_scaling.beside import DOCUMENT
from lib.studies.vit_scaling.config import VitScalingConfig
from lib.studies.vit_scaling.scaling import rough

NOMINAL = 0.683  # the coverage that is put into words: one standard deviation
Words = dict[str, str]  # {"zh": ..., "en": ...}


def answer(
    top: dict[str, Any], lightgbm: float, slope: dict[str, float] | None, ceiling: float, crossing: float | None, least: int
) -> Words:
    """Answer the study's question: growth with size, where the largest size gets, how far the ceiling is, and the crossing.

    top  the ViT's row at the largest size; slope  its R2 per decade, if any; ceiling  NaN without a grid
    crossing  n from which the ViT stays above LightGBM (None: nowhere); least  the smallest size
    """
    parts = [_growth(slope), _reached(top, lightgbm), limit(top["r2"], ceiling), _passes(crossing, least)]
    return {"zh": "".join(p["zh"] for p in parts), "en": " ".join(p["en"] for p in parts if p["en"])}


def short(top: dict[str, Any], lightgbm: float, ceiling: float, crossing: float | None, least: int) -> Words:
    """Answer in a few words: where the largest size gets, how far the ceiling is, and the crossing; arguments as of `answer`."""
    parts = [_reached(top, lightgbm), limit(top["r2"], ceiling), _passes(crossing, least)]
    return {"zh": "".join(p["zh"] for p in parts), "en": " ".join(p["en"] for p in parts if p["en"])}


def _growth(slope: dict[str, float] | None) -> Words:
    if slope is None:
        return {"zh": "", "en": ""}
    return {"zh": f"固定噪声下，在试过的规模内，样本每增至十倍，ViT 的 R² 平均变化 {slope['value']:+.3f}。",
            "en": f"Under fixed noise, over the sizes tried, the ViT's R² changes on average by {slope['value']:+.3f} per tenfold."}  # fmt: skip


def _reached(top: dict[str, Any], lightgbm: float) -> Words:
    n, r2 = top["n_train"], top["r2"]
    return {"zh": f"用 {n:,} 条光谱训练，ViT 的 R² 为 {r2:.3f}，LightGBM 为 {lightgbm:.3f}。",
            "en": f"Trained on {n:,} spectra the ViT has R² {r2:.3f}, LightGBM {lightgbm:.3f}."}  # fmt: skip


def limit(r2: float, ceiling: float) -> Words:
    """Set the ViT's R2 beside the ceiling; nothing where there is none."""
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
        "zh": f"从约 {rough(crossing)} 条光谱起，ViT 超过 LightGBM。",
        "en": f"It passes LightGBM from about {rough(crossing)} spectra on.",
    }


def protocols(verdict: str) -> Words:
    """Say what the two noise protocols tell, from the verdict on fresh noise."""
    said = {
        "supported": {"zh": "同样多的星，只要每轮换一次噪声，R² 就更高：固定噪声下的成绩不只受星的数目限制。",
                      "en": "With as many stars, new noise every epoch raises R²: under fixed noise it is not the number of stars alone that limits the result."},
        "refuted": {"zh": "每轮换噪声并没有使 R² 更高：在这样的训练步数下，限制精度的不是噪声抽样的次数。",
                    "en": "New noise every epoch does not raise R²: with this many steps the number of noise draws is not the limit."},
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


def scope(config: VitScalingConfig, wave: Any) -> Words:
    """Say which pixels are used and where Run 1 of this profile is not the document's; wave (L,) in Angstrom."""
    low, high, pixels = float(wave[0]), float(wave[-1]), len(wave)
    names = ("patch_size", "hidden_size", "num_layers", "num_heads", "pooling", "dropout")
    other = {name: getattr(config, name) for name in names if getattr(config, name) != DOCUMENT[name]}
    zh, en = (
        mark.join(f"`{n}` {v} ({said} {DOCUMENT[n]})" for n, v in other.items())
        for mark, said in (("、", "原文"), (", ", "document"))
    )
    return {"zh": f"本次运行使用 {low:.0f} 到 {high:.0f} Å 的 {pixels:,} 个像素；原文用 {DOCUMENT['pixels']:,} 个像素，并以逐轮新噪声训练。"
            + (f"本档的 `Run 1` 与原文不同之处：{zh}。" if other else ""),
            "en": f"This run uses {pixels:,} pixels of {low:.0f} to {high:.0f} Å; the document used {DOCUMENT['pixels']:,} and trained with fresh noise."
            + (f" `Run 1` of this profile differs from the document's in {en}." if other else "")}  # fmt: skip


def calibrated(coverage: pd.DataFrame) -> Words:
    """Say what the interval of one standard deviation covers, and whether the head is too sure of itself; nothing without the head."""
    rows = coverage[coverage.nominal == NOMINAL]
    if rows.empty:
        return {"zh": "", "en": ""}
    reached, rescaled = rows.raw.iloc[0], rows.rescaled.iloc[0]
    zh, en = (
        ("偏小（过于自信）", "too small (over-confident)")
        if reached < NOMINAL
        else ("偏大（过于保守）", "too large (under-confident)")
    )
    return {"zh": f"名义上覆盖 {NOMINAL:.1%} 的区间实际覆盖 {reached:.1%}：模型给出的标准差{zh}。用验证集校准后为 {rescaled:.1%}。",
            "en": f"Intervals that should cover {NOMINAL:.1%} cover {reached:.1%}: the standard deviations that the model states are {en}. Rescaled on validation they cover {rescaled:.1%}."}  # fmt: skip


def noisier(noise: pd.DataFrame) -> Words:
    """Set R2 at the highest noise level beside that at the lowest; nothing where fewer than two were tried."""
    if len(noise) < 2:
        return {"zh": "", "en": ""}
    ends = noise.sort_values("noise_level")
    (a, r2), (b, least) = (ends[["noise_level", "r2"]].iloc[k] for k in (0, -1))
    return {"zh": f"每个噪声倍数各训练一个网络。倍数从 {a:g} 增至 {b:g}，R² 从 {r2:.3f} 变为 {least:.3f}。",
            "en": f"One network is trained at each noise level. From level {a:g} to {b:g}, R² goes from {r2:.3f} to {least:.3f}."}  # fmt: skip


def uneven(cells: pd.DataFrame) -> Words:
    """Name the cells of T_eff and [M/H] with the highest and the lowest R2; nothing where there are fewer than two."""
    if len(cells) < 2:
        return {"zh": "", "en": ""}
    high, low = cells.loc[cells.r2.idxmax()], cells.loc[cells.r2.idxmin()]
    return {"zh": f"R² 以格内标签的方差为准，不足 20 颗星的格不画。最高的一格（T_eff 约 {high.t_eff:.0f} K、[M/H] 约 {high.m_h:.1f}）为 {high.r2:.2f}，最低的一格（约 {low.t_eff:.0f} K、{low.m_h:.1f}）为 {low.r2:.2f}。",
            "en": f"R² refers to the variance of the labels in the cell; cells under 20 stars are left out. The highest, {high.r2:.2f}, is at T_eff around {high.t_eff:.0f} K and [M/H] around {high.m_h:.1f}; the lowest, {low.r2:.2f}, around {low.t_eff:.0f} K and {low.m_h:.1f}."}  # fmt: skip
