import numpy as np
import pandas as pd
import pytest
import torch
from latent_cases import DENOISER, SMALL, runtime

from lib import denoising, latents, paths
from lib import workflow as flow
from lib.data.sets import PROBE_STREAM, open_set
from lib.files import read_json, write_json
from lib.metrics import r2
from lib.models.blindspot import save_pretrained
from lib.probes import fit_ridge
from lib.steps.denoiser import encoder_at, open_encoder
from lib.steps.head import train_attention, train_head, train_unfrozen
from lib.studies import latent_extraction
from lib.studies import mlp_head as study
from lib.studies.mlp_head.__main__ import main
from lib.studies.mlp_head.arms import attention_spec, unfrozen_spec
from lib.studies.mlp_head.experiments import head_spec, read
from lib.studies.mlp_head.publish import load

CELL = ("enc_pre_latent", "seg_mean_K8")
FIT = {"epochs": 6, "batch_size": 32, "arm_epochs": 2, "folds": 2, "n_boot": 60}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A tiny encoder and the head on it: config, runtime, prepared, features, trained head."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "RUNS", tmp_path_factory.mktemp("runs"))
        teacher, run = latent_extraction.Config(**SMALL | DENOISER), runtime()
        sets = latent_extraction.prepare(teacher, run)
        encoder, _ = latent_extraction.pretrained(teacher, run, sets)
        weights = tmp_path_factory.mktemp("model") / denoising.WEIGHTS
        save_pretrained(encoder, weights)
        config = study.Config(**SMALL | FIT | {"checkpoint": str(weights), "arms": list(study.ARMS)})
        prepared = study.prepare(config, run)
        found = study.features(config, prepared, list(study.DOCUMENTS))
        yield config, run, prepared, found, study.head(config, run, prepared, CELL)


def test_features_are_those_of_the_frozen_encoder_under_other_noise_each_realisation(ran):
    config, _, prepared, found, _ = ran
    assert not any(p.requires_grad for p in prepared.denoiser.parameters())
    assert len(found["train"]) == config.realisations
    first, second = (draw[CELL] for draw in found["train"])
    assert first.shape == second.shape
    assert not torch.allclose(first, second, atol=1e-3)


def test_heads_read_the_features_that_the_study_holds_without_another_pass(ran, monkeypatch):
    config, run, prepared, *_ = ran
    monkeypatch.setattr(latents, "pooled", lambda *_, **__: pytest.fail("the encoder was asked again"))
    assert study.head(config, run, prepared, study.DOCUMENTS[0], epochs=1).pred["test"].shape == (96,)


def test_the_frozen_encoder_stays_as_it_was(ran):
    config, run, prepared, *_ = ran
    before = {name: value.clone() for name, value in prepared.denoiser.state_dict().items()}
    study.follow_ups(config, run, prepared)
    for name, value in prepared.denoiser.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_every_follow_up_predicts_the_test_stars(ran):
    config, run, prepared, _, main_head = ran
    others, left_out = study.follow_ups(config, run, prepared)
    assert set(others) == set(study.ARMS) - {"cells", "folds"}
    assert left_out == "-"
    for name, head in others.items():
        assert head.pred["test"].shape == (96,), name
        assert np.isfinite(head.pred["test"]).all(), name
    assert study.arm_gain(study.truth(config, prepared), others, "unfrozen", main_head, 60)["low"] is not None


def test_a_comparison_of_heads_holds_their_training_seeds(ran):
    config, run, prepared, _, main_head = ran
    config, truth = config.model_copy(update={"head_seeds": 2}), study.truth(config, prepared)
    repeated = study.repeats(config, run, prepared, ["multitask"])
    assert {name: pred.shape for name, pred in repeated.items()} == {"mlp": (2, 96), "multitask": (2, 96)}
    assert np.array_equal(repeated["mlp"][0], main_head.pred["test"]), "the first seed is the main head's own"
    assert not np.allclose(repeated["mlp"][0], repeated["mlp"][1], atol=1e-3)
    judged = study.repeated_gain(truth, repeated, "multitask", 60)
    single = [study.r2(truth, a) - study.r2(truth, b) for a, b in zip(repeated["multitask"], repeated["mlp"], strict=True)]
    assert judged["value"] == pytest.approx(np.mean(single))
    assert judged["low"] < min(single)
    assert max(single) < judged["high"], "what differs between seeds is inside"
    assert study.repeated_gain(truth, repeated, "mlp_2", 60)["why_not"]["en"].startswith("This profile does not train")
    assert study.repeats(config.model_copy(update={"arms": ["cells"]}), run, prepared, ["mlp_2"]) == {}


def test_unfrozen_encoder_and_published_model_read_the_legacy_segments_of_the_frozen_head(ran, tmp_path):
    config, run, prepared, *_ = ran
    cell = ("enc_pre_latent", "seg_mean_K5")  # five does not divide L', so that the two kinds of edges differ
    legacy = config.model_copy(update={"edges": "legacy", "pooling": cell[1]})
    found = study.features(legacy, prepared, [cell])
    adaptive = study.features(config.model_copy(update={"pooling": cell[1]}), prepared, [cell])
    assert not torch.allclose(found["test"][cell], adaptive["test"][cell])
    frozen = study.head(legacy, run, prepared, cell)
    still = legacy.model_copy(update={"unfrozen_rate": 1e-12, "arm_epochs": 1})
    still = read(train_unfrozen(unfrozen_spec(still, prepared), run))
    np.testing.assert_allclose(still.pred["test"], frozen.pred["test"], atol=1e-4)
    study.publish(legacy, tmp_path, prepared, frozen, study.long_history({"mlp": frozen.history}))
    model, _ = load(tmp_path, torch.device("cpu"))
    seen = next(denoising.in_order(prepared.test, batch_size=96))
    with torch.no_grad():
        np.testing.assert_allclose(model(seen.noisy, seen.sigma)[:, 0], frozen.pred["test"], atol=1e-4)


def test_folds_are_scored_on_rows_that_they_did_not_train_on(ran):
    config, run, prepared, *_ = ran
    folds = study.folds(config, run, prepared)
    assert folds.fold.tolist() == [0, 1]
    assert np.isfinite(folds[["held_r2", "test_r2"]]).all(axis=None)
    assert study.half_width(folds)["value"] > 0


def test_results_compare_on_the_same_stars(ran):
    config, _, prepared, found, main_head = ran
    truth, ridge = study.truth(config, prepared), study.ridge(config, prepared, found, CELL)
    table = study.results(truth, {"ridge": ridge["test"], "mlp": main_head.pred["test"]}, n_boot=60, seed=0, run_name="x")
    mlp = table.set_index("method").loc["mlp"]
    assert mlp.test_r2 == pytest.approx(r2(truth, main_head.pred["test"]))
    assert mlp.gain == pytest.approx(mlp.test_r2 - table.test_r2[0])
    assert mlp.gain_low <= mlp.gain <= mlp.gain_high
    assert mlp.test_mse == pytest.approx(mlp.test_rmse**2)
    assert study.parameters(main_head) == 32 * 256 + 256 + 256 + 1


def test_ridge_is_fitted_on_the_draws_that_the_head_sees(ran):
    config, _, prepared, found, _ = ran
    every, one = (study.ridge(config, prepared, found, CELL, draws=n)["test"] for n in (None, 1))
    stacked = torch.cat([draw[CELL] for draw in found["train"]])
    y = prepared.labels("train", [1]).repeat(2, 1)
    np.testing.assert_allclose(every, fit_ridge(stacked, y).predict(found["test"][CELL])[:, 0])
    assert not np.allclose(every, one)


def test_history_finds_the_best_epoch_and_the_first_past_ridge():
    history = pd.DataFrame({"epoch": [0, 1, 2, 3], "val_r2": [-6.0, 0.3, 0.6, 0.5], "val_rmse": 1.0, "val_mae": 1.0})
    assert study.best_epoch(history) == 2
    assert study.first_past(history, 0.4) == 2
    assert study.first_past(history, 0.9) is None
    table = study.history_table(history, [[0, -6.57, 3, 3], [2, 0.4, 1, 1], [50, 0.57, 1, 1]])
    assert table.epoch.tolist() == [0, 2]
    assert table.reported_val_r2.tolist() == [-6.57, 0.4]


def test_blank_cells_are_filled_where_the_arm_runs(ran):
    config, run, prepared, found, main_head = ran
    ridges, heads = study.blank_cells(config, run, prepared, found, list(study.DOCUMENTS), main_head)
    assert set(ridges) == set(heads) == set(study.DOCUMENTS)
    table = study.cells_table(study.truth(config, prepared), ridges, heads, 60)
    assert table.mlp_r2.notna().all()


def test_published_head_predicts_a_users_file_in_its_order(ran, tmp_path, capsys):
    config, _run, prepared, found, main_head = ran
    study.publish(config, tmp_path, prepared, main_head, study.long_history({"mlp": main_head.history}))
    assert pd.read_csv(tmp_path / "training_log.csv").epoch.tolist() == main_head.history.epoch.tolist()
    source = open_set(config.spectra("test", 96, stream=PROBE_STREAM), torch.device("cpu")).source
    source.write_hdf5(tmp_path / "user.h5")
    words = ["predict", "--model", str(tmp_path), "--in", str(tmp_path / "user.h5"), "--out", str(tmp_path / "out.csv")]
    assert main([*words, "--device", "cpu"]) == 0
    found = pd.read_csv(tmp_path / "out.csv")
    assert found.row.tolist() == list(range(96))
    assert np.isfinite(found.log_g).all()
    other = open_set(config.model_copy(update={"window_aa": [8412.0, 8600.0]}).spectra("test", 16), torch.device("cpu"))
    other.source.write_hdf5(tmp_path / "user.h5")
    assert main([*words, "--device", "cpu"]) == 1
    assert "miss the model's" in capsys.readouterr().err
    recipe = read_json(tmp_path / "head.json")
    write_json(tmp_path / "head.json", recipe | {"pooling": "global_mean"})
    assert main([*words, "--device", "cpu"]) == 1
    said = capsys.readouterr().err
    assert "head.json is damaged" in said
    assert len(said.splitlines()) == 1


def test_an_encoder_from_other_noise_or_a_missing_one_is_refused(ran, tmp_path):
    config, run, prepared, *_ = ran
    with pytest.raises(ValueError, match="run latent_extraction at profile 'smoke' first"):
        study.prepare(config.model_copy(update={"checkpoint": str(tmp_path / "none.safetensors")}), run)
    weights = tmp_path / denoising.WEIGHTS
    save_pretrained(prepared.denoiser, weights)
    encoder = encoder_at(weights)
    weights.with_suffix(".json").write_text(weights.with_suffix(".json").read_text() + " ")
    with pytest.raises(ValueError, match="no longer the denoiser that was asked for"):
        open_encoder(encoder, run.device)
    spectra = {name: getattr(config, name) for name in ("window_aa", "noise_preset", "noise_level", "error_source")}
    write_json(tmp_path / "encoder.json", {"spectra": spectra | {"noise_level": 1.0}})
    with pytest.raises(ValueError, match="trained with noise_level 1.0, but 'noise_level' is 0.3"):
        study.prepare(config.model_copy(update={"checkpoint": str(weights)}), run)


@pytest.mark.parametrize(
    "setting",
    ["learning_rate", "dropout", "batch_size", "weight_decay", "stop_patience", "clip", "arm_epochs", "seed", "layer"],
)
def test_every_setting_of_a_follow_up_makes_another_one(ran, setting):
    config, run, prepared, *_ = ran
    old = getattr(config, setting)
    other = config.model_copy(
        update={setting: "enc_last" if setting == "layer" else old + 1 if isinstance(old, int) else old / 2}
    )
    for one, spec in ((train_attention, attention_spec), (train_unfrozen, unfrozen_spec)):
        assert one.folder(spec(config, prepared), run) != one.folder(spec(other, prepared), run)
    heads = [head_spec(c, prepared, (c.layer, c.pooling), epochs=c.arm_epochs) for c in (config, other)]
    assert len({train_head.folder(spec, run) for spec in heads}) == 2


def test_the_workflow_runs_latent_extraction_first():
    assert "build/quick/latent_extraction/executed.stamp" in flow.inputs("mlp_head", "quick")
    assert not [f for f in flow.inputs("latent_extraction", "quick") if f.endswith(".stamp")]


@pytest.mark.parametrize(("wrong", "says"), [({"arms": ["mlp3"]}, "names 'mlp3'"), ({"pooling": "seg8"}, "'seg8' is unknown")])
def test_params_that_contradict_are_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        study.Config.checked(wrong)


def test_the_training_curve_is_judged_only_where_it_is_long_enough():
    epochs = range(41)
    history = pd.DataFrame({"epoch": epochs, "val_r2": [-5.0, 0.1] + [min(0.1 + 0.025 * e, 0.6) for e in epochs[2:]]})
    assert study.at_once(history)["value"] == pytest.approx(1 / 6)
    assert study.at_once(history.assign(val_r2=-1.0))["value"] is None
    assert study.late_drop(history, 20)["value"] == 0
    assert study.late_drop(history.assign(val_r2=[0.5] * 39 + [0.46, 0.5]), 20)["value"] == pytest.approx(0.04)
    assert study.late_drop(history, 21)["value"] is None
    assert study.early_share(history, 20)["value"] == pytest.approx(1.0)
    assert study.early_share(history, 10)["value"] == pytest.approx(0.5)
    assert "fewer than 50" in study.early_share(history, 25)["why_not"]["en"]
    assert study.ahead_of_ridge(history, 10, 0.3)["value"] == pytest.approx(0.05)
    assert study.ahead_of_ridge(history, 41, 0.3)["value"] is None


def test_an_arm_that_was_not_trained_judges_nothing(ran):
    *_, main_head = ran
    y = np.zeros(96)
    for found in (study.arm_gain(y, {}, "attention", main_head, 60), study.beyond_linear(y, {}, main_head, y, 60)):
        assert found["value"] is None
        assert "in the parameter `arms`" in found["why_not"]["en"]
    assert "`folds`" in study.half_width(pd.DataFrame(columns=["fold", "held_r2", "test_r2"]))["why_not"]["en"]
