"""The op-amp study: no scored row in any fit or choice, calibration, stages, and the published model."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch.distributions import Normal

from lib import calibration, paths
from lib.data import opamp
from lib.runtime import Runtime
from lib.steps.opamp.arms import ArmSpec, compare_opamp_arm, features_of, fit_and_predict, todo_of
from lib.steps.opamp.bench import SCORED, bagged_jobs, build, gather, jobs
from lib.steps.opamp.source import fit_source, source_spec
from lib.steps.opamp.spec import Arm
from lib.steps.opamp.stages import ORDER, checkpoint
from lib.studies.opamp_transfer import artifact, comparison, open_lab, prepare
from lib.studies.opamp_transfer.__main__ import main, run_stage
from lib.studies.opamp_transfer.comparison import arms
from lib.studies.opamp_transfer.config import Config

FEATURES, TARGETS = ["w1", "l1", "ibias"], ["ugf", "cmrr"]
SMALL = {"document": True, "hidden": 8, "layers": 2, "epochs": 3, "raw": "all"}  # both recipes, both feature sets
TINY = Config.checked({"budgets": [10, 20], "gp_steps": 3, "gp_rows": 20, "trees": 3} | SMALL)


def frame(n, seed, shift):
    draw = np.random.default_rng(seed)
    x = pd.DataFrame(
        {"w1": draw.uniform(1, 50, n), "l1": draw.choice([0.5, 1.0, 2.0], n), "ibias": draw.choice([1e-5, 2e-5], n)}
    )
    y = pd.DataFrame({"ugf": shift * 1e11 * x.ibias * x.w1, "cmrr": 100 * x.l1 * shift + x.w1})
    out = pd.concat([x, y], axis=1)
    out.attrs = {"features": FEATURES, "targets": TARGETS}
    return out


def write(folder, frames):
    for process, names in opamp.FILES.items():
        for name, columns in zip(names, (FEATURES, TARGETS), strict=True):
            file = folder / "01_train_set" / "amp" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            frames[process][columns].to_csv(file, index=False)
    return folder


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "RUNS", tmp_path_factory.mktemp("runs"))
        folder = write(tmp_path_factory.mktemp("csv"), {"source": frame(120, 0, 1.0), "target": frame(60, 1, 1.5)})
        config = TINY.model_copy(update={"data_dir": str(folder), "opamp": "amp"})
        yield open_lab(config, prepare(config), Runtime(torch.device("cpu"), "32-true", 0, 1, 0.0))


@pytest.mark.parametrize("listed", [jobs, bagged_jobs])
def test_no_fit_learns_from_rows_that_it_predicts_or_that_are_scored(lab, listed):
    inner = lab.bench.inner
    seen = np.zeros(inner.shape, int)
    for job in listed(inner, 2):
        assert not set(job.rows) & set(job.out)
        assert (inner[job.split, job.rows] != SCORED).all()
        seen[job.split, job.out] += 1
    assert (seen[inner != SCORED] == 1).all(), "each training row is predicted out of its fold, once"
    assert (seen[inner == SCORED] == 2).all()


@pytest.mark.parametrize("arm", arms(TINY), ids=lambda a: a.key)
def test_no_method_sees_the_truth_of_scored_rows(lab, arm):
    """Spoil the targets of the scored rows: predictions, inner errors and temperatures stay as they were."""
    y = lab.bench.y.copy()
    one = lab.bench.inner[:1]
    y[one[0] == SCORED] = 1e3
    results = []
    for targets in (lab.bench.y, y):
        made = replace(lab, bench=replace(lab.bench, y=targets, inner=one))
        done = fit_and_predict(arm, made, todo_of(arm, one, 1))
        mean, sd = gather(made.bench, done.todo, done.predictions, source_only=arm.domain == "source_only")
        results.append(comparison.calibrated(arm, made.bench, mean, sd))
    np.testing.assert_array_equal(results[0].mean, results[1].mean)
    np.testing.assert_array_equal(results[0].sd, results[1].sd)
    np.testing.assert_array_equal(results[0].inner, results[1].inner)


def test_source_networks_never_see_the_target(lab):
    bench = replace(lab.bench, y=lab.bench.y * 9, x={k: v * 9 for k, v in lab.bench.x.items()})
    spec = source_spec(lab.spec, "physics", lab.spec.compact)
    first, second = (fit_source(b, spec, "cpu").nets[0] for b in (lab.bench, bench))
    assert all(torch.equal(p, q) for p, q in zip(first.parameters(), second.parameters(), strict=True))


def test_parameters_of_the_inverse_design_leave_the_fits_in_the_run_cache():
    assert Config().lab() == Config(inverse_starts=9, mdn_hidden=9, out_dir="elsewhere").lab()
    assert Config().lab() != Config(compact_epochs=9).lab()


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"trees": 9}, {"ridge", "gp", "mlp", "document", "dual", "source"}), ({"compact_epochs": 9}, {"ridge", "lightgbm", "gp", "document", "source"}),
        ({"lr": 0.5}, {"ridge", "lightgbm", "gp", "source"}), ({"l2sp": 0.5}, {"ridge", "lightgbm", "gp", "mlp", "document", "source"}),
        ({"splits": 3}, {"source"}), ({"members": 2}, {"ridge", "lightgbm", "gp"}), ({"seed": 1}, set()),
    ],
)  # fmt: skip
def test_a_changed_parameter_fits_anew_what_reads_it_and_nothing_else(change, kept):
    named = {"ridge": Arm("ridge", "target_only", recipe=""), "lightgbm": Arm("lightgbm", "target_only", recipe=""),
             "gp": Arm("gp", "target_only", recipe=""), "mlp": Arm("mlp", "target_only"),
             "document": Arm("mlp", "target_only", recipe="document"), "dual": Arm("dual_head", "transfer")}  # fmt: skip
    before, after = Config().lab(), Config(**change).lab()
    same = {k for k, arm in named.items() if before.only(*arm.settings) == after.only(*arm.settings)}
    sources = [source_spec(lab, "physics", lab.compact) for lab in (before, after)]
    assert same | ({"source"} if sources[0] == sources[1] else set()) == kept


@pytest.mark.parametrize("arm", [a for a in arms(TINY) if a.features == "physics"], ids=lambda a: a.key)
def test_an_arm_is_fitted_with_no_more_than_its_spec_holds(lab, arm, tmp_path):
    """The settings that an arm does not read are None in its spec: where one were read, its fit would fail."""
    compare_opamp_arm.compute(ArmSpec(lab.spec.only(*arm.settings), arm, lab.spec.seed), tmp_path, lab.runtime)
    with np.load(tmp_path / "predictions.npz") as found:
        assert np.isfinite(found["mean"]).all()


def test_temperature_maximises_the_normal_likelihood():
    draw = np.random.default_rng(0)
    y, mean, sd = draw.normal(size=(300, 2)), np.zeros((300, 2)), np.full((300, 2), 0.4)
    best = calibration.temperature(y, mean, sd)
    value = lambda t: Normal(torch.zeros(2), torch.tensor(0.4 * t)).log_prob(torch.tensor(y)).mean(0)  # noqa: E731
    for other in (0.9 * best, 1.1 * best):
        assert (value(best) > value(other)).all()


def test_quantile_temperature_gives_the_level_whatever_the_tails():
    draw = np.random.default_rng(0)
    y, sd = draw.standard_t(2, size=(4000, 1)), np.full((4000, 1), 0.3)
    factor = calibration.quantile_temperature(y, 0 * y, sd)
    assert calibration.coverage(y, 0 * y, sd * factor, 0.9)[0] == pytest.approx(0.9, abs=0.002)
    assert abs(calibration.coverage(y, 0 * y, sd * calibration.temperature(y, 0 * y, sd), 0.9)[0] - 0.9) > 0.02


def test_the_ensemble_follows_the_precise_member_and_reports_disagreement():
    means = np.stack([np.zeros((1, 2)), np.ones((1, 2))])
    sds = np.stack([np.array([[0.1, 1.0]]), np.array([[1.0, 1.0]])])
    mean, sd = calibration.combine(means, sds, np.ones((2, 2)))
    assert mean[0, 0] == pytest.approx(1 / 101)
    assert mean[0, 1] == pytest.approx(0.5)
    assert sd[0, 1] == pytest.approx(np.sqrt(1 + 0.25))
    better = calibration.combine(means, sds, np.array([[1.0, 1.0], [1.0, 0.25]]))[0]
    assert better[0, 1] == pytest.approx(0.8)


def test_a_stage_names_the_command_that_makes_its_predecessor(lab, tmp_path):
    wanted = r"'bias' is missing .*`python -m lib.studies.opamp_transfer stage bias --folder \S+ --data \S+ --opamp amp --profile smoke --recipe"
    with pytest.raises(ValueError, match=wanted):
        run_stage("head", lab, tmp_path)
    with pytest.raises(ValueError, match="the stages are source, bias, head, unfreeze"):
        run_stage("thaw", lab, tmp_path)


def test_a_stage_refuses_the_checkpoint_of_other_data(lab, tmp_path):
    run_stage("source", lab, tmp_path)
    other = replace(lab, bench=replace(lab.bench, x={"physics": lab.bench.x["physics"][:, :-1]}))
    with pytest.raises(ValueError, match="of other data or another recipe: make it with `python -m"):
        run_stage("bias", other, tmp_path)


def test_each_stage_changes_only_what_it_may(lab, tmp_path):
    for stage in ORDER:
        curve = run_stage(stage, lab, tmp_path)
        assert set(curve.stage) == {stage}
        assert (tmp_path / stage / "curve.csv").is_file()
        assert (curve.train != curve.val).all(), "validation is not training"
    weights = [checkpoint(s, lab, tmp_path, "compact", "physics")[0].state_dict() for s in ORDER]
    start = {n: weights[0][n.replace("head_A", "head").replace("head_B", "head")] for n in weights[1]}
    allowed = (("head_B",), ("head_B",), ("head_B", "backbone.1."))
    for before, after, prefixes in zip([start, *weights[1:3]], weights[1:], allowed, strict=True):
        changed = {n for n in after if not torch.equal(before[n], after[n])}
        assert changed
        assert all(n.startswith(prefixes) for n in changed)
    assert all(n.endswith("bias") for n in weights[1] if not torch.equal(start[n], weights[1][n]))


CHOSEN = {
    "ridge": (Arm("ridge", "target_only", recipe=""),), "lightgbm": (Arm("lightgbm", "target_only", "raw", ""),),
    "ensemble": (Arm("gp_source_features", "transfer", recipe=""), Arm("align_hetero", "transfer"), Arm("dual_head", "transfer")),
}  # fmt: skip


@pytest.mark.parametrize("name", CHOSEN)
def test_a_saved_model_predicts_the_same_in_the_order_of_the_rows(lab, tmp_path, name):
    model = artifact.fit_model(CHOSEN[name], lab)
    artifact.save(model, tmp_path / "model")
    assert not list((tmp_path / "model").rglob("*.p*k*l*"))
    designs = lab.prepared.target[FEATURES].iloc[::-1]
    designs.to_csv(tmp_path / "x.csv", index=False)
    words = ["--model", str(tmp_path / "model"), "--features", str(tmp_path / "x.csv"), "--out", str(tmp_path / "y.csv")]
    assert main(["predict", *words]) == 0
    predicted = pd.read_csv(tmp_path / "y.csv")
    assert list(predicted.columns) == TARGETS + [f"{t}_sd" for t in TARGETS]
    np.testing.assert_allclose(predicted[TARGETS], model.predict(designs), rtol=1e-5)
    assert np.isfinite(predicted.to_numpy()).all()
    assert (predicted[[f"{t}_sd" for t in TARGETS]] > 0).all(axis=None)


@pytest.mark.parametrize("name", CHOSEN)
def test_every_member_reads_the_features_that_it_was_fitted_on(lab, name):
    """Compose the model by hand from the arrays of the bench; the scout is the model but for its slope beyond the known range."""
    model, bench = artifact.fit_model(CHOSEN[name], lab), lab.bench
    means, sds = [], []
    for member in model.members:
        mean, sd = member.predictor(lab.reading(member.arm).bench.x[features_of(member.arm)])
        sd = np.broadcast_to(np.sqrt(member.error), mean.shape) if sd is None else sd
        means.append(np.clip(mean, model.low, model.high))
        sds.append(sd * member.temperature)
    mean, sd = calibration.combine(np.stack(means), np.stack(sds), np.stack([m.error for m in model.members]))
    sd = sd * model.temperature
    designs = lab.prepared.target[FEATURES]
    np.testing.assert_allclose(model.predict(designs), bench.y_scaler.inverse(mean), rtol=2e-6)
    half = (bench.y_scaler.inverse(mean + sd) - bench.y_scaler.inverse(mean - sd)) / 2
    np.testing.assert_allclose(model.predict_sd(designs), half, rtol=1e-4)
    scouted = model(torch.tensor(designs.to_numpy()), scout=True)[0]
    np.testing.assert_allclose(scouted[5:], model.predict(designs)[5:], rtol=0.05)


def test_the_published_model_has_the_slope_of_finite_differences(lab):
    model = artifact.fit_model(CHOSEN["ensemble"], lab)
    middle = torch.tensor([[20.3, 0.9, 1.4e-5]], dtype=torch.float64)
    step = torch.tensor([[0.1, 0.0, 0.0]], dtype=torch.float64)
    x = middle.clone().requires_grad_()
    (slope,) = torch.autograd.grad(model(x, scout=True)[0].sum(), x)
    rise = (model(middle + step, scout=True)[0] - model(middle - step, scout=True)[0]).sum() / 0.2
    assert slope[0, 0] == pytest.approx(float(rise), rel=0.02)


def test_a_folder_that_is_no_model_is_refused_with_one_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"model.json does not exist"):
        artifact.load(tmp_path)


@pytest.mark.parametrize("spoil", ["model.json", "member_0/gp.safetensors", "member_1/net_0.safetensors"])
def test_a_damaged_model_is_refused_with_one_sentence(lab, tmp_path, spoil, capsys):
    artifact.save(artifact.fit_model(CHOSEN["ensemble"], lab), tmp_path / "model")
    (tmp_path / "model" / spoil).write_bytes(b'{"members": [{"kind": "Trees"}]}')
    lab.prepared.target[FEATURES].to_csv(tmp_path / "x.csv", index=False)
    words = ["--model", str(tmp_path / "model"), "--features", str(tmp_path / "x.csv"), "--out", str(tmp_path / "y.csv")]
    assert main(["predict", *words]) == 1
    said = capsys.readouterr().err
    assert str(tmp_path / "model") in said
    assert "Traceback" not in said
    assert said.count("\n") == 1
    assert not (tmp_path / "y.csv").exists()


def test_equal_designs_share_an_inner_fold(tmp_path):
    twice = frame(30, 2, 1.0)
    twice = pd.concat([twice, twice], ignore_index=True)
    twice.attrs = {"features": FEATURES, "targets": TARGETS}
    folder = write(tmp_path, {"source": frame(60, 0, 1.0), "target": twice})
    config = TINY.model_copy(update={"data_dir": str(folder), "opamp": "amp"})
    inner = build(config.lab(), prepare(config)).inner
    groups = opamp.duplicates(twice)
    for folds in inner:
        assert pd.Series(folds).groupby(groups).nunique().max() == 1
