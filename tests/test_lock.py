"""Two runs at once share the cache and do not corrupt it; two clean runs give equal numbers; one byte of data shows."""

import json
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from test_disk import UNSHARE, mounts  # noqa: F401 (a fixture)
from test_execute import results

from lib import paths
from lib.data import opamp
from lib.files import fingerprint

STEP = """
import sys, time
from dataclasses import dataclass
from pathlib import Path
import torch
from lib import paths, steps
from lib.runtime import Runtime

paths.RUNS = Path(sys.argv[1])

@dataclass(frozen=True)
class Spec:
    seed: int = 0

def compute(spec: Spec, folder: Path, runtime: Runtime) -> None:
    with (paths.RUNS.parent / "calls").open("a") as file:
        file.write("x")
    (folder / "result.txt").write_text("half")
    time.sleep(1)
    (folder / "result.txt").write_text("whole")

folder = steps.Step(compute)(Spec(), Runtime(torch.device("cpu"), "32-true", 0, 1, 0.0))
sys.stdout.write((folder / "result.txt").read_text())
"""


def test_processes_that_want_the_same_step_at_once_compute_it_once_and_see_it_whole(tmp_path):
    script = tmp_path / "step.py"
    script.write_text(STEP)
    words = [sys.executable, str(script), str(tmp_path / "runs")]
    at_once = [
        subprocess.Popen(words, cwd=paths.ROOT, env={"PYTHONPATH": str(paths.ROOT)}, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [p.communicate()[0] for p in at_once] == ["whole"] * 3
    assert (tmp_path / "calls").read_text() == "x"


def study(out, pages, name="opamp_transfer", *more):
    words = [sys.executable, "-m", "lib.execute", name, "--profile", "smoke", "--pages", str(pages), "-p", "out_dir", str(out)]
    return " ".join([*words, *more])


@pytest.mark.slow
def test_two_runs_of_a_study_at_once_on_an_empty_cache_give_equal_results(mounts, tmp_path):  # noqa: F811
    paths.RUNS.mkdir(exist_ok=True)
    one, two = (study(tmp_path / n, tmp_path / "smoke", "opamp_transfer", "-p splits 1") for n in ("one", "two"))
    script = f"mount -t tmpfs none {paths.RUNS} && {{ {one} & first=$!; {two} & wait $!; code=$?; wait $first && exit $code; }}"
    done = subprocess.run([*UNSHARE, "bash", "-c", script], cwd=paths.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert results(tmp_path / "one") == results(tmp_path / "two")


@pytest.mark.slow
@pytest.mark.parametrize("name", [s for s in paths.STUDIES if s != "mlp_head"])  # which starts from another study's model
def test_two_clean_runs_give_identical_results_but_for_times(mounts, tmp_path, name):  # noqa: F811
    paths.RUNS.mkdir(exist_ok=True)
    for n in ("one", "two"):
        script = f"mount -t tmpfs none {paths.RUNS} && {study(tmp_path / n, tmp_path / 'smoke', name)}"
        done = subprocess.run([*UNSHARE, "bash", "-c", script], cwd=paths.ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert results(tmp_path / "one") == results(tmp_path / "two")
    for table in json.loads((tmp_path / "one" / "results.json").read_text())["tables"].values():
        left, right = (pd.read_csv(tmp_path / n / table) for n in ("one", "two"))
        timed = [c for c in left.columns if "second" in c or c == "hours" or c.endswith(("_s", "_ms"))]
        left, right = (t[t.parameter != "out_dir"] if "parameter" in t else t for t in (left, right))
        pd.testing.assert_frame_equal(left.drop(columns=timed), right.drop(columns=timed), check_exact=True)


DATA = sorted(f for f in paths.EMBEDDED.rglob("*") if f.is_file())


@pytest.mark.parametrize("file", DATA, ids=lambda f: f.name)
def test_one_changed_byte_of_data_changes_the_fingerprint(tmp_path, file):
    copy = tmp_path / file.name
    shutil.copy(file, copy)
    assert fingerprint(copy) == fingerprint(file)
    content = bytearray(copy.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    assert fingerprint(copy) != fingerprint(file)


def test_one_changed_digit_of_an_opamp_table_changes_the_fingerprint_that_a_report_states(tmp_path):
    shutil.copytree(paths.EMBEDDED / "opamp", tmp_path / "d" / "01_train_set")
    before = opamp.load(tmp_path / "d", "5t_opamp").source.attrs["fingerprint"]
    file = next((tmp_path / "d").rglob("5t_opamp/target/target_targets.csv*"))
    frame = pd.read_csv(file)
    frame.iloc[3, 0] += 1
    frame.to_csv(file, index=False)
    assert opamp.load(tmp_path / "d", "5t_opamp").source.attrs["fingerprint"] != before
