"""What the claims on one factor are judged by: arms of Run 1, paired over test stars, or None where an arm was not run."""

from collections.abc import Mapping
from typing import Any

import torch

from lib.data.views import observe
from lib.models.layers import PatchTokenizer
from lib.steps.vit import model_config
from lib.studies.vit_scaling.claims import gained, judge, scored
from lib.studies.vit_scaling.evaluate import Results

MOVED = ("R² 变化 {value:+.3f}。", "R² changes by {value:+.3f}.")
UNCLEAR = ("R² 变化 {value:+.3f}，区间跨过界限。", "R² changes by {value:+.3f}; the interval crosses the limit.")
NO_ARM = ("本运行档没有跑分支 `{arm}`（参数 `ablations`；`full` 档有）。",
          "This profile does not run the arm `{arm}` (parameter `ablations`; the profile `full` does).")  # fmt: skip
STARS = 64  # test spectra on which the two tokenizers are compared


def judge_arms(report: Any, results: Results, arms: Mapping[str, tuple[str, Any]]) -> None:
    """Judge claims {key: (arm, criterion)} by the arm's paired change of R2 against Run 1."""
    for key, (arm, criterion) in arms.items():
        judge(report, key, arm_gain(results, arm), criterion, "fig-ablations", metric="delta_r2", arm=arm, why=NO_ARM,
              supported=MOVED, refuted=MOVED, inconclusive=UNCLEAR)  # fmt: skip


def weakest_tokenizer(results: Results) -> dict[str, float] | None:
    """Return the lower of the R2 of Run 1 and of Run 1 with the SW tokenizer; None where that arm was not run."""
    rows = [results.row(p) for arm in ("run_1", "tokenizer_sw") for p in results.chosen("ablation", arm=arm)]
    return scored(min(rows, key=lambda row: row["r2"])) if len(rows) == 2 else None


def arm_gain(results: Results, arm: str) -> dict[str, float] | None:
    """Return the paired gain of R2 of an ablation arm over Run 1; None where it was not run."""
    points = results.chosen("ablation", arm=arm)
    return gained(results, points[0], results.chosen("ablation", arm="run_1")[0]) if points else None


def best_gain(results: Results, *arms: str) -> dict[str, Any] | None:
    """Return the largest gain of R2 over Run 1 among arms, and which arm it is; None where none of them was run."""
    found = [gain | {"arm": arm} for arm in arms if (gain := arm_gain(results, arm))]
    return max(found, key=lambda gain: gain["value"]) if found else None


def pooling_gain(results: Results, pooling: str) -> dict[str, float] | None:
    """Return the paired gain of R2 of a pooling over the CLS token, Run 1 standing for the one it has; None without both."""
    arms = ("pooling_cls", "pooling_mean", "pooling_attention", "run_1")
    found = {p.settings.pooling: p for arm in arms for p in results.chosen("ablation", arm=arm)}
    return gained(results, found[pooling], found["cls"]) if {pooling, "cls"} <= set(found) else None


def suited_losses(results: Results) -> dict[str, float] | None:
    """Return the smaller of two gains of R2: standard over minmax under MSE, minmax over standard under L1; None without all four."""
    names = ("run_1", "norm_minmax", "minmax_l1", "loss_l1")
    found = {p.arm: p for name in names for p in results.chosen("ablation", arm=name)}
    if len(found) < len(names):
        return None
    gains = [gained(results, found[a], found[b]) for a, b in (names[:2], names[2:])]
    return min(gains, key=lambda gain: gain["value"])


def outside_labels(results: Results, arm: str) -> dict[str, float] | None:
    """Return the share of an arm's test predictions outside the labels' range in training; None where it was not run."""
    points = results.chosen("ablation", arm=arm)
    if not points:
        return None
    low, high = (float(v) for v in (results.sets.train.labels.min(), results.sets.train.labels.max()))
    pred = results.pred(points[0])
    return {"value": float(((pred < low) | (pred > high)).mean())}


def tokenizer_difference(results: Results) -> dict[str, float]:
    """Return the largest difference between tokens of C1D and of SW with equal weights, on noisy test spectra."""
    config = model_config(results.documented().settings, len(results.sets.wave))
    conv, linear = (PatchTokenizer(config.hidden_size, config.patch_size, config.step, conv=c).double() for c in (True, False))
    weights = conv.projection.state_dict()
    linear.projection.load_state_dict({"weight": weights["weight"][:, 0], "bias": weights["bias"]})
    noisy = observe(results.sets.test, 0, min(STARS, len(results.truth))).noisy.double().cpu()
    with torch.no_grad():
        return {"value": float((conv(noisy) - linear(noisy)).abs().max())}


def precision_ratio(results: Results, measure: str) -> dict[str, Any] | None:
    """Return a measure of mixed precision over that of fp32 on a GPU, and which kind: FP16, the document's, or else bf16.

    measure  spectra_per_s or peak_mib;  None without a GPU or without both arms
    """
    kinds = {"FP32": "precision_fp32", "FP16": "precision_fp16", "bf16": "precision_bf16"}
    found = {k: results.found[id(p)][0][measure] for k, arm in kinds.items() for p in results.chosen("ablation", arm=arm)}
    single, mixed = found.pop("FP32", None), next(iter(found), None)
    if results.sets.train.device.type != "cuda" or not single or not mixed:
        return None
    return {"value": found[mixed] / single, "kind": mixed}
