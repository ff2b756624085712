"""What a file imports, lib modules and packages: found by reading, so that nothing is executed and nothing heavy is loaded."""

import ast
import platform
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib import metadata
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


def packages(files: list[Path]) -> dict[str, str]:
    """Return the installed packages that lib modules import, by name, with their versions; Python is one of them."""
    tops = {name.split(".")[0] for file in files for name in _names(file)} - set(sys.stdlib_module_names) - {"lib"}
    owners = _owners()
    names = sorted({owner for top in tops for owner in owners.get(top, ())})
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in names}


@lru_cache(maxsize=1)
def _owners() -> dict[str, list[str]]:
    """Return which installed packages hold a module of that name."""
    return dict(metadata.packages_distributions())


def _imports(file: Path) -> list[Path]:
    return [path for name in _names(file) if name.split(".")[0] == "lib" for path in _files(name)]


def _names(file: Path) -> list[str]:
    """Return the dotted names that a module imports; what stands under `if TYPE_CHECKING` is never run and left out."""
    names: list[str] = []
    for node in _run(ast.parse(file.read_text(encoding="utf8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def _run(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")):
            yield from _run(child)


def _files(name: str) -> list[Path]:
    """Return the files of a dotted lib module: itself and the packages that hold it."""
    parts = name.split(".")
    found = []
    for depth in range(1, len(parts) + 1):
        base = paths.ROOT.joinpath(*parts[:depth])
        found += [p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()]
    return found
