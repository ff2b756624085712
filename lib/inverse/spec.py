"""What a design should do: goals per metric, read from YAML, and how far a design's metrics are from them."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lib import paths
from lib.files import read_yaml

GOALS = ("min", "max", "target", "range")
KEYS = ("goal", "value", "band", "weight")
TOLERANCE = 0.05  # relative; a `target` is met within it
LARGEST = 1e300  # what a float can hold, with room for sums
SLACK = 0.01  # relative; the search aims that far inside a band


@dataclass(frozen=True)
class Goal:
    """One metric's goal, in the metric's unit.

    kind   min or max (no bound), target (equality with `value`), range (membership of the band)
    low, high  the band, None where open; with any kind it must be kept
    """

    kind: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    weight: float = 1.0


Spec = dict[str, Goal]


def load(path: str | Path, metrics: list[str]) -> Spec:
    """Read a SPEC.yaml for a model of `metrics`; a bad one is a ValueError with one sentence."""
    return parse(read_yaml(paths.resolve(path), "Specification"), metrics)


def parse(content: Any, metrics: list[str]) -> Spec:
    """Check a mapping of metric to goal; ValueError says which metric, what is wrong, and what would be right."""
    if not isinstance(content, Mapping) or not content:
        raise ValueError("A specification maps metrics to goals, such as `dc_gain: {goal: target, value: 200}`.")
    for name in content:
        if name not in metrics:
            near = difflib.get_close_matches(str(name), metrics, n=1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"the model knows {', '.join(metrics)}."
            raise ValueError(f"Specification: unknown metric '{name}': {hint}")
    spec = {name: _goal(name, content[name]) for name in metrics if name in content}
    if not any(g.weight > 0 for g in spec.values()):
        raise ValueError("Specification: every weight is 0; at least one must be positive.")
    return spec


def targets(values: Mapping[str, float]) -> Spec:
    """Return the specification that wants every metric at the given value."""
    return {name: Goal("target", float(value)) for name, value in values.items()}


def _goal(name: str, entry: Any) -> Goal:
    if not isinstance(entry, Mapping):
        raise ValueError(f"Specification of {name} is {entry!r}, but it should be a mapping such as {{goal: max}}.")
    odd = [k for k in entry if k not in KEYS]
    if odd:
        raise ValueError(f"Specification of {name} has the unknown key '{odd[0]}'; the keys are {', '.join(KEYS)}.")
    kind = entry.get("goal")
    if kind not in GOALS:
        raise ValueError(f"Specification of {name}: goal is {kind!r}, but it should be one of {', '.join(GOALS)}.")
    value = _number(name, "value", entry.get("value"))
    weight = _number(name, "weight", entry.get("weight", 1.0))
    low, high = _band(name, entry.get("band"))
    if weight is None or weight < 0:
        raise ValueError(f"Specification of {name}: weight is {entry.get('weight')!r}, but it should be 0 or more.")
    if kind == "target" and value is None:
        raise ValueError(f"Specification of {name}: the goal target needs a value.")
    if kind == "range" and low is None and high is None:
        raise ValueError(f"Specification of {name}: the goal range needs a band such as [60, 75] or [60, null].")
    if kind == "target" and not _inside(value, low, high):
        raise ValueError(f"Specification of {name}: the target {value:g} lies outside its band [{low}, {high}].")
    return Goal(kind, value, low, high, weight)


def _number(name: str, key: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, str) and _spells_number(value):
        raise ValueError(f"Specification of {name}: {key} is the text '{value}': YAML reads 1e6 as text, write 1.0e+6.")
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise ValueError(f"Specification of {name}: {key} is {value!r}, but it should be a finite number.")
    return float(value)


def _spells_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _band(name: str, band: Any) -> tuple[float | None, float | None]:
    if band is None:
        return None, None
    if not isinstance(band, list) or len(band) != 2:
        raise ValueError(f"Specification of {name}: band is {band!r}, but it should be [low, high], null for an open end.")
    low, high = (_number(name, "band", v) for v in band)
    if low is not None and high is not None and low >= high:
        raise ValueError(f"Specification of {name}: the band [{low:g}, {high:g}] is empty; low must be below high.")
    return low, high


def _inside(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


@dataclass(frozen=True)
class Goals:
    """Specifications as tensors, each (S, M); metrics without a goal have weight 0.

    scale     (M,) spread of each metric in the data: what a relative error of a metric that may be negative refers to
    positive  (M,) metrics that are positive throughout the data and are compared by ratio
    """

    wanted: Tensor  # NaN where there is no target
    low: Tensor
    high: Tensor
    direction: Tensor  # -1 smaller is better, +1 larger is better, 0 neither
    weight: Tensor
    scale: Tensor
    positive: Tensor

    @classmethod
    def stack(cls, specs: list[Spec], metrics: list[str], reference: Tensor) -> "Goals":
        """Stack specifications; `reference` (n, M) holds measured metrics, from which scale and sign are read."""
        nothing = Goal("none", weight=0.0)
        rows = [[spec.get(m, nothing) for m in metrics] for spec in specs]

        def table(read) -> Tensor:
            return torch.tensor([[read(g) for g in row] for row in rows], dtype=torch.float64, device=reference.device)

        inf, nan = float("inf"), float("nan")
        return cls(
            wanted=table(lambda g: g.value if g.kind == "target" else nan),
            low=table(lambda g: -inf if g.low is None else g.low),
            high=table(lambda g: inf if g.high is None else g.high),
            direction=table(lambda g: {"min": -1.0, "max": 1.0}.get(g.kind, 0.0)),
            weight=table(lambda g: g.weight),
            scale=reference.double().std(0).clamp_min(1e-30),
            positive=(reference > 0).all(0),
        )

    def rows(self, index: Tensor) -> "Goals":
        """Return the goals of the specifications in `index` (N,)."""
        names = ("wanted", "low", "high", "direction", "weight")
        return Goals(**{n: getattr(self, n)[index] for n in names}, scale=self.scale, positive=self.positive)

    def _unit(self, bound: Tensor) -> Tensor:
        """Return what a deviation from `bound` is divided by: the bound, or the spread where the metric may be negative."""
        size = bound.abs()
        return torch.where(self.positive & (size > 0), size, torch.maximum(size, self.scale))

    def miss(self, y: Tensor, slack: float = 0.0) -> Tensor:
        """Return relative misses (..., M) >= 0: from the target, or beyond the band narrowed by `slack`."""
        target = torch.where(
            self.wanted.isnan(), 0.0, (y - self.wanted.nan_to_num()).abs() / self._unit(self.wanted.nan_to_num())
        )
        low = torch.where(self.low.isinf(), 0.0, (self.low - y) / self._unit(self.low.nan_to_num(0, 0, 0)) + slack)
        high = torch.where(self.high.isinf(), 0.0, (y - self.high) / self._unit(self.high.nan_to_num(0, 0, 0)) + slack)
        return torch.maximum(target, torch.maximum(low, high).clamp_min(0))

    def gain(self, y: Tensor) -> Tensor:
        """Return how good (...,) the metrics without a bound are, weighted; larger is better."""
        size = torch.where(self.positive, y.clamp_min(1e-30).log(), y / self.scale)
        return (self.weight * self.direction * size).sum(-1)

    def distance(self, y: Tensor) -> Tensor:
        """Return the weighted root mean square miss (...,)."""
        return ((self.weight * self.miss(y) ** 2).sum(-1) / self._bound_weight()).sqrt()

    def _bound_weight(self) -> Tensor:
        bound = ~self.wanted.isnan() | self.low.isfinite() | self.high.isfinite()
        return (self.weight * bound).sum(-1).clamp_min(1e-12)

    def meets(self, y: Tensor) -> Tensor:
        """Return whether (...,) every target is met within the tolerance and every band is kept."""
        near = self.miss(y) <= torch.where(self.wanted.isnan(), 0.0, TOLERANCE)
        inside = (y >= self.low) & (y <= self.high)
        return ((near & inside) | (self.weight == 0)).all(-1)

    def loss(self, y: Tensor) -> Tensor:
        """Return the smooth loss (...,) that the search follows: squared misses in units of the tolerance, minus the gain.

        Positive targets are compared by ratio, so that a start a hundred times off still points the right way.
        """
        wanted = self.wanted.nan_to_num()
        ratio = self.positive & (wanted > 0)
        log_miss = (y.clamp_min(1e-30) / torch.where(ratio, wanted, 1.0)).log()
        error = torch.where(ratio, log_miss, (y - wanted) / self._unit(wanted))
        error = torch.where(self.wanted.isnan(), 0.0, error)
        low = torch.where(self.low.isinf(), 0.0, self._beyond(self.low.nan_to_num(0, 0, 0), y))
        high = torch.where(self.high.isinf(), 0.0, self._beyond(y, self.high.nan_to_num(0, 0, 0)))
        square = error**2 + low**2 + high**2
        return (self.weight * square).sum(-1) / (2 * TOLERANCE**2) - self.gain(y)

    def _beyond(self, a: Tensor, b: Tensor) -> Tensor:
        """Return by how much a exceeds b, plus the slack, 0 where it does not; by ratio for positive metrics."""
        ratio = (a.clamp_min(1e-30) / b.clamp_min(1e-30)).log()
        plain = (a - b) / self.scale
        return (torch.where(self.positive, ratio, plain) + SLACK).clamp_min(0)

    def merit(self, y: Tensor, sd: Tensor) -> Tensor:
        """Return what ranks designs (...,), smaller is better: first those that meet, then by misses, doubt and gain.

        sd  standard deviations of y (..., M): among designs that meet, the one that the model is surer of stands first
        """
        meets = self.meets(y)
        bound = ~self.wanted.isnan() | self.low.isfinite() | self.high.isfinite()
        doubt = torch.where(bound, sd / self._unit(torch.where(self.wanted.isnan(), y, self.wanted)), 0.0)
        share = (self.weight / self.weight.amax(-1, keepdim=True)).sqrt()
        miss = self.miss(y) + torch.where(meets[..., None], doubt, 0.0)
        worst = (miss * share).amax(-1) + 0.1 * self.distance(y)
        return torch.where(meets, 0.0, 1e3) + worst - self.gain(y) * torch.where(meets, 1.0, 1e-3)
