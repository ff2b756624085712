"""The model that `predict` uses: the arms chosen by inner validation, refitted on all target rows, calibrated, stored as JSON,
safetensors and LightGBM's text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from lib import calibration
from lib.data.opamp import Scaler
from lib.files import read_json, remove_tree, write_json, write_text
from lib.legible import legible
from lib.steps.opamp.arms import SOURCE, Lab, Networks, features_of, fit_and_predict, members_of, todo_of, with_source
from lib.steps.opamp.bench import Inputs, gather, inner_folds, inner_rmse
from lib.steps.opamp.classical import Linear, Processes, Trees
from lib.steps.opamp.source import load_networks, save_networks
from lib.steps.opamp.spec import Arm

KINDS = {"Linear": Linear, "Trees": Trees, "Processes": Processes, "Networks": Networks}


@dataclass(frozen=True)
class Member:
    """One arm of the model: its predictor, the factor on its standard deviations and its inner squared errors (M,), scaled."""

    arm: Arm
    predictor: object
    temperature: np.ndarray
    error: np.ndarray

    def __call__(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and calibrated standard deviation (n, M), scaled."""
        mean, sd = self.predictor(x)
        sd = np.broadcast_to(np.sqrt(self.error), mean.shape) if sd is None else sd
        return mean, sd * self.temperature


@dataclass(frozen=True)
class Model:
    """Arms that predict together; `predict` and `predict_sd` take designs as read and give physical units."""

    opamp: str
    inputs: Inputs
    y_scaler: Scaler
    members: list[Member]
    temperature: np.ndarray  # (M,) of the combination
    low: np.ndarray
    high: np.ndarray
    sources: dict[str, list[nn.Module]]  # by feature set; for arms that read source predictions
    per_row: bool = True  # weigh every row by its precision

    def scaled(self, designs: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation (n, M) of the scaled outputs, clipped to those of the training rows."""
        x = self.inputs.transform(designs)
        x = with_source(self.inputs, x, self.sources)
        means, sds = zip(*(m(x[features_of(m.arm)]) for m in self.members), strict=True)
        clipped = np.clip(np.stack(means), self.low, self.high)
        errors = np.stack([m.error for m in self.members])
        mean, sd = calibration.combine(clipped, np.stack(sds), errors, per_row=self.per_row)
        return mean, sd * self.temperature

    def predict(self, designs: pd.DataFrame) -> np.ndarray:
        """Return (n, M) predictions in physical units, in the order of `designs`."""
        return self.y_scaler.inverse(self.scaled(designs)[0])

    def predict_sd(self, designs: pd.DataFrame) -> np.ndarray:
        """Return (n, M) standard deviations in physical units: half the distance between the values one sd up and down."""
        mean, sd = self.scaled(designs)
        return (self.y_scaler.inverse(mean + sd) - self.y_scaler.inverse(mean - sd)) / 2


def fit_model(chosen: Sequence[Arm], lab: Lab, *, per_row: bool = True) -> Model:
    """Fit the chosen arms on all target rows; errors and temperatures come from rows left out of each fit."""
    inner = inner_folds(lab.prepared.target, lab.spec.folds, lab.spec.seed, hold=False)[None]
    lab = replace(lab, bench=replace(lab.bench, inner=inner))
    bench, members, means, sds = lab.bench, [], [], []
    for arm in chosen:
        done = fit_and_predict(arm, lab, todo_of(arm, inner, members_of(arm, lab.spec)))
        mean, sd = (v[0] for v in gather(bench, done.todo, done.predictions))
        factor = calibration.quantile_temperature(bench.y, mean, sd)
        members.append(Member(arm, final(done.predictors, done.todo), factor, inner_rmse(bench, mean, 0) ** 2))
        means.append(mean)
        sds.append(sd * factor)
    errors = np.stack([m.error for m in members])
    mean, sd = calibration.combine(np.stack(means), np.stack(sds), errors, per_row=per_row)
    names = {m.arm.features for m in members if features_of(m.arm).endswith(SOURCE)}
    return Model(
        lab.prepared.name, bench.inputs, bench.y_scaler, members, calibration.quantile_temperature(bench.y, mean, sd),
        bench.y.min(0), bench.y.max(0), {n: lab.sources(n, "compact") for n in sorted(names)}, per_row,
    )  # fmt: skip


def final(predictors: list, todo: Sequence) -> object:
    """Return what predicts new designs: the fits on all rows, or all fits where each stopped early by its own fold."""
    last = [p for p, job in zip(predictors, todo, strict=True) if job.seed % 1000 >= 100] or predictors
    if isinstance(last[0], Networks):
        return Networks([net for p in last for net in p.nets], last[0].kind)
    return last[-1]


def save(model: Model, folder: Path) -> None:
    """Write a model folder."""
    remove_tree(folder)
    folder.mkdir(parents=True)
    write_text(folder / "inputs.json", model.inputs.model_dump_json(indent=1) + "\n")
    model.y_scaler.save(folder / "y_scaler.json")
    entries = []
    for i, m in enumerate(model.members):
        (folder / f"member_{i}").mkdir()
        m.predictor.save(folder / f"member_{i}")
        kind = type(m.predictor).__name__
        entries.append({"kind": kind, "arm": vars(m.arm), "temperature": m.temperature.tolist(), "error": m.error.tolist()})
    for name, nets in model.sources.items():
        save_networks(nets, "mlp", folder / f"source_{name}")
    limits = {"low": model.low.tolist(), "high": model.high.tolist(), "temperature": model.temperature.tolist()}
    write_json(
        folder / "model.json",
        {"opamp": model.opamp, "members": entries, "sources": sorted(model.sources), "per_row": model.per_row, **limits},
    )


def load(folder: Path) -> Model:
    """Read a model folder that `save` wrote; ValueError names what is missing or does not fit."""
    with legible(folder, "a model of this study"):
        return _load(folder)


def _load(folder: Path) -> Model:
    state = read_json(folder / "model.json", ("opamp", "members", "sources", "per_row", "low", "high", "temperature"))
    members = []
    for i, entry in enumerate(state["members"]):
        if entry["kind"] not in KINDS:
            known = ", ".join(KINDS)
            raise ValueError(f"{folder / 'model.json'} has a member of kind {entry['kind']!r}; it should be one of {known}.")
        predictor = KINDS[entry["kind"]].load(folder / f"member_{i}")
        members.append(Member(Arm(**entry["arm"]), predictor, *(np.asarray(entry[k], float) for k in ("temperature", "error"))))
    if not members:
        raise ValueError(f"{folder / 'model.json'} names no members: it is not a model of this study.")
    return Model(
        state["opamp"], Inputs.checked(read_json(folder / "inputs.json")), Scaler.read(folder / "y_scaler.json"), members,
        *(np.asarray(state[k], float) for k in ("temperature", "low", "high")),
        {name: load_networks(folder / f"source_{name}") for name in state["sources"]}, state["per_row"],
    )  # fmt: skip
