"""python -m benchmarks [NAME ...]: run the side-by-side comparisons and write benchmarks/README.md."""

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import pandas as pd

from lib.files import write_text
from lib.runtime import git_state

FOLDER = Path(__file__).parent
RECORD = FOLDER / "results.json"
PACKAGES = ("torch", "numpy", "lightning", "h5py")


def rows_of(name: str) -> list[dict]:
    """Run one benchmark in a process of its own, so that no setting of one reaches another."""
    code = f"import json, importlib; print(json.dumps(importlib.import_module('benchmarks.{name}').main()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=FOLDER.parent)
    if done.returncode:
        raise SystemExit(f"Benchmark '{name}' failed: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def page(record: dict[str, dict]) -> str:
    """Return the page: one table per benchmark, with machine, versions, commit and date of its run."""
    parts = ["# Benchmarks\n\nRatios of two ways to the same result, measured side by side in one run: `make bench`, or `python -m benchmarks "
             "NAME`. Absolute times are of a shared machine; only ratios are claimed.\n"]  # fmt: skip
    for name, one in sorted(record.items()):
        about = importlib.import_module(f"benchmarks.{name}").__doc__.strip().splitlines()[0]
        table = pd.DataFrame(one["rows"])
        shown = table.map(lambda v: f"{v:.3g}" if isinstance(v, float) else v).fillna("").to_markdown(index=False)
        parts.append(
            f"## {name}\n\n{about}\n\n{one['machine']}, {one['date']}, commit {one['commit'][:9]}; {one['versions']}\n\n{shown}\n"
        )
    return "\n".join(parts)


def main() -> None:
    """Run what was asked for, all by default; results of the others stay."""
    known = sorted(p.stem for p in FOLDER.glob("*.py") if p.stem != "__main__")
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(known)} (default: all)")
    names = parser.parse_args().names or known
    if unknown := sorted(set(names) - set(known)):
        parser.error(f"unknown benchmarks {unknown}: the known ones are {', '.join(known)}")
    record = json.loads(RECORD.read_text(encoding="utf8")) if RECORD.is_file() else {}
    for name in names:
        if rows := rows_of(name):
            record[name] = {
                "rows": rows, "machine": f"{platform.machine()}, {os.cpu_count()} cores", "date": datetime.now(UTC).date().isoformat(),
                "commit": git_state()[0], "versions": ", ".join(f"{p} {metadata.version(p)}" for p in PACKAGES),
            }  # fmt: skip
            write_text(RECORD, json.dumps(record, indent=1) + "\n")
    write_text(FOLDER / "README.md", page(record))


if __name__ == "__main__":
    main()
