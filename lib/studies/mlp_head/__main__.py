"""python -m lib.studies.mlp_head predict --model DIR --in FILE --out FILE"""

import argparse
import sys
from pathlib import Path

from lib import runtime as rt
from lib.commands import end
from lib.files import check_output, write_csv
from lib.studies.mlp_head.artifact import predict


def main(arguments: list[str] | None = None) -> int:
    """Predict log g for a file of spectra (CSV: row, log_g); a problem is one sentence on stderr and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m lib.studies.mlp_head", description="Log g of spectra: commands.")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("predict", help="predict log g for an HDF5 file in the documents' layout")
    one.add_argument("--model", type=Path, required=True, help="published model folder")
    one.add_argument("--in", dest="input", type=Path, required=True)
    one.add_argument("--out", dest="output", type=Path, required=True)
    one.add_argument("--device", default="auto")
    chosen = parser.parse_args(arguments)
    return end(lambda: run(chosen))


def run(chosen: argparse.Namespace) -> None:
    """Predict and write."""
    check_output(chosen.output, chosen.input)
    with rt.fitting_in_memory("use --device cpu"):
        found = predict(chosen.model, chosen.input, rt.choose_device(chosen.device))
    write_csv(chosen.output, found)


if __name__ == "__main__":
    sys.exit(main())
