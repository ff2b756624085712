"""The document's debugging guide, run on a training: which case it is, and what the guide says to do."""

import numpy as np
import pandas as pd

from lib.data.images.pairing import edge_correlation
from lib.studies.noise2noise.arms import LEAKING
from lib.studies.noise2noise.experiments import roughness

STUCK = 0.95  # the cross loss fell by less than 5% of its excess over the floor
BLUR = 0.5  # less than half of the fine structure is left
ROUGH = 0.3  # rises of the held-out loss, over its fall
LEAK = 0.05  # slope of the output on the noise of its target
COLLAPSE = 0.05  # share of its largest value that the latent's standard deviation has come down to
SKIPS = ("set skip_source to none (or latent)", "把 skip_source 设为 none（或 latent）")
CALM = ("progressive training, lr 1e-4, clip 0.5", "渐进式训练、学习率 1e-4、梯度裁剪 0.5")
GUIDE = {  # check: what it is in Chinese, and the remedy in both languages
    "target's skips kept out": ("不使用目标图像的跳跃连接", *SKIPS),
    "recon weight < 1": ("重建权重 < 1", "lower recon to 0.1-0.2", "把重建权重降到 0.1–0.2"),
    "content weight > 0": ("内容权重 > 0", "raise content to 1.0", "把内容权重提高到 1.0"),
    "data are paired (edge correlation)": (
        "数据确实配对（边缘相关）", "pair images of one subject, registered", "使用同一受试者且已配准的图像对",
    ),
    "cross loss falls (excess left)": (
        "跨域损失在下降（剩余超出量）", "recon 0.05 (extreme_denoising), latent 512, or progressive training",
        "重建权重降到 0.05（extreme_denoising）、潜表示 512 通道，或渐进式训练",
    ),
    "not blurred (detail kept)": (
        "图像不模糊（保留的细节）", "latent 512, recon 0.3, edge 0.05, more epochs", "潜表示 512 通道、重建权重 0.3、边缘权重 0.05、更多轮数",
    ),
    "stable (rises / fall)": ("训练稳定（回升 / 下降）", *CALM),
    "latent has not collapsed (std / max)": ("潜表示未坍缩（标准差 / 最大值）", *CALM),
    "no leak (slope on the target's noise)": ("无泄漏（对目标噪声的斜率）", *SKIPS),
}  # fmt: skip


def _findings(measured):
    """Return one line per check of the guide, from {check: (value, limit, fine)}."""
    for check, (value, limit, fine) in measured.items():
        zh, remedy_en, remedy_zh = GUIDE[check]
        said = {"check": check, "check_zh": zh, "remedy_en": remedy_en, "remedy_zh": remedy_zh}
        yield said | {"value": value, "limit": limit, "fine": fine}


def four_checks(point, images):
    """Return the guide's four checks of a set-up, before any training: no_skip, recon < 1, content > 0, data paired."""
    last = point.recipe.stages[-1].weights
    own, other = edge_correlation(*(x[:: max(1, len(x) // 16)] for x in (images.a, images.b)))
    leaking = point.recipe.skip_source in LEAKING
    return list(_findings({
        "target's skips kept out": (float(leaking), "0", not leaking),
        "recon weight < 1": (last.recon, "< 1", last.recon < 1),
        "content weight > 0": (last.content, "> 0", last.content > 0),
        "data are paired (edge correlation)": (
            own, f"> {max(0.1, np.nan_to_num(other)):.2f}", own > (0.1 if np.isnan(other) else other),
        ),
    }))  # fmt: skip


def symptoms(trained, scored, floor):
    """Return the guide's three cases, collapse and the leak itself, judged on a training.

    scored: its rows of `study.scores` (paths cross and same); floor: the noise floor of its training cross loss.
    """
    history, cross = trained.history, scored[scored.path == "cross"]
    left = (history.train_cross.iloc[-1] - floor) / max(history.train_cross.iloc[0] - floor, 1e-9)
    shrunk = history.val_latent_std.iloc[-1] / history.val_latent_std.max()
    rough = roughness(history.val_cross) if len(history) > 2 else 0.0
    kept, leaked = cross.detail.mean(), cross.leak.mean()
    return list(_findings({
        "cross loss falls (excess left)": (left, f"< {STUCK}", left < STUCK),
        "not blurred (detail kept)": (kept, f"> {BLUR}", kept > BLUR),
        "stable (rises / fall)": (rough, f"< {ROUGH}", rough < ROUGH),
        "latent has not collapsed (std / max)": (shrunk, f"> {COLLAPSE}", shrunk > COLLAPSE),
        "no leak (slope on the target's noise)": (leaked, f"< {LEAK}", abs(leaked) < LEAK),
    }))  # fmt: skip


def diagnose(trained_rows, scored, data, floor):
    """Return one row per configuration (its first seed) and check: value, limit, fine, remedy in both languages."""
    rows = []
    main = trained_rows[trained_rows.sweep == "main"]
    for row in main.groupby("arm", sort=False).head(1).itertuples():
        part = scored[(scored.sweep == "main") & (scored.arm == row.arm) & (scored.seed == row.seed)]
        findings = four_checks(row.point, data.parts["train"]) + symptoms(row.trained, part, floor)
        rows += [{"config": row.arm} | finding for finding in findings]
    return pd.DataFrame(rows)


def report(table):
    """Return the table as text, one line per check, the remedy behind what failed."""
    lines = []
    for name, part in table.groupby("config", sort=False):
        lines.append(f"{name}:")
        for row in part.itertuples():
            verdict = "ok  " if row.fine else "FAIL"
            remedy = "" if row.fine else f" -> {row.remedy_en}"
            lines.append(f"  {verdict} {row.check}: {row.value:.3g} (want {row.limit}){remedy}")
    return "\n".join(lines)
