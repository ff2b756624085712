"""A fingerprint of data is one of their content, whatever their size; a large file is read once and remembered."""

import json
import os
import tracemalloc
from pathlib import Path

import pytest

from lib import files, paths
from lib.files import BLOCK, fingerprint, sha256


@pytest.fixture(autouse=True)
def _apart(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(files, "SMALL", 4 * BLOCK)


def large(path, *, byte=0, size=6 * BLOCK):
    """Write a file that counts as large here, an hour old."""
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        for k in range(size // BLOCK):
            file.write(bytes([k]) * BLOCK)
        file.seek(size // 2)
        file.write(bytes([byte]))
    os.utime(path, ns=(10**18, 10**18))
    return path


def unread(monkeypatch):
    """Let every reading of data fail from now on; notes are text."""
    whole = Path.open

    def refuse(self, mode="r", *more, **options):
        assert "b" not in mode, f"{self} is read again"
        return whole(self, mode, *more, **options)

    monkeypatch.setattr(Path, "open", refuse)


def test_the_same_content_elsewhere_has_the_same_fingerprint(tmp_path):
    one, two = large(tmp_path / "a" / "x.h5"), large(tmp_path / "b" / "y.h5")
    os.utime(two, ns=(2 * 10**18, 2 * 10**18))
    assert fingerprint(one) == fingerprint(two) == sha256(one)
    assert fingerprint(one, two) != fingerprint(one)


def test_the_order_and_the_borders_of_files_count(tmp_path):
    a, b, ab, none = (tmp_path / n for n in ("a", "b", "ab", "none"))
    for path, content in ((a, b"a"), (b, b"b"), (ab, b"ab"), (none, b"")):
        path.write_bytes(content)
    assert len({fingerprint(a, b), fingerprint(b, a), fingerprint(ab, none), fingerprint(none, ab)}) == 4


def test_one_changed_byte_of_a_large_file_of_the_same_size_changes_it(tmp_path):
    before = fingerprint(large(tmp_path / "x.h5"))
    changed = large(tmp_path / "x.h5", byte=255)
    os.utime(changed, ns=(10**18 + 1, 10**18 + 1))
    assert fingerprint(changed) != before
    assert fingerprint(large(tmp_path / "elsewhere.h5", byte=255)) == fingerprint(changed)


def test_the_second_call_reads_nothing(tmp_path, monkeypatch):
    file = large(tmp_path / "x.h5")
    found = fingerprint(file)
    unread(monkeypatch)
    assert fingerprint(file) == found
    with pytest.raises(AssertionError, match="read again"):
        fingerprint(large_again(file))


def large_again(file):
    os.utime(file, ns=(10**18 + 5, 10**18 + 5))
    return file


@pytest.mark.parametrize(
    "spoil", [lambda text: "{", lambda text: "{}", lambda text: text.replace('"size": 6291456', '"size": 1')]
)
def test_a_note_that_is_broken_or_of_another_file_is_not_believed(tmp_path, spoil):
    file = large(tmp_path / "x.h5")
    found = fingerprint(file)
    (note,) = (tmp_path / "runs" / "fingerprints").glob("*.json")
    assert json.loads(note.read_text())["path"] == str(file)
    note.write_text(spoil(note.read_text()).replace(found, "sha256:0"))
    assert fingerprint(file) == found


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path):
    file = large(tmp_path / "x.h5")
    os.utime(file)
    fingerprint(file)
    assert not (tmp_path / "runs").exists()


def test_a_disk_that_takes_no_note_is_no_failure(tmp_path):
    (tmp_path / "runs").write_text("a file where the folder should be")
    file = large(tmp_path / "x.h5")
    assert fingerprint(file) == sha256(file)


def test_memory_stays_bounded_whatever_the_size(tmp_path):
    file = large(tmp_path / "x.h5", size=48 * BLOCK)
    tracemalloc.start()
    fingerprint(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * BLOCK
