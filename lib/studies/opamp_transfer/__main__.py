"""python -m lib.studies.opamp_transfer

check --data DIR --opamp NAME                   what was read, ranges, invalid rows, split
predict --model DIR --features X.csv --out Y.csv
sample --model DIR --spec SPEC.yaml --out init.csv      candidates for a specification
invert --model DIR --spec SPEC.yaml --out designs.csv   designs that meet it (docs/inverse-design.md)
stage {source,bias,head,unfreeze} --folder DIR  one stage of the two-headed fine-tuning, from its predecessor's checkpoint
"""

import argparse
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch

from lib import paths, runtime
from lib.commands import end, seed
from lib.data import circuit
from lib.data.opamp import read_numbers
from lib.data.topology import TOPOLOGIES
from lib.files import check_output, write_csv
from lib.inverse import spec as specs
from lib.inverse.candidates import check_designs
from lib.inverse.diagnose import diagnose, nearest_designs, verdict
from lib.inverse.model import InverseModel
from lib.inverse.search import SearchConfig
from lib.steps.opamp import stages
from lib.steps.opamp.data import split
from lib.studies.opamp_transfer import artifact
from lib.studies.opamp_transfer.config import Config
from lib.studies.opamp_transfer.data import Lab, cleaning, open_lab, prepare

PLAIN = {"index": False, "float_format": "{:.4g}".format}


def check(chosen: argparse.Namespace) -> None:
    """Say what was read: rows, ranges, invalid rows, split."""
    config = Config.checked({"data_dir": str(chosen.data.resolve()), "opamp": chosen.opamp})
    prepared = prepare(config)
    names = prepared.features + prepared.targets
    say(f"op-amp {prepared.name}: features {', '.join(prepared.features)}; targets {', '.join(prepared.targets)}\n")
    say(cleaning(prepared).to_string(index=False) + "\n")
    both = {"A": prepared.source[names], "B": prepared.target[names]}
    ranges = pd.concat({k: f.agg(["min", "median", "max"]).T for k, f in both.items()}, axis=1)
    say(ranges.to_string(float_format=PLAIN["float_format"]) + "\n")
    if len(prepared.dropped):
        say("dropped rows:\n" + prepared.dropped.to_string(**PLAIN) + "\n")
    kept, held = split(prepared.target, config.val_split, config.seed)
    say(f"split of the target with seed {config.seed}: {len(kept)} rows to train, {len(held)} to score")


def predict(chosen: argparse.Namespace) -> None:
    """Write one row per design: the targets in physical units and their standard deviations."""
    check_output(chosen.out, chosen.features)
    model = artifact.load(chosen.model)
    mean, sd = model.table(read_numbers(chosen.features))
    names = model.y_scaler.names
    columns = {n: mean[:, i] for i, n in enumerate(names)} | {f"{n}_sd": sd[:, i] for i, n in enumerate(names)}
    write_csv(chosen.out, pd.DataFrame(columns))


def stage(chosen: argparse.Namespace) -> None:
    """Run one stage and tell where its checkpoint and curve are."""
    config = Config.load(paths.PARAMS / chosen.profile / "opamp_transfer.yaml")
    data = {"data_dir": str(chosen.data.resolve())} if chosen.data else {}
    config = Config.checked(config.model_dump() | data | {"opamp": chosen.opamp, "profile": chosen.profile})
    lab = open_lab(config, prepare(config), runtime.start(config))
    curve = run_stage(chosen.name, lab, chosen.folder, chosen.recipe)
    last = curve[curve.epoch == curve.epoch.max()].val.mean()
    say(f"{chosen.folder / chosen.name}: networks and curve.csv, validation loss {last:.4g} after the last epoch")


def run_stage(name: str, lab: Lab, folder: Path, how: str = "compact") -> pd.DataFrame:
    """Run one stage from its predecessor's checkpoint; ValueError names the command that makes one that is missing."""

    def advice(lost: str) -> str:
        config = lab.config
        words = ["python", "-m", "lib.studies.opamp_transfer", "stage", lost, "--folder", str(folder)]
        words += ["--data", config.data_dir] if config.data_dir else []
        return f"make it with `{shlex.join([*words, '--opamp', config.opamp, '--profile', config.profile, '--recipe', how])}`."

    return stages.run(name, lab, folder, how, advice=advice)


def sample(chosen: argparse.Namespace) -> None:
    """Write candidates drawn by the mixture density network, snapped to the grid, best first."""
    check_output(chosen.out, chosen.spec)
    model = artifact.load_inverse(chosen.model, chosen.surrogate)
    wanted = specs.load(chosen.spec.absolute(), model.metrics)
    table = model.ranked(wanted, model.sample([wanted], chosen.n, chosen.seed)[0])
    write_csv(chosen.out, table)
    say(f"{len(table)} different designs of {chosen.n} drawn; {int(table.meets.sum())} meet by the forward model")


def invert(chosen: argparse.Namespace) -> None:
    """Write designs that meet the specification, best first; say what stands in the way where none does."""
    check_output(chosen.out, chosen.spec, *([chosen.init] if chosen.init else []))
    model = artifact.load_inverse(chosen.model, chosen.surrogate)
    wanted = specs.load(chosen.spec.absolute(), model.metrics)
    init = None
    if chosen.init is not None:
        begin = check_designs(read_numbers(chosen.init), model.space, str(chosen.init))
        init = torch.tensor(begin.to_numpy())[None]
    names = {"n_init": "n_init", "steps": "steps", "lr": "lr", "prior": "prior", "lbfgs": "finish_lbfgs"}
    config = SearchConfig.checked({key: getattr(chosen, name) for key, name in names.items()})
    table = model.designs(model.find([wanted], config, chosen.seed, init), 0)
    write_csv(chosen.out, table)
    if chosen.verify is not None:
        write_csv(chosen.verify, simulated(table, model, chosen.process))
    report = diagnose(wanted, model.known, model.metrics, {m: float(table[m].iloc[0]) for m in model.metrics})
    say(f"{len(table)} designs, {int(table.meets.sum())} meet by the forward model\n{verdict(report)}")
    if not table.meets.any():
        near = nearest_designs(wanted, model.known, model.metrics)[[*model.features, *model.metrics, "distance"]]
        say("\nwhere the goals lie among the known designs:\n" + report.to_string(**PLAIN))
        say("\nnearest known designs:\n" + near.to_string(**PLAIN))


def simulated(table: pd.DataFrame, model: InverseModel, process: str) -> pd.DataFrame:
    """Return the designs with each metric as predicted and as ngspice measures it, and why a design failed."""
    fitting = [t for t in TOPOLOGIES.values() if t.features == model.features and set(model.metrics) <= set(circuit.METRICS)]
    if not fitting or circuit.ngspice_version() is None:
        missing = "ngspice is not installed" if fitting else f"no netlist has the features {', '.join(model.features)}"
        raise ValueError(f"The designs cannot be verified by simulation: {missing}.")
    measured = circuit.simulate(fitting[0], circuit.card(process), table)
    columns = {f"{m}_{k}": f[m] for m in model.metrics for k, f in (("predicted", table), ("simulated", measured))}
    return pd.concat([table[["rank", *model.features]], pd.DataFrame(columns), measured.failure], axis=1)


def say(text: str) -> None:
    """Write a line to the terminal."""
    sys.stdout.write(text + "\n")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a problem is one sentence on stderr and exit code 1."""
    chosen = parser().parse_args(arguments)
    return end(lambda: chosen.run(chosen))


def parser() -> argparse.ArgumentParser:
    """Return what the command line may hold."""
    top = argparse.ArgumentParser(prog="python -m lib.studies.opamp_transfer", description="Op-amp transfer: commands.")
    commands = top.add_subparsers(dest="command", required=True)
    search = argparse.ArgumentParser(add_help=False)
    for name in ("--model", "--spec", "--out"):
        search.add_argument(name, type=Path, required=True)
    search.add_argument("--seed", type=seed, default=0)
    search.add_argument("--surrogate", choices=["ensemble", "published"],
                        help="forward model: the ensemble, or the model of `predict` (default: the run's)")  # fmt: skip

    def add(run: Callable, said: str, *parents: argparse.ArgumentParser) -> Callable:
        made = commands.add_parser(run.__name__, help=said, parents=parents)
        made.set_defaults(run=run)
        return made.add_argument

    one = add(check, "say what was read from a data folder")
    one("--data", type=Path, required=True)
    one("--opamp", default="5t_opamp")
    one = add(predict, "apply a trained model to a CSV of designs")
    for name in ("--model", "--features", "--out"):
        one(name, type=Path, required=True)
    one = add(stage, "run one stage of the two-headed fine-tuning")
    one("name", choices=stages.ORDER)
    one("--folder", type=Path, required=True, help="checkpoints of all stages, one folder each")
    one("--data", type=Path)
    one("--opamp", default="5t_opamp")
    one("--profile", choices=["smoke", "quick", "full"], default="quick")
    one("--recipe", choices=["compact", "document"], default="compact")
    one = add(sample, "draw candidate designs for a specification", search)
    one("--n", type=_positive, default=64)
    _options_of_invert(add(invert, "find designs that meet a specification", search))
    return top


def _options_of_invert(one: Callable) -> None:
    defaults = SearchConfig()
    one("--init", type=Path, help="CSV of designs to start from, such as what `sample` wrote")
    one("--verify", type=Path, help="CSV to write what ngspice measures of the designs, where it is installed")
    one("--process", choices=["a", "b"], default="b", help="card of --verify: a (source) or b (target)")
    one("--n-init", type=_positive, default=defaults.n_init)
    one("--steps", type=int, default=defaults.steps)
    one("--lr", type=float, default=defaults.lr)
    one("--prior", type=float, default=defaults.prior)
    one("--finish-lbfgs", type=int, default=defaults.lbfgs)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
