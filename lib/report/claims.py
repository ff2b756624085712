"""Claims: a measured value against a threshold, and the verdict that follows."""

import math
from dataclasses import dataclass
from typing import Any, Literal

Direction = Literal["gt", "lt", "within"]
Verdict = Literal["supported", "refuted", "inconclusive", "not_tested"]


@dataclass(frozen=True)
class Criterion:
    """When a claim holds.

    direction  gt: value >= threshold; lt: value <= threshold; within: |value| <= threshold (value is a difference)
    refute     the value on the other side of which the claim is refuted; None: the threshold itself
    """

    direction: Direction
    threshold: float
    refute: float | None = None

    def __post_init__(self) -> None:
        if self.direction not in ("gt", "lt", "within"):
            raise ValueError(f"Criterion direction is {self.direction!r}, but it should be gt, lt or within.")
        if not math.isfinite(self.threshold):
            raise ValueError(f"Criterion threshold is {self.threshold}, but it should be a finite number.")
        sign = -1 if self.direction == "gt" else 1
        if self.refute is not None and sign * (self.refute - self.threshold) < 0:
            raise ValueError(
                f"A '{self.direction}' claim cannot be refuted at {self.refute}, inside its threshold {self.threshold}."
            )

    def verdict(self, value: float, low: float | None = None, high: float | None = None) -> Verdict:
        """Judge the interval where there is one, else the value; a NaN is a ValueError, never a verdict."""
        low, high = (value if b is None else b for b in (low, high))
        if not all(math.isfinite(v) for v in (value, low, high)):
            raise ValueError(f"A claim needs finite numbers, but value, low, high are {value}, {low}, {high}.")
        if not low <= high:
            raise ValueError(f"The interval [{low}, {high}] of a claim is upside down.")
        refute = self.threshold if self.refute is None else self.refute
        if self.direction == "gt":
            holds, fails = low >= self.threshold, high < refute
        elif self.direction == "lt":
            holds, fails = high <= self.threshold, low > refute
        else:
            holds, fails = max(abs(low), abs(high)) <= self.threshold, low > refute or high < -refute
        return "supported" if holds else "refuted" if fails else "inconclusive"

    def as_dict(self) -> dict[str, Any]:
        """Return the criterion as results.json holds it."""
        return {"direction": self.direction, "threshold": self.threshold, "refute": self.refute}

    def text(self) -> str:
        """Write the criterion as a formula, the same in both languages."""
        sign = {"gt": "≥ {}", "lt": "≤ {}", "within": "|·| ≤ {}"}[self.direction]
        return sign.format(f"{self.threshold:.4g}") + ("" if self.refute is None else f" (✗ {self.refute:.4g})")
