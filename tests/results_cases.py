"""Results of a small imagined run, its notebook, and a project folder that holds them."""

import json

import nbformat

from lib.report.display import MIME

COMMIT = "a" * 40


def claim(name, value=0.7, verdict="supported", **more):
    """Return a judged claim with the interval value ± 0.1."""
    low, high = (None, None) if value is None else (value - 0.1, value + 0.1)
    return {
        "id": name, "zh": "甲", "en": "a", "metric": "r2", "value": value, "low": low, "high": high, "verdict": verdict,
        "criterion": {"direction": "gt", "threshold": 0.5, "refute": None}, "why_not": None, "why_not_zh": None, "reported": None,
        "reported_source": None, "anchor": "#x", "text": {"zh": "好", "en": "good"}, "key": False, "group": "", "source": "",
        "seeds": None, "tool": "",
    } | more  # fmt: skip


def results(*claims, study="mlp_head", **more):
    """Return a results.json of schema 2."""
    said = {"zh": "答", "en": "A"}
    return {
        "schema": 2, "study": study, "experiment_id": "E", "profile": "quick", "status": "complete", "title": said, "question": said,
        "answer": said, "short": said, "figure": "figures/f.png", "figures": {}, "tables": {}, "model": None, "facts": {},
        "header": dict.fromkeys(("experiment_id", "author", "date", "project", "topic", "mvp", "model_version"), "x"),
        "data": {"source": "csv", "name": "toy", "fingerprint": "sha256:0", "n_train": 3, "n_dropped": 0},
        "claims": list(claims) or [claim("H1")], "params": {"lang": "zh", "seed": 0}, "seeds": [0], "implications": [],
        "provenance": {"commit": COMMIT, "dirty": False, "packages": {}, "computed_with": {}, "device": "cpu", "precision": "32-true",
                       "threads": 1, "seconds": 1.0, "command": "papermill x"},
    } | more  # fmt: skip


def schema_1(found):
    """Return results as schema 1 had them."""
    new = {"key", "group", "source", "seeds", "tool", "why_not_zh"}
    old = {k: v for k, v in found.items() if k not in ("short", "seeds")}
    old["claims"] = [{k: v for k, v in c.items() if k not in new} for c in found["claims"]]
    old["provenance"] = {k: v for k, v in found["provenance"].items() if k != "computed_with"}
    return old | {"schema": 1}


def ran(build, found):
    """Write what a run leaves behind: results.json and the executed notebook."""
    folder = build / found["profile"] / found["study"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(found))
    shown = [
        nbformat.v4.new_output("display_data", data={MIME: json.dumps({"kind": "text", "zh": "共 5", "en": "5 in all"})}),
        nbformat.v4.new_output("display_data", data={MIME: json.dumps({"kind": "summary", "results": found})}),
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1", outputs=shown)])
    nbformat.write(notebook, folder / f"{found['study']}.ipynb")
    return folder
