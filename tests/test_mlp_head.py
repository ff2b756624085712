import numpy as np
import pandas as pd
import pytest
import torch
from latent_cases import DENOISER, SMALL, runtime

from lib import denoising, evidence, latents, metrics, paths
from lib import workflow as flow
from lib.data.sets import PROBE_STREAM, open_set
from lib.evidence import gap, rows_of, score
from lib.files import read_json, write_json
from lib.models.blindspot import save_pretrained
from lib.probes import fit_ridge
from lib.steps.denoiser import encoder_at, open_encoder
from lib.steps.head import train_unfrozen
from lib.studies import latent_extraction
from lib.studies import mlp_head as study
from lib.studies.mlp_head.__main__ import main
from lib.studies.mlp_head.arms import ARMS, MAIN, spec_of, trainings
from lib.studies.mlp_head.artifact import load
from lib.studies.mlp_head.experiments import STEPS, read

CELL = ("enc_pre_latent", "seg_mean_K8")
FIT = {"epochs": 6, "batch_size": 32, "arm_epochs": 2, "folds": 2, "n_boot": 60, "head_seeds": 2}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A tiny encoder and every head on it: config, runtime, prepared, features, heads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "RUNS", tmp_path_factory.mktemp("runs"))
        teacher, run = latent_extraction.Config(**SMALL | DENOISER), runtime()
        sets = latent_extraction.prepare(teacher, run)
        encoder, _ = latent_extraction.pretrained(teacher, run, sets)
        weights = tmp_path_factory.mktemp("model") / denoising.WEIGHTS
        save_pretrained(encoder, weights)
        config = study.Config(**SMALL | FIT | {"checkpoint": str(weights), "arms": list(study.ARMS)})
        prepared = study.prepare(config, run)
        before = {name: value.clone() for name, value in prepared.denoiser.state_dict().items()}
        found, heads = study.features(config, prepared, list(study.DOCUMENTS)), study.train(config, run, prepared)
        for name, value in prepared.denoiser.state_dict().items():
            assert torch.equal(value, before[name]), f"the frozen encoder stays as it was: {name}"
        yield config, run, prepared, found, heads


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
    short = config.model_copy(update={"epochs": 1, "arms": []})
    (head,) = study.train(short, run, prepared)
    assert head.pred["test"].shape == (96,)


def test_every_arm_of_the_table_is_trained_and_predicts_the_test_stars(ran):
    config, _, prepared, found, heads = ran
    assert heads[0].arm == MAIN
    assert {h.arm.group for h in heads} == {arm.group for arm in ARMS.values()} | {""}
    predicted = study.predictions(config, prepared, found, heads)
    assert set(predicted.arm) == {"ridge", "ridge_one_draw", "mlp", *ARMS} - {"cells", "folds"}
    assert np.isfinite(predicted.pred).all()
    assert (predicted.groupby(["arm", "seed"]).unit.nunique() == 96).all()
    assert gap(predicted, "unfrozen", {"arm": "mlp", "seed": 0}, n=60).low is not None


def test_a_run_trains_what_its_arms_name_and_nothing_else(ran):
    config, *_ = ran
    names = lambda arms: [(a.name, a.seed) for a in trainings(config.model_copy(update={"arms": arms}))]  # noqa: E731
    assert names([]) == [("mlp", 0)]
    assert names(["linear"]) == [("mlp", 0), ("linear", 0)]
    assert names(["mlp_2"]) == [("mlp", 0), ("mlp", 1), ("mlp_2", 0), ("mlp_2", 1)]
    assert names(["folds"]) == [("mlp", 0), ("fold 0", 0), ("fold 1", 0)]
    assert len(names(["cells"])) == len(study.DOCUMENTS)


def test_a_comparison_of_heads_holds_their_training_seeds(ran):
    config, _, prepared, found, heads = ran
    predicted = study.predictions(config, prepared, found, heads)
    one, other = ([p.pred.to_numpy() for _, p in rows_of(predicted, arm).groupby("seed")] for arm in ("multitask", "mlp"))
    assert len(one) == len(other) == 2
    assert np.array_equal(other[0], heads[0].pred["test"]), "the first seed is the main head's own"
    assert not np.allclose(other[0], other[1], atol=1e-3)
    judged, truth = gap(predicted, "multitask", "mlp", n=60), study.truth(config, prepared)
    single = [metrics.r2(truth, a) - metrics.r2(truth, b) for a, b in zip(one, other, strict=True)]
    assert judged.value == pytest.approx(np.mean(single))
    assert judged.low < min(single)
    assert max(single) < judged.high, "what differs between seeds is inside"
    assert judged.seeds == 2


def test_unfrozen_encoder_and_published_model_read_the_legacy_segments_of_the_frozen_head(ran, tmp_path):
    config, run, prepared, *_ = ran
    cell = ("enc_pre_latent", "seg_mean_K5")  # five does not divide L', so that the two kinds of edges differ
    legacy = config.model_copy(update={"edges": "legacy", "pooling": cell[1]})
    found = study.features(legacy, prepared, [cell])
    adaptive = study.features(config.model_copy(update={"pooling": cell[1]}), prepared, [cell])
    assert not torch.allclose(found["test"][cell], adaptive["test"][cell])
    (frozen,) = study.train(legacy.model_copy(update={"arms": []}), run, prepared)
    still = legacy.model_copy(update={"unfrozen_rate": 1e-12, "arm_epochs": 1})
    still = read(train_unfrozen(spec_of(still, prepared, ARMS["unfrozen"]), run), ARMS["unfrozen"])
    np.testing.assert_allclose(still.pred["test"], frozen.pred["test"], atol=1e-4)
    study.publish(legacy, tmp_path, prepared, frozen, study.histories([frozen]))
    model, _ = load(tmp_path, torch.device("cpu"))
    seen = next(denoising.in_order(prepared.test, batch_size=96))
    with torch.no_grad():
        np.testing.assert_allclose(model(seen.noisy, seen.sigma)[:, 0], frozen.pred["test"], atol=1e-4)


def test_folds_are_scored_on_rows_that_they_did_not_train_on(ran):
    config, _, prepared, _, heads = ran
    folds = study.folds(config, prepared, heads)
    assert folds.fold.tolist() == [0, 1]
    assert np.isfinite(folds[["held_r2", "test_r2"]]).all(axis=None)
    assert study.half_width(folds).value > 0


def test_results_compare_on_the_same_stars(ran):
    config, _, prepared, found, heads = ran
    predicted = study.predictions(config, prepared, found, heads)
    predicted, truth = predicted[predicted.seed == 0], study.truth(config, prepared)
    table = study.results(predicted, n=60, seed=0, run_name="x").set_index("method")
    mlp = table.loc["mlp"]
    assert mlp.test_r2 == pytest.approx(metrics.r2(truth, heads[0].pred["test"]))
    assert mlp.gain == pytest.approx(mlp.test_r2 - table.test_r2["ridge"])
    assert mlp.gain_low <= mlp.gain <= mlp.gain_high
    assert mlp.test_mse == pytest.approx(mlp.test_rmse**2)
    assert table.gain["ridge"] == 0
    assert study.parameters(heads[0]) == 32 * 256 + 256 + 256 + 1


def test_ridge_is_fitted_on_the_draws_that_the_head_sees(ran):
    config, _, prepared, found, _ = ran
    every, one = (study.ridge(config, prepared, found, CELL, draws=n)["test"] for n in (None, 1))
    stacked = torch.cat([draw[CELL] for draw in found["train"]])
    y = prepared.train.labels[:, [1]].repeat(2, 1)
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
    config, _, prepared, found, heads = ran
    table = study.cells_table(study.cell_predictions(config, prepared, found, heads), n=60)
    assert set(zip(table.layer, table.pooling, strict=True)) == set(study.DOCUMENTS)
    assert table[["mlp_r2", "gain_low"]].notna().all(axis=None)
    alone = study.cells_table(study.cell_predictions(config, prepared, found, heads[:1]), n=60)
    assert alone.ridge_r2.tolist() == table.ridge_r2.tolist()
    assert alone.mlp_r2.notna().sum() == 1


def test_published_head_predicts_a_users_file_in_its_order(ran, tmp_path, capsys):
    config, _run, prepared, _, heads = ran
    study.publish(config, tmp_path, prepared, heads[0], study.histories(heads))
    log = pd.read_csv(tmp_path / "training_log.csv")
    assert log[log.method == "mlp"].epoch.tolist() == heads[0].history.epoch.tolist()
    assert set(log.method) == {"mlp", *ARMS} - {"cells", "folds"}
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
    for arm in (ARMS["linear"], ARMS["attention"], ARMS["unfrozen"]):
        one, two = (spec_of(c, prepared, next(a for a in trainings(c) if a.name == arm.name)) for c in (config, other))
        step = STEPS[type(one)]
        assert step.folder(one, run) != step.folder(two, run)


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
    assert study.at_once(history).value == pytest.approx(1 / 6)
    assert study.at_once(history.assign(val_r2=-1.0)).value is None
    assert study.late_drop(history, 20).value == 0
    assert study.late_drop(history.assign(val_r2=[0.5] * 39 + [0.46, 0.5]), 20).value == pytest.approx(0.04)
    assert study.late_drop(history, 21).value is None
    assert study.early_share(history, 20).value == pytest.approx(1.0)
    assert study.early_share(history, 10).value == pytest.approx(0.5)
    assert "40 epochs; it takes 50" in study.early_share(history, 25).why["en"]
    assert study.ahead_of_ridge(history, 10, 0.3).value == pytest.approx(0.05)
    assert study.ahead_of_ridge(history, 41, 0.3).value is None


def test_the_better_linear_model_is_the_rival():
    y = np.random.default_rng(0).normal(size=200)
    frame = pd.concat([evidence.predictions(arm, y, y + bias) for arm, bias in (("mlp", 0.1), ("ridge", 0.5), ("linear", 0.3))])
    found = study.beyond_linear(frame, n=60)
    assert found.facts["rival"] == "linear"
    assert found.value == pytest.approx(score(frame, "mlp").value - score(frame, "linear").value)
    assert "`linear`" in study.beyond_linear(frame[frame.arm != "linear"]).why["en"]
    assert "`folds`" in study.half_width(pd.DataFrame(columns=["fold", "held_r2", "test_r2"])).why["en"]
