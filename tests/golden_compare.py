"""Goldens: what an executed smoke run holds, reduced to JSON, and how far its numbers may move between machines.

python tests/golden_compare.py [STUDY ...]    writes tests/golden/<study>.json from build/smoke/ (`make golden`)

Structure is compared exactly: claims with key, metric, criterion and source, facts with units, tables with columns and rows,
figures, and the names of the facts in every sentence. A verdict may flip, to another of those that judge; a claim may not
cease to be tested. No formatted text is compared. Numbers may move as tolerances say, which were set by running smoke on two
processors (one imitated) and with one thread and two: see SHARE, RELATIVE, NOISE and FRAGILE.
"""

import csv
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lib import paths
from lib.files import read_json, write_text
from lib.render.compare import TIMED
from lib.render.index import VERDICTS
from lib.report.display import MIME

Golden = dict[str, Any]
FOLDER, BUILT = paths.ROOT / "tests" / "golden", paths.BUILD / "smoke"
CLAIM = ("key", "group", "metric", "criterion", "anchor", "source", "reported")  # what a schema has of these
SHARE = 0.5  # of half a claim's own interval
RELATIVE = 0.08  # of the largest value of a column, of a fact, of a claim without interval
SMALL, NOISE = 0.1, 0.02  # dimensionless numbers all below SMALL (an R2 near zero) may move by NOISE
DIMENSIONLESS = re.compile(r"r2|gain|share|loss|change")
TIMED_COLUMNS = re.compile(r"seconds|hours|per_s|per_second|peak_mib")
FRAGILE = {  # quotients of what is near zero at smoke, and what trees make of a few dozen stars: there, but not compared
    "latent_extraction": {"layer_gain_pct", "pooling_gain_pct", "both_gain_pct", "gain_pct", "lightgbm_r2"},
    "mlp_head": {"H7", "gain_pct"},
}
JUDGED = {  # by ngspice where it is found: there, with their columns, but not compared
    "claims": {"I1", "I2", "I3"},
    "facts": {"inverse_within_5"},
    "tables": {"inverse_shares", "inverse_metrics", "inverse_rounds"},
}


def reduce_run(folder: Path) -> Golden:
    """Return the golden form of an executed study: `folder` is its build/<profile>/<study>."""
    results = read_json(folder / "results.json")
    return {
        "study": results["study"],
        "claims": {
            c["id"]: {k: c[k] for k in (*CLAIM, "verdict", "value", "low", "high") if k in c} for c in results["claims"]
        },
        "facts": {
            name: {k: _plain(f[k]) for k in ("unit", "value", "source") if k in f} for name, f in results["facts"].items()
        },
        "tables": {name: _table(folder / file) for name, file in results["tables"].items()},
        "figures": sorted(results["figures"]),
        "sentences": list(_sentences(folder / f"{results['study']}.ipynb")),
    }


def _plain(value: Any) -> Any:
    return "text" if isinstance(value, str) and re.search(r"\d", value) else value


def _table(file: Path) -> dict[str, Any]:
    """Return columns, number of rows, the numbers of each numeric column (None: empty) and what the rows are called."""
    with file.open(encoding="utf8", newline="") as lines:
        columns, *rows = csv.reader(lines)
    cells = {c: [_number(row[i]) for row in rows] for i, c in enumerate(columns)}
    numbers = {c: v for c, v in cells.items() if "text" not in v and not TIMED_COLUMNS.search(c)}
    names = sorted({row[0] for row in rows if _number(row[0]) == "text" and not re.search(r"\d", row[0])})
    return {"columns": columns, "rows": len(rows), "numbers": numbers, "names": names}


def _number(cell: str) -> float | str | None:
    try:
        value = float(cell) if cell else math.nan
    except ValueError:
        return "text"
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _sentences(notebook: Path) -> Iterator[str]:
    """Yield one line per item that the notebook shows: its kind, its name, and the names of the facts in its sentences."""
    for cell in read_json(notebook)["cells"]:
        for output in cell.get("outputs", []):
            shown = output.get("data", {}).get(MIME)
            if shown is not None:
                item = json.loads(shown if isinstance(shown, str) else "".join(shown))
                name = item.get("id") or item.get("claim", {}).get("id", "")
                yield " ".join(filter(None, [item["kind"], name, *item.get("facts", [])]))


def differences(golden: Golden, found: Golden) -> list[str]:
    """Return one line per difference that is no noise; empty where `found` is the golden run on another machine."""
    fragile = FRAGILE.get(golden["study"], set())
    return [
        *_names("claims", golden, found), *_names("facts", golden, found), *_names("tables", golden, found),
        *_lists("figure", golden["figures"], found["figures"]), *_shown(golden, found),
        *(d for k, c in _both(golden, found, "claims") for d in _claim(k, *c, fragile)),
        *(d for k, f in _both(golden, found, "facts") for d in _fact(k, *f, fragile)),
        *(d for k, t in _both(golden, found, "tables") for d in _columns(k, *t, fragile)),
    ]  # fmt: skip


def _both(golden: Golden, found: Golden, part: str) -> Iterator[tuple[str, tuple[Any, Any]]]:
    return ((k, (v, found[part][k])) for k, v in golden[part].items() if k in found[part])


def _names(part: str, golden: Golden, found: Golden) -> Iterator[str]:
    optional = {"inverse_rounds"} if part == "tables" else set()
    yield from _lists(part, sorted(set(golden[part]) - optional), sorted(set(found[part]) - optional))


def _lists(what: str, golden: list[str], found: list[str]) -> Iterator[str]:
    """Yield what is missing from one list or new in it, however often an entry stands there."""
    before, after = Counter(golden), Counter(found)
    yield from (f"{what}: {name!r} is missing" for name in (before - after).elements())
    yield from (f"{what}: {name!r} is new" for name in (after - before).elements())


def _shown(golden: Golden, found: Golden) -> Iterator[str]:
    """Compare what the notebooks show; a claim that is not judged here has no facts in its sentence."""
    open_ = {k for side in (golden, found) for k, c in side["claims"].items() if c["verdict"] == "not_tested"} & JUDGED[
        "claims"
    ]
    kept = [[_bare(s, open_) for s in side["sentences"] if not _optional(s)] for side in (golden, found)]
    yield from _lists("shown", *kept)


def _bare(sentence: str, open_: set[str]) -> str:
    kind, *rest = sentence.split(" ")
    return f"{kind} {rest[0]}" if kind == "claim" and rest[0] in open_ else sentence


def _optional(sentence: str) -> bool:
    return sentence.startswith("table tab-inverse_rounds")


def _claim(key: str, golden: Mapping[str, Any], found: Mapping[str, Any], fragile: set[str]) -> Iterator[str]:
    yield from (
        f"claim {key}: {k} was {golden[k]!r}, is {found.get(k)!r}" for k in CLAIM if k in golden and golden[k] != found.get(k)
    )
    if found["verdict"] not in VERDICTS:
        yield f"claim {key}: the verdict is {found['verdict']!r}"
    tested = [c["verdict"] != "not_tested" for c in (golden, found)]
    if tested[0] != tested[1] and key not in JUDGED["claims"]:
        yield f"claim {key}: the verdict was {golden['verdict']}, is {found['verdict']}"
    elif all(tested):
        if key not in fragile:
            half = None if golden["low"] is None else (golden["high"] - golden["low"]) / 2
            allowed = SHARE * half if half else _allowed([golden["value"]], unit="")
            yield from _moved(f"claim {key}", golden["value"], found["value"], allowed)
        if (golden["low"] is None) != (found["low"] is None):
            yield f"claim {key}: the interval was {golden['low']}, is {found['low']}"


def _fact(name: str, golden: Mapping[str, Any], found: Mapping[str, Any], fragile: set[str]) -> Iterator[str]:
    yield from (
        f"fact {name}: {k} was {golden[k]!r}, is {found.get(k)!r}"
        for k in ("unit", "source")
        if k in golden and golden[k] != found.get(k)
    )
    if golden["unit"] not in TIMED and name not in fragile | JUDGED["facts"]:
        yield from _values(f"fact {name}", [golden["value"]], [found["value"]], golden["unit"])


def _columns(name: str, golden: Mapping[str, Any], found: Mapping[str, Any], fragile: set[str]) -> Iterator[str]:
    if golden["columns"] != found["columns"]:
        yield f"table {name}: the columns were {golden['columns']}, are {found['columns']}"
    if name in JUDGED["tables"]:
        return
    if golden["rows"] != found["rows"]:
        yield f"table {name}: it had {golden['rows']} rows, has {found['rows']}"
        return
    yield from _lists(f"table {name}: row", golden["names"], found["names"])
    for column in (c for c in golden["numbers"] if c in found["numbers"] and c not in fragile):
        unit = "" if DIMENSIONLESS.search(column) else "its own"
        yield from _values(f"table {name}, {column}", golden["numbers"][column], found["numbers"][column], unit)
    yield from (
        f"table {name}: {c} holds no numbers any more"
        for c in golden["numbers"]
        if c in found["columns"] and c not in found["numbers"]
    )


def _values(what: str, golden: list[Any], found: list[Any], unit: str) -> Iterator[str]:
    """Compare a column, or one value."""
    allowed = _allowed(golden, unit)
    for before, after in zip(golden, found, strict=True):
        yield from _moved(what, before, after, allowed)


def _allowed(golden: list[Any], unit: str) -> float:
    """Return how far numbers may move: a share of the largest of them."""
    largest = max((abs(v) for v in golden if _is_number(v)), default=0.0)
    return NOISE if not unit and largest < SMALL else RELATIVE * largest


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _moved(what: str, before: Any, after: Any, allowed: float) -> Iterator[str]:
    numbers = _is_number(before) and _is_number(after)
    if (numbers and not abs(after - before) <= allowed) or (not numbers and before != after):
        limit = f" (allowed {allowed:.3g})" if numbers else ""
        yield f"{what} was {before}, is {after}{limit}"


def write(study: str) -> None:
    """Write a study's golden from its smoke run."""
    text = json.dumps(reduce_run(BUILT / study), ensure_ascii=False, indent=1, allow_nan=False)
    text = re.sub(
        r"\[\s+((?:[-+.\de]+|null)(?:,\s+(?:[-+.\de]+|null))*)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", text
    )
    write_text(FOLDER / f"{study}.json", text + "\n")


if __name__ == "__main__":
    for name in sys.argv[1:] or paths.STUDIES:
        write(name)
