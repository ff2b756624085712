"""CSV folders never seen before: other columns, no cmrr, no dc gain, one target or seven; every command works on them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import papermill
import pytest

from lib import paths
from lib.data import opamp
from lib.evidence import Measured
from lib.files import read_json
from lib.studies.opamp_transfer import answers, measures, tables
from lib.studies.opamp_transfer.__main__ import main
from lib.studies.opamp_transfer.comparison import arms
from lib.studies.opamp_transfer.config import Config
from lib.studies.opamp_transfer.data import compared, prepare


def sizes(rng, n):
    return pd.DataFrame({"finger": rng.integers(2, 60, n) * 1.0, "ldeg_nh": rng.choice([0.2, 0.4, 0.8, 1.6], n),
                         "vbias": rng.uniform(0.4, 0.7, n), "tune": rng.integers(-3, 4, n) * 1.0})  # fmt: skip


def low_noise_amplifier(x, k):
    """Return metrics in decibels, some negative: none is a logarithm's."""
    gm = 1e-3 * k * x.finger * (x.vbias - 0.3)
    gain = 20 * np.log10(500 * gm / (1 + 10 * gm * x.ldeg_nh)) + 0.3 * x.tune
    return pd.DataFrame(
        {"gain_db": gain, "nf_db": 1 + 2 / (1 + 100 * gm) + 0.1 * x.ldeg_nh, "iip3_dbm": 2 * x.tune / k - 9 * gain / 20}
    )


def oscillator(x, k):
    return pd.DataFrame({"phase_noise": -100 - 10 * np.log10(x.finger * k) + x.tune})


KINDS = {"lna": low_noise_amplifier, "vco": oscillator}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("csv")
    for name, metrics in KINDS.items():
        rng = np.random.default_rng(0)
        for process, files in opamp.FILES.items():
            x = sizes(rng, 300 if process == "source" else 90)
            for file, frame in zip(files, (x, metrics(x, 1.0 if process == "source" else 1.4)), strict=True):
                (root / "01_train_set" / name / file).parent.mkdir(parents=True, exist_ok=True)
                frame.to_csv(root / "01_train_set" / name / file, index=False)
    return root


def read(folder, name, **more):
    config = Config.checked({"data_dir": str(folder), "opamp": name} | more)
    return prepare(config), config


def test_questions_about_absent_metrics_are_left_out_with_the_reason(folder):
    prepared, config = read(folder, "lna")
    below = measures.share_below(prepared, "dc_gain", 150)
    assert below.value is None
    assert "dc_gain" in below.why["zh"]
    assert "dc_gain" in below.why["en"]
    shift = compared(prepared, prepared.targets)
    for found in (measures.largest(prepared, "ugf"), measures.distance(shift, "slewrate_pos")):
        assert found.value is None
        assert found.source.startswith("lib.studies.opamp_transfer.measures.")
    zh, en = answers.left_out(prepared, config)
    assert zh.count("\n- ") == en.count("\n- ") == 3
    assert "resonant" in en
    assert "resonant" not in {a.method for a in arms(config, resonant=False)}


def test_the_embedded_op_amp_leaves_no_question_out():
    assert answers.left_out(prepare(Config()), Config())[1] == "The data hold every metric that the study asks about."


def test_a_skewed_metric_without_logarithm_is_named(folder):
    prepared, config = read(folder, "lna")
    rng = np.random.default_rng(0)
    source, target = (f.assign(nf_db=rng.lognormal(0, 2, len(f))) for f in (prepared.source, prepared.target))
    skewed = replace(prepared, source=source, target=target)
    assert "The metrics nf_db are positive and skewed" in answers.left_out(skewed, config)[1]


@pytest.mark.parametrize(("key", "value"), [("log_targets", ["nf_bd"]), ("resonant", "nf_bd")])
def test_a_mistyped_metric_is_refused_with_the_nearest_name(folder, key, value):
    with pytest.raises(ValueError, match=rf"{key} names 'nf_bd', which is not a target column: did you mean 'nf_db'\?"):
        read(folder, "lna", **{key: value})


def scores(metrics, methods=("mlp", "gp")):
    rng = np.random.default_rng(0)
    rows = [{"method": m, "domain": "target_only", "features": "physics", "recipe": "", "seed": s, "metric": n, "r2": rng.uniform(0.8, 1),
             "ln_r2": np.nan, "cover_90": 0.9, "cover_90_raw": 0.8, "inner": 0.1, "labels": 25}
            for m in methods for s in range(3) for n in metrics]  # fmt: skip
    return pd.DataFrame(rows)


def test_averages_without_a_cmrr_are_those_of_all_metrics():
    table = tables.method_table(scores(["gain_db", "nf_db"]))
    assert (table["first"] == table.average).all()
    assert not [c for c in table if c.startswith("cmrr")]
    assert "cmrr_ln_r2" not in tables.budget_table(scores(["gain_db"]))
    assert np.isfinite(tables.averages(scores(["cmrr"]))["first"]).all(), "the cmrr alone is not left out"


def swept(column, values, score="r2"):
    """Return a frame of scores by value of a column, three splits each; the splits differ by more than the values."""
    return pd.DataFrame([{column: v, "seed": s, score: y + 10 * s} for v, y in values.items() for s in range(3)])


def test_gaps_that_need_two_arms_are_not_tested_with_one():
    one = measures.contrast(swept("scale", {"linear": 0.5}), "scale", "log1p", "linear", parameter="log_targets")
    assert "log1p and linear" in one.why["en"]
    assert "`log_targets`" in one.why["zh"]
    same = measures.contrast(swept("l2sp", {0.0: 0.5}), "l2sp", Config(l2sp=0.0).l2sp, 0.0, parameter="l2sp")
    assert "`l2sp`" in same.why["en"]
    few = measures.budget_gap(scores(["gain_db"]), Config(budgets=[25, 50]).few_labels)
    assert "25 labels" in few.why["en"]


def test_contrasts_are_paired_by_split():
    coral = swept("value", {0.0: 2.0, 0.05: 1.5, 1.0: 3.0}, "nll")
    found = measures.contrast(coral, "value", 0.0, Config().lambda_coral, "nll", parameter="lambda_grid")
    assert (found.value, found.low, found.high, found.seeds) == (*[pytest.approx(0.5)] * 3, 3)
    heavy = measures.contrast(coral, "value", Config().heaviest_coral, 0.05, "nll", parameter="lambda_grid")
    assert heavy.value == pytest.approx(1.5)


def test_the_ensemble_is_set_against_its_better_member():
    table = scores(["gain_db"], ("target_hetero", "align_hetero", "ensemble_pair")).assign(recipe="compact")
    for method, r2 in (("target_hetero", 0.9), ("align_hetero", 0.8), ("ensemble_pair", 0.95)):
        table.loc[table.method == method, "r2"] = r2
    found = measures.ensemble_gap(table)
    assert found.facts["member"] == "target_hetero"
    assert found.value == pytest.approx(0.05)
    assert measures.ensemble_gap(table[table.method != "ensemble_pair"]).value is None


@pytest.mark.parametrize(
    ("value", "low", "high", "said"),
    [(0.02, 0.01, 0.03, "helps"), (-0.02, -0.03, -0.01, "does harm"), (0.02, -0.01, 0.05, "no detectable difference"),
     (0.0002, 0.0001, 0.0003, "negligible"), (0.02, None, None, "helps")],
)  # fmt: skip
def test_the_answer_says_what_the_interval_allows(value, low, high, said):
    assert said in answers.helps(Measured(value, low, high))["en"]


def test_the_answer_leaves_out_few_labels_where_they_were_not_tried():
    worst = Measured(-1.0, facts={"name": "gain_db", "best": "nf_db", "best_r2": 0.5})
    mean = pd.Series({"first": 0.9, "cmrr_r2": np.nan, "cmrr_ln_r2": np.nan})
    gains = Measured(0.1, facts={"physics": 0.2, "transfer": 0.1})
    few = measures.budget_gap(scores(["gain_db"]), 9)
    said = answers.answer(False, worst, mean, {"zh": "法", "en": "m"}, gains, Measured(0.02, 0.01, 0.03), few)
    assert "does not carry over" in said["en"]
    assert "transfer helps" in said["en"]
    assert "over all metrics" in said["en"]
    assert "labels, against" not in said["en"]


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_the_notebook_and_every_command_work_on_unseen_csv_files(folder, name, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    out = tmp_path / "out"
    given = {"data_dir": str(folder), "opamp": name, "out_dir": str(out), "num_threads": 1}
    papermill.execute_notebook(
        paths.NOTEBOOKS / "opamp_transfer.ipynb", tmp_path / "run.ipynb", given, cwd=paths.ROOT, progress_bar=False
    )
    verdicts = {c["id"]: c["verdict"] for c in read_json(out / "results.json")["claims"]}
    absent = {"H3", "H10", "H13", "H14", "H15", "H16", "H18", "H19", "H20", "H21", "I4"}  # of metrics that these data lack
    assert {k for k, v in verdicts.items() if v == "not_tested"} == absent
    x = sizes(np.random.default_rng(9), 12)
    x.to_csv(tmp_path / "x.csv", index=False)
    names = list(KINDS[name](x, 1.0))
    (tmp_path / "spec.yaml").write_text(f"{names[0]}: {{goal: max}}\n")
    assert main(["check", "--data", str(folder), "--opamp", name]) == 0
    for words in (["predict", "--features", "x.csv"], ["sample", "--spec", "spec.yaml", "--n", "8"],
                  *(["invert", "--spec", "spec.yaml", "--n-init", "6", "--steps", "3", "--surrogate", s] for s in ("ensemble", "published"))):  # fmt: skip
        full = [str(tmp_path / w) if w.endswith((".csv", ".yaml")) else w for w in words]
        assert main([full[0], "--model", str(out / "model"), "--out", str(tmp_path / "y.csv"), *full[1:]]) == 0, (
            capsys.readouterr().err
        )
        made = pd.read_csv(tmp_path / "y.csv")
        assert set(names) <= set(made)
        assert np.isfinite(made.select_dtypes(float).to_numpy()).all()
