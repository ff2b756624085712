"""Atomic files: a reader sees the old content or the new, never half of it; and fingerprints of what was read."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

BLOCK = 1 << 20


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it replaces `path` in one step, on failure it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically; a NaN or an infinity is a ValueError, since JSON has neither."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON; a missing or broken file is a ValueError that names it."""
    try:
        return json.loads(path.read_text(encoding="utf8"))
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}).") from None


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a DataFrame without its index, atomically."""
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=False)


def remove_tree(folder: Path) -> None:
    """Remove a folder and what is in it, if it is there."""
    if folder.exists():
        shutil.rmtree(folder)


def sha256(*parts: Path | bytes | str) -> str:
    """Return "sha256:..." of the contents of files (Path), bytes and texts, in order."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            with part.open("rb") as file:
                while block := file.read(BLOCK):
                    digest.update(block)
        else:
            digest.update(part.encode("utf8") if isinstance(part, str) else part)
        digest.update(b"\0")
    return f"sha256:{digest.hexdigest()}"


def fingerprint(*files: Path, full: bool = False) -> str:
    """Return a fingerprint of data files: of their bytes up to 64 MiB in all or when `full`, else of path, size and time."""
    stats = [f.stat() for f in files]
    if full or sum(s.st_size for s in stats) <= 64 * BLOCK:
        return sha256(*files)
    return sha256(*(f"{f.resolve()}|{s.st_size}|{s.st_mtime_ns}" for f, s in zip(files, stats, strict=True)))
