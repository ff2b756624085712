"""Claims as data: what a ledger may say, and what is refused when it is read."""

import ast
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml

from lib import paths
from lib.evidence import Measured, absent, over_seeds
from lib.models.blindspot import merge_directions
from lib.report import HEADER, Report, display, ledger, pair, reported
from lib.report.claims import Criterion
from lib.studies.mlp_head import Config

CONFIG = SimpleNamespace(noise_level=0.3)
CLAIM = {"zh": "高于 {threshold}。", "en": "Above {threshold}.", "holds": ">= 0.5", "metric": "r2"}
HEAD = {"title": {"zh": "题", "en": "T"}, "question": {"zh": "问", "en": "Q"}, "header": {"date": "reported.mlp_head.date"}}


def read(folder, **changes):
    """Write and read a ledger of one claim; a change of None takes a field away."""
    claim = {k: v for k, v in (CLAIM | changes).items() if v is not None}
    (folder / "toy.yaml").write_text(yaml.safe_dump(HEAD | {"claims": {"H1": claim}}, allow_unicode=True), encoding="utf8")
    ledger.load.cache_clear()
    return ledger.load("toy", folder).claims["H1"]


@pytest.mark.parametrize(
    ("holds", "criterion"),
    [
        ("> 0", Criterion("gt", 0.0)),
        (">= 0.5, refuted < 0.4", Criterion("gt", 0.5, 0.4)),
        ("< 1e-3", Criterion("lt", 0.001)),
        ("<= -0.01", Criterion("lt", -0.01)),
        ("within 0.02", Criterion("within", 0.02)),
        (">= mlp_head.test_r2", Criterion("gt", 0.6117)),
    ],
)
def test_a_criterion_is_written_once_and_read_as_meant(tmp_path, holds, criterion):
    assert read(tmp_path, holds=holds).criterion == criterion


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"holds": "about 3"}, "claim H1.*should read like"),
        ({"holds": "> 0, refuted < 1"}, "cannot be refuted at 1"),
        ({"holds": "> mlp_head.nowhere"}, "reported.yaml has no 'mlp_head.nowhere'"),
        ({"en": "Above."}, "differ in their facts.*threshold"),
        ({"zh": "{a}", "en": "{a}"}, "which `facts` does not have"),
        ({"metric": "odd"}, "metric 'odd' has no sentence"),
        ({"says": {"supported": {"zh": "{a}", "en": "no"}}}, "supported differs in its facts"),
        ({"says": {"perhaps": {"zh": "x", "en": "y"}}}, "claims.H1.says"),
        ({"reported": "mlp_head.nowhere"}, "has no 'mlp_head.nowhere'"),
        ({"group": "nowhere"}, "no term of the glossary"),
        ({"zh": None}, "claims.H1.zh"),
        ({"wrong": 1}, "claims.H1.wrong"),
        ({"key": "yes"}, "claims.H1.key"),
    ],
)
def test_what_is_wrong_in_a_ledger_is_one_sentence_that_names_the_claim(tmp_path, changes, said):
    with pytest.raises(ValueError, match=rf"toy\.yaml.*{said}"):
        read(tmp_path, **changes)


def test_texts_take_their_facts_from_the_threshold_the_document_and_the_parameters(tmp_path):
    facts = {"epoch": "reported.mlp_head.best_epoch", "level": "config.noise_level"}
    both = {"zh": "{level} 时第 {epoch} 轮高于 {threshold}。", "en": "At {level} epoch {epoch} is above {threshold}."}
    text = read(tmp_path, facts=facts, **both).text(CONFIG)
    assert text == {"zh": "0.3 时第 47 轮高于 0.5。", "en": "At 0.3 epoch 47 is above 0.5."}
    assert ledger.load("toy", tmp_path).headed(CONFIG) == {"date": "2025-12-01"}


def test_a_verdict_is_said_by_the_metric_unless_the_claim_says_more(tmp_path):
    found = Measured(0.6, 0.5, 0.7, facts={"name": "x"})
    own = {"zh": "{name} 不成立。", "en": "Not so for {name}."}
    claim = read(tmp_path, says={"refuted": own})
    assert ledger.spoken(claim, "supported", found, CONFIG)["en"] == "R² is 0.600 (interval 0.500 to 0.700)."
    assert ledger.spoken(claim, "refuted", found, CONFIG) == {"zh": "x 不成立。", "en": "Not so for x."}
    assert ledger.spoken(claim, "supported", Measured(0.6, facts={"name": "x"}), CONFIG)["zh"] == "R² 为 0.600。"
    known = ledger.spoken(claim, "refuted", Measured(0.6, facts={"name": "ridge"}), CONFIG)
    assert known == {"zh": "岭回归 不成立。", "en": "Not so for Ridge."}
    every = read(tmp_path, says={"zh": "共 {value:.1f}。", "en": "{value:.1f} in all."})
    assert {ledger.spoken(every, v, found, CONFIG)["en"] for v in ledger.VERDICTS} == {"0.6 in all."}


def test_a_broken_sentence_is_found_on_every_run_and_not_only_where_its_verdict_is_reached(tmp_path):
    claim = read(tmp_path, says={"refuted": {"zh": "{lost}", "en": "{lost}"}})
    with pytest.raises(ValueError, match="lost"):
        ledger.spoken(claim, "supported", Measured(0.6), CONFIG)


def test_every_default_sentence_can_be_said():
    for metric, said in ledger.sentences().items():
        assert set(said) == {"zh", "en", "format"}, metric
        one = ledger.Said(zh=said["zh"], en=said["en"])
        for found in (Measured(0.5, 0.4, 0.6), Measured(0.5)):
            numbers = {"value": found.value, "interval": ledger.interval(found, said["format"])}
            assert one.fill(**numbers)["zh"].endswith("。")


def toy_report(tmp_path, monkeypatch, **claims):
    """Return a report of a study whose ledger holds these claims, and a list that takes what it shows."""
    header = dict.fromkeys(HEADER, "—")
    text = yaml.safe_dump(HEAD | {"header": header, "claims": {k: CLAIM | c for k, c in claims.items()}}, allow_unicode=True)
    (tmp_path / "mlp_head.yaml").write_text(text, encoding="utf8")
    load, shown = ledger.load, []
    monkeypatch.setattr(ledger, "load", lambda study: load(study, tmp_path))
    monkeypatch.setattr(display, "emit", lambda kind, payload, fallback, **more: shown.append((kind, payload)))
    load.cache_clear()
    return Report(Config(out_dir=str(tmp_path / "out"))), shown


def test_a_verdict_stands_under_what_was_shown_last_and_names_the_function_that_measured_it(tmp_path, monkeypatch):
    report, shown = toy_report(tmp_path, monkeypatch, H1={"key": True, "group": "comparison"}, H2={"at": "tab-other"}, H3={})
    report.table("scores", pd.DataFrame({"r2": [0.6]}), "分数。", "Scores.")
    verdicts = report.judge(H1=over_seeds([0.6, 0.61, 0.62]), H2=Measured(0.1, seeds=0), H3=absent("b"))
    assert verdicts == {"H1": "supported", "H2": "refuted", "H3": "not_tested"}
    first, second, third = report.claims
    assert (first["anchor"], second["anchor"]) == ("#tab-scores", "#tab-other")
    assert (first["source"], first["seeds"], first["key"], first["group"]) == ("lib.evidence.over_seeds", 3, True, "comparison")
    assert "`arms`" in third["why_not"]
    assert "`arms`" in third["why_not_zh"]
    assert [kind for kind, _ in shown] == ["table", "claim", "claim", "claim"]


def test_the_conclusions_of_the_document_are_listed_and_the_other_claims_are_not(tmp_path, monkeypatch):
    report, shown = toy_report(tmp_path, monkeypatch, H1={"key": True}, H2={})
    report.conclusions()
    assert "**H1** · Above 0.5." in shown[0][1]["en"]
    assert "H2" not in shown[0][1]["en"]


def test_a_claim_that_no_cell_judged_or_that_the_ledger_lacks_is_an_error(tmp_path, monkeypatch):
    report, _ = toy_report(tmp_path, monkeypatch, H1={})
    with pytest.raises(ValueError, match="'H9' was not declared"):
        report.judge(H9=Measured(1.0))
    with pytest.raises(ValueError, match=r"without a verdict: \['H1'\]"):
        report.finish(answer=pair("答。", "Answer."), provenance={}, figure="x")
    report.judge(H1=Measured(1.0))
    with pytest.raises(ValueError, match="judged twice"):
        report.judge(H1=Measured(1.0))


def test_lines_of_lib_are_shown_from_their_source(tmp_path, monkeypatch):
    report, shown = toy_report(tmp_path, monkeypatch, H1={})
    report.code(merge_directions, "两个方向怎样合并。", "How the two directions are merged.")
    kind, payload = shown[0]
    assert kind == "code"
    assert payload["origin"] == "lib.models.blindspot.merge_directions"
    assert payload["code"].startswith("def merge_directions(")


STUDIES = sorted(f.stem for f in (paths.NOTEBOOKS / "claims").glob("*.yaml"))


@pytest.mark.parametrize("study", STUDIES)
def test_every_ledger_has_three_to_six_conclusions_of_its_document(study):
    found = ledger.load(study)
    assert 3 <= sum(c.key for c in found.claims.values()) <= 6
    assert all(c.group for c in found.claims.values()), "claims are grouped"
    assert all(set(e.get("claims", [])) <= set(found.claims) for e in found.contradictions)
    for entry in found.contradictions:
        pair(entry["zh"], entry["en"], **{name: reported(path) for name, path in entry.get("facts", {}).items()})


@pytest.mark.parametrize("study", STUDIES)
def test_every_claim_is_judged_in_one_place_of_its_notebook(study):
    tree = ast.parse((paths.NOTEBOOKS / f"{study}.py").read_text(encoding="utf8"))
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "report.judge"]
    judged = [k.arg for call in calls for k in call.keywords if k.arg]
    assert sorted(judged) == sorted(ledger.load(study).claims)
