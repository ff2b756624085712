"""The noise-leakage study: measures that tell a copy from a denoiser, recipes as the document states them, commands."""

from dataclasses import replace
from types import SimpleNamespace

import h5py
import imageio.v3 as iio
import nibabel
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import gaussian_filter

from lib import paths
from lib.data.images import add_noise, load, noisy_median, object_mask, scale_of
from lib.models.shared_latent import SharedLatentConfig, SharedLatentDenoiser
from lib.noise2noise.recipes import RECIPES, recipe
from lib.noise2noise.training import load_model, save_model
from lib.report import reported
from lib.runtime import Runtime
from lib.studies import noise2noise as study
from lib.studies.noise2noise import measure
from lib.studies.noise2noise.__main__ import main
from lib.studies.noise2noise.classical import denoise, evaluate_classical
from lib.studies.noise2noise.diagnose import symptoms
from lib.studies.noise2noise.study import points, roughness

IMAGES = load().take(np.arange(60, 66))
RUNTIME = Runtime(torch.device("cpu"), "32-true", 0, 1, 0.0)
TINY = {"configs": ["pure_noise2noise"], "features": [4], "n_train": 4, "n_val": 2, "n_test": 2, "num_threads": 1}


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
    rows = measure.evaluate(model, IMAGES, 0.1, "rician", 0, "cpu")
    return rows.assign(sweep="main", config="it", value=np.nan, seed=0, sigma=0.1)


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
    rows = measure.evaluate(Flat(), dim, 0.1, "rician", 0, "cpu")
    assert rows.corr_target.abs().max() < 0.1


def test_detail_of_the_truth_is_one_of_a_blurred_image_less_and_ignores_noise():
    clean, mask = IMAGES.a[0], IMAGES.mask[0]
    noisy = add_noise(clean, 0.1, "gaussian", np.random.default_rng(0))
    assert measure.detail(clean, clean, mask) == pytest.approx(1)
    assert measure.detail(noisy, clean, mask) == pytest.approx(1, abs=0.1)
    assert measure.detail(gaussian_filter(clean, 2), clean, mask) < 0.3


def test_psnr_and_ssim_have_their_known_values():
    clean, mask = IMAGES.a[0], IMAGES.mask[0]
    assert measure.psnr_db(clean, clean + 0.1, mask) == pytest.approx(20, abs=1e-4)
    assert measure.ssim(clean, clean, mask) == pytest.approx(1)


@pytest.mark.parametrize("method", ["NLM", "TV", "wavelet"])
def test_a_classical_method_removes_noise_from_the_very_images_of_the_networks(method):
    rows = evaluate_classical(IMAGES, {method: 1.0}, 0.1, "rician", 0)
    noisy = scored(Copy()).query("path == 'cross'")
    assert rows.psnr_db.mean() > noisy.noisy_psnr_db.mean() + 1
    assert rows.slice.tolist() == noisy.slice.tolist()
    with pytest.raises(ValueError, match="NLM, TV, wavelet"):
        denoise(IMAGES.a[0], "BM3D", 0.1, 1.0)


@pytest.mark.parametrize("name", ["original", "pure_noise2noise", "extreme_denoising"])
def test_recipes_hold_what_the_document_states(name):
    stated, ours = reported(f"noise2noise.configs.{name}"), recipe(name)
    weights = ours.stages[0].weights
    assert [weights.content, weights.recon, weights.cross] == [stated[k] for k in ("content", "recon", "cross")]
    assert ours.skip_source == {"use_source_skip": "target", "no_skip": "none"}[stated["strategy"]]
    assert ours.latent == stated.get("latent", ours.latent)
    assert ours.epochs == stated.get("epochs", ours.epochs)


def test_the_second_stage_of_progressive_training_is_the_documents():
    first, second = RECIPES["progressive"].stages
    stated = [reported(f"noise2noise.configs.progressive_stage{n}") for n in (1, 2)]
    assert [first.epochs, second.epochs] == [s["epochs"] for s in stated]
    assert (second.weights.edge, second.weights.recon, second.fine) == (stated[1]["edge"], stated[1]["recon"], True)
    assert [s.epochs for s in RECIPES["progressive"].lasting(20).stages] == [4, 16]
    assert [s.epochs for s in RECIPES["progressive"].lasting(2).stages] == [1, 1]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"configs": ["pure"]}, "configuration 'pure' is unknown: use one of original, pure_noise2noise"),
        ({"configs": []}, "at least one"),
        ({"configs": ["progressive"], "epochs": 1}, "2 stages: 1 epochs are too few"),
        ({"sweep_noise": [0.0]}, "every noise level"),
        ({"noise_sigma": 0.0}, "greater than 0"),
    ],
)
def test_a_bad_parameter_is_one_sentence(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        study.Config.checked(values)


def test_configurations_are_compared_at_one_noise_level_and_the_sweep_varies_it():
    config = study.Config.checked(TINY | {"configs": list(RECIPES), "epochs": 5, "sweep_noise": [0.01, 0.25], "n_seeds": 3})
    rows = points(config)
    main = rows[rows.sweep == "main"]
    assert len(main) == 3 * len(RECIPES)
    assert {p.noise_sigma for p in main.point} == {0.1}
    assert {p.noise_sigma for p in rows[rows.sweep == "noise_sigma"].point} == {0.01, 0.25}


def run(**changes):
    config = study.Config.checked(TINY | changes)
    data = study.prepare(config)
    return config, data, study.train(config, data, RUNTIME)


def test_training_is_repeatable_and_found_in_the_cache():
    first, again = run()[2].trained[0], run()[2].trained[0]
    assert first.seconds == again.seconds  # the cached training
    forced = run(force=True)[2].trained[0]
    pd.testing.assert_frame_equal(forced.history, first.history)
    assert sorted(first.snapshots) == [1, 2]


def test_the_stages_of_progressive_training_are_one_curve_and_the_second_starts_from_the_first():
    _, _, trained = run(configs=["progressive"], epochs=6)
    history = trained.trained[0].history
    assert history.epoch.tolist() == list(range(1, 7))
    assert history.stage.tolist() == [1, 2, 2, 2, 2, 2]
    fresh = run(configs=["pure_noise2noise"], epochs=1, seed=0)[2].trained[0].history
    assert history.val_cross[1] < fresh.val_cross[0]  # the second stage does not start over
    assert study.costs(trained).parameters[0] == sum(p.numel() for p in trained.trained[0].model.parameters())


def test_a_training_killed_between_its_stages_ends_like_an_undisturbed_one(monkeypatch):
    from lib.noise2noise import training

    whole = run(configs=["progressive"], epochs=4)[2].trained[0]
    calls = []

    def killed(*args, **kwargs):
        calls.append(kwargs["name"])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fit(*args, **kwargs)

    fit = training.fit
    monkeypatch.setattr(training, "fit", killed)
    with pytest.raises(KeyboardInterrupt):
        run(configs=["progressive"], epochs=4, force=True)
    monkeypatch.setattr(training, "fit", fit)
    again = run(configs=["progressive"], epochs=4)[2].trained[0]
    pd.testing.assert_frame_equal(again.history, whole.history)
    assert sorted(again.snapshots) == sorted(whole.snapshots)


def test_a_run_gives_tables_verdicts_gallery_and_diagnosis():
    config, data, trained = run(configs=["original", "pure_noise2noise"], sweep_edge=[0.0, 0.05])
    rows = study.scores(trained, data, RUNTIME)
    assert rows[(rows.config == "pure_noise2noise") & (rows.path == "cross")].leak.abs().max() == 0
    table = study.comparison(rows, study.classical(config, data))
    assert table.method[:4].tolist() == ["noisy", "NLM", "TV", "wavelet"]
    findings = study.diagnose(trained, rows, data, study.train_floor(config, data))
    failed = findings[(findings.config == "original") & ~findings.fine].check
    assert {"target's skips kept out", "content weight > 0"} <= set(failed)
    assert set(study.gallery(trained, config, data, RUNTIME).kind) == {"clean", "noisy", "output", "residual", "noise"}
    assert study.sweep_table(study.summary(rows)).value.tolist() == [0.0, 0.05]
    assert study.milestones(study.histories(trained), 0.1).epoch.tolist() == [1, 1]


def test_training_in_mixed_precision_stays_close_to_single():
    config = study.Config.checked(TINY | {"configs": ["progressive"]})
    data = study.prepare(config)
    single, mixed = (study.train(config, data, replace(RUNTIME, precision=p)).trained[0] for p in ("32-true", "bf16-mixed"))
    assert mixed.history.val_cross.to_numpy() == pytest.approx(single.history.val_cross.to_numpy(), rel=0.02)
    assert mixed.history.train_edge.iloc[-1] > 0


def test_extra_noise_enters_the_inputs_and_never_the_targets():
    from lib.noise2noise.training import _augment

    batch = tuple(torch.zeros(2, 1, 4, 4) for _ in range(4))
    out = _augment(batch, torch.Generator().manual_seed(0), 0.3)
    assert out[0].std() > 0.1
    assert not torch.equal(out[0], out[1])
    assert out[2].abs().max() == out[3].abs().max() == 0


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
    assert {f.check for f in found if not f.fine} == failing
    assert all(f.remedy_en and f.remedy_zh for f in found)


def test_roughness_is_zero_for_a_falling_curve():
    assert roughness([3.0, 2.0, 1.0]) == 0
    assert roughness([3.0, 1.0, 2.0]) == pytest.approx(0.5)


def seeds(n, better):
    """Scores of two configurations at n seeds, one being `better` by that much."""
    rows = [
        {"sweep": "main", "value": np.nan, "config": name, "path": "cross", "seed": s, "slice": i, "psnr_db": 20 + 0.1 * s + plus}
        for s in range(n) for i in range(3) for name, plus in (("one", better), ("other", 0.0))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_two_configurations_are_compared_from_three_seeds_on():
    found = study.gap(seeds(3, 0.7), ("one",), ("other",), "psnr_db")
    assert (found.value, found.low, found.high) == pytest.approx((0.7, 0.7, 0.7))
    assert "at least 3" in study.gap(seeds(2, 0.7), ("one",), ("other",), "psnr_db").why[1]
    assert "does not hold the configurations absent" in study.gap(seeds(3, 0.7), ("absent",), ("other",), "psnr_db").why[1]
    assert study.best_gap(seeds(3, -0.2), "one", ["other", "one"], "psnr_db").value == pytest.approx(-0.2)


def saved(folder, **skips):
    torch.manual_seed(0)
    model = SharedLatentDenoiser(SharedLatentConfig(features=(4,), latent_channels=4, **skips))
    for decoder in model.decoders.values():
        torch.nn.init.constant_(decoder.to_image.bias, 0.5)  # images are not negative
    save_model(model, folder, recipe="x")
    return model.eval()


def test_a_saved_model_comes_back_without_pickle(tmp_path):
    model = saved(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.json", "weights.safetensors"]
    x = torch.rand(1, 1, 8, 8)
    assert torch.equal(load_model(tmp_path)(x, x)["cross_a"], model(x, x)["cross_a"])
    saved(tmp_path / "other", skip_source="latent")
    (tmp_path / "other" / "weights.safetensors").replace(tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match="of another architecture"):
        load_model(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"x")
    with pytest.raises(ValueError, match="no safetensors file"):
        load_model(tmp_path)
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(ValueError, match="There is no file"):
        load_model(tmp_path)


@pytest.mark.parametrize("form", [".npy", ".nii.gz", ".png", ".h5"])
def test_the_denoise_command_keeps_format_shape_and_units(tmp_path, form):
    model, source, stack = saved(tmp_path / "model"), tmp_path / f"in{form}", 5000 * IMAGES.a
    target = tmp_path / f"out{'.npy' if form == '.h5' else form}"
    if form == ".npy":
        np.save(source, stack)
    elif form == ".png":
        iio.imwrite(source, stack[0].astype(np.uint16))
    elif form == ".h5":
        with h5py.File(source, "w") as file:
            file["reconstruction_rss"] = stack
    else:
        nibabel.save(nibabel.Nifti1Image(np.moveaxis(stack, 0, -1), np.diag([2.0, 2, 1, 1])), source)
    said = main(["denoise", "--model", str(tmp_path / "model"), "--in", str(source), "--out", str(target), "--device", "cpu"])
    assert str(target) in said
    if form == ".nii.gz":
        assert nibabel.load(target).affine[0, 0] == 2
        got = np.moveaxis(np.asarray(nibabel.load(target).dataobj), -1, 0)
    else:
        got = iio.imread(target)[None] if form == ".png" else np.load(target)
    scale = scale_of(stack[: len(got)], object_mask(stack[: len(got)]))
    with torch.no_grad():
        expected = model.translate(torch.from_numpy(stack[: len(got), None] / scale), "b")[:, 0].numpy() * scale
    assert got.shape == expected.shape
    assert np.corrcoef(got.ravel(), np.clip(expected, 0 if form == ".png" else None, None).ravel())[0, 1] > 0.99


@pytest.mark.parametrize(
    ("skips", "options", "sentence"),
    [
        ({"skip_source": "target"}, [], "copies the noise of its input"),
        ({}, ["--domain", "c"], "use a or b"),
        ({}, ["--out", "x.jpg"], "cannot read this kind|cannot write|use .npy"),
        ({}, ["--in", "absent.npy"], "absent.npy does not exist"),
    ],
)
def test_the_denoise_command_refuses_in_a_sentence(tmp_path, skips, options, sentence):
    saved(tmp_path / "model", **skips)
    np.save(tmp_path / "in.npy", IMAGES.a)
    words = ["--model", str(tmp_path / "model"), "--in", str(tmp_path / "in.npy"), "--out", str(tmp_path / "o.npy"), *options]
    with pytest.raises(ValueError, match=sentence):
        main(["denoise", *words])


def test_the_check_command_tells_what_was_read(tmp_path):
    params = tmp_path / "p.yaml"
    params.write_text("profile: smoke\nn_train: 6\n", encoding="utf8")
    said = main(["check", "--params", str(params)])
    assert "MNI152" in said
    assert "T1 and T2" in said
    assert "pure_noise2noise" in main(["points", "--params", str(params)])
    with pytest.raises(ValueError, match="K/N such as 2/8"):
        main(["run", "--params", str(params), "--part", "3/2"])


def test_parts_of_a_run_share_its_trainings_and_the_study_finds_them(tmp_path):
    params = tmp_path / "p.yaml"
    params.write_text("profile: smoke\nn_train: 4\nepochs: 1\nfeatures: [4]\nnum_threads: 1\ndevice: cpu\n", encoding="utf8")
    said = [main(["run", "--params", str(params), "--part", f"{k}/2"]) for k in (1, 2)]
    assert all(text.startswith("1 of 2 trainings") for text in said)
    cached = sorted((paths.RUNS / "noise2noise").glob("*/complete.json"))
    config = study.Config.load(params)
    study.train(config, study.prepare(config), RUNTIME)
    assert sorted((paths.RUNS / "noise2noise").glob("*/complete.json")) == cached
    assert len(cached) == 2


def test_the_published_model_is_one_that_cannot_leak(tmp_path):
    _, data, trained = run(configs=["original", "latent_skips", "pure_noise2noise"], epochs=1)
    losing = [replace(t, history=t.history.assign(val_cross=float(i))) for i, t in enumerate(trained.trained)]
    name = study.publish(trained.assign(trained=losing), tmp_path, data.images)
    assert name == "latent_skips"
    assert load_model(tmp_path).config.skip_source == "latent"
    assert load_model(tmp_path / "original").config.skip_source == "target"
