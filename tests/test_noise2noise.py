"""The noise-leakage study: measures that tell a copy from a denoiser, recipes as the document states them, commands."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from noise2noise_cases import IMAGES, RUNTIME, TINY, run
from scipy.ndimage import gaussian_filter

from lib import paths
from lib.data.images import add_noise, noisy_median
from lib.plots import noise2noise as plots
from lib.report import reported
from lib.studies import noise2noise as study
from lib.studies.noise2noise import evaluate
from lib.studies.noise2noise.arms import ARMS, SWEEPS, points, recipe, setting
from lib.studies.noise2noise.cost import share_of_weights
from lib.studies.noise2noise.diagnose import symptoms
from lib.studies.noise2noise.experiments import roughness


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")


class Copy(torch.nn.Module):
    """The perfect leak: every output is its own noisy target."""

    def forward(self, x_a, x_b):
        return {"cross_a": x_a, "cross_b": x_b, "same_a": x_a, "same_b": x_b}


class Oracle(torch.nn.Module):
    """The perfect denoiser under an L1 loss: every output is the median of its target, and sees no noise."""

    def forward(self, x_a, x_b):
        n = len(x_a)
        start = self.seen % len(IMAGES)
        rows = slice(start, start + n)
        self.seen += n
        a, b = (torch.from_numpy(noisy_median(x[rows], 0.1, "rician"))[:, None] for x in (IMAGES.a, IMAGES.b))
        return {"cross_a": a, "cross_b": b, "same_a": a, "same_b": b}

    seen = 0


def scored(model):
    rows = evaluate.evaluate(model, IMAGES, 0.1, "rician", 0, "cpu")
    return rows.assign(sweep="main", arm="it", value=np.nan, seed=0, sigma=0.1)


def test_a_copy_of_the_target_has_leak_copy_score_and_correlation_one_and_lies_below_the_floor():
    rows = scored(Copy())
    for column in ("leak", "copy", "corr_target"):
        assert rows[column].to_numpy() == pytest.approx(1, abs=1e-5)
    assert rows.l1.max() == 0
    assert study.floor_test(rows).side.tolist() == ["below"]
    assert rows.psnr_db.to_numpy() == pytest.approx(rows.noisy_psnr_db.to_numpy())


def test_an_output_that_sees_no_noise_has_leak_zero_and_lies_at_the_floor():
    rows = scored(Oracle())
    assert rows.leak.to_numpy() == pytest.approx(0, abs=1e-6)
    assert abs(rows.corr_target.mean()) < 0.05
    assert study.floor_test(rows).difference[0] == pytest.approx(0, abs=1e-6)


def test_an_untrained_output_does_not_correlate_with_rician_noise_through_the_signal():
    class Flat(torch.nn.Module):
        def forward(self, x_a, x_b):
            flat = torch.full_like(x_a, 0.2)
            return {"cross_a": flat, "cross_b": flat, "same_a": flat, "same_b": flat}

    dim = replace(IMAGES, a=0.2 * IMAGES.a, b=0.2 * IMAGES.b)  # where the noise is as large as the signal
    rows = evaluate.evaluate(Flat(), dim, 0.1, "rician", 0, "cpu")
    assert rows.corr_target.abs().max() < 0.1


def test_detail_of_the_truth_is_one_of_a_blurred_image_less_and_ignores_noise():
    clean, mask = IMAGES.a[0], IMAGES.mask[0]
    noisy = add_noise(clean, 0.1, "gaussian", np.random.default_rng(0))
    assert evaluate.detail(clean, clean, mask) == pytest.approx(1)
    assert evaluate.detail(noisy, clean, mask) == pytest.approx(1, abs=0.1)
    assert evaluate.detail(gaussian_filter(clean, 2), clean, mask) < 0.3


def test_psnr_and_ssim_have_their_known_values():
    clean, mask = IMAGES.a[0], IMAGES.mask[0]
    assert evaluate.psnr_db(clean, clean + 0.1, mask) == pytest.approx(20, abs=1e-4)
    assert evaluate.ssim(clean, clean, mask) == pytest.approx(1)


@pytest.mark.parametrize("method", ["NLM", "TV", "wavelet"])
def test_a_classical_method_removes_noise_from_the_very_images_of_the_networks(method):
    rows = evaluate.evaluate_classical(IMAGES, {method: 1.0}, 0.1, "rician", 0)
    noisy = scored(Copy()).query("path == 'cross'")
    assert rows.psnr_db.mean() > noisy.noisy_psnr_db.mean() + 1
    assert rows.unit.tolist() == noisy.unit.tolist()
    with pytest.raises(ValueError, match="NLM, TV, wavelet"):
        evaluate.denoise(IMAGES.a[0], "BM3D", 0.1, 1.0)


@pytest.mark.parametrize("name", ["original", "pure_noise2noise", "extreme_denoising"])
def test_recipes_hold_what_the_document_states(name):
    stated, ours = reported(f"noise2noise.configs.{name}"), recipe(ARMS[name])
    weights = ours.stages[0].weights
    assert [weights.content, weights.recon, weights.cross] == [stated[k] for k in ("content", "recon", "cross")]
    assert ours.skip_source == {"use_source_skip": "target", "no_skip": "none"}[stated["strategy"]]
    assert ours.latent == stated.get("latent", ours.latent)
    assert ours.epochs == stated.get("epochs", ours.epochs)


def test_the_second_stage_of_progressive_training_is_the_documents():
    first, second = recipe(ARMS["progressive"]).stages
    stated = [reported(f"noise2noise.configs.progressive_stage{n}") for n in (1, 2)]
    assert [first.epochs, second.epochs] == [s["epochs"] for s in stated]
    assert (second.weights.edge, second.weights.recon, second.fine) == (stated[1]["edge"], stated[1]["recon"], True)
    assert [s.epochs for s in recipe(ARMS["progressive"]).lasting(20).stages] == [4, 16]
    assert [s.epochs for s in recipe(ARMS["progressive"]).lasting(2).stages] == [1, 1]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"configs": ["pure"]}, "'configs' names 'pure', but the arms are original, pure_noise2noise"),
        ({"configs": []}, "at least one"),
        ({"configs": ["progressive"], "epochs": 1}, "2 stages: 1 epochs are too few"),
        ({"sweep_noise": [0.0]}, "every noise level"),
        ({"noise_sigma": 0.0}, "greater than 0"),
        ({"batch_size": 3, "devices": 2}, "multiple of the 2 devices"),
    ],
)
def test_a_bad_parameter_is_one_sentence(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        study.Config.checked(values)


def test_configurations_are_compared_at_one_noise_level_and_the_sweep_varies_it():
    config = study.Config.checked(TINY | {"configs": list(ARMS), "epochs": 5, "sweep_noise": [0.01, 0.25], "n_seeds": 3})
    rows = points(config)
    main = rows[rows.sweep == "main"]
    assert len(main) == 3 * len(ARMS)
    assert {p.noise_sigma for p in main.point} == {0.1}
    assert {p.noise_sigma for p in rows[rows.sweep == "noise_sigma"].point} == {0.01, 0.25}


def test_every_sweep_trains_each_seed_of_an_arm_alike_whatever_else_runs():
    few = study.Config.checked(TINY | {"sweep_latent": [512], "n_seeds": 2})
    many = study.Config.checked(few.model_dump() | {"configs": list(ARMS), "epochs": 2, "sweep_recon": [0.3]})
    addressed = [points(c).query("sweep == 'latent' and seed == 1").point.item() for c in (few, many)]
    assert addressed[0] == addressed[1]
    assert addressed[0].recipe.latent == 512
    assert set(SWEEPS.values()) == {name for name in study.Config.model_fields if name.startswith("sweep_")}


def test_a_run_gives_tables_verdicts_gallery_and_diagnosis():
    config, data, trained = run(configs=["original", "pure_noise2noise"], sweep_edge=[0.0, 0.05])
    rows = study.scores(trained, data, RUNTIME)
    assert rows[(rows.arm == "pure_noise2noise") & (rows.path == "cross")].leak.abs().max() == 0
    table = study.comparison(rows, study.classical(config, data))
    assert table.method[:4].tolist() == ["noisy", "NLM", "TV", "wavelet"]
    findings = study.diagnose(trained, rows, data, study.train_floor(config, data))
    failed = findings[(findings.config == "original") & ~findings.fine].check
    assert {"target's skips kept out", "content weight > 0"} <= set(failed)
    assert set(study.gallery(trained, config, data, RUNTIME).kind) == {"clean", "noisy", "output", "residual", "noise"}
    assert study.sweep_table(rows).value.tolist() == [0.0, 0.05]
    assert study.milestones(study.histories(trained), 0.1).epoch.tolist() == [1, 1]


def history(train, latent_std=None, val=None):
    n = len(train)
    return pd.DataFrame({"train_cross": train, "val_cross": val or train, "val_latent_std": latent_std or [1.0] * n})


@pytest.mark.parametrize(
    ("curve", "detail", "failing"),
    [
        (history([1.0, 0.6, 0.3, 0.2]), 0.9, set()),
        (history([1.0, 1.0, 0.99, 0.99]), 0.9, {"cross loss falls (excess left)"}),
        (history([1.0, 0.6, 0.3, 0.2]), 0.2, {"not blurred (detail kept)"}),
        (history([1.0, 0.6, 0.3, 0.2], val=[1.0, 0.4, 0.8, 0.3]), 0.9, {"stable (rises / fall)"}),
        (history([1.0, 0.6, 0.3, 0.2], [1.0, 0.3, 0.1, 0.01]), 0.9, {"latent has not collapsed (std / max)"}),
    ],
)
def test_the_debugging_guide_names_the_case(curve, detail, failing):
    rows = pd.DataFrame({"path": ["cross"], "detail": [detail], "leak": [0.0]})
    found = symptoms(SimpleNamespace(history=curve), rows, 0.1)
    assert {f["check"] for f in found if not f["fine"]} == failing
    assert all(f["remedy_en"] and f["remedy_zh"] for f in found)


def test_roughness_is_zero_for_a_falling_curve():
    assert roughness([3.0, 2.0, 1.0]) == 0
    assert roughness([3.0, 1.0, 2.0]) == pytest.approx(0.5)


def seeds(n, better):
    """Scores of two configurations at n seeds, one being `better` by that much."""
    rows = [
        {"sweep": "main", "value": np.nan, "arm": name, "seed": s, "unit": i, "psnr_db": 20 + 0.1 * s + plus}
        for s in range(n) for i in range(3) for name, plus in (("one", better), ("other", 0.0))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_two_configurations_are_compared_from_three_seeds_on():
    found = study.gap(seeds(3, 0.7), "one", "other", "psnr_db")
    assert (found.value, found.low, found.high) == pytest.approx((0.7, 0.7, 0.7))
    assert "at least 3" in study.gap(seeds(2, 0.7), "one", "other", "psnr_db").why["en"]
    gone = study.gap(seeds(3, 0.7), "absent", "other", "psnr_db").why
    assert gone["en"] == "This run does not have `absent` (parameter `configs`)."
    assert study.best_gap(seeds(3, -0.2), "one", ["other", "one"], "psnr_db").value == pytest.approx(-0.2)
    assert "`absent`" in study.best_gap(seeds(3, 0.7), "one", ["absent"], "psnr_db").why["zh"]


def test_a_gap_after_an_epoch_is_paired_by_seed_and_says_where_the_training_was_shorter():
    rows = [{"arm": arm, "seed": s, "epoch": e, "train_cross": s + plus / e}
            for arm, plus in (("one", 1.0), ("other", 2.0)) for s in range(3) for e in (1, 2)]  # fmt: skip
    curves = pd.DataFrame(rows)
    assert study.gap_at_epoch(curves, "one", "other", "train_cross", 2).value == pytest.approx(-0.5)
    assert "it takes 5" in study.gap_at_epoch(curves, "one", "other", "train_cross", 5).why["en"]
    assert "not have `absent` " in study.gap_at_epoch(curves, "one", "absent", "train_cross", 2).why["en"]
    assert "`one`" not in study.gap_at_epoch(curves, "absent", "one", "train_cross", 5).why["en"]
    assert study.left(curves, "one", "train_cross", 2, floor=-1.0).value == pytest.approx((1.5 / 2 + 2.5 / 3 + 3.5 / 4) / 3)
    assert study.kept_latent(curves.assign(val_latent_std=1 / curves.epoch), "one").value == 0.5
    assert study.lowest_loss(curves) == "one"


def test_the_cost_of_the_full_profile_follows_from_one_timed_step_and_its_operations():
    config, data, trained = run(epochs=2)
    table = study.projection(config, data, trained, RUNTIME).set_index("run")
    assert table.trainings.tolist() == [1, 87]
    assert table.hours.to_numpy() == pytest.approx((table.slices / table.slices_per_second / 3600).to_numpy())
    assert table.loc["this_run", "hours"] * 3600 == pytest.approx(trained.trained[0].seconds)
    assert 200 < table.loc["full", "gflop_per_slice"] < 400
    assert share_of_weights(config) < 0.01


def test_many_rows_of_images_share_the_area_of_four():
    rows = [
        {"arm": f"c{i}", "path": "cross", "domain": "a", "kind": kind, "image": np.zeros((4, 4))}
        for i in range(9) for kind in ("clean", "noisy", "output", "residual", "noise")
    ]  # fmt: skip
    nine, four = (plots.gallery(pd.DataFrame(rows[:n])).get_size_inches() for n in (45, 20))
    assert nine.prod() == pytest.approx(four.prod())


def test_the_settings_table_sets_the_document_beside_the_run():
    table = study.settings(study.Config.checked(TINY | {"clip": 0.5}), reported("noise2noise")).set_index("setting")
    assert table.loc["clip"].tolist() == ["1.0", "0.5"]
    assert table.loc["epochs (progressive)"].tolist() == ["10 + 40", "—"]
    assert table.loc["features", "reported"] == "[512, 256, 128]"


def test_a_threshold_that_is_never_reached_is_said_and_not_judged():
    frame = pd.DataFrame({"arm": ["a"] * 3 + ["b"] * 3, "seed": [0, 1, 2] * 2, "epochs": [4.0] * 3 + [np.nan] * 3})
    assert study.gap(frame, "a", "b", "epochs").why["en"].startswith("b never gets there")
    assert study.gap(frame.fillna(2.0), "a", "b", "epochs").value == 2.0


def test_white_noise_has_no_neighbours_and_a_smooth_image_has():
    mask = np.ones((64, 64), bool)
    white = np.random.default_rng(0).normal(size=mask.shape)
    assert abs(evaluate.neighbours(white, mask)) < 0.05
    assert evaluate.neighbours(np.cumsum(white, axis=1), mask) > 0.9


def test_costs_of_two_points_of_a_sweep_are_compared():
    rows = [{"sweep": "content", "value": v, "arm": "pure_noise2noise", "seed": s, "content_ratio": v + 0.01 * s}
            for v in (0.0, 1.0) for s in range(3)]  # fmt: skip
    one, other, absent = (setting("content", v) for v in (1.0, 0.0, 0.5))
    assert study.gap(pd.DataFrame(rows), one, other, "content_ratio").value == pytest.approx(1.0)
    why = study.gap(pd.DataFrame(rows), one, absent, "content_ratio").why["en"]
    assert "value 0.5" in why
    assert "`sweep_content`" in why


def test_the_fall_of_the_first_stage_is_paired_by_seed():
    rows = [{"arm": "staged", "seed": s, "stage": stage, "epoch": e, "train_recon": (s + 1.0) * scale}
            for s in range(3) for e, stage, scale in ((1, 1, 1.0), (2, 1, 0.25), (3, 2, 9.0))]  # fmt: skip
    curves = study.first_stage(pd.DataFrame(rows))
    found = study.left(curves, "staged", "train_recon")
    assert (found.value, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))
    assert (found.seeds, found.source) == (3, "lib.studies.noise2noise.measures.left")
    assert study.left(curves, "absent", "train_recon").why
