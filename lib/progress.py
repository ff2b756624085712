"""Progress of long work, with an estimate: one output in a notebook, a bar on a terminal, a log line and `running.json`."""

import logging
import sys
import time
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from lib.files import write_json

LOG = logging.getLogger("lib")
LOG.addHandler(logging.NullHandler())  # nothing on stderr where no run is watched: what ends it is told there once
PROGRESS = "live-reports-progress"  # marks the output in its metadata: a page keeps it in the log
EVERY = 1.0  # seconds between two updates of what people see


class _Watched:
    """Where this process tells how far it is: the folder of the run in progress, if any."""

    folder: Path | None = None
    started: str = ""


def watch(folder: Path | None) -> None:
    """Tell progress in `folder` from now on: `running.json` (step, done, total, started) and `run.log`; None ends it."""
    for handler in [h for h in LOG.handlers if isinstance(h, logging.FileHandler)]:
        LOG.removeHandler(handler)
        handler.close()
    if _Watched.folder is not None:
        (_Watched.folder / "running.json").unlink(missing_ok=True)
    _Watched.folder = folder
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    _Watched.started = datetime.now(UTC).isoformat(timespec="seconds")
    handler = logging.FileHandler(folder / "run.log", mode="w", encoding="utf8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S"))
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    _note("start", 0, 1)


def _note(step: str, done: int, total: int) -> None:
    if _Watched.folder is not None:
        state = {"step": step, "done": done, "total": total, "started": _Watched.started}
        write_json(_Watched.folder / "running.json", state)


class Progress(AbstractContextManager["Progress"]):
    """Count `total` units of the work named `step`: `with Progress("fit", 10) as bar: bar.advance()`."""

    def __init__(self, step: str, total: int) -> None:
        self.step, self.total, self.done = step, max(int(total), 1), 0
        self.began = time.monotonic()
        self.shown = 0.0
        self.display = _notebook_display(f"{step} 0/{self.total}")
        self.bar = tqdm(total=self.total, desc=step, leave=False) if self.display is None and sys.stderr.isatty() else None
        LOG.info("%s: begin, %d to do", step, self.total)
        _note(step, 0, self.total)

    def advance(self, n: int = 1, note: str = "") -> None:
        """Report `n` more units done; `note` is a short text such as the current loss."""
        self.done += n
        if self.bar is not None:
            self.bar.update(n)
        now = time.monotonic()
        if now - self.shown < EVERY and self.done < self.total:
            return
        self.shown = now
        text = self._text(note)
        LOG.info("%s", text)
        _note(self.step, self.done, self.total)
        if self.display is not None:
            self.display.update({"text/plain": text}, raw=True, metadata={PROGRESS: True})

    def _text(self, note: str) -> str:
        spent = time.monotonic() - self.began
        left = spent / max(self.done, 1) * (self.total - self.done)
        return f"{self.step} {self.done}/{self.total} · {spent:.0f} s spent, about {left:.0f} s left {note}".rstrip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self.bar is not None:
            self.bar.close()
        LOG.info("%s: %s after %.1f s", self.step, "failed" if kind else "done", time.monotonic() - self.began)


def _notebook_display(text: str) -> Any:
    """Open one updatable output in a notebook; None where there is no kernel."""
    if "ipykernel" not in sys.modules:
        return None
    from IPython import get_ipython
    from IPython.display import display

    if getattr(get_ipython(), "kernel", None) is None:
        return None
    return display({"text/plain": text}, raw=True, display_id=True, metadata={PROGRESS: True})
