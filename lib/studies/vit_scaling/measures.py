"""What the claims are judged by beside lib.evidence: the ladder of sizes, the arms, and the course of a training."""

import numpy as np
import pandas as pd

from lib.arms import Arm
from lib.evidence import Measured, absent, gap, measure, score, too_short, why_not
from lib.studies.vit_scaling import scaling
from lib.studies.vit_scaling.results import Results

LATE = 4  # the late part of a training: its last quarter

ONE_SIZE = why_not("本运行档只有一个规模（参数 `sizes`）。", "This profile has one size only (parameter `sizes`).")
NO_FRESH = why_not(
    "本运行档没有逐轮新噪声的训练（参数 `fresh_sizes`）。",
    "This profile trains none with fresh noise (parameter `fresh_sizes`).",
)


def _key(point: Arm | str) -> dict | str:
    """Return what picks a point from a frame: name and seed, or the name of an ablation, which has one seed."""
    return point if isinstance(point, str) else {"arm": point.name, "seed": point.seed}


@measure
def other_lengths() -> Measured:
    """Return why no run can test how positions generalise to other lengths of the sequence."""
    return why_not(
        "所有光谱长度相同，序列长度只有一种，无从检验。",
        "All spectra have one length, and so has the sequence: there is nothing to test it on.",
    )


@measure
def outliers() -> Measured:
    """Return why no run can test what outliers among the labels do."""
    return why_not(
        "标签没有异常值；要检验，需在训练标签中掺入异常值再比较两种损失，目前没有这样的参数。",
        "The labels have no outliers; to test it, outliers would have to be put among the training labels before the losses are "
        "compared, and there is no such parameter.",
    )


@measure
def r2_of(results: Results, point: Arm | str) -> Measured:
    """Return a point's R2 on the test stars; says n, its training rows."""
    found = score(results.preds, _key(point), parameter="ablations", **results.draws)
    return found if isinstance(point, str) else found.saying(n=point.changes["n_train"], protocol=point.changes["protocol"])


@measure
def gain(results: Results, point: Arm | str, other: Arm | str = "run_1") -> Measured:
    """Return the change of R2 from one point to another, paired over test stars."""
    return gap(results.preds, _key(point), _key(other), parameter="ablations", **results.draws)


@measure
def r2_at_scale(results: Results, enough: int) -> Measured:
    """Return R2 of the training most like the document's, where it has at least `enough` rows."""
    point, n = results.documented(), results.documented().changes["n_train"]
    if n >= enough:
        return r2_of(results, point)
    return why_not(
        f"最接近原文的训练用 {n:,} 条光谱，达不到假设所说的规模；`full` 档达到（参数 `fresh_sizes`）。",
        f"The training most like the document's has {n:,} spectra and does not reach the scale of the claim; the profile `full` "
        "does (parameter `fresh_sizes`).",
    )


@measure
def lead(results: Results, *, smallest: bool = False) -> Measured:
    """Return R2 of the ViT minus that of LightGBM at the largest or the smallest size under fixed noise; says n and crossing."""
    vit, trees = results.curve("vit"), results.curve("lightgbm")
    n = min(vit) if smallest else max(vit)
    return gain(results, vit[n], trees[n]).saying(n=n, crossing=crossing_text(results))


@measure
def doubling_gain(results: Results, enough: int) -> Measured:
    """Return what the ViT's R2 gains per doubling up to its largest size, as trained in the document.

    Not tested below `enough` rows, or with one size.   Says before and n, the two sizes compared
    """
    curve = results.curve(protocol=results.documented().changes["protocol"])
    *_, before, n = (0, 0, *sorted(curve))
    if before == 0 or n < enough:
        return why_not(
            f"本运行档最多训练 {n:,} 条光谱；`full` 档达到一百万（参数 `fresh_sizes`）。",
            f"This profile trains on {n:,} spectra at most; the profile `full` reaches a million (parameter `fresh_sizes`).",
        )
    return gain(results, curve[n], curve[before]).mapped(lambda v: float(v / np.log2(n / before))).saying(before=before, n=n)


@measure
def fresh_gain(results: Results) -> Measured:
    """Return R2 of fresh noise minus R2 of fixed noise for the ViT at the largest size that has both; says n."""
    fixed, fresh = results.curve("vit", "fixed"), results.curve("vit", "fresh")
    both = set(fixed) & set(fresh)
    return gain(results, fresh[max(both)], fixed[max(both)]).saying(n=max(both)) if both else NO_FRESH


@measure
def equivalent_stars(results: Results) -> Measured:
    """Return how many times the stars give the ViT, under fixed noise, the R2 that fresh noise gives; says n.

    Not tested where the curve of fixed noise does not reach that R2 or the interval's end.
    """
    point, (curves, draws) = results.largest("fresh").get("vit"), results.curves()
    unreached = why_not(
        "需要逐轮新噪声的训练，以及到达其 R² 的固定噪声曲线（参数 `fresh_sizes`、`sizes`）。",
        "It takes a training with fresh noise and a curve of fixed noise that reaches its R² (parameters `fresh_sizes`, `sizes`).",
    )
    if point is None or len(curves["fixed", "vit"]) < 2:
        return unreached
    sampled, n = draws["fixed", "vit"], point.changes["n_train"]
    value = scaling.equivalent_size(curves["fixed", "vit"], curves["fresh", "vit"][n]) / n
    drawn = [{k: d[i] for k, d in sampled.items()} for i in range(results.config.fit_draws)]
    each = [scaling.equivalent_size(c, r2) / n for c, r2 in zip(drawn, draws["fresh", "vit"][n], strict=True)]
    low, high = np.quantile(each, scaling.LEVELS, method="nearest")
    if not np.isfinite([value, high]).all():
        return unreached
    return Measured(value, float(low), float(high)).saying(n=n)


@measure
def slope(results: Results) -> Measured:
    """Return the ViT's gain of R2 per decade under fixed noise."""
    curves, draws = results.curves()
    if len(curves["fixed", "vit"]) < 2:
        return ONE_SIZE
    return Measured(*scaling.slopes(curves["fixed", "vit"], draws["fixed", "vit"]).values())


@measure
def overfit(results: Results) -> Measured:
    """Return training minus test R2 of the training most like the document's; says n and protocol."""
    run = results.documented().changes
    return score(results.scores, _key(results.documented()), "gap").saying(n=run["n_train"], protocol=run["protocol"])


@measure
def gap_shrinks(results: Results) -> Measured:
    """Return the ViT's training minus test R2 at its smallest size less that at its largest, under fixed noise."""
    curve = results.curve()
    return gap(results.scores, _key(curve[min(curve)]), _key(curve[max(curve)]), "gap") if len(curve) > 1 else ONE_SIZE


@measure
def fresh_closes_the_gap(results: Results) -> Measured:
    """Return the ViT's training minus test R2 under fixed noise less that under fresh, at the largest size that has both."""
    fixed, fresh = results.curve("vit", "fixed"), results.curve("vit", "fresh")
    both = set(fixed) & set(fresh)
    return gap(results.scores, _key(fixed[max(both)]), _key(fresh[max(both)]), "gap").saying(n=max(both)) if both else NO_FRESH


@measure
def noise_training_gain(results: Results) -> Measured:
    """Return R2 on noisy test spectra of a ViT trained with noise minus R2 of one trained without; says n."""
    blind = next((p for p in results.points if p.group == "noise" and p.changes["noise_level"] == 0), None)
    wanted = None if blind is None else blind.changes | {"noise_level": results.config.noise_level}
    seeing = next((p for p in results.points if (p.changes, p.seed) == (wanted, results.config.seed)), None)
    if seeing is None or not results.config.noise_level:
        return why_not(
            "需要无噪声训练与本次噪声倍数下训练的两个同样的网络（参数 `noise_levels`）。",
            "It takes two networks alike, one trained without noise, one at this run's noise level (parameter `noise_levels`).",
        )
    unseen = results.preds[(results.preds.arm == blind.name)].assign(arm="applied", pred=results.applied(blind))
    both = pd.concat([results.preds, unseen], ignore_index=True)
    return gap(both, _key(seeing), "applied", **results.draws).saying(n=blind.changes["n_train"])


@measure
def weakest(*found: Measured) -> Measured:
    """Return the measure of the smallest value; where one of them has none, its reason."""
    return next((m for m in found if m.why), None) or min(found, key=lambda m: m.value)


@measure
def best_gain(results: Results, *arms: str) -> Measured:
    """Return the largest change of R2 from Run 1 among the arms that were run; says which arm."""
    found = [gain(results, arm).saying(arm=arm) for arm in arms if results.arm(arm)]
    return max(found, key=lambda m: m.value) if found else absent(*arms, parameter="ablations")


@measure
def pooling_gain(results: Results, pooling: str) -> Measured:
    """Return the change of R2 from the CLS token to a pooling, Run 1 standing for the one that it has."""
    arms = {kind: "run_1" if kind == results.config.pooling else f"pooling_{kind}" for kind in (pooling, "cls")}
    return gain(results, arms[pooling], arms["cls"])


@measure
def rise_from(epochs: pd.DataFrame, share: float) -> Measured:
    """Return what the validation R2 gains from this share of a training's epochs on; says since, the epoch counted from."""
    r2 = epochs.val_r2.to_numpy()
    since = max(1, round(share * len(r2)))
    if since >= len(r2):
        return too_short(len(r2), 2, "fresh_epochs")
    return Measured(float(r2[-1] - r2[since - 1])).saying(since=since, epochs=len(r2))


@measure
def smallest_step(epochs: pd.DataFrame) -> Measured:
    """Return the smallest step of one epoch upward in validation R2 or downward in training loss."""
    if len(epochs) < 2:
        return too_short(len(epochs), 2, "fresh_epochs")
    return Measured(float(min(np.diff(epochs.val_r2).min(), -np.diff(epochs.train_loss).max()))).saying(epochs=len(epochs))


@measure
def spread(history: pd.DataFrame, arm: str, other: str = "run_1", *, late: bool = False) -> Measured:
    """Return the standard deviation of an arm's steps of validation R2, epoch to epoch, less that of another arm.

    late  of validation R2 itself over the last quarter of the epochs, two at least;   says own and others
    """
    whole = {name: history[history.arm == name].val_r2.to_numpy() for name in (arm, other)}
    gone, needed = [name for name, r2 in whole.items() if not len(r2)], LATE if late else 3
    if gone:
        return absent(*gone, parameter="ablations")
    if min(map(len, whole.values())) < needed:
        return too_short(min(map(len, whole.values())), needed, "ablation_epochs")
    own, others = (float((r2[-max(2, len(r2) // LATE) :] if late else np.diff(r2)).std()) for r2 in whole.values())
    return Measured(own - others).saying(own=own, others=others)


def crossing_text(results: Results) -> dict[str, str]:
    """Say from which n the ViT stays above LightGBM under fixed noise, in both languages."""
    return passes(results.crossing(), min(results.config.sizes))


def passes(crossing: float | None, least: int) -> dict[str, str]:
    """Say a crossing; None: there is none.   least  the smallest size"""
    if crossing is None:
        return {"zh": "在试过的规模内，ViT 没有超过 LightGBM。", "en": "Within the sizes tried it does not pass LightGBM."}
    if crossing <= least:
        return {"zh": "在试过的每个规模上，ViT 都高于 LightGBM。", "en": "It is above LightGBM at every size tried."}
    n = scaling.rough(crossing)
    return {"zh": f"从约 {n} 条光谱起，ViT 超过 LightGBM。", "en": f"It passes LightGBM from about {n} spectra on."}
