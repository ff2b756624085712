"""Build or check the embedded grid: `python -m tools.synthesis build --workers 2`, `... check --n 64`."""

import argparse
import json
import sys

from lib.commands import end
from lib.data.grid import DEFAULT_FILE
from lib.runtime import choose_device
from tools.synthesis.build import NODES, build, check


def main(argv=None):
    """Run one command and write its result to standard output."""
    parser = argparse.ArgumentParser(prog="python -m tools.synthesis", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("build", help="synthesize all nodes and save the grid")
    making.add_argument("--profile", choices=sorted(NODES), default="default")
    making.add_argument("--workers", type=int, default=1)
    making.add_argument("--device", default="cpu", help="where the transfer is computed, blocks of stars at a time on a GPU")
    making.add_argument("--out", default=DEFAULT_FILE)
    checking = commands.add_parser("check", help="compare the grid with direct synthesis at random labels")
    checking.add_argument("--n", type=int, default=64)
    checking.add_argument("--grid", default=DEFAULT_FILE)
    given = parser.parse_args(argv)
    if given.command == "build":
        grid = build(given.profile, given.out, given.workers, device=str(choose_device(given.device)))
        sys.stdout.write(f"{given.out}: {grid.metadata}\n{grid.fingerprint}\n")
    else:
        sys.stdout.write(json.dumps(check(given.grid, given.n), indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(end(main))
