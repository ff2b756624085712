"""Published apart from run: only from a clean run of a commit in history; a page that does not match its results is found out."""

import json
import os

import pytest
from results_cases import claim, ran, results, schema_1

from lib import cli, git, paths
from lib.render import published
from lib.render.guard import is_sealed


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder with one run of `mlp_head`, ready to be published."""
    for name in ("build", "reports"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(paths, name.upper(), tmp_path / name)
    monkeypatch.setattr(published, "tracked", lambda folder: [])
    monkeypatch.setattr(published, "in_history", lambda commit: commit == "a" * 40)
    ran(tmp_path / "build", results())
    return tmp_path


def published_files(project):
    return sorted(f.name for f in (project / "reports" / "quick").glob("*"))


def test_page_and_results_are_published_together_and_match(project, capsys):
    assert cli.main(["publish", "--profile", "quick"]) == 0
    assert published_files(project) == ["index.html", "mlp_head.html", "mlp_head.json"]
    assert json.loads((project / "reports/quick/mlp_head.json").read_text()) == results()
    assert is_sealed((project / "reports/quick/mlp_head.html").read_text())
    assert cli.main(["check"]) == 0
    assert "mlp_head.json" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"provenance": results()["provenance"] | {"dirty": True}}, "it ran with uncommitted changes"),
        ({"provenance": results()["provenance"] | {"commit": "b" * 40}}, "which is not in this history"),
        ({"provenance": results()["provenance"] | {"commit": "unknown"}}, "it ran at commit 'unknown'"),
        (schema_1(results()), "its results are of schema 1"),
    ],
)
def test_a_run_that_cannot_be_repeated_is_not_published(project, capsys, change, sentence):
    ran(project / "build", results() | change if "schema" not in change else change)
    assert cli.main(["publish", "--profile", "quick"]) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert published_files(project) == []


def test_one_run_that_may_not_be_published_leaves_the_others_alone_too(project, capsys):
    ran(project / "build", results(study="noise2noise", provenance=results()["provenance"] | {"dirty": True}))
    assert cli.main(["publish"]) == 1
    assert published_files(project) == []
    assert cli.main(["publish", "mlp_head"]) == 0
    assert "mlp_head.json" in published_files(project)


def test_a_page_of_another_run_than_its_results_is_not_published(project, capsys):
    (project / "build/quick/mlp_head/results.json").write_text(json.dumps(results(seeds=[1])))
    assert cli.main(["publish"]) == 1
    assert "are of different runs" in capsys.readouterr().err
    (project / "build/quick/mlp_head/results.json").write_text(json.dumps(results(profile="full")))
    assert cli.main(["publish"]) == 1
    assert "'mlp_head' at profile 'full'" in capsys.readouterr().err
    assert cli.main(["publish", "--profile", "full"]) == 1
    assert "has no results to publish" in capsys.readouterr().err


def test_a_kill_between_page_and_results_is_mended(project):
    assert cli.main(["publish"]) == 0
    folder = project / "reports" / "quick"
    old = (folder / "mlp_head.html").read_text()
    ran(project / "build", results(claim("H1", 0.9)))
    assert cli.main(["publish"]) == 0
    (folder / ".publish").mkdir()
    os.replace(folder / "mlp_head.json", folder / ".publish" / "mlp_head.json")  # the page has moved, its results not yet
    assert cli.main(["check"]) == 0
    assert json.loads((folder / "mlp_head.json").read_text()) == results(claim("H1", 0.9))
    assert (folder / "mlp_head.html").read_text() != old


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("5 in all", "6 in all", "reports/quick/mlp_head.html was changed after it was made."),
        ('"threads": 1', '"threads": 2', "reports/quick/mlp_head.html was made from other results than mlp_head.json."),
        ('<meta name="seal"', '<meta name="soul"', "reports/quick/mlp_head.html was changed after it was made."),
    ],
)
def test_a_page_that_was_edited_after_its_publication_turns_the_check_red(project, capsys, old, new, sentence):
    assert cli.main(["publish"]) == 0
    page = project / "reports/quick/mlp_head.html"
    text = page.read_text()
    assert old in text
    page.write_text(text.replace(old, new))
    assert cli.main(["check"]) == 1
    assert sentence in capsys.readouterr().err


def test_results_that_were_edited_or_lost_their_page_turn_the_check_red(project, capsys):
    assert cli.main(["publish"]) == 0
    file = project / "reports/quick/mlp_head.json"
    file.write_text(file.read_text().replace('"value": 0.7', '"value": 0.8'))
    assert cli.main(["check"]) == 1
    assert "was made from other results" in capsys.readouterr().err
    file.write_text("{}")
    assert cli.main(["check"]) == 1
    assert "lacks schema" in capsys.readouterr().err
    file.with_suffix(".html").unlink()
    assert cli.main(["check"]) == 1
    assert "reports/quick/mlp_head.html is missing." in capsys.readouterr().err


def test_a_page_without_published_results_is_said_and_is_no_failure(project, capsys, monkeypatch):
    assert cli.main(["publish"]) == 0
    (project / "reports/quick/mlp_head.json").unlink()
    monkeypatch.setattr(paths, "ROOT", project)
    monkeypatch.setattr(published, "tracked", lambda folder: ["reports/quick/mlp_head.html", "reports/quick/index.html"])
    capsys.readouterr()
    assert cli.main(["check"]) == 0
    assert capsys.readouterr().out == "reports/quick/mlp_head.html has no published results.\n"


def test_history_is_asked_of_git():
    commit, _ = git.git_state()
    assert git.in_history(commit)
    assert not git.in_history("0" * 40)
    assert not git.in_history("--all")
    assert "Makefile" in git.tracked("Makefile")
