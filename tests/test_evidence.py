"""Evidence: what a claim is judged by, on frames whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lib import evidence, metrics
from lib.arms import Arm, chosen, table
from lib.evidence import Measured, at_epoch, cost, gap, measure, over_seeds, rows_of, score, share

RNG = np.random.default_rng(0)
TRUTH = RNG.normal(size=200)


def predictions(**noise):
    """Return a frame of predictions: arm -> spread of its error, or one spread per seed."""
    rows = []
    for arm, spread in noise.items():
        for seed, sd in enumerate(spread if isinstance(spread, list) else [spread]):
            pred = TRUTH + np.random.default_rng([seed, len(arm)]).normal(size=200) * sd
            rows.append(pd.DataFrame({"arm": arm, "seed": seed, "unit": np.arange(200), "truth": TRUTH, "pred": pred}))
    return pd.concat(rows, ignore_index=True)


def scores(**values):
    """Return a frame of scores: arm -> one value per seed, the same for both units but for a constant."""
    return pd.DataFrame([{"arm": arm, "seed": s, "unit": u, "psnr_db": v + u} for arm, each in values.items()
                         for s, v in enumerate(each) for u in range(2)])  # fmt: skip


def test_a_measure_has_a_finite_value_or_a_reason():
    with pytest.raises(ValueError, match="a value or a reason"):
        Measured()
    with pytest.raises(ValueError, match="a value or a reason"):
        Measured(1.0, why={"zh": "", "en": ""})
    with pytest.raises(ValueError, match="finite"):
        Measured(float("nan"))


def test_score_of_one_seed_is_the_metric_with_the_bootstrap_over_units():
    frame = predictions(mlp=0.3)
    found = score(frame, "mlp")
    assert found.value == pytest.approx(metrics.r2(frame.truth.to_numpy(), frame.pred.to_numpy()))
    assert (found.low, found.high) == metrics.bootstrap(metrics.r2, frame.truth, frame.pred)
    assert found.source == "lib.evidence.score"
    assert found.seeds == 1


def test_the_interval_of_several_seeds_holds_their_spread():
    narrow, wide = (score(predictions(mlp=sd), "mlp") for sd in ([0.3, 0.3, 0.3], [0.1, 0.3, 0.9]))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)
    assert wide.seeds == 3


def test_gap_is_paired_over_units():
    frame = predictions(a=0.5)
    frame = pd.concat([frame, frame.assign(arm="b", pred=frame.pred + 0.01 * (frame.truth - frame.pred))])
    found = gap(frame, "b", "a")
    assert found.low > 0, "a small difference that every unit shares is not hidden by their spread"
    assert score(frame, "a").high > score(frame, "b").low
    y, b, a = (frame[frame.arm == arm][column].to_numpy() for arm, column in (("a", "truth"), ("b", "pred"), ("a", "pred")))
    assert (found.low, found.high) == metrics.bootstrap_difference(metrics.r2, y, b, a)


def test_gap_of_several_trainings_holds_what_differs_between_their_seeds():
    frame = predictions(a=[0.3, 0.35, 0.9], b=[0.4, 0.4, 0.4])
    found, alone = gap(frame, "a", "b"), gap(frame[frame.seed == 0], "a", "b")
    y = frame[(frame.arm == "a") & (frame.seed == 0)].truth.to_numpy()
    first, second = (np.stack([p.pred for _, p in frame[frame.arm == arm].groupby("seed")]) for arm in "ab")
    assert (found.value, found.low, found.high) == metrics.repeated_difference(metrics.r2, y, first, second)
    assert found.high - found.low > 3 * (alone.high - alone.low)
    assert found.seeds == 3


def test_scores_are_those_of_each_arm():
    frame = pd.concat([evidence.predictions(arm, TRUTH, TRUTH + 0.1, part=p) for arm in "ab" for p in (0, 1)])
    table = evidence.scores(frame, ("arm", "part"), n=50)
    assert table[["arm", "part"]].to_numpy().tolist() == [["a", 0], ["a", 1], ["b", 0], ["b", 1]]
    assert table.test_mae.tolist() == pytest.approx([0.1] * 4)
    one = score(frame[frame.part == 0], "a", n=50)
    assert tuple(table.loc[0, ["test_r2", "test_r2_low", "test_r2_high"]]) == (one.value, one.low, one.high)


def test_gap_of_scores_is_paired_by_seed():
    found = gap(scores(a=[1.0, 5.0, 9.0], b=[0.9, 4.8, 8.9]), "a", "b", "psnr_db", needed=3)
    mean, low, high = metrics.t_interval([0.1, 0.2, 0.1])
    assert (found.value, found.low, found.high) == pytest.approx((mean, low, high))
    assert found.seeds == 3


def test_too_few_seeds_are_a_reason_in_both_languages():
    found = gap(scores(a=[1.0], b=[0.9]), "a", "b", "psnr_db", needed=3)
    assert found.value is None
    assert "at least 3" in found.why["en"]
    assert "至少需要 3 个" in found.why["zh"]
    assert over_seeds([1.0, 2.0]).value is None


def test_an_absent_arm_gives_its_reason_by_itself():
    frame = predictions(a=0.5)
    for found in (score(frame, "b"), gap(frame, "a", "b"), cost(frame, "b", "pred"), at_epoch(frame, "b", "pred", 1)):
        assert "`b`" in found.why["en"]
        assert "`b`" in found.why["zh"]
        assert "`arms`" in found.why["en"]
        assert found.shown() == "—"
    assert "`ablations`" in score(frame, "b", parameter="ablations").why["en"]


def test_units_that_differ_are_refused():
    frame = predictions(a=0.5, b=0.4)
    with pytest.raises(ValueError, match="same units"):
        gap(frame[~((frame.arm == "b") & (frame.unit == 3))], "a", "b")


def test_share_has_the_wilson_interval():
    found = share([True] * 30 + [False] * 10)
    wilson = stats.binomtest(30, 40).proportion_ci(method="wilson")
    assert (found.value, found.low, found.high) == (0.75, wilson.low, wilson.high)


def test_at_epoch_reads_the_history_and_says_where_it_is_too_short():
    history = pd.DataFrame({"arm": "a", "seed": [0, 0, 1, 1], "epoch": [1, 2, 1, 2], "loss": [4.0, 2.0, 6.0, 3.0]})
    assert at_epoch(history, "a", "loss", 1).value == 5.0
    assert at_epoch(history, "a", "loss").value == 2.5
    assert "`epochs`" in at_epoch(history, "a", "loss", 3).why["en"]


def test_cost_of_a_goal_that_is_never_reached_is_a_reason():
    frame = pd.DataFrame({"arm": "a", "seed": [0, 1], "epochs_to": [np.nan, np.nan]})
    assert "never" in cost(frame, "a", "epochs_to").why["en"]


def test_rows_are_found_by_several_columns_and_floats_as_floats():
    frame = pd.DataFrame({"arm": ["a", "a", "b"], "sweep": [0.1 + 0.2, 0.5, 0.3]})
    assert len(rows_of(frame, {"arm": "a", "sweep": 0.3})) == 1


def test_a_value_mapped_keeps_its_interval_the_right_way_up():
    found = Measured(1.0, 0.5, 2.0).mapped(lambda v: 1 - v)
    assert (found.value, found.low, found.high) == (0.0, -1.0, 0.5)


def test_the_outermost_measure_is_the_source():
    assert twice(predictions(a=0.5)).source == f"{__name__}.twice"
    assert twice(predictions(a=0.5)).saying(arm="a").facts == {"arm": "a"}


@measure
def twice(frame):
    return evidence.score(frame, "a").mapped(lambda v: 2 * v)


def test_arms_stand_once_and_are_chosen_by_name():
    known = table([Arm("a", "size", {"width": 2}), Arm("b")])
    assert [arm.name for arm in chosen(known, ["b", "a"])] == ["a", "b"]
    assert [arm.seed for arm in known["a"].seeded([3, 4])] == [3, 4]
    with pytest.raises(ValueError, match="names 'c'"):
        chosen(known, ["c"])
    with pytest.raises(ValueError, match="'a' stands twice"):
        table([Arm("a"), Arm("a")])
