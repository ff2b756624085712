"""Atomic files: a reader sees the old content or the new, never half of it; and fingerprints of what was read."""

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from lib import paths

BLOCK = 1 << 20
SMALL = 64 * BLOCK  # bytes that are read in a moment: nothing is remembered of them
SETTLED = 2_000_000_000  # ns: a file that changed this recently may change again within one tick of its clock
ADVICE = {
    errno.ENOSPC: "free some space on that disk and repeat; what was finished is kept",
    errno.EDQUOT: "free some of your quota on that disk and repeat; what was finished is kept",
    errno.EROFS: "mount it for writing, or name another folder; nothing in it was changed",
    errno.ENOENT: "look for a slip in the path",
    errno.EEXIST: "a file is where a folder should be",
    errno.ENOTDIR: "a part of the path is a file, so nothing can lie below it",
    errno.EISDIR: "it is a folder; name a file",
    errno.EACCES: "make it writable and readable for you, or name another folder; nothing in it was changed",
}


def advised(sentence: str) -> str:
    """Say a system error's message without its number, the path first, and what to do about it; leave other messages alone."""
    if found := re.search(r"\[Errno (\d+)\] ([^:]+): '([^']+)'(?: -> '[^']+')?", sentence):
        sentence = sentence.replace(found[0], f"'{found[3]}': {found[2]}")
    found = found or re.search(r"(?:Errno |os error )(\d+)", sentence)
    advice = ADVICE.get(int(found[1])) if found else None
    return f"{sentence}; {advice}." if advice and advice not in sentence else sentence


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let a system error that names no file, such as that of a full disk, or only a temporary one name `path`."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and str(error.filename or ".partial").endswith(".partial"):
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it replaces `path` in one step, on failure it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with naming(path):
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


def read_json(path: Path, needs: Sequence[str] = ()) -> Any:
    """Read JSON, an object with the keys in `needs`; a missing, broken or other file is a ValueError that names it."""
    try:
        found = json.loads(path.read_text(encoding="utf8"))
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist.") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}).") from None
    missing = [key for key in needs if not isinstance(found, dict) or key not in found]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}: it is not the file that is looked for here.")
    return found


class _Plain(yaml.SafeLoader):
    """YAML of plain values: no tag, no alias (a few lines of them can spell gigabytes), no key twice."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        for what, name in (("an alias", getattr(event, "anchor", None)), ("a tag", getattr(event, "tag", None))):
            if name is not None:
                raise yaml.MarkedYAMLError(
                    problem=f"{what} ({name}) where a plain value should be", problem_mark=event.start_mark
                )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((key for i, key in enumerate(keys) if key in keys[:i]), None)
        if twice is not None:
            raise yaml.MarkedYAMLError(problem=f"'{twice}' is given twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def parse_yaml(text: str) -> Any:
    """Return the values that a YAML text spells; what is not plain YAML is a ValueError with the line."""
    try:
        return _Plain(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ValueError(f"not plain YAML: {error.problem}{line}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"not plain YAML: {str(error).splitlines()[0]}") from None


def read_yaml(path: Path, what: str) -> Any:
    """Read YAML of plain values; a missing or other file is a ValueError that calls it `what` and names it."""
    if not path.is_file():
        raise ValueError(f"{what} {path} does not exist.")
    try:
        return parse_yaml(path.read_text(encoding="utf8"))
    except ValueError as error:  # also of bytes that are not UTF-8
        raise ValueError(f"{what} {path} is {error}.") from None


def check_output(target: Path, *sources: Path) -> None:
    """Raise ValueError where a result would replace one of the files that it is made from, or a folder."""
    for source in sources:
        if target.exists() and source.exists() and target.samefile(source):
            raise ValueError(f"{target} is both input and output: give the result another name.")
    if target.is_dir():
        raise ValueError(f"{target} is a folder: give the name of a file to write.")


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


def fingerprint(*files: Path) -> str:
    """Return a fingerprint of the contents of data files, in order: the same bytes elsewhere have the same one.

    Up to 64 MiB in all they are read each time; above, each file is read once, block by block, and what was found is
    remembered under runs/ by path, size and time of change.
    """
    if sum(file.stat().st_size for file in files) <= SMALL:
        return sha256(*files)
    found = [_remembered(file) for file in files]
    return found[0] if len(found) == 1 else sha256(*found)


def _remembered(file: Path) -> str:
    """Return the fingerprint of one file, read only where path, size or time differ from what was remembered."""
    state = file.stat()
    mark = {"path": str(file.resolve()), "size": state.st_size, "time_ns": state.st_mtime_ns}
    note = paths.RUNS / "fingerprints" / f"{hashlib.sha256(mark['path'].encode('utf8')).hexdigest()}.json"
    with suppress(ValueError, OSError):  # no note yet, or a broken or unreadable one
        known = read_json(note, ("content", *mark))
        if mark == {key: known[key] for key in mark}:
            return known["content"]
    content = sha256(file)
    if time.time_ns() - state.st_mtime_ns > SETTLED:
        with suppress(OSError):  # a full or read-only disk remembers nothing
            write_json(note, mark | {"content": content})
    return content
