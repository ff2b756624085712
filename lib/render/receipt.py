"""The reproduction receipt: what this machine found, claim by claim, beside what is published."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lib import paths
from lib.render.compare import SAME
from lib.render.items import interval
from lib.report.results import read_results
from lib.report.text import number, term

TOOLS = ("ngspice",)  # programs outside Python that a verdict may need
LOCAL = ("profile", "out_dir", "lang", "force", "device", "num_threads")  # parameters that say where and how, not what
Claim = dict[str, Any]
Kind = Literal["same", "changed", "no_tool", "unmatched"]


@dataclass(frozen=True)
class Line:
    """One claim on both sides.

    kind   same or changed verdict; no_tool: `tool` judged it on one side alone, which is no flip; unmatched: on one side only
    shift  distance of the two values in half widths of the published interval; None where there is no such measure
    """

    id: str
    kind: Kind
    here: Claim | None
    published: Claim | None
    shift: float | None = None
    tool: str = ""

    @property
    def judged_otherwise(self) -> bool:
        """Tell whether metric or criterion differ, which alone may account for another verdict."""
        both = self.here and self.published
        return bool(both) and any(self.here[k] != self.published[k] for k in ("metric", "criterion"))


@dataclass(frozen=True)
class Receipt:
    """One study; `other` names what else differs (parameters, data), `problem` says why nothing could be compared."""

    study: str
    lines: list[Line] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    problem: str = ""

    def of(self, kind: Kind) -> list[Line]:
        """Return the lines of a kind."""
        return [line for line in self.lines if line.kind == kind]

    @property
    def moved(self) -> list[Line]:
        """Return what has to be told one by one."""
        return [line for line in self.lines if line.kind != "same"]

    @property
    def largest(self) -> Line | None:
        """Return the claim whose value moved most, in units of its interval."""
        moved = [line for line in self.lines if line.shift is not None]
        return max(moved, key=lambda line: line.shift, default=None)


def receipt(here: dict[str, Any], published: dict[str, Any]) -> Receipt:
    """Compare the results of a run with published ones; results of different studies are a ValueError."""
    if here["study"] != published["study"]:
        raise ValueError(
            f"One file is of the study '{here['study']}', the other of '{published['study']}': give two of one study."
        )
    sides = [{c["id"]: c for c in r["claims"]} for r in (here, published)]
    lines = [_line(key, *(side.get(key) for side in sides)) for key in dict.fromkeys([*sides[1], *sides[0]])]
    names = dict.fromkeys(["profile", *here["params"], *published["params"]])
    params = [r["params"] | {"profile": r["profile"]} for r in (here, published)]
    other = [n for n in names if (n not in LOCAL or n == "profile") and params[0].get(n) != params[1].get(n)]
    other += ["data"] if here["data"]["fingerprint"] != published["data"]["fingerprint"] else []
    return Receipt(here["study"], lines, other)


def receipts(build: Path, published: Path) -> list[Receipt]:
    """Compare every build/<study>/results.json with published/<study>.json, where both are there."""
    found = []
    for study in paths.STUDIES:
        files = build / study / "results.json", published / f"{study}.json"
        if all(file.is_file() for file in files):
            try:
                found.append(receipt(*(read_results(file) for file in files)))
            except ValueError as error:
                found.append(Receipt(study, problem=str(error)))
    return found


def _line(key: str, here: Claim | None, published: Claim | None) -> Line:
    if here is None or published is None:
        return Line(key, "unmatched", here, published)
    tool = _absent(here, published)
    if tool:
        return Line(key, "no_tool", here, published, tool=tool)
    kind = "same" if here["verdict"] == published["verdict"] else "changed"
    return Line(key, kind, here, published, _shift(here, published))


def _absent(here: Claim, published: Claim) -> str:
    """Name the tool that one side alone had."""
    idle = [c for c in (here, published) if c["verdict"] == "not_tested"]
    if len(idle) == 1:
        return next((tool for tool in TOOLS if tool in (idle[0]["why_not"] or "")), "")
    return "" if here["tool"] == published["tool"] else here["tool"] or published["tool"]


def _shift(here: Claim, published: Claim) -> float | None:
    """Return how far a value moved, in half widths of the published interval, or of this run's where that has none."""
    bounds = next(((c["low"], c["high"]) for c in (published, here) if None not in (c["low"], c["high"])), None)
    if None in (here["value"], published["value"], bounds) or here["metric"] != published["metric"]:
        return None
    moved = abs(here["value"] - published["value"])
    if moved <= SAME * abs(published["value"]):
        return 0.0
    half = (bounds[1] - bounds[0]) / 2
    return moved / half if half else math.inf


def told(found: list[Receipt]) -> str:
    """Write receipts for a terminal, briefly in both languages."""
    if not found:
        return "Receipt: nothing published to compare this run with. 复现收据：没有可供比较的已发布结果。\n"
    lines = ["Receipt: this run beside the published results. 复现收据：本次运行与已发布结果。"]
    for one in found:
        lines += _study(one)
    return "\n".join(lines) + "\n"


def _study(one: Receipt) -> list[str]:
    if one.problem:
        return [f"{one.study}: {one.problem}"]
    same, changed, absent, unmatched = (one.of(kind) for kind in ("same", "changed", "no_tool", "unmatched"))
    counts = [f"same verdict {len(same)}", f"changed {len(changed)}", f"not judged for want of a tool {len(absent)}"]
    zh = [f"判定相同 {len(same)}", f"改变 {len(changed)}", f"因缺少工具未评 {len(absent)}"]
    lines = [f"{one.study}: {', '.join(counts)}. {'，'.join(zh)}。"]
    lines += [f"  other {', '.join(one.other)} than published 与已发布的不同"] if one.other else []
    for line in changed:
        note = " (by another criterion 判据不同)" if line.judged_otherwise else ""
        lines.append(f"  {line.id}: published 已发布 {_claim(line.published)} → here 本次 {_claim(line.here)}{note}")
    for line in absent:
        en, zh = ("here", "本次") if without(line) == "here" else ("in the published run", "发布时")
        lines.append(f"  {line.id}: not judged by {line.tool} {en} {zh}未经 {line.tool} 评判")
    for line in unmatched:
        lines.append(f"  {line.id}: {'only published 仅见于已发布结果' if line.here is None else 'only here 仅见于本次'}")
    if one.largest is not None:
        lines.append(f"  largest shift 最大偏移 {one.largest.id}: {number(one.largest.shift, 2)} × half its interval 区间半宽")
    return lines


def without(line: Line) -> Literal["here", "published"]:
    """Tell which side lacked the tool."""
    if line.here["verdict"] == "not_tested" or line.published["verdict"] == "not_tested":
        return "here" if line.here["verdict"] == "not_tested" else "published"
    return "here" if line.published["tool"] else "published"


def _claim(c: Claim) -> str:
    verdict = term(c["verdict"])
    return f"{verdict['en']} {verdict['zh']} {interval(c)}"
