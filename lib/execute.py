"""Run one study as the workflow does: papermill into build/, then its page and the index; a failure keeps the last good page.

python -m lib.execute STUDY [--profile quick] [-p NAME VALUE]...
"""

import argparse
import os
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock
import papermill
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillException, PapermillExecutionError
from tqdm import tqdm

from lib import paths
from lib.config import read_params
from lib.files import advised, naming, parse_yaml, read_json, write_json, write_text
from lib.render.foreign import plain
from lib.render.index import render_index
from lib.render.page import render, render_failed
from lib.report.failure import write_failure
from lib.report.publish import recover


def execute(study: str, profile: str, overrides: dict[str, Any], pages: Path | None = None) -> bool:
    """Execute a study's notebook and publish its page; return whether it succeeded.

    The notebook runs into build/<profile>/<study>/running.ipynb and becomes <study>.ipynb only when complete.
    """
    params = paths.PARAMS / profile / f"{study}.yaml"
    if study not in paths.STUDIES or not params.is_file():
        raise ValueError(f"There is no study '{study}' with profile '{profile}': {params.relative_to(paths.ROOT)} is missing.")
    values = read_params(params) | overrides
    out = paths.results(str(values.get("out_dir") or f"build/{profile}/{study}"))
    pages = pages or paths.REPORTS / profile
    out.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(out / ".lock"):  # a second run of the same study waits
        return _execute(study, values, out, pages)


def _execute(study: str, values: dict[str, Any], out: Path, pages: Path) -> bool:
    recover(out)
    (out / "failed.json").unlink(missing_ok=True)
    running = out / "running.ipynb"
    bar = _Bar(study, out)
    try:
        _begin(out, pages)
        with naming(running):
            papermill.execute_notebook(
                paths.NOTEBOOKS / f"{study}.ipynb",
                running,
                values,
                cwd=paths.ROOT,
                progress_bar=False,
                kernel_name="python3",
                extra_arguments=["--IPKernelApp.log_level=ERROR"],  # no hint on TCP: the kernel listens on this machine only
            )
        os.replace(running, out / f"{study}.ipynb")
        render(out / f"{study}.ipynb", pages / f"{study}.html")
    except (PapermillException, DeadKernelError, ValueError, OSError) as error:
        _fail(study, out, error, running, pages)
        return False
    finally:
        bar.close()
        with suppress(OSError):  # a full or read-only disk was told already
            (out / "running.json").unlink(missing_ok=True)
            refresh_index(pages)
    (pages / f"{study}.failed.html").unlink(missing_ok=True)
    refresh_index(pages)
    return True


def _begin(out: Path, pages: Path) -> None:
    """Show the study as running before its notebook can say so; pages that cannot be written are found out now."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(out / "running.json", {"step": "start", "done": 0, "total": 1, "started": started})
    refresh_index(pages)


def refresh_index(pages: Path) -> None:
    """Write the index of a folder of pages; two studies that end at once write the same facts."""
    pages.mkdir(parents=True, exist_ok=True)
    render_index(pages)


def _fail(study: str, out: Path, error: Exception, running: Path, pages: Path) -> None:
    sentence = f"{type(error).__name__}: {error}"
    trace = sentence
    if isinstance(error, PapermillExecutionError):
        sentence = f"{error.ename}: {error.evalue}"
        trace = plain("\n".join(error.traceback))
    sys.stderr.write(f"{study} failed: {advised(sentence)}\n")
    with suppress(OSError):  # a full or read-only disk takes no record
        _record(study, out, sentence, trace, running, pages)


def _record(study: str, out: Path, sentence: str, trace: str, running: Path, pages: Path) -> None:
    if not (out / "failed.json").is_file():  # the notebook's own hook knows more, where it got that far
        write_failure(study, out, sentence, trace)
    render_failed(running, pages / f"{study}.failed.html", read_json(out / "failed.json"))


class _Bar:
    """A bar on the terminal that follows `running.json`, where the notebook's kernel tells how far it is."""

    def __init__(self, study: str, out: Path) -> None:
        self.file, self.stop = out / "running.json", threading.Event()
        layout = "{desc} |{bar}| {n}/{total} [{elapsed}<{remaining}]"
        self.bar = tqdm(total=1, desc=study, disable=not sys.stderr.isatty(), bar_format=layout)
        self.study, self.step = study, ""
        self.thread = threading.Thread(target=self._follow, daemon=True)
        self.thread.start()

    def _follow(self) -> None:
        while not self.stop.wait(0.5):
            try:
                state = read_json(self.file)
            except ValueError:  # not there yet, or just gone
                continue
            if state["step"] != self.step:
                self.step = state["step"]
                self.bar.reset(total=state["total"])
                self.bar.set_description_str(f"{self.study}: {self.step}")
            self.bar.n = state["done"]
            self.bar.refresh()

    def close(self) -> None:
        """End the bar."""
        self.stop.set()
        self.thread.join()
        self.bar.close()


def main(arguments: list[str] | None = None) -> int:
    """Run one study; exit code 1 and one sentence where it fails."""
    parser = argparse.ArgumentParser(prog="python -m lib.execute", description="Execute a study and publish its page.")
    parser.add_argument("study", choices=paths.STUDIES)
    parser.add_argument("--profile", choices=["smoke", "quick", "full"], default="quick")
    parser.add_argument("-p", dest="overrides", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    parser.add_argument("--pages", type=Path, help="folder of the pages (default: reports/<profile>)")
    parser.add_argument("--stamp", type=Path, help="file to write when the page is out (the workflow's mark)")
    chosen = parser.parse_args(arguments)
    try:
        overrides = {name: parse_yaml(value) if value else "" for name, value in chosen.overrides}
        done = execute(chosen.study, chosen.profile, overrides, chosen.pages)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{advised(str(error))}\n")
        return 1
    if done and chosen.stamp is not None:
        write_text(chosen.stamp, "done\n")
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
