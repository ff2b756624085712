"""Commands: `points` and `run` fill the cache of sweep points, also part by part; `predict` applies a trained model."""

import argparse
import sys
from pathlib import Path

from lib.commands import end, factor, seed
from lib.files import check_output, write_csv
from lib.runtime import start
from lib.studies.vit_scaling.artifact import predict_file
from lib.studies.vit_scaling.config import VitScalingConfig
from lib.studies.vit_scaling.points import Sweep


def main(argv: list[str] | None = None) -> int:
    """Run one command; a problem is one sentence on stderr and exit code 1."""
    arguments = _parser().parse_args(argv)
    return end(lambda: arguments.command(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lib.studies.vit_scaling", description=__doc__)
    commands = parser.add_subparsers(required=True)
    for name, function, text in (
        ("points", _points, "list the sweep points of a params file and which are done"),
        ("run", _run, "compute sweep points; the notebook then finds them in the cache"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--params", type=Path, required=True, help="YAML file such as params/quick/vit_scaling.yaml")
        command.set_defaults(command=function)
        if name == "run":
            command.add_argument("--index", type=int, help="one point by its number in `points` (default: all)")
            command.add_argument("--part", default="1/1", help="K/N: the K-th of N shares of about equal cost, for N jobs")
    command = commands.add_parser("predict", help="predict the labels of an HDF5 file of spectra")
    command.add_argument("--model", type=Path, required=True, help="model/ folder of a finished run")
    command.add_argument("--in", dest="source", type=Path, required=True, help="HDF5 file in the layout of docs/spectra.md")
    command.add_argument("--out", type=Path, required=True, help="CSV file to write")
    command.add_argument("--noise-level", type=factor, default=0.0, help="add noise of this factor times the file's error")
    command.add_argument("--seed", type=seed, default=0)
    command.set_defaults(command=_predict)
    return parser


def _sweep(arguments: argparse.Namespace) -> Sweep:
    config = VitScalingConfig.load(arguments.params)
    return Sweep(config, start(config))


def _points(arguments: argparse.Namespace) -> None:
    sys.stdout.write(_sweep(arguments).status().to_string(index=False) + "\n")


def _run(arguments: argparse.Namespace) -> None:
    sweep = _sweep(arguments)
    last = len(sweep.points) - 1
    if arguments.index is not None and not 0 <= arguments.index <= last:
        raise ValueError(f"--index is {arguments.index}, but the points are 0 to {last}")
    chosen = sweep.share(*_part(arguments.part)) if arguments.index is None else [arguments.index]
    for index, folder in zip(chosen, sweep.run(chosen), strict=True):
        sys.stdout.write(f"{index} {folder}\n")


def _part(text: str) -> tuple[int, int]:
    try:
        k, of = (int(word) for word in text.split("/"))
    except ValueError:
        raise ValueError(f"--part is {text!r}; write K/N such as 2/8") from None
    if not 1 <= k <= of:
        raise ValueError(f"--part is {text!r}; K should lie between 1 and N")
    return k, of


def _predict(arguments: argparse.Namespace) -> None:
    check_output(arguments.out, arguments.source)
    frame = predict_file(arguments.model, arguments.source, noise_level=arguments.noise_level, seed=arguments.seed)
    write_csv(arguments.out, frame)


if __name__ == "__main__":
    sys.exit(main())
