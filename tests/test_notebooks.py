"""What every notebook keeps to: its anatomy, its parameters, and no number typed into prose."""

import ast
import importlib
import re

import jupytext
import pytest

from lib import paths

SOURCES = sorted(paths.NOTEBOOKS.glob("*.py"))
DIGITS = re.compile(r"(?<![A-Za-z0-9_{.\[\]-])\d+")
HARMLESS = (r"^#+ .*$", r"`[^`]*`", r"\$\$.*?\$\$", r"\$[^$]*\$", r"\[[^\]]*\]\([^)]*\)")


@pytest.fixture(params=SOURCES, ids=lambda p: p.stem)
def notebook(request):
    made = jupytext.reads(request.param.read_text(encoding="utf8"), fmt="py:percent")
    made.metadata["stem"] = request.param.stem
    return made


def tags(cell):
    return cell.metadata.get("tags", [])


def test_prose_comes_in_pairs_of_languages(notebook):
    langs = [t for c in notebook.cells if c.cell_type == "markdown" for t in tags(c) if t.startswith("lang-")]
    assert langs[::2] == ["lang-zh"] * (len(langs) // 2)
    assert langs[1::2] == ["lang-en"] * (len(langs) // 2)
    assert all(tags(c) for c in notebook.cells if c.cell_type == "markdown")


def test_no_number_is_typed_into_prose(notebook):
    for cell in (c for c in notebook.cells if c.cell_type == "markdown"):
        text = cell.source
        for pattern in HARMLESS:
            text = re.sub(pattern, "", text, flags=re.M | re.S if "$$" in pattern else re.M)
        assert not DIGITS.findall(text), text


def test_no_number_is_typed_into_a_sentence_of_the_code(notebook):
    """Templates hold facts in braces; a digit outside them would be a typed result (R², log1p and H1 are names)."""
    for cell in (c for c in notebook.cells if c.cell_type == "code"):
        for node in ast.walk(ast.parse(cell.source)):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and re.search(r"[\u4e00-\u9fff]|[a-z] [a-z]+ [a-z]", node.value)
            ):
                text = re.sub(r"\{[^}]*\}|`[^`]*`|\$[^$]*\$", "", node.value)
                assert not DIGITS.findall(text), node.value


def test_the_parameters_cell_is_the_one_that_the_config_makes(notebook):
    cell = next(c for c in notebook.cells if "parameters" in tags(c))
    config = importlib.import_module(f"lib.studies.{notebook.metadata.stem}").Config
    assert cell.source == config.cell(), "run `python scripts/make_docs.py`"
    assert max(map(len, cell.source.splitlines())) <= 128
    given = {n.target.id: ast.literal_eval(n.value) for n in ast.parse(cell.source).body}
    assert given == config().model_dump()


def test_papermill_reads_the_parameters_as_help(notebook, tmp_path):
    import papermill

    config = importlib.import_module(f"lib.studies.{notebook.metadata.stem}").Config
    found = papermill.inspect_notebook(str(paths.NOTEBOOKS / f"{notebook.metadata.stem}.ipynb"))
    assert set(found) == set(config.model_fields)
    assert all(p["help"] and p["inferred_type_name"] for p in found.values())


def test_params_files_are_valid_and_hold_values_only(notebook):
    config = importlib.import_module(f"lib.studies.{notebook.metadata.stem}").Config
    files = sorted(paths.PARAMS.glob(f"*/{notebook.metadata.stem}.yaml"))
    assert (paths.PARAMS / "smoke") in {file.parent for file in files}, "every notebook runs at smoke"
    for file in files:
        assert config.load(file).profile == file.parent.name
        assert not re.search(r"[:\s]/[a-z]+/|[\u4e00-\u9fff]", file.read_text(encoding="utf8"))


def test_cells_are_short_and_hold_no_machinery(notebook):
    for cell in (c for c in notebook.cells if c.cell_type == "code" and "parameters" not in tags(c)):
        tree = ast.parse(cell.source)
        lines = [line for line in cell.source.splitlines() if line.strip() and not line.strip().startswith("#")]
        assert len(lines) <= 15, cell.source
        banned = (ast.ClassDef, ast.Try, ast.While, ast.With)
        assert not any(isinstance(n, banned) for n in ast.walk(tree)), cell.source
        assert "sys.path" not in cell.source
        assert not re.search(r"^\s*[!%]", cell.source, re.M)


def test_the_six_sections_are_there_in_both_languages(notebook):
    heads = [
        line for c in notebook.cells if c.cell_type == "markdown" for line in c.source.splitlines() if line.startswith("## ")
    ]
    assert [h.split()[1] for h in heads] == [n for n in "123456" for _ in "ze"]


def test_the_viewer_comes_last_and_is_tagged_for_the_page_to_leave_out(notebook):
    cells = [c for c in notebook.cells if "explore" in tags(c)]
    assert cells, "the notebook ends in a viewer, tagged `explore`"
    assert notebook.cells[-len(cells) :] == cells
    assert "report.finish" in notebook.cells[-len(cells) - 1].source
    assert all(("explore(" in c.source) == ("explore" in tags(c)) for c in notebook.cells if c.cell_type == "code")
