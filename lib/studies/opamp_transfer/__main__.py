"""python -m lib.studies.opamp_transfer

check --data DIR --opamp NAME                   what was read, ranges, invalid rows, split
predict --model DIR --features X.csv --out Y.csv
sample --model DIR --spec SPEC.yaml --out init.csv      candidates for a specification
invert --model DIR --spec SPEC.yaml --out designs.csv   designs that meet it (docs/inverse-design.md)
stage {source,bias,head,unfreeze} --folder DIR  one stage of the two-headed fine-tuning, from its predecessor's checkpoint
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from lib import paths, runtime
from lib.commands import end
from lib.data.opamp import read_numbers
from lib.files import check_output, write_csv
from lib.steps.opamp.data import split
from lib.studies.opamp_transfer import inverse_commands, publish, stages
from lib.studies.opamp_transfer.config import Config
from lib.studies.opamp_transfer.data import cleaning, open_lab, prepare


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
    check_output(chosen.out, chosen.features)
    model = publish.load(chosen.model)
    designs = read_numbers(chosen.features)
    mean, sd = model.predict(designs), model.predict_sd(designs)
    names = model.y_scaler.names
    columns = {n: mean[:, i] for i, n in enumerate(names)} | {f"{n}_sd": sd[:, i] for i, n in enumerate(names)}
    write_csv(chosen.out, pd.DataFrame(columns))


def stage(chosen: argparse.Namespace) -> None:
    """Run one stage and tell where its checkpoint and curve are."""
    config = Config.load(paths.PARAMS / chosen.profile / "opamp_transfer.yaml")
    data = {"data_dir": str(chosen.data.resolve())} if chosen.data else {}
    config = Config.checked(config.model_dump() | data | {"opamp": chosen.opamp, "profile": chosen.profile})
    lab = open_lab(config, prepare(config), runtime.start(config))
    curve = stages.run(chosen.name, lab, chosen.folder, chosen.recipe)
    last = curve[curve.epoch == curve.epoch.max()].val.mean()
    sys.stdout.write(
        f"{chosen.folder / chosen.name}: networks and curve.csv, validation loss {last:.4g} after the last epoch\n"
    )


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
    three = commands.add_parser("stage", help="run one stage of the two-headed fine-tuning")
    three.add_argument("name", choices=stages.ORDER)
    three.add_argument("--folder", type=Path, required=True, help="checkpoints of all stages, one folder each")
    three.add_argument("--data", type=Path)
    three.add_argument("--opamp", default="5t_opamp")
    three.add_argument("--profile", choices=["smoke", "quick", "full"], default="quick")
    three.add_argument("--recipe", choices=["compact", "document"], default="compact")
    three.set_defaults(run=stage)
    inverse_commands.register(commands)
    chosen = parser.parse_args(arguments)
    return end(lambda: chosen.run(chosen))


if __name__ == "__main__":
    sys.exit(main())
