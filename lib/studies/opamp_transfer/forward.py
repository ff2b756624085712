"""The published model as the search's forward model: the same members and weights on tensors, differentiable in the design."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from lib.data.opamp_features import physics_columns
from lib.inverse.model import InverseModel
from lib.inverse.surrogate import LEAK, Affine, soft_clamp
from lib.steps.opamp.arms import LOGS, SOURCE, Networks, features_of, log_columns
from lib.steps.opamp.bench import build
from lib.steps.opamp.classical import Linear, Processes, Trees
from lib.studies.opamp_transfer.comparison import STEADY, Outcome
from lib.studies.opamp_transfer.data import Lab
from lib.studies.opamp_transfer.publish import Member, Model, fit_model
from lib.train.stacked import predict_stacked

ROWS = 4096  # designs evaluated at once: a Gaussian process holds their covariances with every training row


class Published:
    """Designs (N, D) in input units -> metrics and standard deviations (N, M), as `Model.predict` and `.predict_sd` give them.

    LightGBM members count in the value but have no slope: trees are flat between their thresholds.
    scout  a form to move designs by: it keeps a slope beyond the range of the training rows, and a Gaussian process's sd is
           its root mean square error, the same for every design, in a tenth of the time
    """

    def __init__(self, model: Model, *, scout: bool = False) -> None:
        self.model, self.leak, self.exact_sd = model, LEAK if scout else 0.0, not scout or model.per_row
        self.y, self.physics, self.raw = (Affine(s, "cpu") for s in (model.y_scaler, model.inputs.physics, model.inputs.raw))
        self.low, self.high = (torch.as_tensor(v, dtype=torch.float64) for v in (model.low, model.high))
        self.error = torch.as_tensor(np.stack([m.error for m in model.members]))[:, None]  # (A, 1, M)
        self.factor = torch.as_tensor(np.stack([m.temperature for m in model.members]))[:, None]

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        parts = x.double().cpu().split(ROWS)
        slope = torch.is_grad_enabled() and x.requires_grad
        done = [checkpoint(self._some, p, use_reentrant=False) if slope else self._some(p) for p in parts]
        mean, sd = (torch.cat(t).to(x.device) for t in zip(*done, strict=True))
        return mean, sd

    def _some(self, x: Tensor) -> tuple[Tensor, Tensor]:
        sets = self.features(x)
        both = [self._member(i, sets[features_of(m.arm)]) for i, m in enumerate(self.model.members)]
        means = soft_clamp(torch.stack([m for m, _ in both]), self.low, self.high, self.leak)  # (A, N, M)
        sds = torch.stack([s for _, s in both]) * self.factor
        weight = 1 / (sds**2 if self.model.per_row else self.error) / self.error
        weight = weight / weight.sum(0)
        mean = (weight * means).sum(0)
        sd = (weight * (sds**2 + (means - mean) ** 2)).sum(0).sqrt() * torch.as_tensor(self.model.temperature)
        return self.y.backward(mean), (self.y.backward(mean + sd) - self.y.backward(mean - sd)) / 2

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """Return every feature set of the members, standardised."""
        inputs = self.model.inputs
        columns = physics_columns(dict(zip(inputs.columns, x.unbind(-1), strict=True)), inputs.plain, torch.log, torch.exp)
        sets = {"raw": self.raw.forward(x), "physics": self.physics.forward(torch.stack(list(columns.values()), -1))}
        for name, nets in self.model.sources.items():
            source = predict_stacked(nets, sets[name].float(), slope=True).double().mean(0)
            sets[name + SOURCE] = torch.cat([sets[name], source], -1)
            logs = sets[name][:, log_columns(inputs)] if name == "physics" else sets[name]
            sets[name + LOGS + SOURCE] = torch.cat([logs, source], -1)
        return sets

    def _member(self, i: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and sd (N, M) of member `i`, scaled, before its temperature."""
        member = self.model.members[i]
        mean, sd = _KINDS[type(member.predictor)](member, x, self.exact_sd)
        return mean, self.error[i].sqrt().expand_as(mean) if sd is None else sd


def _networks(member: Member, x: Tensor, exact: bool) -> tuple[Tensor, Tensor | None]:
    out = predict_stacked(member.predictor.nets, x.float(), slope=True)
    if not isinstance(out, tuple):
        return out.double().mean(0), None
    mu, variance = out[0].double(), out[1].double().exp()
    return mu.mean(0), ((mu**2 + variance).mean(0) - mu.mean(0) ** 2).sqrt()


def _process(member: Member, x: Tensor, exact: bool) -> tuple[Tensor, Tensor | None]:
    c = {k: torch.as_tensor(v) for k, v in member.predictor.centre.items()}
    scaled = ((x - c["x_mean"]) / c["x_sd"]).expand(len(c["y_mean"]), -1, -1)
    mean, sd = member.predictor.gp.predict(scaled, deviation=exact)
    return mean.mT * c["y_sd"] + c["y_mean"], None if sd is None else sd.mT * c["y_sd"]


def _linear(member: Member, x: Tensor, exact: bool) -> tuple[Tensor, None]:
    p = member.predictor
    if p.degree == 2:
        i, j = torch.triu_indices(x.shape[1], x.shape[1])
        x = torch.cat([x, x[:, i] * x[:, j]], 1)
    return x @ torch.as_tensor(p.coef).mT + torch.as_tensor(p.intercept), None


def _trees(member: Member, x: Tensor, exact: bool) -> tuple[Tensor, None]:
    return torch.as_tensor(member.predictor(x.detach().numpy())[0]), None


_KINDS = {Networks: _networks, Processes: _process, Linear: _linear, Trees: _trees}


def search_on(model: Model, inverse: InverseModel) -> InverseModel:
    """Return the inverse model with the published one in place of its ensemble; ValueError where they are of other columns."""
    ours, theirs = (model.inputs.columns, model.y_scaler.names), (inverse.features, inverse.metrics)
    if ours != theirs:
        raise ValueError(f"The model has features and metrics {ours}, its inverse model {theirs}: both must come from one run.")
    return replace(inverse, forward=Published(model), scout=Published(model, scout=True))


def with_surrogate(inverse: InverseModel, lab: Lab, best: Outcome, rows: np.ndarray) -> InverseModel:
    """Return the inverse model with the forward model that `inverse_surrogate` asks for; target designs `rows` are known to it."""
    if lab.config.inverse_surrogate != "published":
        return inverse
    return search_on(published_on(lab, best, rows), inverse)


def published_on(lab: Lab, best: Outcome, rows: np.ndarray) -> Model:
    """Return the published model fitted on the target designs `rows` alone, so that the others can be asked for."""
    inside = replace(lab.prepared, target=lab.prepared.target.iloc[rows].reset_index(drop=True))
    lab = replace(lab, prepared=inside, bench=build(lab.spec, inside))
    return fit_model(best.members or (best.arm,), lab, per_row=best.arm.method != STEADY)
