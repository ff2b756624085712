"""The report: verdicts, paired texts, tables, and publication that a kill cannot tear."""

import json

import pandas as pd
import pytest

from lib.config import StudyConfig
from lib.evidence import Measured
from lib.report import Criterion, Report, command, number, pair, reported, reported_source, text
from lib.report.display import table_payload
from lib.report.ledger import Ledger
from lib.report.publish import READY, open_staging, publish, recover
from lib.report.text import glossary


class Example(StudyConfig):
    study = "example"


HEADER = dict.fromkeys(("experiment_id", "author", "date", "project", "topic", "mvp", "model_version"), "x")
PROVENANCE = {
    "commit": "c",
    "dirty": False,
    "packages": {},
    "device": "cpu",
    "precision": "32-true",
    "threads": 1,
    "seconds": 1.0,
}
H1 = {"zh": "甲", "en": "a", "holds": "> 0.5", "metric": "r2"}
LEDGER = Ledger(title={"zh": "题", "en": "T"}, question={"zh": "问", "en": "Q"}, header=HEADER, claims={"H1": H1})


@pytest.fixture
def report(tmp_path):
    made = Report(Example.checked({"out_dir": str(tmp_path)}), words=LEDGER)
    made.describe_data(source="embedded", name="toy", fingerprint="sha256:0", n_train=1, n_dropped=0)
    return made


def shown(report):
    from matplotlib.figure import Figure

    figure = Figure()
    figure.add_subplot().plot([1, 2])
    report.figure("headline", figure, "图", "figure")


@pytest.mark.parametrize(
    ("criterion", "numbers", "verdict"),
    [
        (Criterion("gt", 0.5), (0.6,), "supported"),
        (Criterion("gt", 0.5), (0.4,), "refuted"),
        (Criterion("gt", 0.5), (0.6, 0.45, 0.7), "inconclusive"),
        (Criterion("gt", 0.6, refute=0.5), (0.55,), "inconclusive"),
        (Criterion("gt", 0.6, refute=0.5), (0.49,), "refuted"),
        (Criterion("lt", 0.1), (0.05, 0.01, 0.09), "supported"),
        (Criterion("lt", 0.1), (0.2, 0.15, 0.3), "refuted"),
        (Criterion("within", 0.02), (0.0, -0.01, 0.01), "supported"),
        (Criterion("within", 0.02), (-0.1, -0.2, -0.05), "refuted"),
        (Criterion("within", 0.02), (0.0, -0.05, 0.05), "inconclusive"),
    ],
)
def test_a_verdict_follows_from_the_whole_interval(criterion, numbers, verdict):
    assert criterion.verdict(*numbers) == verdict


@pytest.mark.parametrize("numbers", [(float("nan"),), (0.5, float("nan"), 0.6), (0.5, 0.9, 0.1)])
def test_a_nan_or_an_interval_upside_down_is_never_a_verdict(numbers):
    with pytest.raises(ValueError, match=r"finite numbers|upside down"):
        Criterion("gt", 0.5).verdict(*numbers)


@pytest.mark.parametrize("wrong", [("above", 0.5, None), ("gt", float("inf"), None), ("gt", 0.5, 0.6), ("lt", 0.5, 0.4)])
def test_a_criterion_that_contradicts_itself_is_refused(wrong):
    with pytest.raises(ValueError, match=r"should be|cannot be refuted"):
        Criterion(*wrong)


def test_both_languages_must_carry_the_same_facts():
    with pytest.raises(ValueError, match="differ in their facts"):
        pair("{a}", "{b}", a=1, b=2)
    with pytest.raises(ValueError, match="Facts given and facts used"):
        pair("{a}", "{a}", a=1, b=2)
    assert pair("{n} 个，{r:.2f}", "{n} designs, {r:.2f}", n=10000, r=0.5) == {
        "zh": "10,000 个，0.50",
        "en": "10,000 designs, 0.50",
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (10000, "10,000"),
        (0.99543, "0.9954"),
        (1.7634e6, "1.76×10⁶"),
        (2.5e-6, "2.50×10⁻⁶"),
        (None, "—"),
        (float("nan"), "—"),
        (0.0, "0"),
        ("a", "a"),
    ],
)
def test_numbers_are_written_for_people(value, text):
    assert number(value) == text


def test_finish_refuses_a_hypothesis_without_a_verdict_and_publishes_nothing(report):
    shown(report)
    with pytest.raises(ValueError, match=r"without a verdict: \['H1'\]"):
        report.finish(answer=pair("答", "A"), provenance=PROVENANCE, figure="headline")
    assert not (report.out / "results.json").exists()


def test_a_complete_run_publishes_results_tables_and_figures(report):
    shown(report)
    report.table("scores", pd.DataFrame({"method": ["ridge"], "r2": [0.5]}), "表", "table")
    report.judge(H1=Measured(0.7))
    report.fact("best", 0.7, "最好", "best", reported_as="mlp_head.test_r2")
    report.finish(answer=pair("答", "A"), provenance=PROVENANCE, figure="headline")
    results = json.loads((report.out / "results.json").read_text())
    assert results["claims"][0]["verdict"] == "supported"
    assert results["claims"][0]["criterion"] == {"direction": "gt", "threshold": 0.5, "refute": None}
    assert results["facts"]["best"]["reported"] == 0.6117
    assert (report.out / results["figure"]).is_file()
    assert (report.out / results["tables"]["scores"]).read_text() == "method,r2\nridge,0.5\n"
    assert not (report.out / "running.json").exists()


def test_a_table_with_an_unknown_column_asks_for_both_languages(report):
    with pytest.raises(ValueError, match="are not in lib/report/glossary"):
        report.table("t", pd.DataFrame({"no_such_term": [1]}), "表", "table")


def test_the_last_good_results_stay_until_the_new_ones_are_complete_and_a_killed_publication_is_finished(tmp_path):
    def stage(text):
        staging = open_staging(tmp_path)
        (staging / "tables" / f"{text}.csv").write_text(text)
        (staging / "results.json").write_text(text)

    stage("old")
    publish(tmp_path)
    stage("new")
    assert (tmp_path / "results.json").read_text() == "old"
    (tmp_path / ".staging").rename(tmp_path / READY)  # a kill right after the publication began
    recover(tmp_path)
    assert (tmp_path / "results.json").read_text() == "new"
    assert [p.name for p in (tmp_path / "tables").iterdir()] == ["new.csv"]


def test_reported_figures_are_found_by_path_and_a_wrong_path_is_named():
    assert reported("mlp_head.test_r2") == 0.6117
    assert reported("vit_scaling.public.scaling.vit.50000") == 0.434
    assert (reported_source("vit_scaling.public.scaling.vit.50000"), reported_source("mlp_head.test_r2")) == (
        "public",
        "document",
    )
    with pytest.raises(KeyError, match="'test_r3' is missing"):
        reported("mlp_head.test_r3")


def test_the_command_repeats_the_run():
    from lib.studies.opamp_transfer import Config

    config = Config.load("params/smoke/opamp_transfer.yaml").model_copy(update={"seed": 3, "out_dir": "build/x"})
    expected = (
        "papermill notebooks/opamp_transfer.ipynb build/opamp_transfer.ipynb -f params/smoke/opamp_transfer.yaml -p seed 3"
    )
    assert command(config) == f"{expected} -p out_dir build/x"


def test_every_glossary_term_has_both_languages():
    assert all(t["zh"] and t["en"] for t in glossary().values())


def test_no_key_stands_twice_and_one_term_has_one_translation():
    lines = [line for f in (text.FOLDER / "glossary").glob("*.yaml") for line in f.read_text(encoding="utf8").splitlines()]
    keys = [line.split(":")[0].strip('"') for line in lines if line.strip() and not line.startswith("#")]
    assert sorted(keys) == sorted(glossary())
    for given, other in (("en", "zh"), ("zh", "en")):
        said = {}
        for entry in glossary().values():
            said.setdefault(entry[given].lower(), set()).add(entry[other].lower())
        assert {word: found for word, found in said.items() if len(found) > 1} == {}


def test_a_key_in_two_files_is_refused_by_name(tmp_path, monkeypatch):
    (tmp_path / "glossary").mkdir()
    for name, words in (("a", "first"), ("b", "second")):
        (tmp_path / "glossary" / f"{name}.yaml").write_text(f"gain: {{en: {words}, zh: {words}}}\n")
    monkeypatch.setattr(text, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"\['gain'\] of b.yaml stand in another file"):
        glossary.__wrapped__()


def test_a_table_of_parameters_shows_names_and_values_as_they_are_typed():
    frame = pd.DataFrame({"parameter": ["epochs"], "value": ["linear"]})
    assert table_payload(frame)["rows"] == [["epochs", "linear"]]
    assert table_payload(frame.rename(columns={"parameter": "name"}))["rows"][0][1] == {"en": "linear", "zh": "线性"}
