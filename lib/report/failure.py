"""A run that fails says so in `failed.json`; the last good results stay."""

import sys
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from lib.files import advised, write_json
from lib.progress import LOG, watch


def on_failure(study: str, out: Path) -> None:
    """From now on an exception in a notebook cell is also recorded in `out`; outside a notebook nothing happens."""
    if "IPython" not in sys.modules:
        return
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None:
        return

    def record(
        shell: Any, kind: type[BaseException], error: BaseException, trace: TracebackType, tb_offset: int | None = None
    ) -> None:
        with suppress(OSError):  # a full or read-only disk takes no record: the error itself is still shown
            write_failure(study, out, f"{kind.__name__}: {error}", "".join(traceback.format_exception(kind, error, trace)))
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)

    shell.set_custom_exc((Exception, KeyboardInterrupt), record)


SCARCE = ("OutOfMemoryError", "MemoryError", "can't allocate memory")
ADVICE = "lower batch_size, or the sizes of the model or of the data"


def write_failure(study: str, out: Path, sentence: str, trace: str) -> None:
    """Write failed.json (study, error, traceback, time) into `out` and end the progress there."""
    sentence = advised(sentence)
    if any(word in sentence for word in SCARCE):
        sentence = f"{sentence.splitlines()[0]}: {ADVICE}."
    LOG.error("%s", sentence)
    watch(None)
    when = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(out / "failed.json", {"study": study, "error": sentence, "traceback": trace, "time": when})
