"""The stages of the two-headed network on the page, and one of them from the command line."""

import shlex
from pathlib import Path

import pandas as pd

from lib.steps.opamp import stages
from lib.steps.opamp.stages import ORDER
from lib.studies.opamp_transfer.config import Config
from lib.studies.opamp_transfer.data import Lab


def command(stage: str, folder: Path, config: Config, how: str) -> str:
    """Return the command that runs a stage on the same data with the same parameters."""
    words = ["python", "-m", "lib.studies.opamp_transfer", "stage", stage, "--folder", str(folder)]
    words += ["--data", config.data_dir] if config.data_dir else []
    words += ["--opamp", config.opamp, "--profile", config.profile, "--recipe", how]
    return shlex.join(words)


def run(stage: str, lab: Lab, folder: Path, how: str = "compact") -> pd.DataFrame:
    """Run one stage from its predecessor's checkpoint; ValueError names the command that makes one that is missing."""

    def advice(missing: str) -> str:
        return f"make it with `{command(missing, folder, lab.config, how)}`."

    return stages.run(stage, lab, folder, how, advice=advice)


def curves(lab: Lab) -> pd.DataFrame:
    """Run all stages through the run cache and return their curves (stage, network, epoch, train, val)."""
    folder = lab.folder(stages.run_opamp_stages, lab.spec.only("folds", "compact", "weights"))
    return pd.concat([pd.read_csv(folder / stage / "curve.csv") for stage in ORDER], ignore_index=True)
