"""Which lib modules a file imports: found by reading, so that nothing is executed and nothing heavy is loaded."""

import ast
from pathlib import Path

from lib import paths


def sources(file: Path) -> list[Path]:
    """Return `file` (.py) and every lib module that it imports, directly or not, sorted; found by reading, not importing."""
    seen: set[Path] = set()
    todo = [file.resolve()]
    while todo:
        current = todo.pop()
        if current not in seen:
            seen.add(current)
            todo += _imports(current)
    return sorted(seen)


def _imports(file: Path) -> list[Path]:
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [path for name in names if name.split(".")[0] == "lib" for path in _files(name)]


def _files(name: str) -> list[Path]:
    """Return the files of a dotted lib module: itself and the packages that hold it."""
    parts = name.split(".")
    found = []
    for depth in range(1, len(parts) + 1):
        base = paths.ROOT.joinpath(*parts[:depth])
        found += [p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()]
    return found
