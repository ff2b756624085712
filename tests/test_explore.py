"""The viewer of a notebook: controls for a person in JupyterLab, one static figure in batch, nothing on the page."""

import json

import ipykernel.kernelapp  # noqa: F401  the kernel belongs to the environment
import nbclient
import nbformat
import papermill
import pytest

from lib import explore as viewer
from lib import paths
from lib.render.page import read
from lib.report.display import MIME

CELL = """from lib.explore import explore
from lib.plots.explore import agreement
import numpy as np
explore(lambda n, name: agreement(np.arange(n), np.arange(n), name), n=[3, 4], name=["a", "b"])"""
WIDGET = "application/vnd.jupyter.widget-view+json"


def saved(path, *cells):
    nbformat.write(
        nbformat.v4.new_notebook(cells=list(cells), metadata={"kernelspec": {"name": "python3", "display_name": "P"}}), path
    )
    return path


def types(notebook):
    return [set(o.data) for c in notebook.cells for o in c.get("outputs", []) if o.output_type == "display_data"]


@pytest.mark.filterwarnings("ignore::Warning")  # of papermill and the client's sockets
def test_papermill_gets_one_static_figure(tmp_path, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "as in a terminal of JupyterLab")
    source = saved(tmp_path / "a.ipynb", nbformat.v4.new_code_cell(CELL))
    papermill.execute_notebook(source, tmp_path / "out.ipynb", cwd=paths.ROOT, progress_bar=False, kernel_name="python3")
    assert types(nbformat.read(tmp_path / "out.ipynb", as_version=4)) == [{"image/png", "text/plain"}]


def requests_with_a_cell(client):
    """Name the cell in every request, as JupyterLab does."""
    session, send = client.kc.session, client.kc.session.msg
    session.msg = lambda kind, *a, **k: (
        send(kind, *a, **k) | ({"metadata": {"cellId": "abc"}} if kind == "execute_request" else {})
    )


@pytest.mark.filterwarnings("ignore::Warning")
@pytest.mark.parametrize("installed", [True, False])
def test_a_request_from_jupyterlab_gets_controls_where_ipywidgets_is_installed(tmp_path, installed):
    pytest.importorskip("ipywidgets", reason="the extra `explore` is not installed")
    hide = "" if installed else "import lib.explore; lib.explore.find_spec = lambda name: None\n"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(hide + CELL)])
    client = nbclient.NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(paths.ROOT)}})
    with client.setup_kernel():
        requests_with_a_cell(client)
        client.execute_cell(notebook.cells[0], 0)
    assert any(WIDGET in t for t in types(notebook)) == installed
    assert installed or types(notebook) == [{"image/png", "text/plain"}]


def test_outside_a_kernel_nobody_is_there():
    assert not viewer.is_live()


def test_a_control_without_choices_is_refused():
    with pytest.raises(ValueError, match=r"Nothing to choose for \['label'\]"):
        viewer.explore(lambda label: None, label=[])


def test_a_widget_outside_the_viewer_fails_the_page_and_is_named(tmp_path):
    widget = nbformat.v4.new_output("display_data", data={WIDGET: {"model_id": "m"}, "text/plain": "VBox(children=...)"})
    source = saved(tmp_path / "a.ipynb", nbformat.v4.new_code_cell("untagged = 1\nx", outputs=[widget]))
    with pytest.raises(ValueError, match=r"cell 1 \(untagged = 1\): it shows .*widget-view.*, which a page cannot hold"):
        read(source)


def test_neither_the_viewer_nor_its_prose_reaches_the_page(tmp_path):
    image = nbformat.v4.new_output("display_data", data={"image/png": "aGk="})
    widget = nbformat.v4.new_output("display_data", data={WIDGET: {"model_id": "m"}, "text/plain": "VBox(children=...)"})
    text = nbformat.v4.new_output("display_data", data={MIME: json.dumps({"kind": "text", "zh": "甲", "en": "a"})})
    tagged = {"tags": ["lang-zh", "explore"]}
    source = saved(
        tmp_path / "a.ipynb",
        nbformat.v4.new_code_cell("kept = 1", outputs=[text]),
        nbformat.v4.new_markdown_cell("### 动手看", metadata=tagged),
        nbformat.v4.new_code_cell("explore(draw)", metadata={"tags": ["explore"]}, outputs=[image, widget]),
    )
    page = read(source)
    body = "".join(page.body)
    assert "kept" in body
    assert "甲" in body
    assert not [word for word in ("动手看", "explore", "VBox", "model_id", "aGk=") if word in body]
    assert page.contents == []
