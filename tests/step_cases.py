"""A tiny case of every step (in step_cases_<study>.py), and what it means that two folders of a step hold the same result."""

import importlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

TIMED = ("seconds", "spectra_per_s", "peak_mib", "_seconds")
MODULES = sorted(f.stem for f in Path(__file__).parent.glob("step_cases_*.py"))  # each with CASES: step -> () -> spec
CASES = {one: make for name in MODULES for one, make in importlib.import_module(name).CASES.items()}


def timeless(value):
    """Return JSON without the numbers that a clock gave."""
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if not k.endswith(TIMED)}
    return [timeless(v) for v in value] if isinstance(value, list) else value


def assert_same(one, two):
    """Compare all that a step left, but for checkpoints, locks and times."""
    kept = ("*.safetensors", "*.csv", "*.json", "*.npz", "*.txt")
    names = {f.relative_to(one) for k in kept for f in one.rglob(k)} - {Path("config.json"), Path("complete.json")}
    assert names, "a step leaves something"
    for name in sorted(n for n in names if "checkpoints" not in n.parts):
        left, right = one / name, two / name
        assert right.is_file(), name
        if name.suffix == ".safetensors":
            a, b = load_file(left), load_file(right)
            assert a.keys() == b.keys()
            assert all(np.array_equal(a[k], b[k], equal_nan=True) for k in a), name
        elif name.suffix == ".csv":
            a, b = (f[[c for c in f.columns if not c.endswith(TIMED)]] for f in map(pd.read_csv, (left, right)))
            pd.testing.assert_frame_equal(a, b, check_exact=True)
        elif name.suffix == ".json":
            assert timeless(json.loads(left.read_text())) == timeless(json.loads(right.read_text())), name
        elif name.suffix == ".npz":
            a, b = np.load(left), np.load(right)
            assert all(np.array_equal(a[k], b[k]) for k in a.files), name
        else:
            assert left.read_text() == right.read_text(), name
