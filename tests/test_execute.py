"""A study end to end: a failure keeps the last good page, a killed run repeated gives the numbers of an undisturbed one."""

import json
import os
import signal
import subprocess
import sys
import time

import nbformat
import pytest

from lib import paths
from lib.execute import execute
from lib.render.compare import read_results, timeless


def run(out, pages, *more):
    """Start the smoke study with a seed of its own, so that the run cache cannot know it."""
    overrides = ["-p", "out_dir", str(out), "-p", "seed", "4711", "-p", "splits", "1", *more]
    words = [sys.executable, "-m", "lib.execute", "opamp_transfer", "--profile", "smoke", "--pages", str(pages), *overrides]
    return subprocess.Popen(
        words, cwd=paths.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def results(out):
    found = timeless(read_results(out / "results.json"))
    found["provenance"].pop("command")
    found["params"] = {k: v for k, v in found["params"].items() if k not in ("out_dir", "force")}
    return found


def test_a_run_killed_in_the_middle_and_repeated_gives_equal_numbers(tmp_path):
    killed, whole, pages = tmp_path / "killed", tmp_path / "whole", tmp_path / "smoke"
    process = run(killed, pages, "-p", "force", "true")
    state = killed / "running.json"
    for _ in range(2400):
        if state.is_file() and '"methods"' in (text := state.read_text()) and json.loads(text)["done"] >= 2:
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (killed / "results.json").exists()
    assert not list(pages.glob("opamp_transfer*.html"))
    again = run(killed, pages)
    assert again.wait() == 0, again.stderr.read()
    undisturbed = run(whole, pages, "-p", "force", "true")
    assert undisturbed.wait() == 0, undisturbed.stderr.read()
    assert results(killed) == results(whole)
    again.stderr.close()
    undisturbed.stderr.close()


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """A copy of the notebook in which one cell fails after the report has begun."""
    notebook = nbformat.read(paths.NOTEBOOKS / "opamp_transfer.ipynb", as_version=4)
    at = next(i for i, c in enumerate(notebook.cells) if "study.prepare" in c.source)
    notebook.cells.insert(at, nbformat.v4.new_code_cell("raise ValueError('the <injected> failure')"))
    nbformat.write(notebook, tmp_path / "opamp_transfer.ipynb")
    monkeypatch.setattr(paths, "NOTEBOOKS", tmp_path)
    return tmp_path


def test_an_injected_failure_is_told_and_keeps_the_last_good_page_and_results(broken, capsys):
    out, pages = broken / "out", broken / "smoke"
    out.mkdir()
    pages.mkdir()
    (out / "results.json").write_text("the last good results")
    assert not execute("opamp_transfer", "smoke", {"out_dir": str(out)}, pages)
    failure = json.loads((out / "failed.json").read_text())
    assert failure["error"] == "ValueError: the <injected> failure"
    assert "Traceback" in failure["traceback"]
    assert "the &lt;injected&gt; failure" in (pages / "opamp_transfer.failed.html").read_text()
    assert (out / "results.json").read_text() == "the last good results"
    assert not (pages / "opamp_transfer.html").exists()
    assert not (out / "running.json").exists()
    assert "opamp_transfer failed: ValueError: the <injected> failure" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"epohcs": 3}, "Unknown parameter 'epohcs': did you mean 'epochs'?"),
        ({"lr": "1e-3"}, "write 1.0e-3"),
    ],
)
def test_a_mistyped_parameter_ends_the_run_with_one_sentence(tmp_path, capsys, overrides, sentence):
    assert not execute("opamp_transfer", "smoke", {"out_dir": str(tmp_path / "out")} | overrides, tmp_path / "smoke")
    assert sentence in capsys.readouterr().err
    assert sentence in json.loads((tmp_path / "out" / "failed.json").read_text())["error"]


def test_an_unknown_study_or_profile_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="There is no study 'nothing' with profile 'smoke'"):
        execute("nothing", "smoke", {})
