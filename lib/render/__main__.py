"""python -m lib.render page BUILD.ipynb OUT.html | index DIR | compare A.json B.json OUT.html"""

import argparse
import sys
from pathlib import Path
from typing import Any

from lib.commands import end
from lib.render.compare import render_compare
from lib.render.index import render_index
from lib.render.page import render


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a ValueError is one sentence on stderr and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m lib.render", description="Render reports.")
    commands = parser.add_subparsers(dest="command", required=True)
    add_commands(commands)
    chosen = parser.parse_args(arguments)
    return end(lambda: run(chosen))


def add_commands(commands: Any) -> list[argparse.ArgumentParser]:
    """Add page, index and compare to subparsers and return theirs."""
    page = commands.add_parser("page", help="executed notebook -> one self-contained HTML page")
    page.add_argument("notebook", type=Path)
    page.add_argument("target", type=Path)
    index = commands.add_parser("index", help="write index.html for a folder of pages")
    index.add_argument("folder", type=Path)
    compare = commands.add_parser("compare", help="two results.json -> what differs, moved and flipped")
    for name in ("first", "second", "target"):
        compare.add_argument(name, type=Path)
    return [page, index, compare]


def run(chosen: argparse.Namespace) -> None:
    """Run the chosen command."""
    if chosen.command == "page":
        render(chosen.notebook, chosen.target)
    elif chosen.command == "compare":
        render_compare(chosen.first, chosen.second, chosen.target)
    else:
        render_index(chosen.folder.resolve())


if __name__ == "__main__":
    sys.exit(main())
