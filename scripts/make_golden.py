"""Make the executed smoke notebooks under tests/golden anew: `python scripts/make_golden.py [STUDY ...]` (never in CI).

Only cells tagged `nbval-check-output` keep their outputs: those are what nbval compares (tests/golden/sanitize.cfg rounds numbers).
"""

import sys

import nbformat
import papermill

from lib import paths, workflow

FOLDER = paths.ROOT / "tests" / "golden"


def main(studies: list[str]) -> None:
    """Execute each notebook with its own defaults and keep the verdicts."""
    for study in studies:
        target = FOLDER / f"{study}.ipynb"
        papermill.execute_notebook(
            paths.NOTEBOOKS / f"{study}.ipynb", target, cwd=paths.ROOT, progress_bar=False, kernel_name="python3"
        )
        notebook = nbformat.read(target, as_version=4)
        notebook.metadata = {k: v for k, v in notebook.metadata.items() if k in ("kernelspec", "language_info")}
        for cell in (c for c in notebook.cells if c.cell_type == "code"):
            tags = cell.metadata.get("tags", [])
            cell.metadata = nbformat.NotebookNode(tags=tags) if tags else nbformat.NotebookNode()
            cell.execution_count = 1  # nbval takes a cell without a count for one that was never run
            if "nbval-check-output" not in tags:
                cell.outputs = []
            for output in cell.outputs:
                output.pop("execution_count", None)
        nbformat.write(notebook, target)


if __name__ == "__main__":
    main(sys.argv[1:] or workflow.written())
