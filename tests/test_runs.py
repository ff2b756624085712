"""The run cache: computed once, keyed by everything that matters, resumable after a kill."""

from pathlib import Path

import pytest
import torch

from lib import paths, runs
from lib.runtime import Runtime
from lib.sources import sources

RUNTIME = Runtime(torch.device("cpu"), "32-true", 0, 1, 0.0)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")


def count_into(file: Path):
    def compute(folder: Path) -> None:
        file.write_text(file.read_text() + "x" if file.exists() else "x")
        (folder / "result.txt").write_text("42")

    return compute


def test_an_equal_step_is_computed_once(tmp_path):
    compute = count_into(tmp_path / "calls")
    first = runs.cached("s", compute, config={"a": 1}, runtime=RUNTIME)
    assert runs.cached("s", compute, config={"a": 1}, runtime=RUNTIME) == first
    assert (tmp_path / "calls").read_text() == "x"
    assert runs.is_cached("s", compute, config={"a": 1}, runtime=RUNTIME)


@pytest.mark.parametrize("change", [{"config": {"a": 2}}, {"data": "sha256:other"}, {"force": True}])
def test_another_config_data_or_force_computes_again(tmp_path, change):
    compute = count_into(tmp_path / "calls")
    runs.cached("s", compute, config={"a": 1}, runtime=RUNTIME)
    runs.cached("s", compute, **{"config": {"a": 1}, "runtime": RUNTIME} | change)
    assert (tmp_path / "calls").read_text() == "xx"


def test_a_failed_step_is_not_taken_for_finished_and_keeps_what_it_wrote():
    def dies(folder: Path) -> None:
        (folder / "half.txt").write_text("half")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        runs.cached("s", dies, config={}, runtime=RUNTIME)
    assert not runs.is_cached("s", dies, config={}, runtime=RUNTIME)
    seen = []
    assert runs.cached("s", lambda folder: seen.append(sorted(p.name for p in folder.iterdir())), config={}, runtime=RUNTIME)
    assert seen == [["config.json", "half.txt"]]


def test_sources_follow_imports_through_packages():
    found = {p.relative_to(paths.ROOT).as_posix() for p in sources(paths.ROOT / "lib/train/__init__.py")}
    assert {"lib/train/fit.py", "lib/train/task.py", "lib/progress.py", "lib/config.py", "lib/__init__.py"} <= found
    assert "lib/metrics.py" not in found
