"""Tiny cases of the op-amp study's steps, on the embedded tables."""

from dataclasses import replace

from lib.steps.opamp import ablations, inverse
from lib.steps.opamp.arms import ArmSpec, compare_opamp_arm
from lib.steps.opamp.source import fit_opamp_source, source_spec
from lib.steps.opamp.spec import Arm, LabSpec
from lib.steps.opamp.stages import run_opamp_stages
from lib.studies.opamp_transfer.config import Config


def lab(*settings: str) -> LabSpec:
    config = Config(opamp="two_stage_opamp", splits=1, members=1, gp_steps=1, gp_rows=20, compact_epochs=1)
    return config.lab().only("folds", *settings)


def of_networks() -> LabSpec:
    return lab("compact", "weights")


def inverse_spec() -> inverse.InverseSpec:
    mixture = inverse.MixtureSpec("both", 2, 8, 1, 64, 1, 1e-3)
    return inverse.InverseSpec(of_networks().data, tuple(range(40)), True, 1, 1, 1e-3, mixture, 3)


CASES = {
    fit_opamp_source: lambda: replace(source_spec(lab("compact"), "physics", lab("compact").compact), members=2),
    compare_opamp_arm: lambda: ArmSpec(lab("compact", "gp"), Arm("gp_source_features", "transfer", recipe=""), 0),
    run_opamp_stages: of_networks,
    ablations.sweep_opamp_losses: lambda: ablations.SweepSpec(of_networks(), (0.0,), (0.0,), 0),
    ablations.sweep_opamp_l2sp: of_networks,
    ablations.sweep_opamp_scalers: lambda: lab("compact"),
    ablations.sweep_opamp_logarithm: lambda: lab("compact"),
    ablations.sweep_opamp_budget: lambda: ablations.BudgetSpec(lab("compact", "weights", "gp"), 25, 0),
    inverse.fit_opamp_inverse: inverse_spec,
}
