"""Two runs side by side: parameters that differ, numbers that moved, claims that flipped or are judged by another criterion."""

from pathlib import Path
from typing import Any

from lib.render.page import write_page
from lib.report.results import read_results

TIMED = ("s", "h", "spectra/s", "slices/s", "batches/s")  # units of facts that differ from one run to the next
SAME = 1e-9  # relative: numbers closer than this are the same number


def render_compare(first: Path, second: Path, target: Path) -> None:
    """Write a page that compares two results.json; results of different studies are a ValueError."""
    a, b = (read_results(f) for f in (first, second))
    if a["study"] != b["study"]:
        raise ValueError(f"{first} is of the study '{a['study']}' and {second} of '{b['study']}': compare runs of one study.")
    tables = {"params": _params(a, b), "facts": _numbers(a, b), "claims": _claims(a, b)}
    write_page(target, "compare.html.j2", a=a, b=b, names=(str(first), str(second)), lang="zh", **tables)


def timeless(results: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a results.json without times: what two runs of equal params, data and code must agree on."""
    facts = {name: fact for name, fact in results["facts"].items() if fact["unit"] not in TIMED}
    provenance = {name: value for name, value in results["provenance"].items() if name != "seconds"}
    return results | {"facts": facts, "provenance": provenance}


def _params(a: dict[str, Any], b: dict[str, Any]) -> list[dict[str, Any]]:
    names = dict.fromkeys([*a["params"], *b["params"]])
    rows = [{"name": n, "a": a["params"].get(n), "b": b["params"].get(n)} for n in names]
    marks = [("data", "fingerprint"), ("provenance", "commit"), ("provenance", "device")]
    rows += [{"name": f"{part}.{key}", "a": str(a[part][key])[:19], "b": str(b[part][key])[:19]} for part, key in marks]
    return [r for r in rows if r["a"] != r["b"]]


def _numbers(a: dict[str, Any], b: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for name in dict.fromkeys([*a["facts"], *b["facts"]]):
        facts = [r["facts"].get(name) for r in (a, b)]
        values, units = ([f and f[key] for f in facts] for key in ("value", "unit"))
        if not _equal(*values) or units[0] != units[1]:
            text = next(f for f in facts if f)
            one = units[0] == units[1] and all(isinstance(v, int | float) for v in values)
            moved = values[1] - values[0] if one else None
            row = {"a": values[0], "b": values[1], "moved": moved, "units": [u or "" for u in units]}
            rows.append({"zh": text["zh"], "en": text["en"]} | row)
    return rows


def _claims(a: dict[str, Any], b: dict[str, Any]) -> list[dict[str, Any]]:
    sides = [{c["id"]: c for c in r["claims"]} for r in (a, b)]
    rows = []
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        pair = [side.get(key) for side in sides]
        values = [c and c["value"] for c in pair]
        flipped = len({c and c["verdict"] for c in pair}) > 1
        judged = all(pair) and any(pair[0][k] != pair[1][k] for k in ("metric", "criterion"))
        if flipped or judged or not _equal(*values):
            text = next(c for c in pair if c)
            marks = {"flipped": flipped, "judged_otherwise": judged}
            rows.append({"id": key, "zh": text["zh"], "en": text["en"], "a": pair[0], "b": pair[1]} | marks)
    return rows


def _equal(x: Any, y: Any) -> bool:
    if isinstance(x, int | float) and isinstance(y, int | float):
        return abs(x - y) <= SAME * max(abs(x), abs(y))
    return x == y
