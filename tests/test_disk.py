"""A disk that is full or read-only ends a run with one sentence; the last good results and page stay as they were."""

import shutil
import subprocess
import sys

import pytest

from lib import paths

UNSHARE = ["unshare", "--user", "--map-root-user", "--mount"]  # mounts that only the command sees and that end with it


@pytest.fixture(scope="session")
def mounts():
    """Skip where this machine lets nobody mount."""
    if not shutil.which("unshare"):
        pytest.skip("no `unshare` here: a full and a read-only disk cannot be tried")
    tried = subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"mounting is not permitted here ({tried.stderr.strip()}): a full and a read-only disk cannot be tried")


@pytest.fixture
def last_good(tmp_path):
    """Results and a page of an earlier run."""
    for file, text in {"out/results.json": "{}", "out/tables/t.csv": "a\n1\n", "smoke/mlp_head.failed.html": "<p>"}.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    return tmp_path


def run(folder, mount, seed=0):
    """Run the op-amp study after `mount`, a line of shell; return exit code, stderr and what `folder` held at the end."""
    words = f"{sys.executable} -m lib.execute opamp_transfer --profile smoke --pages {folder}/smoke"
    words += f" -p out_dir {folder}/out -p splits 1 -p seed {seed}"
    script = f"{mount} && {{ {words}; code=$?; cp -a {folder} {folder}-after; exit $code; }}"
    done = subprocess.run([*UNSHARE, "bash", "-c", script], cwd=paths.ROOT, capture_output=True, text=True)
    after = folder.with_name(f"{folder.name}-after")
    return done.returncode, done.stderr, {str(f.relative_to(after)): f for f in after.rglob("*") if f.is_file()}


def contents(files):
    return {name: f.read_bytes() for name, f in files.items() if not f.name.startswith((".", "index"))}


def read_only(folder):
    return f"mount --bind {folder} {folder} && mount -o remount,bind,ro {folder}"


@pytest.mark.parametrize("name", ["out", "smoke"])
def test_a_read_only_folder_is_one_sentence_and_keeps_the_last_good_results(mounts, last_good, name):
    before = contents({str(f.relative_to(last_good)): f for f in last_good.rglob("*") if f.is_file()})
    code, said, after = run(last_good, read_only(last_good / name))
    assert code == 1
    assert len(said.splitlines()) == 1, said
    assert f"'{last_good / name}" in said
    assert "Read-only file system" in said
    assert "mount it for writing, or name another folder; nothing in it was changed." in said
    assert before.items() <= contents(after).items()


def small(folder, kib):
    """Put what `folder` holds on a disk of `kib` KiB, and it in the folder's place."""
    return f"cp -a {folder} {folder}-disk && mount -t tmpfs -o size={kib}k none {folder} && cp -a {folder}-disk/. {folder}"


@pytest.mark.parametrize("kib", [24, pytest.param(400, marks=pytest.mark.slow)])  # full at the notebook's start, at a figure
def test_a_full_disk_is_one_sentence_and_keeps_the_last_good_results(mounts, last_good, kib):
    before = contents({f"out/{f.relative_to(last_good / 'out')}": f for f in (last_good / "out").rglob("*") if f.is_file()})
    code, said, after = run(last_good, small(last_good / "out", kib))
    assert code == 1
    assert len(said.splitlines()) == 1, said
    assert said.startswith("opamp_transfer failed: OSError: ")
    assert "No space left on device" in said
    assert str(last_good / "out") in said
    assert "free some space on that disk and repeat; what was finished is kept." in said
    assert before.items() <= contents(after).items()


@pytest.mark.slow
def test_a_full_run_cache_is_one_sentence_and_leaves_no_half_written_step(mounts, last_good):
    runs = paths.RUNS
    runs.mkdir(exist_ok=True)
    mount = f"mount -t tmpfs -o size=64k none {runs}"
    code, said, after = run(last_good, f"{mount} && trap 'cp -a {runs} {last_good}/runs' EXIT", seed=4712)
    assert code == 1
    assert len(said.splitlines()) == 1, said
    assert "No space left on device" in said
    assert not [f for f in (last_good / "runs").rglob("*") if f.name.endswith(".partial")]
    assert "smoke/opamp_transfer.failed.html" in after
