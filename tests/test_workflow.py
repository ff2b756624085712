"""What `make reports` does again after a change, asked of Snakemake itself (a dry run in a copy of the project)."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from lib import paths

SPECTRA = {"latent_extraction", "mlp_head", "vit_scaling"}
LEFT_OUT = shutil.ignore_patterns(".*", "runs", "reports", "build", "docs", "tests", "tools", "benchmarks", "__pycache__")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A copy of the project in which every study looks finished."""
    copy = tmp_path_factory.mktemp("workflow") / "copy"
    shutil.copytree(paths.ROOT, copy, ignore=LEFT_OUT)
    for study in paths.STUDIES:
        for file in (f"build/smoke/{study}/results.json", f"reports/smoke/{study}.html", "reports/smoke/index.html"):
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            (copy / file).write_text("{}")
    return copy


def age(copy):
    """Make every input older than every mark of a finished step."""
    for file in (f for f in copy.rglob("*") if f.is_file() and ".snakemake" not in f.parts):
        os.utime(file, (1e9, 1e9))
    for n, mark in enumerate(("executed", "rendered")):
        for study in paths.STUDIES:
            stamp = copy / "build" / "smoke" / study / f"{mark}.stamp"
            stamp.touch()
            os.utime(stamp, (1.1e9 + 10 * n + 5 * (study == "mlp_head" and n == 0), 1.1e9 + 10 * n + 5 * (study == "mlp_head")))


def planned(copy):
    """Return the studies that a dry run would execute, and those that it would render."""
    words = [sys.executable, "-m", "snakemake", "-n", "--cores", "1", "--nolock", "--rerun-triggers", "mtime"]
    done = subprocess.run(
        [*words, "--config", "profile=smoke"],
        cwd=copy,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(copy)},
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    marks = {mark: set(re.findall(rf"output: build/smoke/(\w+)/{mark}\.stamp", said)) for mark in ("executed", "rendered")}
    return marks["executed"], marks["rendered"]


@pytest.mark.parametrize(
    ("changed", "executed"),
    [
        (None, set()),
        ("notebooks/opamp_transfer.ipynb", {"opamp_transfer"}),
        ("params/smoke/vit_scaling.yaml", {"vit_scaling"}),
        ("lib/models/shared_latent.py", {"noise2noise"}),
        ("lib/models/blindspot.py", {"latent_extraction", "mlp_head"}),
        ("lib/data/grid.py", SPECTRA),
        ("lib/report/glossary/noise2noise.yaml", {"noise2noise"}),
        ("notebooks/claims/mlp_head.yaml", {"mlp_head"}),
        ("lib/config.py", set(paths.STUDIES)),
        ("lib/render/page.css", set()),
        ("lib/data/embedded/opamp", {"opamp_transfer"}),
        ("README.md", set()),
    ],
)
def test_a_change_reruns_the_studies_that_depend_on_it_and_nothing_else(finished, changed, executed):
    age(finished)
    if changed:
        file = finished / changed
        os.utime(next(f for f in sorted(file.rglob("*")) if f.is_file()) if file.is_dir() else file)
    again, rendered = planned(finished)
    assert again == executed
    assert rendered == (set(paths.STUDIES) if changed == "lib/render/page.css" else executed)


def test_a_page_or_result_that_is_gone_is_made_again(finished):
    age(finished)
    (finished / "build/smoke/noise2noise/results.json").unlink()
    (finished / "reports/smoke/vit_scaling.html").unlink()
    assert planned(finished) == ({"noise2noise"}, {"noise2noise", "vit_scaling"})
