"""Commands `sample` and `invert`: from a specification to designs, with a trained model folder."""

import argparse
import sys
from pathlib import Path

import pandas as pd
import torch

from lib.commands import seed
from lib.data import circuit
from lib.data.opamp import read_numbers
from lib.data.topology import TOPOLOGIES
from lib.files import check_output, read_json, write_csv
from lib.inverse import spec as specs
from lib.inverse.candidates import check_designs
from lib.inverse.diagnose import diagnose, nearest_designs, verdict
from lib.inverse.model import InverseModel
from lib.inverse.search import SearchConfig
from lib.studies.opamp_transfer import publish
from lib.studies.opamp_transfer.forward import search_on
from lib.studies.opamp_transfer.inverse import find

FOLDER = "inverse"  # inside the study's model folder


def load(folder: Path, surrogate: str | None = None) -> InverseModel:
    """Read the inverse model in a study's model folder, or in the folder itself.

    surrogate  ensemble, or published: the model that `predict` uses; None: whichever the run searched on
    """
    inner = folder / FOLDER
    if not folder.is_dir():
        raise ValueError(f"Model folder {folder} does not exist.")
    if not (inner / "inverse.json").is_file() and not (folder / "inverse.json").is_file():
        raise ValueError(f"{folder} holds no inverse model: expected {inner}/inverse.json, written by a run of opamp_transfer.")
    place = inner if (inner / "inverse.json").is_file() else folder
    model = InverseModel.load(place)
    if (surrogate or read_json(place / "inverse.json").get("surrogate")) != "published":
        return model
    return search_on(publish.load(folder if place == inner else folder.parent), model)


def sample(chosen: argparse.Namespace) -> None:
    """Write candidates drawn by the mixture density network, snapped to the grid, best first."""
    check_output(chosen.out, chosen.spec)
    model = load(chosen.model, chosen.surrogate)
    wanted = specs.load(chosen.spec.absolute(), model.metrics)
    drawn = model.sample([wanted], chosen.n, chosen.seed)[0]
    table = model.ranked(wanted, drawn)
    write_csv(chosen.out, table)
    sys.stdout.write(
        f"{len(table)} different designs of {chosen.n} drawn; {int(table.meets.sum())} meet by the forward model\n"
    )


def invert(chosen: argparse.Namespace) -> None:
    """Write designs that meet the specification, best first; say what stands in the way where none does."""
    check_output(chosen.out, chosen.spec, *([chosen.init] if chosen.init else []))
    model = load(chosen.model, chosen.surrogate)
    wanted = specs.load(chosen.spec.absolute(), model.metrics)
    init = None
    if chosen.init is not None:
        begin = check_designs(read_numbers(chosen.init), model.space, str(chosen.init))
        init = torch.tensor(begin.to_numpy())[None]
    config = SearchConfig.checked({"n_init": chosen.n_init, "steps": chosen.steps, "lr": chosen.lr, "prior": chosen.prior,
                                   "lbfgs": chosen.finish_lbfgs})  # fmt: skip
    table = model.designs(find(model, [wanted], config, chosen.seed, init), 0)
    write_csv(chosen.out, table)
    best = {m: float(table[m].iloc[0]) for m in model.metrics}
    if chosen.verify is not None:
        write_csv(chosen.verify, simulated(table, model, chosen.process))
    report = diagnose(wanted, model.known, model.metrics, best)
    sys.stdout.write(f"{len(table)} designs, {int(table.meets.sum())} meet by the forward model\n{verdict(report)}\n")
    if not table.meets.any():
        _explain(report, nearest_designs(wanted, model.known, model.metrics), model)


def simulated(table: pd.DataFrame, model: InverseModel, process: str) -> pd.DataFrame:
    """Return the designs with each metric as predicted and as ngspice measures it, and why a design failed."""
    fitting = [t for t in TOPOLOGIES.values() if t.features == model.features and set(model.metrics) <= set(circuit.METRICS)]
    if not fitting or circuit.ngspice_version() is None:
        missing = "ngspice is not installed" if fitting else f"no netlist has the features {', '.join(model.features)}"
        raise ValueError(f"The designs cannot be verified by simulation: {missing}.")
    measured = circuit.simulate(fitting[0], circuit.card(process), table)
    columns = {f"{m}_{k}": f[m] for m in model.metrics for k, f in (("predicted", table), ("simulated", measured))}
    return pd.concat([table[["rank", *model.features]], pd.DataFrame(columns), measured.failure], axis=1)


def _explain(report: pd.DataFrame, near: pd.DataFrame, model: InverseModel) -> None:
    write = sys.stdout.write
    shape = {"index": False, "float_format": "{:.4g}".format}
    write("\nwhere the goals lie among the known designs:\n" + report.to_string(**shape) + "\n")
    write("\nnearest known designs:\n" + near[[*model.features, *model.metrics, "distance"]].to_string(**shape) + "\n")


def register(commands: argparse._SubParsersAction) -> None:
    """Add both commands to the study's command line."""
    one = commands.add_parser("sample", help="draw candidate designs for a specification")
    one.add_argument("--n", type=_positive, default=64)
    one.set_defaults(run=sample)
    two = commands.add_parser("invert", help="find designs that meet a specification")
    defaults = SearchConfig()
    two.add_argument("--init", type=Path, help="CSV of designs to start from, such as what `sample` wrote")
    two.add_argument("--verify", type=Path, help="CSV to write what ngspice measures of the designs, where it is installed")
    two.add_argument("--process", choices=["a", "b"], default="b", help="card of --verify: a (source) or b (target)")
    two.add_argument("--n-init", type=_positive, default=defaults.n_init)
    two.add_argument("--steps", type=int, default=defaults.steps)
    two.add_argument("--lr", type=float, default=defaults.lr)
    two.add_argument("--prior", type=float, default=defaults.prior)
    two.add_argument("--finish-lbfgs", type=int, default=defaults.lbfgs)
    two.set_defaults(run=invert)
    for command in (one, two):
        command.add_argument("--model", type=Path, required=True)
        command.add_argument("--spec", type=Path, required=True)
        command.add_argument("--out", type=Path, required=True)
        command.add_argument("--seed", type=seed, default=0)
        command.add_argument("--surrogate", choices=["ensemble", "published"],
                             help="forward model: the ensemble, or the model of `predict` (default: the run's)")  # fmt: skip


def _positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return value
