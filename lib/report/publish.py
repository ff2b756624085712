"""Results are staged beside the last good ones and replace them in one journaled step."""

import os
import shlex
from pathlib import Path

from lib import paths
from lib.config import StudyConfig
from lib.files import remove_tree

STAGING, READY = ".staging", ".publish"


def open_staging(out: Path) -> Path:
    """Finish a publication that a kill interrupted, then return an empty staging folder inside `out`."""
    recover(out)
    ours = any((out / name).is_file() for name in ("results.json", "run.log"))
    foreign = [name for name in ("tables", "figures", "model") if (out / name).exists()]
    if foreign and not ours:
        raise ValueError(
            f"The results folder {out} holds '{foreign[0]}' of something else, which would be replaced: name another."
        )
    staging = out / STAGING
    remove_tree(staging)
    for name in ("tables", "figures", "model"):
        (staging / name).mkdir(parents=True)
    return staging


def publish(out: Path) -> None:
    """Replace the results in `out` by the staged ones; results.json moves last."""
    model = out / STAGING / "model"
    if not any(model.iterdir()):
        model.rmdir()
    os.replace(out / STAGING, out / READY)  # from here on the new results count, even after a kill
    recover(out)
    (out / "failed.json").unlink(missing_ok=True)


def recover(out: Path) -> None:
    """Carry out what an interrupted publication had begun, results last; nothing where there is nothing to do."""
    ready = out / READY
    if not ready.is_dir():
        return
    for new in sorted(ready.iterdir(), key=lambda f: (f.suffix == ".json", f.name)):
        if new.is_dir():
            remove_tree(out / new.name)
        os.replace(new, out / new.name)
    ready.rmdir()


def command(config: StudyConfig) -> str:
    """Return the papermill command that repeats a run: its params file, and what differs from it."""
    file = paths.PARAMS / config.profile / f"{config.study}.yaml"
    base = type(config).load(file) if file.is_file() else type(config)()
    changed = {k: v for k, v in config.model_dump().items() if v != getattr(base, k)}
    words = ["papermill", f"notebooks/{config.study}.ipynb", f"build/{config.study}.ipynb"]
    words += ["-f", f"params/{config.profile}/{config.study}.yaml"] if file.is_file() else []
    for key, value in changed.items():
        words += ["-p", key, str(value)]
    return shlex.join(words)
