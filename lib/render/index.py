"""The collection's first page: a card per study, from the pages that are there and the state of their runs."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import filelock

from lib import paths
from lib.files import read_json
from lib.render.page import write_page
from lib.render.receipt import receipts, without
from lib.report.ledger import contradictions

VERDICTS = ("supported", "refuted", "inconclusive", "not_tested")
RESULTS = re.compile(r'<script type="application/json" id="results">(.*?)</script>', re.S)
IMAGE = r'<figure id="fig-{}"><img alt="[^"]*" src="data:image/png;base64,([^"]*)">'


def render_index(folder: Path) -> None:
    """Write folder/index.html; `folder` holds the pages of one profile and is named after it.

    Studies that end at once take turns, so that the last one to write has seen the pages of all.
    """
    paths.BUILD.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(paths.BUILD / f".{folder.name}.index.lock"):
        _write_index(folder)


def _write_index(folder: Path) -> None:
    cards = [card(folder, study) for study in paths.STUDIES]
    claims = [c | {"study": card["study"]} for card in cards if card["results"] for c in card["results"]["claims"]]
    titles = {c["study"]: c["results"]["title"] for c in cards if c["results"]}
    write_page(
        folder / "index.html", "index.html.j2", cards=cards, claims=claims, verdicts=VERDICTS, lang="zh", profile=folder.name,
        total=Counter(c["verdict"] for c in claims), titles=titles, contradictions=contradictions(),
        receipts=receipts(paths.BUILD / folder.name, folder), without=without,
    )  # fmt: skip


def card(folder: Path, study: str) -> dict[str, Any]:
    """Return what is known of a study: the results on its page, a failure after it, a run in progress."""
    build = paths.BUILD / folder.name / study
    results, figure = read_page(folder / f"{study}.html")
    return {
        "study": study,
        "results": results,
        "figure": figure,
        "counts": dict(Counter(c["verdict"] for c in results["claims"])) if results else {},
        "failed": _state(build / "failed.json"),
        "failed_page": (folder / f"{study}.failed.html").is_file(),
        "running": _state(build / "running.json"),
    }


def read_page(page: Path) -> tuple[dict[str, Any] | None, str]:
    """Return the results that a page carries, and its headline figure as base64."""
    if not page.is_file():
        return None, ""
    text = page.read_text(encoding="utf8")
    found = RESULTS.search(text)
    if found is None:
        raise ValueError(f"{page} carries no results: it is not a page of this collection.")
    results = json.loads(found[1])
    image = re.search(IMAGE.format(re.escape(Path(results["figure"]).stem)), text)
    return results, image[1] if image else ""


def _state(file: Path) -> dict[str, Any] | None:
    return read_json(file) if file.is_file() else None
