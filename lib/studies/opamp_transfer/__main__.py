"""python -m lib.studies.opamp_transfer check --data DIR --opamp NAME | predict --model DIR --features X.csv --out Y.csv"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from lib.data.opamp import read_numbers
from lib.files import write_csv
from lib.studies.opamp_transfer import models
from lib.studies.opamp_transfer.config import Config
from lib.studies.opamp_transfer.data import cleaning, prepare, split


def check(chosen: argparse.Namespace) -> None:
    """Say what was read: rows, ranges, invalid rows, split."""
    config = Config.checked({"data_dir": str(chosen.data.resolve()), "opamp": chosen.opamp})
    prepared = prepare(config)
    write = sys.stdout.write
    write(f"op-amp {prepared.name}: features {', '.join(prepared.features)}; targets {', '.join(prepared.targets)}\n\n")
    write(cleaning(prepared).to_string(index=False) + "\n\n")
    both = {"A": prepared.source, "B": prepared.target}
    ranges = pd.concat(
        {k: f[prepared.features + prepared.targets].agg(["min", "median", "max"]).T for k, f in both.items()}, axis=1
    )
    write(ranges.to_string(float_format="{:.4g}".format) + "\n\n")
    if len(prepared.dropped):
        write("dropped rows:\n" + prepared.dropped.to_string(index=False, float_format="{:.4g}".format) + "\n\n")
    kept, held = split(prepared.target, config.val_split, config.seed)
    write(f"split of the target with seed {config.seed}: {len(kept)} rows to train, {len(held)} to score\n")


def predict(chosen: argparse.Namespace) -> None:
    """Write one row per design: the targets in physical units and their standard deviations."""
    fit = models.load(chosen.model)
    designs = read_numbers(chosen.features)
    mean, sd = fit.predict(designs), fit.predict_sd(designs)
    names = fit.y_scaler.names
    columns = {n: mean[:, i] for i, n in enumerate(names)} | {f"{n}_sd": sd[:, i] for i, n in enumerate(names)}
    write_csv(chosen.out, pd.DataFrame(columns))


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a problem is one sentence on stderr and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m lib.studies.opamp_transfer", description="Op-amp transfer: commands.")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("check", help="say what was read from a data folder")
    one.add_argument("--data", type=Path, required=True)
    one.add_argument("--opamp", default="5t_opamp")
    one.set_defaults(run=check)
    two = commands.add_parser("predict", help="apply a trained model to a CSV of designs")
    two.add_argument("--model", type=Path, required=True)
    two.add_argument("--features", type=Path, required=True)
    two.add_argument("--out", type=Path, required=True)
    two.set_defaults(run=predict)
    chosen = parser.parse_args(arguments)
    try:
        chosen.run(chosen)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
