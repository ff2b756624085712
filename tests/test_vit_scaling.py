"""The study vit_scaling: points, resume, protocols, statistics, and the predict command."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from vit_cases import save_toy_grid

from lib import metrics, paths
from lib.data.batches import SpectraBatches
from lib.data.generated import GeneratedSpectra
from lib.data.views import First, observe
from lib.steps import vit
from lib.steps.baselines import gathered, ridge_path
from lib.steps.splits import open_sets
from lib.studies import vit_scaling
from lib.studies.vit_scaling import VitScalingConfig, checks, measures, points, tables, vit_settings
from lib.studies.vit_scaling import __main__ as command
from lib.studies.vit_scaling.__main__ import main
from lib.studies.vit_scaling.measures import passes
from lib.studies.vit_scaling.points import Sweep, splits

CPU = torch.device("cpu")
TOY = {
    "window_aa": [8420.0, 8840.0], "patch_size": 32, "sizes": [64, 256], "epochs": [1, 2], "fresh_sizes": [256],
    "fresh_epochs": [2], "ablations": ["run_2", "sigma_head"], "ablation_size": 256, "noise_levels": [], "n_val": 64,
    "n_test": 256, "num_threads": 1, "lightgbm_rounds": 20,
}  # fmt: skip


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    return save_toy_grid(tmp_path_factory.mktemp("grid") / "toy.safetensors")


@pytest.fixture
def config(grid, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    return VitScalingConfig.checked(TOY | {"grid_path": str(grid)})


@pytest.fixture(scope="module")
def results(grid, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "RUNS", tmp_path_factory.mktemp("runs"))
        config = VitScalingConfig.checked(TOY | {"grid_path": str(grid)})
        yield vit_scaling.run(config, vit_scaling.start(config))


def test_contradicting_parameters_are_sentences():
    for change, words in (
        ({"sizes": [64], "epochs": [1, 2]}, "'epochs' has 2 values for 1 sizes"),
        ({"sizes": [64, 32], "epochs": [1, 1]}, "must grow"),
        ({"ablations": ["loss_l7"]}, "'loss_l7'"),
        ({"loss": "l7"}, "'l7'"),
        ({"train_path": ["a.h5"]}, "belong together"),
        ({"window_aa": [8500.0]}, "low, high"),
        ({"patch_sise": 4}, "did you mean 'patch_size'"),
    ):
        with pytest.raises(ValueError, match=words):
            VitScalingConfig.checked(change)


def test_an_arm_changes_one_factor_and_run_2_three():
    config = VitScalingConfig()
    base = asdict(vit_settings(config))
    for arm, row in vit_scaling.ARMS.items():
        change = row.changes
        changes = {name: value for name, value in change.items() if name != "precision"}
        changed = {key for key, value in asdict(vit_settings(config, **changes)).items() if value != base[key]}
        assert len(changed) + len(change) - len(changes) <= {"run_2": 3, "minmax_l1": 2}.get(arm, 1), arm
    assert {p.name for p in points(config) if p.group == "ablation"} == {"run_1", *config.ablations}


def test_seeds_belong_to_their_arm_whatever_else_a_run_trains():
    few = VitScalingConfig(repeats=3)
    more = VitScalingConfig(repeats=3, ablations=[*few.ablations, "clip_off"], noise_levels=[0.5, *few.noise_levels])
    seeds = [{(p.name, p.seed) for p in points(config)} for config in (few, more)]
    assert seeds[0] < seeds[1]
    assert {seed for name, seed in seeds[0] if name == "vit_fixed_512"} == {42, 43, 44}
    assert {seed for name, seed in seeds[0] if name == "lightgbm_fixed_512"} == {42}


def test_every_model_is_trained_under_both_protocols_on_the_same_rows(config):
    ladder = [p for p in points(config) if p.group == "ladder"]
    for protocol, sizes in (("fixed", config.sizes), ("fresh", config.fresh_sizes)):
        assert {(p.changes["model"], p.changes["n_train"]) for p in ladder if p.changes["protocol"] == protocol} == {
            (model, n) for model in ("vit", "lightgbm", "ridge") for n in sizes
        }


def test_a_smaller_set_is_the_first_part_of_a_larger_one(config):
    train, larger = (open_sets(replace(splits(config), n_train=n), CPU).train for n in (64, 700))
    for epoch in (0, 3):
        small, large = (observe(s, 10, 60, epoch=epoch) for s in (train, larger))
        assert torch.allclose(small.noisy, large.noisy)


def test_validation_and_test_noise_is_fixed_and_training_noise_fresh_only_where_asked(config):
    train = First(open_sets(splits(config), CPU).train, 64)
    draws = {}
    for fresh in (False, True):
        batches = SpectraBatches(train, batch_size=64, seed=1, fresh=fresh)
        draws[fresh] = []
        for epoch in range(2):
            batches.set_epoch(epoch)
            draws[fresh].append(next(iter(batches))[0])
    assert torch.equal(*draws[False])
    assert not torch.equal(*draws[True])
    assert torch.equal(draws[False][0], observe(train, 0, 64).noisy)


def test_ridge_from_sums_equals_scikit_learn(config):
    sets = open_sets(splits(config), CPU)
    probe, search = ridge_path(sets.train, sets.val, [3.0, 300.0], copies=2)
    x, y = gathered(sets.train, 2)
    best = float(max(search, key=search.get).removeprefix("alpha="))
    theirs = make_pipeline(StandardScaler(), Ridge(best)).fit(x.astype(float), y)
    flux = observe(sets.test, 0, 100).noisy
    assert np.allclose(probe.predict(flux).numpy(), theirs.predict(flux.double().numpy()).reshape(-1, 1), atol=1e-4)


def test_a_killed_point_resumes_to_the_numbers_of_an_undisturbed_one(config, tmp_path, monkeypatch):
    config = config.model_copy(update={"sizes": [256], "epochs": [4], "fresh_sizes": [], "fresh_epochs": [], "ablations": []})
    rt = vit_scaling.start(config)
    whole = pd.read_csv(Sweep(config, rt).run([0])[0] / "history.csv")
    monkeypatch.setattr(paths, "RUNS", tmp_path / "again")
    draw = vit._loss

    def deadly(settings, scaler):
        compute, calls = draw(settings, scaler), []

        def loss(model, batch):
            calls.append(1)
            if len(calls) > 22:  # in the third epoch of 8 training and 1 validation batches
                raise RuntimeError("killed")
            return compute(model, batch)

        return loss

    monkeypatch.setattr(vit, "_loss", deadly)
    with pytest.raises(RuntimeError, match="killed"):
        Sweep(config, rt).run([0])
    assert not Sweep(config, rt).status().done[0]
    monkeypatch.setattr(vit, "_loss", draw)
    folder = Sweep(config, rt).run([0])[0]
    pd.testing.assert_frame_equal(pd.read_csv(folder / "history.csv"), whole)


def test_precision_and_seed_of_an_arm_are_part_of_its_cache_key(config):
    sweep = Sweep(config, vit_scaling.start(config))
    point = next(p for p in sweep.points if p.changes["model"] == "vit")
    train, *given = sweep.call(point)
    half = replace(point, changes=point.changes | {"precision": "bf16-mixed"})
    for other in (half, replace(point, seed=point.seed + 1)):
        assert train.folder(*sweep.call(other)[1:]) != train.folder(*given)
    assert train.folder(*sweep.call(replace(point, name="other", group="other"))[1:]) == train.folder(*given)


def test_a_file_with_too_few_rows_is_told_before_anything_is_trained(config, results, tmp_path):
    for name in ("train", "held"):
        GeneratedSpectra(results.grid, 100, norm="none").write_hdf5(tmp_path / f"{name}.h5")
    named = {
        "data_dir": str(tmp_path),
        "train_path": ["train.h5"],
        "val_path": "held.h5",
        "test_path": "held.h5",
        "grid_path": "",
    }
    user = VitScalingConfig.checked(config.model_dump() | named | {"n_test": 100})
    sweep = Sweep(user, vit_scaling.start(user))
    with pytest.raises(ValueError, match=r"256 spectra were asked for, but .*train\.h5 hold 100"):
        sweep.run()
    assert not sweep.status().done.any()


def test_results_hold_every_table_with_finite_scores(results):
    ladder = results.group("ladder")
    assert np.isfinite(ladder[["r2", "low", "high", "mae_dex", "gap"]]).all().all()
    assert (ladder.low <= ladder.r2).all()
    assert (ladder.high >= ladder.r2).all()
    vit = results.curve()[256]
    assert ladder.query("model != 'vit' and n_train == 256").r2.min() > 0.5
    assert float(metrics.r2(results.truth, results.pred(vit))) == pytest.approx(results.row(vit)["r2"])
    assert set(results.arms().arm) == {"run_1", "run_2", "sigma_head"}
    assert set(results.searches().model) == {"lightgbm", "ridge"}
    assert set(results.slopes().model) == {"vit", "lightgbm", "ridge"}
    assert set(results.history("run_1", "run_2", "fresh").arm) == {"run_1", "run_2", "fresh"}
    assert results.course().arm.unique() == ["fresh"]
    assert tables.calibration(results).raw.between(0, 1).all()
    assert len(tables.attention(results, vit)) == len(results.sets.wave) // 32
    assert checks.flux_error_correlation(results, results.largest()["ridge"]).low > 0


def test_the_long_frame_holds_every_prediction_once(results):
    preds = results.preds
    assert not preds.duplicated(["arm", "seed", "unit"]).any()
    assert len(preds) == len(results.points) * len(results.truth)
    one = preds[preds.arm == "ridge_fixed_64"]
    assert one.pred.to_numpy() == pytest.approx(results.pred(results.curve("ridge")[64]))
    assert (one.truth == results.truth).all()


def test_claims_are_judged_by_paired_differences(results):
    assert measures.gain(results, "loss_huber").why
    run_2 = measures.gain(results, "run_2")
    table = results.arms().set_index("arm")
    assert run_2.value == pytest.approx(table.gain["run_2"])
    assert run_2.low <= run_2.value <= run_2.high
    ends = metrics.bootstrap_difference(
        metrics.r2, results.truth, *(results.pred(results.arm(n)) for n in ("run_2", "run_1")), **results.draws
    )
    assert (run_2.low, run_2.high) == pytest.approx(ends)
    assert measures.fresh_gain(results).facts["n"] == 256
    assert measures.weakest(measures.r2_of(results, "run_1"), measures.r2_of(results, "tokenizer_sw")).why
    assert checks.precision_ratio(results, "peak_mib").why
    assert measures.best_gain(results, "depth_double", "width_double").why
    assert measures.best_gain(results, "loss_huber", "run_2").value == run_2.value


def test_the_gap_between_training_and_test_is_compared_over_the_ladder(results):
    gaps = [results.row(point)["gap"] for _, point in sorted(results.curve().items())]
    assert measures.gap_shrinks(results).value == pytest.approx(gaps[0] - gaps[-1])
    closer = measures.fresh_closes_the_gap(results)
    assert (closer.value, closer.facts["n"]) == (pytest.approx(gaps[-1] - results.row(results.documented())["gap"]), 256)
    assert measures.overfit(results).value == pytest.approx(results.row(results.documented())["gap"])
    assert measures.overfit(results).low is None


def test_reported_figures_stand_beside_this_runs(results):
    told = tables.public_scaling({"vit": {256: 0.1, 50000: 0.4}}, results.group("ladder"))
    assert list(told.model.unique()) == ["vit", "lightgbm", "ridge"]
    told = told.set_index(["model", "n_train"])
    assert told.this_run["vit", 256] == pytest.approx(results.row(results.curve()[256])["r2"])
    assert np.isnan(told.this_run["vit", 50000])
    assert np.isnan(told.reported_public["ridge", 256])
    history = results.history("run_1", "run_2", "fresh")
    epochs = tables.epoch_table(history, results.label_std, {"run_1": [[0, 0, 1, 1]], "run_2": [[0, None, None, 0.85]]})
    assert list(epochs.arm.unique()) == ["reported_run_1", "reported_run_2", "run_1", "run_2", "fresh"]
    recipe = tables.recipe(results.config, len(results.sets.wave)).set_index("setting")
    assert recipe.reported["patch_size"] == "16"
    assert recipe.this_run["patch_size"] == "32"


def test_the_answer_says_growth_reach_ceiling_and_crossing(results):
    said, brief = (text(results, 0.8)["en"] for text in (vit_scaling.answer, vit_scaling.short))
    row = results.row(results.largest()["vit"])
    assert f"{measures.slope(results).value:+.3f} per tenfold" in said
    assert said.endswith(brief)
    assert f"{row.r2 / 0.8:.0%}" in brief
    assert "ceiling" not in vit_scaling.short(results, float("nan"))["en"]


@pytest.mark.parametrize(
    ("crossing", "words"),
    [(None, "does not pass"), (100.0, "above LightGBM at every size"), (5209.4, "from about 5,200 spectra")],
)
def test_the_answer_follows_the_crossing(crossing, words):
    assert words in passes(crossing, 100)["en"]


def test_claims_on_noise_and_on_the_ladder_follow_the_predictions(results):
    assert checks.redrawn(results).value == 0
    assert checks.tokenizer_difference(results).value < 1e-9
    assert checks.outside_labels(results, "norm_minmax").why
    assert 0 <= checks.outside_labels(results, "run_2").value <= 1
    assert measures.pooling_gain(results, "mean").why
    assert checks.sigma_follows_flux(results).why  # sigma is the reference star's
    assert checks.by_flux_error(results, results.documented()).n.sum() == len(results.truth)
    assert measures.doubling_gain(results, 1_000_000).why
    assert measures.noise_training_gain(results).why
    documented = results.documented().changes
    assert (documented["protocol"], documented["n_train"]) == ("fresh", 256)
    assert results.config.documented_epochs == documented["epochs"]
    vit, trees = (results.curve(model)[64] for model in ("vit", "lightgbm"))
    assert measures.lead(results, smallest=True).value == pytest.approx(results.row(vit)["r2"] - results.row(trees)["r2"])
    assert results.applied(vit) == pytest.approx(results.pred(vit), abs=1e-5)


def test_key_numbers_are_those_of_the_largest_size(results):
    facts = tables.key_numbers(results, float("nan"))
    assert facts["r2"] == results.row(results.largest()["vit"])["r2"]
    assert (facts["ceiling"], facts["efficiency"]) == (None, None)
    assert 0 < facts["ceiling_3"] < 1
    assert facts["parameters_document"] > 4_000_000
    assert facts["mae_dex"] / facts["mae_normalized"] == pytest.approx(facts["label_std"])


def test_ceiling_bounds_the_models_and_falls_with_noise(results):
    bins = tables.by_snr(results, results.largest(), bins=3)
    assert (bins.low < bins.ceiling).all()
    assert bins.drop_duplicates("bin").ceiling.is_monotonic_increasing
    assert 0 < tables.ceiling_of(results) < 1


def test_r2_is_invariant_under_label_normalisation_and_mae_is_not(results):
    table = tables.linear_invariance(results, results.largest()["ridge"]).set_index("space")
    assert table.r2.to_numpy() == pytest.approx(np.full(3, table.r2["dex"]), abs=1e-12)
    assert table.mae["standard"] * table.unit["standard"] == pytest.approx(table.mae["dex"])
    assert table.mae["minmax"] < table.mae["standard"] < table.mae["dex"]
    assert checks.r2_moved(table).value < 1e-12
    units = checks.dex_per_unit(results, results.largest()["ridge"])
    assert units.value == pytest.approx(results.label_std - 1)
    assert units.facts["dex"] / units.facts["norm"] == pytest.approx(units.facts["std"])


def test_predict_command_writes_one_row_per_spectrum_in_order(results, tmp_path):
    point = results.arm("sigma_head")
    (tmp_path / "model").mkdir()
    vit_scaling.publish(results, point, tmp_path / "model")
    assert not list((tmp_path / "model").glob("*.pt"))
    whole = GeneratedSpectra(results.grid, 40, seed=results.config.seed, split="test", norm="none")
    file = whole.write_hdf5(tmp_path / "a.h5")
    args = ["predict", "--model", str(tmp_path / "model"), "--in", str(file), "--out", str(tmp_path / "y.csv")]
    assert main(args) == 0
    frame = pd.read_csv(tmp_path / "y.csv")
    flux = whole.spectra().flux
    assert list(frame) == ["row", "log_g", "log_g_sd"]
    assert frame.row.tolist() == list(range(40))
    assert np.isfinite(frame).all().all()
    assert (frame.log_g_sd > 0).all()
    model, scaler, state = vit.load(tmp_path / "model")
    start = int(np.abs(np.asarray(results.grid.wave) - state["wave_aa"][0]).argmin())
    direct, _ = vit.predict(model, scaler, flux[:, start : start + len(state["wave_aa"])])
    assert frame.log_g.to_numpy() == pytest.approx(direct[:, 0].numpy(), abs=1e-3)


def test_predict_refuses_what_does_not_fit_in_a_sentence(results, tmp_path, capsys):
    (tmp_path / "model").mkdir()
    vit_scaling.publish(results, results.best_vit(), tmp_path / "model")
    call = ["predict", "--model", str(tmp_path / "model"), "--out", str(tmp_path / "y.csv"), "--in"]
    assert main([*call, str(tmp_path / "none.h5")]) == 1
    assert "none.h5" in capsys.readouterr().err
    assert main(["predict", "--model", str(tmp_path), "--in", "x", "--out", "y"]) == 1
    assert "model.safetensors" in capsys.readouterr().err
    other = save_toy_grid(tmp_path / "other.safetensors", pixels=100)
    source = GeneratedSpectra(type(results.grid).load(other), 4, norm="none")
    assert main([*call, str(source.write_hdf5(tmp_path / "b.h5"))]) == 1
    assert "resample" in capsys.readouterr().err


def test_users_files_train_through_the_same_points(config, results, tmp_path):
    made = GeneratedSpectra
    for k, split in enumerate(("train", "val", "test")):
        made(results.grid, 300, seed=k, split=split, norm="none").write_hdf5(tmp_path / f"{split}.h5")
    changes = {"data_dir": str(tmp_path), "train_path": ["train.h5"], "val_path": "val.h5", "test_path": "test.h5"}
    changes |= {"ablations": [], "fresh_sizes": [], "fresh_epochs": [], "grid_path": "", "sizes": [128, 256]}
    user = VitScalingConfig.checked(config.model_dump() | changes)
    found = vit_scaling.run(user, vit_scaling.start(user))
    assert found.group("ladder").query("model == 'ridge'").r2.min() > 0.5
    assert np.isnan(tables.ceiling_of(found))
    assert len(found.sets.wave) % 32 == 0
    with pytest.raises(ValueError, match=r"absent\.h5"):
        Sweep(user.model_copy(update={"val_path": "absent.h5"}), vit_scaling.start(user))


def test_shares_cover_every_distinct_training_once(config):
    sweep = Sweep(config, vit_scaling.start(config))
    shares = [sweep.share(k, 3) for k in (1, 2, 3)]
    together = [i for share in shares for i in share]
    assert len(together) == len(set(together))
    keys = {(json.dumps(p.changes, sort_keys=True), p.seed) for p in sweep.points}
    assert {(json.dumps(sweep.points[i].changes, sort_keys=True), sweep.points[i].seed) for i in together} == keys
    with pytest.raises(ValueError, match="K should lie"):
        command._part("4/3")


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "ddp_find_unused_parameters_true"])
def test_two_processes_train_one_point_together(grid, tmp_path, strategy):
    values = TOY | {"grid_path": str(grid), "devices": 2, "strategy": strategy, "sizes": [1024], "epochs": [2], "ablations": []}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(values | {"fresh_sizes": [], "fresh_epochs": []}))
    code = "import os, sys; from pathlib import Path; from lib import paths; paths.RUNS = Path(os.environ['TEST_RUNS'])\n"
    code += "from lib.studies.vit_scaling.__main__ import main; sys.exit(main(sys.argv[1:]))"
    (tmp_path / "go.py").write_text(code)
    words = [sys.executable, str(tmp_path / "go.py"), "run", "--params", str(tmp_path / "p.yaml")]
    env = os.environ | {"PYTHONPATH": str(paths.ROOT), "TEST_RUNS": str(tmp_path / "runs")}
    done = subprocess.run([*words, "--index", "0"], capture_output=True, text=True, env=env, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    folder = next(Path(tmp_path / "runs" / "train_vit").glob("*/point.json")).parent
    assert json.loads((folder / "complete.json").read_text())["step"] == "train_vit"
    assert len(pd.read_csv(folder / "history.csv")) == 2
