import weakref

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from latent_cases import DENOISER, SMALL, runtime
from step_cases_spectra import write_files

from lib import denoising, paths
from lib.data.sets import open_grid, open_set
from lib.data.spectra import write_hdf5
from lib.studies import latent_extraction as study
from lib.studies.latent_extraction.__main__ import main
from lib.studies.latent_extraction.experiments import LAST, PRE, SEGMENTS, Probed
from lib.studies.latent_extraction.occlusion import concentration, lost
from lib.studies.latent_extraction.tables import SCORES


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A tiny run: config, runtime, sets, denoiser, probed features."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "RUNS", tmp_path_factory.mktemp("runs"))
        config, run = study.Config(**SMALL | DENOISER), runtime()
        sets = study.prepare(config, run)
        denoiser, history = study.pretrained(config, run, sets)
        cells = study.table_cells(config, denoiser, len(sets.test.wave))
        yield config, run, sets, denoiser, history, study.probe(config, denoiser, sets, cells)


def synthetic(n=400, seed=0):
    """Predictions of known quality: segments read log g well, the global mean poorly, the layers alike."""
    draw = np.random.default_rng(seed)
    y = draw.normal(size=(n, 3))
    noise = {
        (PRE, SEGMENTS): 0.3,
        (LAST, SEGMENTS): 0.3,
        (PRE, "global_mean"): 1.0,
        (LAST, "global_mean"): 1.0,
        (PRE, "mean_max"): 0.8,
    }
    return Probed(pd.DataFrame(), {cell: y + s * draw.normal(size=y.shape) for cell, s in noise.items()}), y


def test_the_stars_of_denoiser_probe_and_test_are_other_stars(ran):
    _, _, sets, *_ = ran
    stars = [{tuple(row) for row in s.source.parameters.tolist()} for s in (sets.pretrain, sets.train, sets.val, sets.test)]
    assert sum(map(len, stars)) == len(set().union(*stars))


def test_the_table_holds_every_layer_and_pooling_and_the_decoder_hears_enc_last(ran):
    _config, _, sets, denoiser, _, probed = ran
    table = study.layer_pooling(probed.table)
    assert set(table.layer) == {"layer0", "layer1", "layer2", PRE, LAST, "dec_input", "all_layers"}
    assert len(table) == 6 * 3 + 1
    last, heard = (table[table.layer == name].drop(columns="layer").reset_index(drop=True) for name in (LAST, "dec_input"))
    pd.testing.assert_frame_equal(last, heard)
    assert study.decoder_difference(denoiser, sets.test) == 0


def test_cells_whose_layer_is_too_short_for_the_segments_are_named(ran):
    config, _, sets, denoiser, *_ = ran
    pixels = len(sets.test.wave)
    assert study.cells_left_out(config, denoiser, pixels) == "-"
    many = config.model_copy(update={"poolings": [*config.poolings, f"seg_mean_K{pixels // 4}"]})
    kept = study.table_cells(many, denoiser, pixels)
    assert {layer for layer, pooling in kept if pooling == f"seg_mean_K{pixels // 4}"} == {"layer0", "layer1", "layer2"}
    said = study.cells_left_out(many, denoiser, pixels)
    assert said.startswith(f"{PRE} + seg_mean_K{pixels // 4} (L' = {pixels // 8})")
    for layer in (PRE, LAST):
        kept_pixels = denoiser.latents(torch.zeros(1, 2, pixels), layer, "mean").shape[-1]
        assert f"{layer} + seg_mean_K{pixels // 4} (L' = {kept_pixels})" in said


def test_a_decoder_that_hears_something_else_is_noticed(ran):
    _, _, sets, denoiser, *_ = ran
    hook = denoiser.encoders[-1].register_forward_hook(lambda _m, _i, out: out + torch.rand_like(out))
    assert study.decoder_difference(denoiser, sets.test) > 0.01
    hook.remove()


def test_choices_look_at_validation_and_never_at_test():
    rows = [{"layer": layer, "pooling": SEGMENTS, "label": "log_g", "probe": "ridge", "dim": 8, "val_r2": val, "test_r2": test}
            for layer, val, test in ((PRE, 0.6, 0.1), (LAST, 0.5, 0.9))]  # fmt: skip
    assert study.chosen(pd.DataFrame(rows)).layer == PRE


def test_decomposition_finds_the_pooling_and_no_layer_effect():
    probed, y = synthetic()
    effects = study.decomposition(probed, y, 1).set_index("effect")
    assert effects.gain_low["pooling_only"] > 0.3
    assert effects.gain_low["layer_only"] < 0 < effects.gain_high["layer_only"]
    assert study.pooling_over_layer(probed, y, 1)["low"] > 0


def test_concentration_of_one_telling_segment_is_one_and_of_none_is_even():
    y = np.random.default_rng(0).normal(size=500)
    whole, hidden = y + 0.1, [np.zeros(500)] + [y + 0.1] * 7
    assert concentration(lost(y, [whole, *hidden], 50, 0), top=2)["value"] == pytest.approx(1)
    assert concentration(lost(y, [whole, *[np.zeros(500)] * 8], 50, 0), top=2)["value"] == pytest.approx(0.25)


def test_hiding_everything_costs_the_probe_its_knowledge(ran):
    config, _, sets, denoiser, _, probed = ran
    table, share = study.occlusion(config, denoiser, sets, probed)
    assert len(table) == 8
    assert (table.loss_low <= table.loss_high).all()
    assert share["low"] <= share["value"] <= share["high"] <= 1


def test_controls_know_nothing_from_the_error_and_all_from_noiseless_flux(ran):
    config, run, sets, *_ = ran
    table, _ = study.controls(config, run, sets)
    scores = table[(table.label == "log_g") & (table.probe == "ridge")].set_index("arm").test_r2
    assert scores["error_only"] < 0.05
    assert scores["noiseless_flux"] > 0.9
    assert scores["error_only"] < scores["raw_flux"] < scores["noiseless_flux"]


def test_a_sigma_from_the_noiseless_flux_leaks_the_label_and_the_control_sees_it(ran):
    config, run, *_ = ran
    sets = study.prepare(config, run, error_source="clean")
    table, _ = study.controls(config, run, sets)
    assert table[(table.label == "log_g") & (table.arm == "error_only")].test_r2.iloc[0] > 0.5


def test_an_equal_run_comes_from_the_cache_and_another_seed_does_not(ran):
    config, run, sets, denoiser, _history, _ = ran
    again, _ = study.pretrained(config, run, sets)
    assert torch.equal(again.encoders[0].conv.weight, denoiser.encoders[0].conv.weight)
    other, _ = study.pretrained(config.model_copy(update={"seed": 1}), run, sets)
    assert not torch.equal(other.encoders[0].conv.weight, denoiser.encoders[0].conv.weight)


def test_published_model_denoises_a_users_file_and_a_broken_one_is_refused(ran, tmp_path, capsys):
    config, _run, sets, denoiser, _, probed = ran
    recipe = study.publish(config, tmp_path, denoiser, sets, probed, (PRE, SEGMENTS))
    assert recipe["layer"] == PRE
    assert not [f for f in tmp_path.rglob("*") if f.suffix in (".pkl", ".pt", ".ckpt")]
    with h5py.File(tmp_path / "teacher.h5") as file:
        assert file[f"train/{PRE}/{SEGMENTS}"].shape == (128, 32)
    user = tmp_path / "user.h5"
    sets.test.source.write_hdf5(user)
    assert (
        main(["denoise", "--model", str(tmp_path), "--in", str(user), "--out", str(tmp_path / "out.h5"), "--device", "cpu"])
        == 0
    )
    with h5py.File(user) as given, h5py.File(tmp_path / "out.h5") as made:
        flux, error = (torch.from_numpy(given[f"dataset/arrays/{n}/value"][()]) for n in ("flux", "error"))
        found = denoising.denoise(denoiser, flux, error)
        np.testing.assert_allclose(made["dataset/arrays/flux/value"], found.flux, atol=1e-5)
        np.testing.assert_allclose(made["dataset/arrays/mu/value"], found.mu, atol=1e-5)
        assert (made["dataset/arrays/error/value"][()] <= error.numpy() * 1.0001).all()
    assert pd.read_hdf(tmp_path / "out.h5").log_g.equals(pd.read_hdf(user).log_g)
    with h5py.File(user, "a") as file:
        file["dataset/arrays/flux/value"][5, 7] = np.nan
    assert (
        main(["denoise", "--model", str(tmp_path), "--in", str(user), "--out", str(tmp_path / "no.h5"), "--device", "cpu"]) == 1
    )
    assert "row 5, pixel 7" in capsys.readouterr().err
    assert not (tmp_path / "no.h5").exists()


def test_spectra_of_files_are_read_through_the_same_window(tmp_path):
    made = study.Config(**SMALL)
    whole = open_set(made.spectra("train", 64), torch.device("cpu"))
    for name in ("train", "val", "test"):
        blocks = [(whole.flux.numpy(), whole.sigma.numpy() / made.noise_level)]
        write_hdf5(tmp_path / f"{name}.h5", np.asarray(whole.wave), whole.source.table(), blocks)
    files = {f"{n}_path": str(tmp_path / f"{n}.h5") for n in ("val", "test")} | {"train_path": [str(tmp_path / "train.h5")]}
    config = study.Config(**SMALL | files | {"window_aa": [8500.0, 8700.0]})
    found = open_set(config.spectra("train", 64), torch.device("cpu"))
    assert 8500 <= found.wave[0] < found.wave[-1] <= 8700
    assert len(found.wave) % 64 == 0
    np.testing.assert_allclose(found.labels, whole.labels, rtol=1e-5)
    assert study.describe(config)["source"] == "hdf5"


def test_a_mask_by_error_is_that_of_the_training_set_in_every_set(tmp_path):
    config = study.Config(**SMALL | write_files(tmp_path))
    specs = [config.spectra(split, n) for split, n in (("train", 48), ("train", 24), ("val", 24), ("test", 24))]
    waves = [open_set(spec, torch.device("cpu")).wave for spec in specs]
    assert len(waves[0]) < len(open_grid("", tuple(SMALL["window_aa"])).wave)
    assert all(torch.equal(wave, waves[0]) for wave in waves)
    (tmp_path / "train.h5").write_bytes((tmp_path / "val.h5").read_bytes())
    assert config.spectra("test", 24).fingerprint != specs[3].fingerprint, "the mask is a part of what is read"
    with pytest.raises(ValueError, match=r"train.h5 is no longer what it was"):
        open_set(specs[0], torch.device("cpu"))


def test_a_set_in_use_is_opened_once_and_one_that_nobody_needs_is_let_go():
    spec, device = study.Config(**SMALL).spectra("val", 16), torch.device("cpu")
    first = open_set(spec, device)
    assert open_set(spec, device) is first
    gone = weakref.ref(first)
    del first
    assert gone() is None


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"kernel_size": 8}, "even kernel_size"), ({"arms": ["ramdom"]}, "names 'ramdom'"), ({"window_aa": [8500.0]}, "window_aa"),
     ({"poolings": ["global_mean", "seg_mean_K8"]}, "lacks mean_max"), ({"labels": ["t_eff"]}, "log_g must be among"),
     ({"train_path": ["x.h5"]}, "belong together"), ({"poolings": ["seg_mean_8"]}, "'seg_mean_8' is unknown"),
     ({"embeddim": 8}, "embed_dim")],
)  # fmt: skip
def test_params_that_contradict_are_refused_in_one_sentence(wrong, says):
    with pytest.raises(ValueError, match=says):
        study.Config.checked(wrong)


def test_the_grid_is_cut_to_whole_multiples_of_64_pixels():
    grid = open_grid("", tuple(study.Config().window_aa))
    assert len(grid.wave) % 64 == 0
    assert grid.flux(grid.sample(2)).shape == (2, len(grid.wave))


def test_projected_hours_follow_from_the_measured_speed():
    scale = study.projected(runtime(), steps=1, pixels=256)
    assert scale["samples_per_second"] > 0
    assert scale["hours"] == pytest.approx(100_000 * 5_000 / scale["samples_per_second"] / 3600)


def test_questions_about_cells_and_arms_that_are_not_there_are_not_tested():
    probed, y = synthetic()
    found = study.between(probed, y, 1, (PRE, SEGMENTS), (PRE, "mean_max"))
    assert found["low"] > 0
    assert "enc_pre_latent + seg_mean_K16" in study.between(probed, y, 1, (PRE, study.FINER), (PRE, SEGMENTS))["why_not"]["en"]
    config = study.Config(arms=[])
    assert study.label_loss(config, pd.DataFrame())["value"] is None
    assert study.student(config, pd.DataFrame(), pd.Series(dtype=float))["value"] is None


def test_arms_are_set_apart_with_both_intervals():
    config = study.Config(arms=["label", "student"], arm_epochs=2)
    rows = [{"arm": arm, "layer": PRE, "pooling": SEGMENTS, "label": "log_g", "probe": "ridge", "test_r2": r2, "test_r2_low": r2 - 0.1,
             "test_r2_high": r2 + 0.1} for arm, r2 in (("label_2_epochs", 0.6), ("t1_2_epochs", 0.3), ("student", 0.5))]  # fmt: skip
    arms = pd.DataFrame(rows)
    found = study.label_loss(config, arms)
    assert [found[k] for k in ("value", "low", "high")] == pytest.approx([0.3, 0.1, 0.5])
    assert study.student(config, arms, arms.iloc[0])["value"] == pytest.approx(-0.1)


def test_the_best_layers_of_the_labels_are_counted():
    rows = [{"layer": layer, "pooling": SEGMENTS, "label": label, "probe": "ridge", "dim": 8, "val_r2": r2}
            for label, best in (("log_g", PRE), ("t_eff", LAST)) for layer in (PRE, LAST) for r2 in (0.9 if layer == best else 0.1,)]  # fmt: skip
    table = pd.DataFrame(rows).assign(**dict.fromkeys(SCORES[1:], 0.5)).assign(val_r2=[r["val_r2"] for r in rows])
    assert study.best_layers(table) == {"value": 2, "names": f"log_g: {PRE}, t_eff: {LAST}"}
