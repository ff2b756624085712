"""Notebook pairs: notebooks/<study>.py is the source, the committed .ipynb its deterministic projection without outputs.

python -m lib.pairs check            say which pairs are out of step, and what to run (outputs saved by JupyterLab are fine)
python -m lib.pairs check --clean    also where an .ipynb holds outputs or metadata, which no commit should
python -m lib.pairs write            make every .ipynb from its .py
python -m lib.pairs write --from ipynb   make every .py from its .ipynb (after editing without jupytext), then the .ipynb
"""

import argparse
import hashlib
import sys
from pathlib import Path

import jupytext
import nbformat
from jupytext.config import load_jupytext_configuration_file

from lib import paths
from lib.files import write_text

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
SETTINGS = paths.ROOT / "jupytext.toml"


def project(source: Path) -> str:
    """Return the text of the .ipynb that belongs to a .py: no outputs, ids by position, only tags as metadata."""
    notebook = jupytext.reads(source.read_text(encoding="utf8"), fmt="py:percent")
    return _canonical(notebook, source.stem)


def script(notebook: Path) -> str:
    """Return the text of the .py that belongs to an .ipynb, executed or not."""
    config = load_jupytext_configuration_file(str(SETTINGS))
    content = nbformat.read(notebook, as_version=4)
    content.metadata = nbformat.NotebookNode(kernelspec=KERNEL)
    return jupytext.writes(content, fmt="py:percent", config=config)


def check(folder: Path, clean: bool = False) -> list[str]:
    """Return one sentence per pair that is out of step; with `clean`, also per .ipynb that is not its exact projection."""
    problems = []
    for source in sorted(folder.glob("*.py")):
        target = source.with_suffix(".ipynb")
        if not target.is_file():
            problems.append(f"{target.name} is missing: run `python -m lib.pairs write`.")
        elif _sources(target) != _sources(source):
            problems.append(
                f"{source.name} and {target.name} differ: run `python -m lib.pairs write` to keep the .py, or "
                "`python -m lib.pairs write --from ipynb` to keep the .ipynb."
            )
        elif clean and target.read_text(encoding="utf8") != project(source):
            problems.append(f"{target.name} holds outputs or other metadata: run `python -m lib.pairs write`.")
    orphans = [n for n in sorted(folder.glob("*.ipynb")) if not n.with_suffix(".py").is_file()]
    return problems + [f"{n.name} has no .py: run `python -m lib.pairs write --from ipynb`." for n in orphans]


def write(folder: Path, source: str = "py") -> None:
    """Bring every pair in step; `source` ("py" or "ipynb") is the side that is kept."""
    if source == "ipynb":
        for notebook in sorted(folder.glob("*.ipynb")):
            write_text(notebook.with_suffix(".py"), script(notebook))
    for file in sorted(folder.glob("*.py")):
        write_text(file.with_suffix(".ipynb"), project(file))


def _canonical(notebook: nbformat.NotebookNode, stem: str) -> str:
    cells = []
    for index, cell in enumerate(notebook.cells):
        tags = cell.metadata.get("tags", [])
        clean = {"cell_type": cell.cell_type, "id": hashlib.sha1(f"{stem}:{index}".encode()).hexdigest()[:8],
                 "metadata": {"tags": tags} if tags else {}, "source": cell.source}  # fmt: skip
        if cell.cell_type == "code":
            clean |= {"execution_count": None, "outputs": []}
        cells.append(clean)
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    made = nbformat.from_dict({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})
    return nbformat.writes(made) + "\n"


def _sources(file: Path) -> list[tuple[str, str, tuple[str, ...]]]:
    if file.suffix == ".py":
        notebook = jupytext.reads(file.read_text(encoding="utf8"), fmt="py:percent")
    else:
        notebook = nbformat.read(file, as_version=4)
    return [(c.cell_type, c.source, tuple(c.metadata.get("tags", []))) for c in notebook.cells]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; exit code 1 where a pair is out of step."""
    parser = argparse.ArgumentParser(prog="python -m lib.pairs", description="Keep notebook pairs in step.")
    parser.add_argument("command", choices=["check", "write"])
    parser.add_argument("--clean", action="store_true", help="outputs and metadata in an .ipynb are a problem, too")
    parser.add_argument("--from", dest="source", choices=["py", "ipynb"], default="py")
    chosen = parser.parse_args(arguments)
    if chosen.command == "write":
        write(paths.NOTEBOOKS, chosen.source)
        return 0
    problems = check(paths.NOTEBOOKS, chosen.clean)
    sys.stderr.write("".join(f"{p}\n" for p in problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
