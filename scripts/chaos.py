"""Kill `make reports` again and again, repeat it, and check that nothing is lost, half written or computed twice.

python scripts/chaos.py [--kills 20] [--profile smoke] [--studies "opamp_transfer ..."] [--seed 0]

Works in a clone of HEAD under a temporary folder. Ends with exit code 1 and a sentence where a check fails.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from safetensors import SafetensorError, safe_open

from lib import paths
from lib.render.compare import read_results, timeless


class BrokenError(Exception):
    """What the killed runs left is not what it should be."""


def start(clone: Path, profile: str, studies: str) -> subprocess.Popen:
    """Start `make reports` in the clone with this interpreter."""
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(clone)}
    words = ["make", "reports", "VENV=", f"PROFILE={profile}", f"STUDY={studies}"]
    return subprocess.Popen(words, cwd=clone, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> None:
    """Wait for a run that nobody disturbs."""
    _, said = process.communicate()
    if process.returncode:
        raise BrokenError(f"An undisturbed run failed: {said[-2000:]}")


def kill(process: subprocess.Popen) -> None:
    """SIGKILL the run and every process below it, kernels in sessions of their own included."""
    family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=30)
    process.communicate()


def results(clone: Path, profile: str) -> dict[str, dict]:
    """Return the results of every study but for times."""
    found = {}
    for file in sorted((clone / "build" / profile).glob("*/results.json")):
        found[file.parent.name] = timeless(read_results(file))
    return found


def check_files(clone: Path) -> int:
    """Open every file of reports/ and runs/, and results under build/; return how many there are."""
    files = [f for top in ("reports", "runs", "build") for f in (clone / top).rglob("*") if f.is_file()]
    for file in files:
        if file.suffix == ".json":
            json.loads(file.read_text(encoding="utf8"))
        elif file.suffix == ".html" and not file.read_text(encoding="utf8").rstrip().endswith("</html>"):
            raise BrokenError(f"{file} is half written.")
        elif file.suffix == ".safetensors":
            try:
                with safe_open(file, "pt") as opened:
                    opened.keys()
            except SafetensorError as error:
                raise BrokenError(f"{file} is half written: {error}") from None
    return len(files)


def finished_steps(clone: Path) -> dict[str, int]:
    """Return the steps that the run cache holds and when each was finished."""
    return {str(f.parent.relative_to(clone)): f.stat().st_mtime_ns for f in (clone / "runs").rglob("complete.json")}


def main() -> int:
    """Run the harness and print a summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--profile", default="smoke")
    parser.add_argument("--studies", default=" ".join(paths.STUDIES))
    parser.add_argument("--longest", type=float, default=40.0, help="seconds that a run may live at most before it is killed")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", str(paths.ROOT), str(clone)], check=True)
        try:
            harass(clone, chosen)
        except (BrokenError, json.JSONDecodeError) as error:
            print(f"broken: {error}")
            return 1
    return 0


def harass(clone: Path, chosen: argparse.Namespace) -> None:
    """Run once undisturbed, then killed and repeated, and compare."""
    began = time.monotonic()
    finish(start(clone, chosen.profile, chosen.studies))
    expected = results(clone, chosen.profile)
    print(
        f"undisturbed: {len(expected)} studies, {len(finished_steps(clone))} steps, {time.monotonic() - began:.0f} s",
        flush=True,
    )
    reset(clone, chosen.profile, runs=True)
    dice, kills = random.Random(chosen.seed), 0
    while kills < chosen.kills:
        before = finished_steps(clone)
        process = start(clone, chosen.profile, chosen.studies)
        lived = dice.uniform(0.5, chosen.longest)
        if ended_within(process, lived):
            print("a run reached its end: its build is removed, the cache stays", flush=True)
            reset(clone, chosen.profile, runs=False)
            continue
        kill(process)
        kills += 1
        files, again = check_files(clone), recomputed(before, finished_steps(clone))
        print(f"kill {kills} after {lived:.1f} s: {len(before)} steps before, {files} files whole", flush=True)
        if again:
            raise BrokenError(f"Finished steps were computed again: {again}.")
    before = finished_steps(clone)
    finish(start(clone, chosen.profile, chosen.studies))
    again = recomputed(before, finished_steps(clone))
    survivors = results(clone, chosen.profile)
    differ = [s for s in expected if survivors.get(s) != expected[s]]
    if differ or again:
        raise BrokenError(f"After {kills} kills the results of {differ} differ; computed again: {again}.")
    print(
        f"{kills} kills: {len(survivors)} results equal those of the undisturbed run, {check_files(clone)} files whole, 0 steps computed twice"
    )


def ended_within(process: subprocess.Popen, seconds: float) -> bool:
    """Tell whether a run ends by itself in that time; one that fails is a BrokenError."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    finish(process)
    return True


def recomputed(before: dict[str, int], after: dict[str, int]) -> list[str]:
    """Return the steps that were finished before and were finished anew."""
    return [step for step, when in before.items() if after.get(step) != when]


def reset(clone: Path, profile: str, *, runs: bool) -> None:
    """Forget what was built, and on demand what was cached."""
    for folder in [clone / "build" / profile, clone / "reports" / profile, *([clone / "runs"] if runs else [])]:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
