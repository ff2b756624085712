"""What a ledger says beside its claims: captions, paragraphs, key numbers, and thresholds that are parameters."""

from types import SimpleNamespace

import pandas as pd
import pytest
import yaml

from lib.evidence import Measured
from lib.report import HEADER, Report, display, ledger
from lib.report.claims import Criterion
from lib.studies.mlp_head import Config

CLAIM = {"zh": "高于 {threshold}。", "en": "Above {threshold}.", "holds": ">= config.epochs", "metric": "r2"}
TEXTS = {"tab-scores": {"zh": "{n} 个分数。", "en": "{n} scores."}, "both": {"zh": "从 {a:.1f}。", "en": "From {a:.1f}."}}
FACTS = {"r2": {"zh": "测试 R²", "en": "test R²", "unit": "", "reported": "mlp_head.test_r2"}}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that writes a ledger with these changes, which reports then read."""

    def written(**changes):
        title, question = ({"zh": zh, "en": en} for zh, en in (("题", "T"), ("问", "Q")))
        whole = {"title": title, "question": question, "header": dict.fromkeys(HEADER, "—"), "claims": {"H1": CLAIM}}
        text = yaml.safe_dump(whole | {"texts": TEXTS, "facts": FACTS} | changes, allow_unicode=True)
        (tmp_path / "mlp_head.yaml").write_text(text, encoding="utf8")
        ledger_of.cache_clear()
        return ledger_of("mlp_head", tmp_path)

    ledger_of = ledger.load
    monkeypatch.setattr(ledger, "load", lambda study: ledger_of(study, tmp_path))
    yield written
    ledger_of.cache_clear()


@pytest.fixture
def report(write, tmp_path, monkeypatch):
    write()
    shown = []
    monkeypatch.setattr(display, "emit", lambda kind, payload, fallback, **more: shown.append((kind, payload)))
    made = Report(Config(out_dir=str(tmp_path / "out"), epochs=7))
    made.emitted = shown
    return made


def test_a_caption_left_out_is_the_ledgers(report):
    scores = pd.DataFrame({"r2": [0.6, 0.7]})
    report.table("scores", scores, n=len(scores))
    report.table("others", scores, "另一个。", "Another.")
    assert [payload["caption"]["en"] for _, payload in report.emitted] == ["2 scores.", "Another."]
    with pytest.raises(ValueError, match="no text 'tab-lost'"):
        report.table("lost", scores)


def test_a_paragraph_is_said_with_the_runs_numbers_and_not_without_them(report):
    report.say("both", a=0.25, unused=1)
    report.say("both")
    assert [payload["zh"] for _, payload in report.emitted] == ["从 0.2。"]
    with pytest.raises(ValueError, match="differ by {'a'}"):
        report.say("both", wrong=1)


def measured_here(r2):
    return {"r2": r2}


def test_key_numbers_take_their_words_from_the_ledger_and_name_the_function_that_computed_them(report):
    report.key_numbers(measured_here, 0.5)
    fact = report.facts["r2"]
    assert (fact["value"], fact["en"], fact["reported"]) == (0.5, "test R²", 0.6117)
    assert fact["source"].endswith(".measured_here")
    with pytest.raises(ValueError, match="no fact 'lost'"):
        report.key_numbers(lambda: {"lost": 1})


def test_a_threshold_may_be_a_parameter(report, write):
    claim = write().claims["H1"]
    assert claim.criterion_of(SimpleNamespace(epochs=3)) == Criterion("gt", 3.0)
    assert claim.text(SimpleNamespace(epochs=3))["en"] == "Above 3."
    assert report.judge(H1=Measured(6.0)) == {"H1": "refuted"}
    assert report.claims[0]["criterion"]["threshold"] == 7.0


def test_facts_that_are_terms_are_said_in_each_language(write):
    claim = write(claims={"H1": CLAIM | {"says": {"zh": "优于{rival}。", "en": "It beats {rival}."}}}).claims["H1"]
    found = Measured(0.6, facts={"rival": "ridge"})
    said = ledger.spoken(claim, "supported", found, SimpleNamespace(epochs=0))
    assert said == {"zh": "优于岭回归。", "en": "It beats Ridge."}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"texts": {"both": {"zh": "{a}", "en": "a"}}}, "both: its texts differ in their facts"),
        ({"facts": {"r2": FACTS["r2"] | {"reported": "mlp_head.nowhere"}}}, "r2: .*has no .mlp_head.nowhere"),
        ({"facts": {"r2": {"zh": "数"}}}, "facts.r2.en"),
    ],
)
def test_what_is_wrong_in_texts_and_facts_is_one_sentence(write, changes, said):
    with pytest.raises(ValueError, match=said):
        write(**changes)
