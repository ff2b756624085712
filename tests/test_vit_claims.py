"""What the claims of vit_scaling are judged by, on predictions whose R2 is known."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from lib.arms import Arm
from lib.studies.vit_scaling import checks, measures, tables
from lib.studies.vit_scaling.arms import ARMS
from lib.studies.vit_scaling.results import Results

STARS = 200


class Made(Results):
    """Points with predictions of given R2; `costs` are what their steps measured."""

    def __init__(self, *scored, costs=(), **config):
        rng = np.random.default_rng(0)
        truth, off = rng.normal(size=(2, STARS))
        self.points = [point for point, _ in scored]
        self.config = SimpleNamespace(**{"seed": 42, "noise_level": 1.0, "pooling": "cls", "fit_draws": 50} | config)
        self.draws = {"n": 50, "seed": 42}
        self.truth, self.off = truth, off * np.sqrt(((truth - truth.mean()) ** 2).sum() / (off**2).sum())
        self.r2 = dict(scored_by_key(scored))
        measured = dict(zip(self.r2, costs, strict=False))
        self.found = {
            k: (measured.get(k, {}), {"test": torch.tensor(self.predicted(r2))[:, None]}) for k, r2 in self.r2.items()
        }
        self.sets = SimpleNamespace(train=SimpleNamespace(device=torch.device("cuda")))

    def predicted(self, r2):
        return self.truth + self.off * np.sqrt(1 - r2)

    def applied(self, point):
        return self.predicted(self.r2[point.name, point.seed] - 0.3)


def scored_by_key(scored):
    return (((point.name, point.seed), r2) for point, r2 in scored)


def vit(n=100, protocol="fixed", *, model="vit", group="ladder", name="", level=1.0, seed=42, **changes):
    run = {"model": model, "protocol": protocol, "n_train": n, "noise_level": level, "epochs": 8}
    return Arm(name or f"{model}_{protocol}_{n}", group, run | changes, seed)


def arm(name):
    return vit(group="ablation", name=name, **ARMS[name].changes)


def test_a_point_is_scored_with_the_bootstrap_over_stars_and_an_absent_arm_says_so():
    made = Made((arm("run_1"), 0.5), (arm("loss_l1"), 0.6))
    found = measures.r2_of(made, "run_1")
    assert found.value == pytest.approx(0.5)
    assert found.low < 0.5 < found.high
    better = measures.gain(made, "loss_l1")
    assert better.value == pytest.approx(0.1)
    assert better.low > 0, "paired over the stars"
    assert better.source == "lib.studies.vit_scaling.measures.gain"
    assert measures.gain(made, "clip_off").why["en"] == "This run does not have `clip_off` (parameter `ablations`)."


def test_the_seeds_of_the_largest_size_are_told_apart():
    made = Made((vit(100), 0.5), (vit(100, seed=43), 0.9), (vit(100, model="lightgbm"), 0.4), sizes=[100])
    assert measures.lead(made).value == pytest.approx(0.1)
    assert measures.r2_of(made, made.largest()["vit"]).value == pytest.approx(0.5)


def test_the_claim_on_a_million_spectra_waits_for_them():
    few, enough = Made((vit(1000), 0.7)), Made((vit(1000), 0.2), (vit(500, "fresh"), 0.7))
    assert "1,000 spectra" in measures.r2_at_scale(few, 2000).why["en"]
    found = measures.r2_at_scale(enough, 500)
    assert (found.value, found.facts) == (pytest.approx(0.7), {"n": 500, "protocol": "fresh"})


def test_a_gain_per_doubling_is_asked_of_the_largest_sizes_and_only_at_the_documents_scale():
    ladder = [(vit(n, "fresh"), r2) for n, r2 in ((1_000, 0.2), (250_000, 0.60), (1_000_000, 0.64))]
    found = measures.doubling_gain(Made(*ladder), 1_000_000)
    assert (found.value, found.facts) == (pytest.approx(0.02), {"before": 250_000, "n": 1_000_000})
    assert found.low < 0.02 < found.high
    assert measures.doubling_gain(Made(*ladder[:2]), 1_000_000).why
    assert measures.doubling_gain(Made(ladder[2]), 1_000_000).why


def test_fresh_noise_is_worth_the_stars_that_reach_its_r2():
    fixed = [(vit(n), r2) for n, r2 in ((100, 0.2), (400, 0.6))]
    found = measures.equivalent_stars(Made(*fixed, (vit(100, "fresh"), 0.4)))
    assert (found.value, found.facts) == (pytest.approx(2), {"n": 100})
    assert found.low <= 2 <= found.high
    assert measures.equivalent_stars(Made(*fixed, (vit(100, "fresh"), 0.7))).why  # the curve does not reach it
    assert measures.equivalent_stars(Made(*fixed)).why


def test_fresh_noise_is_compared_at_the_largest_size_that_has_both():
    made = Made((vit(100), 0.2), (vit(400), 0.6), (vit(100, "fresh"), 0.3))
    assert (measures.fresh_gain(made).value, measures.fresh_gain(made).facts["n"]) == (pytest.approx(0.1), 100)
    for apart in (Made((vit(100), 0.2), (vit(400, "fresh"), 0.6)), Made((vit(100), 0.2))):
        assert "`fresh_sizes`" in measures.fresh_gain(apart).why["en"]


def test_the_smallest_size_compares_the_two_models_there():
    scores = [(vit(n, model=m), r2) for m, n, r2 in
              (("vit", 100, 0.1), ("vit", 400, 0.6), ("lightgbm", 100, 0.3), ("lightgbm", 400, 0.5))]  # fmt: skip
    made = Made(*scores, sizes=[100, 400])
    found = measures.lead(made, smallest=True)
    assert (found.facts["n"], found.value) == (100, pytest.approx(-0.2))
    assert measures.lead(made).value == pytest.approx(0.1)
    assert found.facts["crossing"]["en"] == "It passes LightGBM from about 250 spectra on."


@pytest.mark.parametrize(("trees", "said"), [((0.0, 0.0), "at every size"), ((0.5, 0.9), "does not pass")])
def test_a_crossing_outside_the_ladder_is_said_as_such(trees, said):
    curves = {"vit": (0.1, 0.6), "lightgbm": trees}
    scores = [(vit(n, model=m), r2) for m, curve in curves.items() for n, r2 in zip((100, 400), curve, strict=True)]
    assert said in measures.crossing_text(Made(*scores, sizes=[100, 400]))["en"]


def test_training_without_noise_is_compared_with_the_same_training_with_noise():
    blind, seeing = vit(level=0.0, group="noise", name="noise_0.0"), arm("run_1")
    found = measures.noise_training_gain(Made((blind, 0.9), (seeing, 0.4), (vit(200), 0.7)))
    assert (found.value, found.facts["n"]) == (pytest.approx(0.4 - 0.6), 100)
    assert measures.noise_training_gain(Made((blind, 0.9), (vit(200), 0.7))).why
    assert measures.noise_training_gain(Made((blind, 0.9), (arm("loss_l1"), 0.7))).why, "another loss is no pair"
    assert measures.noise_training_gain(Made((seeing, 0.4))).why


def test_a_pooling_is_set_against_cls_whichever_of_them_run_1_has():
    by_cls = Made((arm("run_1"), 0.5), (arm("pooling_mean"), 0.6))
    by_mean = Made((arm("run_1"), 0.6), (arm("pooling_cls"), 0.5), pooling="mean")
    for made in (by_cls, by_mean):
        assert measures.pooling_gain(made, "mean").value == pytest.approx(0.1)
        assert "`pooling_attention`" in measures.pooling_gain(made, "attention").why["en"]
    assert "`pooling_cls`" in measures.pooling_gain(Made((arm("run_1"), 0.6), pooling="mean"), "mean").why["en"]


def test_a_normalisation_has_its_loss_only_where_both_gains_say_so():
    scores = {"run_1": 0.5, "norm_minmax": 0.4, "minmax_l1": 0.45, "loss_l1": 0.47}
    made = Made(*((arm(name), r2) for name, r2 in scores.items()))
    pairs = [measures.gain(made, *pair) for pair in (("run_1", "norm_minmax"), ("minmax_l1", "loss_l1"))]
    assert measures.weakest(*pairs).value == pytest.approx(-0.02)
    assert measures.weakest(pairs[0], measures.gain(made, "clip_off")).why
    best = measures.best_gain(made, "norm_minmax", "loss_l1", "clip_off")
    assert (best.facts["arm"], best.value) == ("loss_l1", pytest.approx(-0.03))
    assert "`clip_off`, `loss_huber`" in measures.best_gain(made, "clip_off", "loss_huber").why["en"]


def test_mixed_precision_is_the_documents_kind_where_it_was_run():
    arms = [(arm(f"precision_{name}"), 0.5) for name in ("fp32", "bf16", "fp16")]
    costs = [{"peak_mib": mib} for mib in (100, 40, 60)]
    made = Made(*arms, costs=costs)
    found = checks.precision_ratio(made, "peak_mib")
    assert (found.value, found.facts) == (0.6, {"kind": "FP16"})
    without = checks.precision_ratio(Made(*arms[:2], costs=costs), "peak_mib")
    assert (without.value, without.facts) == (0.4, {"kind": "bf16"})
    made.sets.train.device = torch.device("cpu")
    assert checks.precision_ratio(made, "peak_mib").why


def test_sigma_is_asked_about_flux_only_where_it_is_a_stars_own(monkeypatch):
    flux = torch.rand(4, 50, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(checks, "observe", lambda *_: SimpleNamespace(flux=flux, sigma=flux.sqrt()))
    sets, config = SimpleNamespace(grid=object(), test=None), SimpleNamespace(error_source="clean")
    results = SimpleNamespace(sets=sets, config=config, truth=np.zeros(4))
    assert checks.sigma_follows_flux(results).value == pytest.approx(1)
    config.error_source = "reference"
    assert "`error_source`" in checks.sigma_follows_flux(results).why["en"]


def test_what_a_training_still_gains_is_counted_from_a_share_of_its_epochs():
    epochs = pd.DataFrame({"arm": "run_1", "val_r2": [0.0, 0.1, 0.2, 0.3, 0.4, 0.45, 0.5, 0.52]})
    found = measures.rise_from(epochs, 0.48)
    assert (found.value, found.facts) == (pytest.approx(0.22), {"since": 4, "epochs": 8})
    assert measures.rise_from(epochs[:1], 0.48).why
    assert measures.rise_from(epochs[:0], 0.48).why


def test_the_smallest_step_sees_a_fall_of_r2_and_a_rise_of_the_loss():
    epochs = pd.DataFrame({"val_r2": [0.0, 0.3, 0.4], "train_loss": [1.0, 0.7, 0.6]})
    assert measures.smallest_step(epochs).value == pytest.approx(0.1)
    assert measures.smallest_step(epochs.assign(val_r2=[0.0, 0.3, 0.25])).value == pytest.approx(-0.05)
    assert measures.smallest_step(epochs.assign(train_loss=[1.0, 0.7, 0.9])).value == pytest.approx(-0.2)
    assert measures.smallest_step(epochs[:1]).why


def test_an_unsteady_training_has_the_larger_spread():
    smooth, rough = np.linspace(0.1, 0.8, 8), np.array([0.1, 0.4, 0.2, 0.5, 0.4, 0.7, 0.5, 0.9])
    history = pd.concat([pd.DataFrame({"arm": a, "val_r2": r2}) for a, r2 in (("run_1", smooth), ("rate_constant", rough))])
    steps = measures.spread(history, "rate_constant")
    assert (steps.facts["own"], steps.facts["others"]) == (pytest.approx(np.diff(rough).std()), pytest.approx(0))
    assert steps.value == pytest.approx(np.diff(rough).std())
    assert measures.spread(history, "rate_constant", late=True).value == pytest.approx(0.2 - 0.05)
    assert "`norm_minmax`" in measures.spread(history, "norm_minmax").why["en"]
    assert "`ablation_epochs`" in measures.spread(history.groupby("arm").head(2), "rate_constant").why["en"]
    assert measures.spread(history.groupby("arm").head(3), "rate_constant").value is not None
    assert measures.spread(history.groupby("arm").head(3), "rate_constant", late=True).why


def test_attention_on_features_is_read_at_the_patches_that_hold_them():
    frame = pd.DataFrame({"wave_aa": [10.0, 20.0, 30.0] * 2, "layer": [1] * 3 + [2] * 3, "attention": [1, 3, 1, 1, 1, 1]})
    found = checks.attention_ratio(frame, [("a", 18.0), ("b", 23.0)])
    assert (found.value, found.facts) == (pytest.approx(2), {"patches": 1, "of": 3})
    assert checks.attention_ratio(frame, []).why
    assert checks.attention_ratio(frame, [("a", w) for w in (10, 20, 30)]).why


def test_a_sentence_on_the_ends_of_a_table_has_facts_only_where_there_are_two():
    noise = pd.DataFrame({"noise_level": [2.0, 0.0, 1.0], "r2": [0.02, 0.99, np.nan]})
    assert tables.ends(noise, "noise_level") == {
        "noise_level_first": 0.0,
        "r2_first": 0.99,
        "noise_level_last": 2.0,
        "r2_last": 0.02,
    }
    assert tables.ends(noise[:1], "noise_level") == {}
