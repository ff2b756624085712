"""Arms: the rows of a study's table of what is compared."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Arm:
    """One row of what is compared.

    changes  parameters that differ from the study's own;  group  what it is compared with, such as `pooling`
    seed     of its training, the same whatever else a run trains
    """

    name: str
    group: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def seeded(self, seeds: Iterable[int]) -> "list[Arm]":
        """Return it once for every seed."""
        return [replace(self, seed=seed) for seed in seeds]


def table(rows: Sequence[Arm]) -> dict[str, Arm]:
    """Return arms by name; ValueError where a name stands twice."""
    found = {arm.name: arm for arm in rows}
    if len(found) < len(rows):
        names = [arm.name for arm in rows]
        raise ValueError(f"The arm '{next(n for n in names if names.count(n) > 1)}' stands twice in a study's table.")
    return found


def chosen(known: Mapping[str, Arm], names: Sequence[str], parameter: str = "arms") -> list[Arm]:
    """Return the arms that a parameter names, in the table's order; ValueError names one that the table does not have."""
    unknown = [n for n in names if n not in known]
    if unknown:
        raise ValueError(f"'{parameter}' names {unknown[0]!r}, but the arms are {', '.join(known)}")
    return [arm for name, arm in known.items() if name in names]
