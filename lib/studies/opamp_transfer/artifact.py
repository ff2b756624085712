"""The model that `predict` uses: the arms chosen by inner validation, refitted on all target rows, calibrated; one predictor,
differentiable in the design, that the inverse search moves on too. Stored as JSON, safetensors and LightGBM's text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lib import calibration
from lib.data.opamp import Scaler
from lib.data.opamp_features import physics_columns
from lib.files import read_json, remove_tree, write_json, write_text
from lib.inverse.model import InverseModel
from lib.inverse.surrogate import LEAK, Affine, soft_clamp
from lib.legible import legible
from lib.steps.opamp.arms import Networks, features_of, fit_and_predict, members_of, todo_of, with_source
from lib.steps.opamp.bench import Inputs, build, gather, inner_folds, inner_rmse
from lib.steps.opamp.classical import Linear, Predictor, Processes, Trees
from lib.steps.opamp.source import load_networks, save_networks
from lib.steps.opamp.spec import METHODS, Arm
from lib.studies.opamp_transfer.comparison import STEADY, Outcome
from lib.studies.opamp_transfer.data import Lab

KINDS = {"Linear": Linear, "Trees": Trees, "Processes": Processes, "Networks": Networks}
ROWS = 4096  # designs evaluated at once: a Gaussian process holds their covariances with every training row
INVERSE = "inverse"  # folder of the inverse model, inside the study's model folder


@dataclass(frozen=True)
class Member:
    """One arm of the model: its predictor, the factor on its standard deviations and its inner squared errors (M,), scaled."""

    arm: Arm
    predictor: Predictor
    temperature: np.ndarray
    error: np.ndarray

    def __call__(self, x: Tensor, *, deviation: bool = True) -> tuple[Tensor, Tensor]:
        """Return mean and calibrated standard deviation (n, M), scaled; without one the root mean square error stands in."""
        mean, sd = self.predictor.on(x, deviation=deviation)
        sd = torch.from_numpy(self.error).sqrt().expand_as(mean) if sd is None else sd
        return mean, sd * torch.from_numpy(self.temperature)


@dataclass(frozen=True)
class Model:
    """Arms that predict together. Called with designs (n, D) in input units it gives metrics and standard deviations (n, M) in
    theirs, as the inverse search needs them; `predict` and `predict_sd` are the same for a table of designs.

    LightGBM members count in the value but have no slope: trees are flat between their thresholds.
    """

    opamp: str
    inputs: Inputs
    y_scaler: Scaler
    members: list[Member]
    temperature: np.ndarray  # (M,) of the combination
    low: np.ndarray
    high: np.ndarray
    sources: dict[str, list[nn.Module]]  # by feature set; for arms that read source predictions
    per_row: bool = True  # weigh every row by its precision

    def __call__(self, x: Tensor, *, scout: bool = False) -> tuple[Tensor, Tensor]:
        """Predict on tensors, differentiable in x.

        scout  a form to move designs by: it keeps a slope beyond the range of the training rows, and a Gaussian process's sd
               is its root mean square error, the same for every design, in a tenth of the time
        """
        parts, some = x.double().cpu().split(ROWS), partial(self._some, scout=scout)
        slope = torch.is_grad_enabled() and x.requires_grad
        done = [checkpoint(some, p, use_reentrant=False) if slope else some(p) for p in parts]
        mean, sd = (torch.cat(t).to(x.device) for t in zip(*done, strict=True))
        return mean, sd

    def _some(self, x: Tensor, scout: bool) -> tuple[Tensor, Tensor]:
        sets = self.features(x)
        means, sds = zip(*(m(sets[features_of(m.arm)], deviation=self.per_row or not scout) for m in self.members), strict=True)
        low, high, errors = (torch.as_tensor(v) for v in (self.low, self.high, np.stack([m.error for m in self.members])))
        clipped = soft_clamp(torch.stack(means), low, high, LEAK if scout else 0.0)  # (A, n, M)
        mean, sd = calibration.combine(clipped, torch.stack(sds), errors, per_row=self.per_row)
        sd, y = sd * torch.from_numpy(self.temperature), Affine(self.y_scaler, "cpu")
        return y.backward(mean), (y.backward(mean + sd) - y.backward(mean - sd)) / 2

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """Return the feature sets of designs x (n, D), standardised, in float32 as they were fitted on."""
        inputs = self.inputs
        columns = physics_columns(dict(zip(inputs.columns, x.unbind(-1), strict=True)), inputs.plain, torch.log, torch.exp)
        sets = {"raw": (inputs.raw, x), "physics": (inputs.physics, torch.stack(list(columns.values()), -1))}
        sets = {name: Affine(scaler, "cpu").forward(v).float() for name, (scaler, v) in sets.items()}
        return with_source(inputs, sets, self.sources)

    @torch.no_grad()
    def table(self, designs: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Return predictions and standard deviations (n, M) in physical units, in the order of `designs`.

        Raises ValueError where a column is missing or in another unit.
        """
        self.inputs.transform(designs)
        mean, sd = self(torch.from_numpy(designs[self.inputs.columns].to_numpy(float, copy=True)))
        return mean.numpy(), sd.numpy()

    def predict(self, designs: pd.DataFrame) -> np.ndarray:
        """Return (n, M) predictions in physical units, in the order of `designs`."""
        return self.table(designs)[0]

    def predict_sd(self, designs: pd.DataFrame) -> np.ndarray:
        """Return (n, M) standard deviations in physical units: half the distance between the values one sd up and down."""
        return self.table(designs)[1]


def published(best: Outcome, lab: Lab) -> Model:
    """Return the model that an outcome publishes: its arms fitted on all target rows of the lab."""
    return fit_model(best.members or (best.arm,), lab, per_row=best.arm.method != STEADY)


def search_on(model: Model, inverse: InverseModel) -> InverseModel:
    """Return the inverse model with the published one in place of its ensemble; ValueError where they are of other columns."""
    ours, theirs = (model.inputs.columns, model.y_scaler.names), (inverse.features, inverse.metrics)
    if ours != theirs:
        raise ValueError(f"The model has features and metrics {ours}, its inverse model {theirs}: both must come from one run.")
    return replace(inverse, forward=model, scout=partial(model, scout=True))


def with_surrogate(inverse: InverseModel, best: Outcome, lab: Lab, rows: np.ndarray) -> InverseModel:
    """Return the inverse model with the forward model that `inverse_surrogate` asks for; target designs `rows` are known to it.

    The published model is fitted on those rows alone, so that the others can be asked for.
    """
    if lab.config.inverse_surrogate != "published":
        return inverse
    inside = replace(lab.prepared, target=lab.prepared.target.iloc[rows].reset_index(drop=True))
    return search_on(published(best, replace(lab, prepared=inside, bench=build(lab.spec, inside))), inverse)


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
    names = {m.arm.features for m in members if m.arm.how.reads_source}
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
        for what, given, known in (("kind", entry["kind"], KINDS), ("method", entry["arm"]["method"], METHODS)):
            if given not in known:
                said = f"has a member of {what} {given!r}; it should be one of {', '.join(known)}."
                raise ValueError(f"{folder / 'model.json'} {said}")
        predictor = KINDS[entry["kind"]].load(folder / f"member_{i}")
        members.append(Member(Arm(**entry["arm"]), predictor, *(np.asarray(entry[k], float) for k in ("temperature", "error"))))
    if not members:
        raise ValueError(f"{folder / 'model.json'} names no members: it is not a model of this study.")
    return Model(
        state["opamp"], Inputs.checked(read_json(folder / "inputs.json")), Scaler.read(folder / "y_scaler.json"), members,
        *(np.asarray(state[k], float) for k in ("temperature", "low", "high")),
        {name: load_networks(folder / f"source_{name}") for name in state["sources"]}, state["per_row"],
    )  # fmt: skip


def load_inverse(folder: Path, surrogate: str | None = None) -> InverseModel:
    """Read the inverse model in a study's model folder, or in the folder itself.

    surrogate  ensemble, or published: the model that `predict` uses; None: whichever the run searched on
    """
    if not folder.is_dir():
        raise ValueError(f"Model folder {folder} does not exist.")
    inner = folder / INVERSE
    place = next((f for f in (inner, folder) if (f / "inverse.json").is_file()), None)
    if place is None:
        raise ValueError(f"{folder} holds no inverse model: expected {inner}/inverse.json, written by a run of opamp_transfer.")
    model = InverseModel.load(place)
    if (surrogate or read_json(place / "inverse.json").get("surrogate")) != "published":
        return model
    return search_on(load(folder if place == inner else folder.parent), model)
