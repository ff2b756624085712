"""results.json: one model, strict; older files are brought up to it."""

import json
import sys
import types

import pytest
from results_cases import claim, results, schema_1

from lib import paths, runtime
from lib.config import StudyConfig
from lib.evidence import Measured
from lib.render.index import read_page
from lib.render.items import provenance
from lib.report import Report, dotted, pair
from lib.report.ledger import Ledger
from lib.report.results import checked, fitted, read_results, shortened, upgraded, zh_width


def test_what_the_model_accepts_it_returns_unchanged():
    assert checked(results(claim("H1"), claim("H2", None, "not_tested", why_not="no arm"))) == results(
        claim("H1"), claim("H2", None, "not_tested", why_not="no arm")
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"schema": 3}, "schema: Input should be 2 (it has '3')"),
        ({"short": None}, "short: Input should be"),
        ({"seeds": ["0"]}, "seeds.0: Input should be a valid integer (it has '0')"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted (it has 'red')"),
        ({"claims": [claim("H1", key=1)]}, "claims.0.key: Input should be a valid boolean (it has '1')"),
        ({"claims": [claim("H1", seeds=-1)]}, "claims.0.seeds: Input should be greater than or equal to 0 (it has '-1')"),
        ({"claims": [claim("H1", verdict="proven")]}, "claims.0.verdict: Input should be"),
        ({"claims": [claim("H1", None, "supported")]}, "claim 'H1' is supported with the value None"),
        ({"claims": [claim("H1", 0.7, "not_tested")]}, "claim 'H1' is not_tested with the value 0.7"),
        ({"claims": [claim("H1", float("nan"))]}, "claims.0.value: Input should be a finite number"),
        ({"claims": [claim("H1"), claim("H1")]}, "claim 'H1' stands twice"),
        ({"facts": {"best": {"value": 1.0, "zh": "甲", "en": "a"}}}, "facts.best.unit: Field required"),
    ],
)
def test_what_is_no_results_file_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(ValueError, match="is no results.json of schema 2") as caught:
        checked(results() | change)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["study", "claims", "provenance", "short", "data", "seeds"])
def test_a_file_that_lacks_a_part_is_refused_by_its_name(name):
    with pytest.raises(ValueError, match=f"{name}: Field required"):
        checked({k: v for k, v in results().items() if k != name})


def test_a_file_of_schema_1_is_read_as_one_of_schema_2(tmp_path):
    old = schema_1(results(answer={"zh": "第一句。第二句。", "en": "The first. The second."}, params={"lang": "zh", "seed": 7}))
    (tmp_path / "old.json").write_text(json.dumps(old))
    found = read_results(tmp_path / "old.json")
    assert (found["schema"], found["short"], found["seeds"]) == (2, {"zh": "第一句。", "en": "The first."}, [7])
    assert found["claims"][0] == claim("H1")
    assert found["provenance"]["computed_with"] == {}


@pytest.mark.parametrize("page", sorted(paths.REPORTS.glob("*/*_*.html")) or [None], ids=lambda p: p and p.parent.name + p.stem)
def test_the_results_on_every_page_are_results(page):
    if page is None or ".failed" in page.name or ".seed-" in page.name:
        pytest.skip("no page")
    assert checked(upgraded(read_page(page)[0]))["schema"] == 2


def test_the_short_answer_is_the_first_sentence_cut_where_it_is_too_long():
    assert shortened({"zh": "答案是 0.5。其余。", "en": "It is 0.5. The rest."}) == {"zh": "答案是 0.5。", "en": "It is 0.5."}
    long = shortened({"zh": "长" * 200 + "。", "en": "word " * 60 + "end."})
    assert long["zh"].endswith("长…")
    assert long["en"].endswith("word…")
    assert fitted(long) == long
    assert zh_width(long["zh"]) == 80
    assert shortened({"zh": "字" * 70 + "`enc_pre_latent_and_more`。", "en": "a"})["zh"] == "字" * 70 + "…"


@pytest.mark.parametrize("side", [{"zh": "字" * 81}, {"en": "word " * 41}])
def test_a_short_answer_that_is_not_short_is_refused_in_a_file_and_cut_in_a_run(report, side):
    long = {"zh": "字", "en": "word"} | side
    with pytest.raises(ValueError, match="more than 40 English words or 80 Chinese characters"):
        checked(results(short=long))
    assert "…" in "".join(finished(report, short=long)["short"].values())
    assert checked(results(short={"zh": "字" * 80, "en": "word " * 40}))


class Example(StudyConfig):
    study = "example"


@pytest.fixture
def report(tmp_path):
    from matplotlib.figure import Figure

    header = dict.fromkeys(("experiment_id", "author", "date", "project", "topic", "mvp", "model_version"), "x")
    said = {"holds": "> 0.5", "metric": "r2"}
    claims = {"H1": {"zh": "甲", "en": "a", "key": True, "group": "pooling", **said}, "H2": {"zh": "乙", "en": "b", **said}}
    words = Ledger(title={"zh": "题", "en": "T"}, question={"zh": "问", "en": "Q"}, header=header, claims=claims)
    made = Report(Example.checked({"out_dir": str(tmp_path), "seed": 3}), words=words)
    made.describe_data(source="embedded", name="toy", fingerprint="sha256:0", n_train=1, n_dropped=0)
    figure = Figure()
    figure.add_subplot().plot([1, 2])
    made.figure("headline", figure, "图", "figure")
    return made


def finished(report, **more):
    report.judge(**{name: Measured(0.7) for name in report.hypotheses if name not in {c["id"] for c in report.claims}})
    made = {"commit": "c", "dirty": False, "packages": {}, "device": "cpu", "threads": 1, "seconds": 1.0}
    report.finish(answer=pair("答。二。", "One. Two."), provenance=made, figure="headline", **more)
    return json.loads((report.out / "results.json").read_text())


def test_a_run_says_where_its_claims_and_facts_come_from(report):
    why = {"zh": "无", "en": "none"}
    report.judge(
        H1=Measured(0.7, source=dotted(checked), seeds=3, tool="ngspice"), H2=Measured(why=why, source=dotted(checked), seeds=0)
    )
    report.fact("best", 0.7, "最好", "best", source=checked)
    found = finished(report, short=pair("短", "short"), seeds=range(2))
    first, second = found["claims"]
    marks = {k: first[k] for k in ("key", "group", "source", "seeds", "tool")}
    assert marks == {"key": True, "group": "pooling", "source": "lib.report.results.checked", "seeds": 3, "tool": "ngspice"}
    assert (second["key"], second["source"], second["seeds"]) == (False, "lib.report.results.checked", 0)
    assert found["facts"]["best"]["source"] == "lib.report.results.checked"
    assert (found["short"], found["seeds"]) == ({"zh": "短", "en": "short"}, [0, 1])
    assert found == checked(found)


def test_a_run_that_says_no_more_has_its_first_sentence_and_its_seed(report):
    found = finished(report)
    assert (found["short"], found["seeds"]) == ({"zh": "答。", "en": "One."}, [3])


def test_provenance_tells_what_cached_steps_were_computed_with(monkeypatch):
    versions = {"train_head": {"torch": "1.0"}}
    monkeypatch.setitem(sys.modules, "lib.steps", types.SimpleNamespace(computed_with=lambda: versions))
    assert runtime.provenance(runtime.start(Example()))["computed_with"] == versions
    monkeypatch.delitem(sys.modules, "lib.steps")
    assert runtime.computed_with() == {}


def test_code_that_changes_during_a_run_makes_it_dirty(monkeypatch):
    clean = ("a" * 40, False)
    states = iter([clean, clean, clean, ("b" * 40, False), clean, ("a" * 40, True), ("a" * 40, True), clean])
    monkeypatch.setattr(runtime, "git_state", lambda: next(states))
    made = [runtime.provenance(runtime.start(Example())) for _ in range(4)]
    assert [m["dirty"] for m in made] == [False, True, True, True]
    assert {m["commit"] for m in made} == {"a" * 40}


def test_a_page_names_the_steps_that_other_versions_computed():
    found = results()
    made = found["provenance"] | {"packages": {"torch": "2.0", "numpy": "2.1"}}
    same = made | {"computed_with": {"fit": {"torch": "2.0"}}}
    other = made | {"computed_with": {"fit": {"torch": "2.0"}, "search": {"torch": "1.9", "numpy": "2.1"}}}
    assert "computed with" not in provenance(found | {"provenance": same})
    text = provenance(found | {"provenance": other})
    assert "search: torch 1.9" in text
    assert "fit:" not in text
