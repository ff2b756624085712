"""The receipt: a verdict that changed is named with both values; a tool that is absent is no flip."""

import json
import math

import pytest
from results_cases import claim, ran, results, schema_1

from lib import cli, paths
from lib.render.index import render_index
from lib.render.receipt import receipt, told, without


def one(here, published):
    """Return the only line of a receipt of two claims."""
    (line,) = receipt(results(here), results(published)).lines
    return line


def test_a_claim_with_the_same_verdict_has_a_shift_in_half_widths_of_the_published_interval():
    line = one(claim("H1", 0.75), claim("H1", 0.70, low=0.65, high=0.75))
    assert line.kind == "same"
    assert line.shift == pytest.approx(1.0)
    assert one(claim("H1"), claim("H1")).shift == 0
    assert one(claim("H1", 0.8), claim("H1", 0.7, low=0.7, high=0.7)).shift == math.inf
    assert one(claim("H1", 0.8), claim("H1", 0.7, low=None, high=None)).shift == pytest.approx(1.0)
    assert one(claim("H1", low=None, high=None), claim("H1", 0.6, low=None, high=None)).shift is None


def test_a_changed_verdict_is_told_with_both_values_and_intervals():
    found = receipt(results(claim("H1", 0.55, "inconclusive")), results(claim("H1")))
    assert [line.kind for line in found.lines] == ["changed"]
    said = told([found])
    assert "mlp_head: same verdict 0, changed 1, not judged for want of a tool 0." in said
    assert "supported" in said
    assert "0.7 [0.6, 0.8]" in said
    assert "inconclusive" in said
    assert "0.55 [0.45, 0.65]" in said
    assert "largest shift 最大偏移 H1: 1.5 ×" in said


IDLE = claim("I1", None, "not_tested", why_not="This claim needs ngspice, which is not installed.")


@pytest.mark.parametrize(
    ("here", "published", "side"),
    [
        (IDLE, claim("I1", tool="ngspice"), "here"),
        (claim("I1", tool="ngspice"), IDLE, "published"),
        (claim("I1", 0.4, "refuted"), claim("I1", tool="ngspice"), "here"),
        (claim("I1", 0.4, "refuted", tool="ngspice"), claim("I1"), "published"),
    ],
)
def test_an_absent_tool_is_no_flip(here, published, side):
    line = one(here, published)
    assert (line.kind, line.tool, without(line), line.shift) == ("no_tool", "ngspice", side, None)
    said = told([receipt(results(here), results(published))])
    assert "changed 0, not judged for want of a tool 1" in said
    assert ("not judged by ngspice here" in said) == (side == "here")


def test_a_claim_that_is_not_tested_for_another_reason_is_a_change():
    idle = claim("I1", None, "not_tested", why_not="This profile does not train that arm.")
    assert one(idle, claim("I1")).kind == "changed"
    assert one(idle, idle).kind == "same"


def test_claims_on_one_side_and_other_parameters_or_data_are_told():
    here = results(
        claim("H1"), claim("H3"), params={"lang": "en", "seed": 1}, data=results()["data"] | {"fingerprint": "sha256:1"}
    )
    found = receipt(here, results(claim("H1"), claim("H2")))
    assert [(line.id, line.kind) for line in found.lines] == [("H1", "same"), ("H2", "unmatched"), ("H3", "unmatched")]
    assert found.other == ["seed", "data"]
    said = told([found])
    assert "other seed, data than published" in said
    assert "H2: only published" in said
    assert "H3: only here" in said


def test_another_criterion_is_marked():
    other = claim("H1", 0.55, "inconclusive", criterion={"direction": "gt", "threshold": 0.6, "refute": None})
    assert one(other, claim("H1")).judged_otherwise
    assert not one(claim("H1", 0.4, "refuted"), claim("H1")).judged_otherwise


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder in which H1 of `mlp_head` is supported here and in the published results of schema 1."""
    for name in ("build", "reports"):
        monkeypatch.setattr(paths, name.upper(), tmp_path / name)
    ran(tmp_path / "build", results())
    (tmp_path / "reports" / "quick").mkdir(parents=True)
    (tmp_path / "reports" / "quick" / "mlp_head.json").write_text(json.dumps(schema_1(results())))
    return tmp_path


def test_the_command_ends_with_zero_whatever_it_says_and_strict_with_one_where_a_verdict_changed(project, capsys):
    assert cli.main(["receipt", "--strict"]) == 0
    assert "mlp_head: same verdict 1, changed 0" in capsys.readouterr().out
    ran(project / "build", results(claim("H1", 0.2, "refuted")))
    assert cli.main(["receipt"]) == 0
    assert cli.main(["receipt", "--profile", "quick", "--strict"]) == 1
    told_, sentence = capsys.readouterr()
    assert "refuted" in told_
    assert sentence == "Verdicts that differ from the published ones: 1.\n"
    ran(project / "build", results(IDLE | {"id": "H1"}))
    assert cli.main(["receipt", "--strict"]) == 0


def test_two_files_can_be_named(project, capsys):
    here, there = (str(project / p) for p in ("build/quick/mlp_head/results.json", "reports/quick/mlp_head.json"))
    assert cli.main(["receipt", here, there, "--strict"]) == 0
    assert cli.main(["receipt", here]) == 1
    assert "two files" in capsys.readouterr().err
    (project / "other.json").write_text(json.dumps(results(study="noise2noise")))
    assert cli.main(["receipt", here, str(project / "other.json")]) == 1
    assert "give two of one study" in capsys.readouterr().err


def test_nothing_published_and_a_broken_file_are_told_in_a_sentence(project, capsys):
    assert cli.main(["receipt", "--profile", "full"]) == 0
    assert "nothing published" in capsys.readouterr().out
    (project / "reports/quick/mlp_head.json").write_text('{"schema": 2, "study": "mlp_head", "claims": 3}')
    assert cli.main(["receipt"]) == 0
    assert "is no results.json of schema 2" in capsys.readouterr().out


def test_the_index_shows_the_receipt(project):
    ran(project / "build", results(claim("H1", 0.2, "refuted")))
    folder = project / "reports" / "quick"
    render_index(folder)
    text = (folder / "index.html").read_text()
    assert 'id="receipt"' in text
    assert "0.7 [0.6, 0.8]" in text
    assert "0.2 [0.1, 0.3]" in text
    (folder / "mlp_head.json").unlink()
    render_index(folder)
    assert 'id="receipt"' not in (folder / "index.html").read_text()


def test_the_index_tells_a_tool_that_is_absent(project):
    ran(project / "build", results(IDLE | {"id": "H1"}))
    render_index(project / "reports" / "quick")
    assert "Not judged by ngspice here." in (project / "reports" / "quick" / "index.html").read_text()
