import weakref

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from latent_cases import DENOISER, SMALL, runtime
from step_cases_spectra import write_files

from lib import denoising, evidence, metrics, paths
from lib.data.sets import open_grid, open_set
from lib.data.spectra import write_hdf5
from lib.studies import latent_extraction as study
from lib.studies.latent_extraction.__main__ import main
from lib.studies.latent_extraction.arms import GLOBAL, LAST, MEAN_MAX, PRE, SEGMENTS, named, planned
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


def synthetic(n=400, seed=0, label="log_g"):
    """Predictions of known quality: segments read a label well, the global mean poorly, the layers alike."""
    draw = np.random.default_rng(seed)
    y = draw.normal(size=n)
    noise = {(PRE, SEGMENTS): 0.3, (LAST, SEGMENTS): 0.3, (PRE, GLOBAL): 1.0, (LAST, GLOBAL): 1.0, (PRE, MEAN_MAX): 0.8}
    parts = [evidence.predictions(named(c), y, y + s * draw.normal(size=n), label=label) for c, s in noise.items()]
    return pd.concat(parts, ignore_index=True)


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
    assert study.decoder_difference(denoiser, sets.test).value == 0


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
    assert study.decoder_difference(denoiser, sets.test).value > 0.01
    hook.remove()


def test_choices_look_at_validation_and_never_at_test():
    rows = [{"layer": layer, "pooling": SEGMENTS, "label": "log_g", "probe": "ridge", "dim": 8, "val_r2": val, "test_r2": test}
            for layer, val, test in ((PRE, 0.6, 0.1), (LAST, 0.5, 0.9))]  # fmt: skip
    assert study.best_row(pd.DataFrame(rows)).layer == PRE


def test_the_table_and_the_predictions_tell_of_the_same_stars(ran):
    config, _, sets, *_, probed = ran
    row = probed.table[(probed.table.layer == PRE) & (probed.table.pooling == GLOBAL) & (probed.table.label == "m_h")].iloc[0]
    part = evidence.rows_of(probed.predicted, {"arm": named((PRE, GLOBAL)), "label": "m_h"})
    np.testing.assert_allclose(part.truth, sets.test.labels[:, config.labels.index("m_h")])
    assert row.test_r2 == pytest.approx(metrics.r2(part.truth.to_numpy(), part.pred.to_numpy()))
    assert row.test_r2_low < row.test_r2 < row.test_r2_high
    assert row.train_r2 != row.val_r2


def test_decomposition_finds_the_pooling_and_no_layer_effect():
    gains = dict.fromkeys(("layer_gain_pct", "pooling_gain_pct", "mean_max_gain_pct", "both_gain_pct"), 1.0)
    effects = study.decomposition(synthetic(), gains | {"pooling_gain_pct": 77.6}).set_index("effect")
    assert effects.gain_low["pooling_only"] > 0.3
    assert effects.reported_gain_pct["pooling_only"] == 77.6
    assert effects.gain_low["layer_only"] < 0 < effects.gain_high["layer_only"]
    assert evidence.gap(synthetic(), named((LAST, SEGMENTS)), named((PRE, GLOBAL))).low > 0


def test_concentration_of_one_telling_segment_is_one_and_of_none_is_even():
    y = np.random.default_rng(0).normal(size=500)
    whole, hidden = y + 0.1, [np.zeros(500)] + [y + 0.1] * 7
    assert concentration(lost(y, [whole, *hidden], 50, 0), top=2).value == pytest.approx(1)
    assert concentration(lost(y, [whole, *[np.zeros(500)] * 8], 50, 0), top=2).value == pytest.approx(0.25)


def test_hiding_everything_costs_the_probe_its_knowledge(ran):
    config, _, sets, denoiser, _, probed = ran
    table, share = study.occlusion(config, denoiser, sets, probed)
    assert len(table) == 8
    assert (table.loss_low <= table.loss_high).all()
    assert share.low <= share.value <= share.high <= 1


def test_controls_know_nothing_from_the_error_and_all_from_noiseless_flux(ran):
    config, run, sets, *_ = ran
    table = study.controls(config, run, sets).table
    scores = table[(table.label == "log_g") & (table.probe == "ridge")].set_index("arm").test_r2
    assert scores["error_only"] < 0.05
    assert scores["noiseless_flux"] > 0.9
    assert scores["error_only"] < scores["raw_flux"] < scores["noiseless_flux"]


def test_a_sigma_from_the_noiseless_flux_leaks_the_label_and_the_control_sees_it(ran):
    config, run, *_ = ran
    sets = study.prepare(config, run, error_source="clean")
    table = study.controls(config, run, sets).table
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
    finer = evidence.gap(synthetic(), "enc_pre_latent + seg_mean_K16", named((PRE, SEGMENTS)), parameter="poolings")
    assert "`enc_pre_latent + seg_mean_K16` (parameter `poolings`)" in finer.why["en"]
    assert evidence.gap(synthetic(), "student", named((PRE, SEGMENTS))).value is None


def test_the_label_that_is_weaker_or_more_sensitive_is_named():
    both = pd.concat(
        [synthetic(label="t_eff"), synthetic(seed=1, label="m_h").assign(pred=lambda f: f.truth + 2 * (f.pred - f.truth))]
    )
    weaker = study.weaker_label(both, n=60)
    assert (weaker.facts["name"], weaker.source) == ("m_h", "lib.studies.latent_extraction.measures.weaker_label")
    assert study.most_sensitive(both).facts["name"] == "m_h"
    assert study.weaker_label(synthetic(label="t_eff"), n=60).facts["name"] == "t_eff"


def test_the_best_of_the_random_encoders_is_the_one_to_beat():
    own = synthetic()
    rows = own[own.arm == named((PRE, SEGMENTS))]
    noise = np.random.default_rng(3).normal(size=len(rows))
    others = [
        rows.assign(arm="random: enc_pre_latent + seg_mean_K8", seed=k, pred=rows.truth + s * noise)
        for k, s in ((0, 2.0), (1, 0.5))
    ]
    found = study.over_random(pd.concat([own, *others]))
    alone, best = (evidence.score(part, {}).value for part in (rows, others[1]))
    assert found.value == pytest.approx(alone - best)


def test_losses_are_compared_with_the_studys_own_at_equal_epochs():
    names = lambda **changes: [(a.name, dict(a.changes)) for a in planned(study.Config(**changes))]  # noqa: E731
    assert names(arms=["label"]) == [("t1", {}), ("label", {"label_weight": 0.1})]
    assert names(arms=["e1", "e2"], loss="e1") == [("e1", {}), ("e2", {"loss": "e2"})]
    assert names(arms=["student", "directions"]) == [("directions", {}), ("student", {})]
    assert names(arms=[]) == []


def test_every_arm_of_the_table_adds_what_it_is_named_after(ran, monkeypatch, tmp_path):
    config, run, sets, denoiser, _, probed = ran
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    small = config.model_copy(update={"arms": ["directions", "label", "student"], "student_epochs": 1})
    more = study.further_arms(small, run, denoiser, sets, probed, (PRE, SEGMENTS))
    cells = ["enc_pre_latent + seg_mean_K8", "enc_last + seg_mean_K8"]
    expected = [f"{way}: {c}" for way in ("forward", "mean", "concat") for c in cells]
    assert list(dict.fromkeys(more.predicted.arm)) == [
        *expected,
        *(f"{a}: {c}" for a in ("t1", "label") for c in cells),
        "student",
    ]
    log_g = evidence.rows_of(study.joined([probed, more]).predicted, {"label": "log_g"})
    same = evidence.gap(log_g, f"mean: {cells[0]}", cells[0], n=60)
    assert (same.value, same.low, same.high) == (0, 0, 0), "the study's own direction again"
    assert evidence.gap(log_g, f"label: {cells[0]}", f"t1: {cells[0]}", n=60).low is not None
    assert study.arms(probed.table, more.table).name.is_unique


def test_the_best_layers_of_the_labels_are_counted():
    rows = [{"layer": layer, "pooling": SEGMENTS, "label": label, "probe": "ridge", "dim": 8, "val_r2": r2}
            for label, best in (("log_g", PRE), ("t_eff", LAST)) for layer in (PRE, LAST) for r2 in (0.9 if layer == best else 0.1,)]  # fmt: skip
    table = pd.DataFrame(rows).assign(**dict.fromkeys(SCORES[1:], 0.5)).assign(val_r2=[r["val_r2"] for r in rows])
    found = study.best_layers(study.recommended(table))
    assert (found.value, found.facts["names"]) == (2, f"log_g: {PRE}, t_eff: {LAST}")
