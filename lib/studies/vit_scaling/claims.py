"""What the claims on the scaling ladder are judged by: a value with its interval, or None where the run holds none."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lib.data.views import observe
from lib.studies.vit_scaling import scaling
from lib.studies.vit_scaling.config import Point
from lib.studies.vit_scaling.evaluate import Results

ENOUGH = 1_000_000  # training rows that the documents' hypothesis is about
DRAWN = 256  # test stars whose noise is drawn twice


def judge(
    report: Any, key: str, found: Mapping[str, float] | None, criterion: Any, anchor: str, *, why: tuple[str, str] = ("", ""),
    metric: str = "r2", reported_as: str | None = None, **facts: Any,
) -> str:  # fmt: skip
    """Give `report` the verdict on a claim, or the reason `why` (zh, en) it is not tested where nothing was found.

    found  value, low and high where there is an interval, and more that the sentences mention
    facts  the three sentences and what else they mention
    """
    if found is None:
        said = dict(zip(("zh", "en"), why, strict=True))
        sides = {lang: {k: v[lang] if isinstance(v, dict) else v for k, v in facts.items()} for lang in said}
        reason = {lang: text.format(**sides[lang]) for lang, text in said.items()}
        report.not_tested(key, metric=metric, criterion=criterion, **reason, anchor=anchor, reported_as=reported_as)
        return "not_tested"
    given = {"low": None, "high": None} | dict(found) | facts
    return report.claim(key, metric=metric, criterion=criterion, anchor=anchor, reported_as=reported_as, **given)


def finite(value: float) -> float | None:
    """Return a number, or None for the NaN that stands for what a run could not compute."""
    return float(value) if np.isfinite(value) else None


def scored(row: Mapping[str, Any]) -> dict[str, float]:
    """Return value, low and high of a row's R2, as a claim takes them."""
    return {"value": row["r2"], "low": row["low"], "high": row["high"]}


def gained(results: Results, point: Point, other: Point) -> dict[str, float]:
    """Return value, low and high of R2(point) - R2(other), paired over test stars."""
    gain = results.gain(point, other)
    return {"value": gain["gain"], "low": gain["low"], "high": gain["high"]}


def gap_shrinks(ladder: pd.DataFrame) -> dict[str, float] | None:
    """Return the ViT's training-test gap at its smallest size less that at its largest (fixed noise); None with one size."""
    gaps = ladder[(ladder.model == "vit") & (ladder.protocol == "fixed")].groupby("n_train").gap.first()
    return {"value": float(gaps.iloc[0] - gaps.iloc[-1])} if len(gaps) > 1 else None


def gap_of_protocols(ladder: pd.DataFrame) -> dict[str, float] | None:
    """Return the ViT's training-test gap under fixed noise less that under fresh noise, at the largest size that has both."""
    gaps = ladder[ladder.model == "vit"].groupby(["n_train", "protocol"]).gap.first().unstack()
    both = gaps.dropna() if {"fixed", "fresh"} <= set(gaps) else gaps.iloc[:0]
    return {"n": int(both.index[-1]), "value": float(both.fixed.iloc[-1] - both.fresh.iloc[-1])} if len(both) else None


def augmentation_gain(results: Results) -> dict[str, float] | None:
    """Return R2 of fresh noise minus R2 of fixed noise for the ViT at the largest size that has both; None without one."""
    pairs = {}
    for point in results.chosen("ladder", model="vit", seed=results.config.seed):
        pairs.setdefault(point.n_train, {})[point.protocol] = point
    both = [n for n, found in pairs.items() if len(found) == 2]
    return {"n": max(both)} | gained(results, pairs[max(both)]["fresh"], pairs[max(both)]["fixed"]) if both else None


def smallest_gain(results: Results) -> dict[str, float]:
    """Return R2 of the ViT minus that of LightGBM at the smallest size under fixed noise, and that size n."""
    n = min(results.config.sizes)
    first = {p.model: p for p in results.chosen("ladder", protocol="fixed", n_train=n, seed=results.config.seed)}
    return {"n": n} | gained(results, first["vit"], first["lightgbm"])


def doubling_gain(results: Results) -> dict[str, float] | None:
    """Return what the ViT's R2 gains per doubling up to its largest size; None below ENOUGH rows, or with one size.

    Under the protocol of the training that is most like the document's. before, n: the two sizes compared
    """
    protocol = results.documented().protocol
    curve = {p.n_train: p for p in results.chosen("ladder", model="vit", protocol=protocol, seed=results.config.seed)}
    *_, before, n = (0, 0, *sorted(curve))
    if before == 0 or n < ENOUGH:
        return None
    gain = gained(results, curve[n], curve[before])
    return {name: value / np.log2(n / before) for name, value in gain.items()} | {"before": before, "n": n}


def equivalent_stars(results: Results) -> dict[str, float] | None:
    """Return how many times the stars give the ViT, under fixed noise, the R2 that fresh noise gives; n, epochs of the latter.

    None where no fresh noise was tried, or where the curve of fixed noise does not reach its R2 or the interval's end.
    """
    point, (curves, draws) = results.largest("fresh").get("vit"), results.curves()
    if point is None or len(curves["fixed", "vit"]) < 2:
        return None
    fixed, sampled, n = curves["fixed", "vit"], draws["fixed", "vit"], point.n_train
    value = scaling.equivalent_size(fixed, curves["fresh", "vit"][n]) / n
    each = [
        scaling.equivalent_size({k: d[i] for k, d in sampled.items()}, r2) / n for i, r2 in enumerate(draws["fresh", "vit"][n])
    ]
    low, high = np.quantile(each, scaling.LEVELS, method="nearest")
    if not np.isfinite([value, high]).all():
        return None
    return {"value": value, "low": float(low), "high": float(high), "n": n, "epochs": point.epochs}


def noise_training_gain(results: Results) -> dict[str, float] | None:
    """Return R2 on noisy test spectra of a ViT trained with noise minus R2 of one trained without; None without the pair."""
    blind = next(iter(results.chosen("noise", noise_level=0.0)), None)
    if blind is None or not results.config.noise_level:
        return None
    wanted = blind.key() | {"noise_level": results.config.noise_level}
    seeing = next((p for p in results.points if p.key() == wanted), None)
    if seeing is None:
        return None
    gain = results.difference(results.pred(seeing), results.applied(blind))
    return {"value": gain["gain"], "low": gain["low"], "high": gain["high"], "n": blind.n_train}


def redrawn(results: Results) -> dict[str, float]:
    """Return the largest difference between two evaluations' noisy flux of the same test stars."""
    first, again = (observe(results.sets.test, 0, min(DRAWN, len(results.truth))).noisy for _ in range(2))
    return {"value": float((first - again).abs().max())}


def attention_ratio(attention: pd.DataFrame, features: Sequence[tuple[str, float]]) -> dict[str, float] | None:
    """Return mean attention of the patches that hold a gravity-sensitive feature over that of the others; None without both.

    attention  wave_aa (patch centre), layer, attention;  features: (name, wavelength in Angstrom)
    """
    mean = attention.groupby("wave_aa").attention.mean()
    centres = mean.index.to_numpy()
    held = np.unique([np.abs(centres - wave).argmin() for _, wave in features])
    if not 0 < len(held) < len(mean):
        return None
    inside = np.isin(np.arange(len(mean)), held)
    return {"value": float(mean[inside].mean() / mean[~inside].mean()), "patches": len(held), "of": len(mean)}


def slope(table: pd.DataFrame) -> dict[str, float] | None:
    """Return the ViT's gain of R2 per decade under fixed noise from the scaling table; None where it has one size."""
    rows = table[(table.model == "vit") & (table.protocol == "fixed")] if len(table) else table
    return {"value": rows.slope.iloc[0], "low": rows.low.iloc[0], "high": rows.high.iloc[0]} if len(rows) else None


def crossing_at(results: Results) -> float | None:
    """Return the n from which the ViT stays above LightGBM under fixed noise; None where it never does."""
    curves, _ = results.curves()
    return scaling.crossing(curves["fixed", "vit"], curves["fixed", "lightgbm"])


def crossing_text(results: Results) -> dict[str, str]:
    """Say from which n the ViT stays above LightGBM under fixed noise, in both languages."""
    n, least = crossing_at(results), min(results.config.sizes)
    if n is None:
        return {"zh": "在本阶梯内未出现", "en": "not within this ladder"}
    if n <= least:
        return {"zh": f"不晚于 n = {least:,}", "en": f"at or below n = {least:,}"}
    return {"zh": f"n ≈ {scaling.rough(n)}", "en": f"n ≈ {scaling.rough(n)}"}
