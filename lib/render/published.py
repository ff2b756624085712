"""Published results: reports/<profile>/<study>.json beside its page, from clean runs of commits in history alone."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import filelock

from lib import paths
from lib.files import read_json, remove_tree, write_json
from lib.git import in_history, tracked
from lib.render.guard import is_sealed
from lib.render.index import read_page, render_index
from lib.render.page import read, render
from lib.report.publish import READY, STAGING, recover
from lib.report.results import SCHEMA, read_results


class Finding(NamedTuple):
    """What is said of a page; `wrong` where it does not match its results."""

    said: str
    wrong: bool


def publish(profile: str, studies: list[str]) -> list[Path]:
    """Write page and results of each study into reports/<profile>, together; return the results' files.

    studies  all with results under build/<profile> where none is named
    Raises ValueError, and writes nothing, where one of the runs may not be published.
    """
    build, folder = paths.BUILD / profile, paths.REPORTS / profile
    chosen = studies or [s for s in paths.STUDIES if (build / s / "results.json").is_file()]
    if not chosen:
        raise ValueError(f"Profile '{profile}' has no results to publish: run `make reports PROFILE={profile}` first.")
    found = {study: _publishable(build / study, profile, study) for study in chosen}
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(paths.BUILD / f".{profile}.publish.lock"):
        for study, results in found.items():
            recover(folder)
            remove_tree(folder / STAGING)
            render(build / study / f"{study}.ipynb", folder / STAGING / f"{study}.html")
            write_json(folder / STAGING / f"{study}.json", results)
            os.replace(folder / STAGING, folder / READY)  # from here on both count, even after a kill
            recover(folder)
        render_index(folder)
    return [folder / f"{study}.json" for study in found]


def _publishable(run: Path, profile: str, study: str) -> dict[str, Any]:
    """Return the results of a run; ValueError, one sentence, where they may not be published."""
    file = run / "results.json"
    read_results(file)
    results = read_json(file)
    made, again = results["provenance"], f"run `make reports PROFILE={profile} STUDY={study}` again"
    if results["schema"] != SCHEMA:
        raise ValueError(f"{study} is not published: its results are of schema {results['schema']}; {again}.")
    if (results["study"], results["profile"]) != (study, profile):
        raise ValueError(
            f"{file} holds '{results['study']}' at profile '{results['profile']}': it is not published as {study}."
        )
    if made["dirty"]:
        raise ValueError(f"{study} is not published: it ran with uncommitted changes; commit them and {again}.")
    if not in_history(made["commit"]):
        raise ValueError(
            f"{study} is not published: it ran at commit '{made['commit']}', which is not in this history; {again}."
        )
    if read(run / f"{study}.ipynb").results != results:
        raise ValueError(f"{study} is not published: its notebook and its results.json are of different runs; {again}.")
    return results


def check(reports: Path) -> list[Finding]:
    """Say of every committed page that has no published results, or does not match them, what is wrong with it."""
    for folder in reports.glob("*"):
        recover(folder)
    listed = {paths.ROOT / name for name in tracked("reports") if name.endswith(".html")}
    listed |= {file.with_suffix(".html") for file in reports.glob("*/*.json")}
    pages = sorted(page for page in listed if page.stem in paths.STUDIES)
    return [finding for page in pages if (finding := _check(page, f"reports/{page.parent.name}/{page.name}"))]


def _check(page: Path, name: str) -> Finding | None:
    file = page.with_suffix(".json")
    if not page.is_file():
        return Finding(f"{name} is missing.", True)
    if not file.is_file():
        return Finding(f"{name} has no published results.", False)
    try:
        read_results(file)
        carried, _ = read_page(page)
    except ValueError as error:
        return Finding(str(error), True)
    if carried != read_json(file):
        return Finding(f"{name} was made from other results than {file.name}.", True)
    if not is_sealed(page.read_text(encoding="utf8")):
        return Finding(f"{name} was changed after it was made.", True)
    return None
