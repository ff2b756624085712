"""The content-addressed run cache: runs/<step>/<key>/ holds what a heavy step computed, once per distinct input."""

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import filelock
import torch

from lib import paths
from lib.files import read_json, remove_tree, sha256, write_json
from lib.progress import LOG
from lib.runtime import Runtime, rank
from lib.sources import sources

DONE = "complete.json"


def cached(
    step: str,
    compute: Callable[[Path], None],
    *,
    config: Mapping[str, Any],
    runtime: Runtime,
    data: str = "",
    force: bool = False,
) -> Path:
    """Return the folder of a finished step, computing it with `compute(folder)` unless an equal run is there.

    step     name of the step, one folder level (such as "opamp_mlp")
    compute  writes its files into the folder it is given; after a kill it is called again with what it had written,
             so that it can resume. Its module and the lib modules that it imports are part of the key.
    config   JSON-able settings of the step;  data  fingerprint of its data
    """
    state = _state(step, compute, config, runtime, data)
    folder = paths.RUNS / step / sha256(json.dumps(state, sort_keys=True))[7:27]
    folder.mkdir(parents=True, exist_ok=True)
    if rank() and not (folder / DONE).is_file():
        compute(folder)  # one of several processes of a distributed training: rank 0 holds the lock and keeps the books
        return folder
    with filelock.FileLock(folder.with_suffix(".lock")):
        if (folder / DONE).is_file() and not force:
            LOG.info("%s: found in the run cache (%s)", step, folder.name)
            return folder
        if force:
            remove_tree(folder)
            folder.mkdir()
        write_json(folder / "config.json", state)
        compute(folder)
        write_json(folder / DONE, {"step": step, "key": folder.name})
    return folder


def is_cached(
    step: str, compute: Callable[[Path], None], *, config: Mapping[str, Any], runtime: Runtime, data: str = ""
) -> bool:
    """Tell whether `cached` would find the step finished."""
    state = _state(step, compute, config, runtime, data)
    return (paths.RUNS / step / sha256(json.dumps(state, sort_keys=True))[7:27] / DONE).is_file()


def load_config(folder: Path) -> dict:
    """Return what a cached step was keyed by."""
    return read_json(folder / "config.json")


def _state(step: str, compute: Callable, config: Mapping[str, Any], runtime: Runtime, data: str) -> dict:
    while isinstance(compute, functools.partial):
        compute = compute.func
    return {
        "step": step,
        "config": dict(config),
        "seed": runtime.seed,
        "data": data,
        "source": sha256(*sources(Path(compute.__code__.co_filename))),
        "torch": torch.__version__,
        "device": runtime.device.type,
        "precision": runtime.precision,
    }
