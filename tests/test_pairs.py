"""Notebook pairs stay in step, byte for byte, and say what to run when they do not."""

import nbformat
import pytest

from lib import pairs, paths

SCRIPT = """# %% [markdown] tags=["lang-zh"]
# 标题 $x$

# %% tags=["parameters"]
seed = 0

# %%
seed + 1
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.py").write_text(SCRIPT, encoding="utf8")
    pairs.write(tmp_path)
    return tmp_path


def test_a_written_pair_is_in_step_and_its_projection_is_stable(folder):
    assert pairs.check(folder, clean=True) == []
    first = (folder / "a.ipynb").read_bytes()
    pairs.write(folder)
    assert (folder / "a.ipynb").read_bytes() == first


def test_a_pair_is_byte_identical_after_a_round_trip_through_an_executed_save(folder):
    before = {f.name: f.read_bytes() for f in folder.iterdir()}
    notebook = nbformat.read(folder / "a.ipynb", as_version=4)
    notebook.cells[-1].outputs = [nbformat.v4.new_output("stream", text="1")]
    notebook.cells[-1].execution_count = 7
    notebook.cells[-1].metadata["execution"] = {"iopub.status.busy": "now"}
    notebook.metadata["widgets"] = {}
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
    nbformat.write(notebook, folder / "a.ipynb")
    assert pairs.check(folder) == []
    assert pairs.check(folder, clean=True) == ["a.ipynb holds outputs or other metadata: run `python -m lib.pairs write`."]
    pairs.write(folder, source="ipynb")
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == before


def test_a_pair_out_of_step_says_what_to_run(folder):
    (folder / "a.py").write_text(SCRIPT.replace("seed + 1", "seed + 2"), encoding="utf8")
    assert "run `python -m lib.pairs write` to keep the .py" in pairs.check(folder)[0]
    (folder / "a.ipynb").unlink()
    assert "a.ipynb is missing: run `python -m lib.pairs write`" in pairs.check(folder)[0]
    (folder / "b.ipynb").write_text(nbformat.writes(nbformat.v4.new_notebook()))
    assert any("b.ipynb has no .py" in problem for problem in pairs.check(folder))


def test_the_pairs_of_this_project_hold_no_outputs():
    assert pairs.check(paths.NOTEBOOKS, clean=True) == []
