"""Files that a user brings: what their reader cannot digest is one sentence that names the file."""

import struct
import tokenize
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# what the readers of HDF5, NumPy, NIfTI and PNG raise for a damaged file, whichever type each of them picks
BROKEN = (
    OSError, EOFError, RuntimeError, LookupError, TypeError, AttributeError, ValueError, OverflowError, SyntaxError, MemoryError,
    struct.error, tokenize.TokenError, zlib.error,
)  # fmt: skip


@contextmanager
def legible(path: str | Path, kind: str = "HDF5", also: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn what a reader raises for a damaged file into a ValueError that names `path`; `also` holds the reader's own types."""
    try:
        yield
    except (*BROKEN, *also) as error:
        if type(error) is ValueError and str(path) in str(error) and "\n" not in str(error):
            raise
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path} is damaged, or laid out in another way: it cannot be read as {kind} ({said}).") from None
