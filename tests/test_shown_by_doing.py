"""What docs/add-a-study.md promises, done in a copy of the project: an arm, a claim and a whole study, each in so many files.

The blocks of the page are what is written, so the page cannot rot: a caption `path`, then a fenced block.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pandas as pd
import pytest

from lib import paths
from lib.render.index import read_page
from lib.report.display import MIME

PAGE = paths.ROOT / "docs" / "add-a-study.md"
BLOCK = re.compile(r"^`([\w/]+\.\w+)`[^`\n]*(?:[^\n]+\n)+?\n```\w+\n(.*?)^```", re.M | re.S)
BLOCKS = dict(BLOCK.findall(PAGE.read_text(encoding="utf8")))
LEFT_OUT = shutil.ignore_patterns(".*", "runs", "build", "benchmarks", "__pycache__", "golden")
MADE = {"README.md", "docs/parameters.md", "docs/glossary.md"}  # by scripts/make_docs.py: nobody writes them
SMALL = {"epochs": 1, "n_train": 2, "n_val": 1, "n_test": 2, "features": "[4]"}  # of noise2noise


@pytest.fixture
def copy(tmp_path):
    """A copy of the project, in which anything may be changed."""
    return shutil.copytree(paths.ROOT, tmp_path / "project", ignore=LEFT_OUT)


def state(copy):
    """Return the content of every file of the project, by path."""
    files = (f for f in copy.rglob("*") if f.is_file() and not {"build", "runs", "__pycache__"} & set(f.parts))
    return {f.relative_to(copy).as_posix(): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def changed(before, copy):
    """Return the files that were added or changed."""
    return {name for name, content in state(copy).items() if before.get(name) != content}


def insert(copy, file, after):
    """Put the page's block for a file under the first line that begins with `after`."""
    lines = (copy / file).read_text(encoding="utf8").splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if line.startswith(after)) + 1
    (copy / file).write_text("".join([*lines[:at], BLOCKS[file], *lines[at:]]), encoding="utf8")


def run(copy, *words):
    """Run `python ...` in the copy; what it says where it fails is the test's message."""
    own = {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *words], cwd=copy, env=os.environ | own, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def execute(copy, study, **overrides):
    """Execute a study at smoke; return the results that its page carries, the page's text, and the folder of its tables."""
    words = [word for name, value in overrides.items() for word in ("-p", name, str(value))]
    run(copy, "-m", "lib.execute", study, "--profile", "smoke", *words)
    page = copy / "reports" / "smoke" / f"{study}.html"
    return read_page(page)[0], page.read_text(encoding="utf8"), copy / "build" / "smoke" / study / "tables"


def outputs_show_without_the_renderer(executed):
    """Look at an executed notebook as JupyterLab does, which knows no MIME of ours and takes markdown before an image."""
    cells = nbformat.read(executed, as_version=4).cells
    bundles = [o.data for c in cells if c.cell_type == "code" for o in c.outputs if "data" in o]
    shown = [next(k for k in ("text/html", "text/markdown", "image/png", "text/plain") if k in b) for b in bundles]
    items = [json.loads(b[MIME])["kind"] for b in bundles if MIME in b]
    assert items.count("figure") == 1
    assert shown[[MIME in b and json.loads(b[MIME])["kind"] == "figure" for b in bundles].index(True)] == "image/png"
    said = "".join(b.get("text/markdown", "") for b in bundles)
    for text in ("Test R² with intervals.", "| 方法 / method |", "**H1 成立** ·", "def samples("):
        assert text in said


def test_an_arm_takes_two_files_and_a_claim_two_more(copy):
    """One run shows both: the new arm is trained and tabled, the new claim is judged by it."""
    before = state(copy)
    arms, params = "lib/studies/noise2noise/arms.py", "params/smoke/noise2noise.yaml"
    insert(copy, arms, "ARMS = table([")
    insert(copy, params, "profile:")
    assert changed(before, copy) == {arms, params}

    before = state(copy)
    ledger, notebook = "notebooks/claims/noise2noise.yaml", "notebooks/noise2noise.py"
    insert(copy, ledger, "claims:")
    insert(copy, notebook, "verdicts |= report.judge(")
    assert changed(before, copy) == {ledger, notebook}
    run(copy, "-m", "lib.pairs", "write")
    assert changed(before, copy) == {ledger, notebook, "notebooks/noise2noise.ipynb"}

    results, page, tables = execute(copy, "noise2noise", **SMALL)
    trained = pd.read_csv(tables / "scores.csv")
    assert {"original", "pure_noise2noise", "narrow_latent"} <= set(trained.method)
    assert trained[trained.method == "narrow_latent"].psnr_db.between(1, 60).all()
    assert page.count("narrow_latent") > 3
    claim = next(c for c in results["claims"] if c["id"] == "H59")
    assert claim["verdict"] != "not_tested"
    assert claim["source"] == "lib.evidence.score"
    assert claim["en"] == "A quarter of the latent brings no leak: it stays at 0.1 or less."
    assert claim["text"]["en"] in page
    assert claim["text"]["zh"] in page
    assert "lib.studies.noise2noise.experiments.scores" in page, "a table names its function"
    verdict = page[page.index('id="claim-H59"') :]
    assert "<code>lib.evidence.score</code>" in verdict[: verdict.index("</small>")], "and so does a verdict"


def test_a_study_takes_six_files_and_the_project_finds_it(copy):
    before = state(copy)
    written = {file: text for file, text in BLOCKS.items() if "toy" in file}
    for file, text in written.items():
        assert not (copy / file).exists()
        (copy / file).write_text(text, encoding="utf8")
    run(copy, "scripts/make_docs.py")
    assert changed(before, copy) - MADE == {*written, "notebooks/toy.ipynb"}
    assert len(written) + 1 <= 6
    assert "| `toy` | not published yet | 尚未发布 |" in (copy / "README.md").read_text(encoding="utf8")

    results, page, tables = execute(copy, "toy")
    assert {c["id"]: c["verdict"] for c in results["claims"]} == {
        "H1": "supported", "H2": "supported", "H3": "not_tested", "H4": "supported",
    }  # fmt: skip
    assert [c["source"] for c in results["claims"]][::3] == ["lib.evidence.gap", "lib.studies.toy.largest_error"]
    assert "`nonic`" in results["claims"][2]["why_not"]
    assert list(pd.read_csv(tables / "scores.csv").method) == ["line", "cubic"]
    assert results["answer"]["en"] in page
    assert "哪个多项式能跟上含噪的正弦？" in page
    assert "lib.studies.toy.scores" in page[: page.index('class="contents"')], "a key number names its function"
    outputs_show_without_the_renderer(copy / "build" / "smoke" / "toy" / "toy.ipynb")
    assert page.count(">Test R² with intervals.<") == 1, "a page says a caption once"
    index = (copy / "reports" / "smoke" / "index.html").read_text(encoding="utf8")
    assert index.index("noise2noise") < index.index("Polynomials and a sine")
    run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_notebooks.py", "tests/test_ledger.py", "-k", "toy")
    run(copy, "-m", "ruff", "check", "--no-cache", *(file for file in written if file.endswith(".py")))
    run(copy, "-m", "ruff", "format", "--check", "--no-cache", *(file for file in written if file.endswith(".py")))
