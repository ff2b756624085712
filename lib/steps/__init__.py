"""Steps: heavy computations kept by content under runs/<step>/<key>/, so that an equal one is never computed twice.

    @dataclass(frozen=True)
    class HeadSpec: ...                              # all that the computation depends on, JSON-able, with a `seed`

    @step
    def train_head(spec: HeadSpec, folder: Path, runtime: Runtime) -> None: ...

    folder = train_head(HeadSpec(...), runtime)      # computed, resumed, or found

A step sees its spec, a folder and what to compute on, and nothing else: it opens its data itself, from what the spec says of
them. The key is the spec, the source of the lib modules that the step's module imports, the versions of the packages that
those import, device kind and precision. The modules of this package hold the steps, one for each kind of network; they import no
study and no sentence. See docs/decisions/0010-steps.md.
"""

import importlib
import json
import random
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import filelock
import numpy as np
import torch
from pydantic import TypeAdapter

from lib import paths
from lib.files import read_json, remove_tree, sha256, write_json
from lib.progress import LOG
from lib.runtime import Runtime, rank
from lib.sources import packages, sources

DONE, CONFIG = "complete.json", "config.json"
S = TypeVar("S")

STEPS: dict[str, "Step"] = {}  # by name, of the modules that were imported
_USED: dict[str, dict[str, str]] = {}


def place(**options: Any) -> Any:
    """Declare a field of a spec that says where something lies: no part of the key, beside a fingerprint that is."""
    return field(metadata={"place": True}, **options)


class Step(Generic[S]):
    """A computation `function(spec, folder, runtime)`; calling it with a spec and a runtime returns its finished folder.

    After a kill the function is called again with what it had written, so that it can resume.
    Raises TypeError where the function is not at the top of a module or its spec is not a frozen dataclass with a seed.
    """

    def __init__(self, function: Callable[[S, Path, Runtime], None]) -> None:
        self.function, self.name, self.__doc__ = function, function.__name__, function.__doc__
        self.spec_type: type[S] = next(iter(typing.get_type_hints(function).values()))
        if "<locals>" in function.__qualname__ or function.__code__.co_freevars:
            raise TypeError(f"Step {self.name} is no function of a module: what it closes over would be missing in its key.")
        frozen = is_dataclass(self.spec_type) and self.spec_type.__dataclass_params__.frozen
        if not frozen or "seed" not in self.spec_type.__dataclass_fields__:
            raise TypeError(f"The spec of step {self.name} should be a frozen dataclass with a field `seed`.")

    def __call__(self, spec: S, runtime: Runtime, *, force: bool = False) -> Path:
        """Return the folder of the finished step, computing it unless an equal one is there; `force` computes anew."""
        folder, state = self.folder(spec, runtime), self.state(spec, runtime)
        folder.mkdir(parents=True, exist_ok=True)
        _USED.setdefault(self.name, {}).update(state["packages"])
        if rank() and not (folder / DONE).is_file():
            self.compute(spec, folder, runtime)  # one of several processes that train together: rank 0 holds the lock
            return folder
        with filelock.FileLock(folder.with_suffix(".lock")):
            if (folder / DONE).is_file() and not force:
                LOG.info("%s: found in the run cache (%s)", self.name, folder.name)
                return folder
            if force:
                remove_tree(folder)
                folder.mkdir()
            where = f"{self.function.__module__}.{self.name}"
            given = TypeAdapter(self.spec_type).dump_python(spec, mode="json")
            write_json(folder / CONFIG, state | {"function": where, "given": given})
            self.compute(spec, folder, runtime)
            write_json(folder / DONE, {"step": self.name, "key": folder.name})
        return folder

    def compute(self, spec: S, folder: Path, runtime: Runtime) -> None:
        """Run the function into a folder, whatever the cache holds; random numbers start from the spec's seed."""
        with _seeded(spec.seed, runtime.device):
            self.function(spec, folder, replace(runtime, seed=spec.seed))

    def done(self, spec: S, runtime: Runtime) -> bool:
        """Tell whether a call would find the step finished."""
        return (self.folder(spec, runtime) / DONE).is_file()

    def folder(self, spec: S, runtime: Runtime) -> Path:
        """Return the folder that belongs to a spec."""
        return paths.RUNS / self.name / sha256(json.dumps(self.state(spec, runtime), sort_keys=True))[7:27]

    def state(self, spec: S, runtime: Runtime) -> dict[str, Any]:
        """Return what the key is made of."""
        source, used = code(Path(self.function.__code__.co_filename))
        return {
            "step": self.name,
            "spec": content(spec),
            "source": source,
            "packages": dict(used),
            "device": runtime.device.type,
            "precision": runtime.precision,
        }


def step(function: Callable[[S, Path, Runtime], None]) -> Step[S]:
    """Make a step of a module's function; its name is that of its folder under runs/ and stands once in the project."""
    made = Step(function)
    known = STEPS.get(made.name)
    if known is not None and known.function.__module__ != function.__module__:
        raise TypeError(f"Two steps are called {made.name}: in {known.function.__module__} and {function.__module__}.")
    STEPS[made.name] = made
    return made


def content(value: Any) -> Any:
    """Return a spec as the JSON that its key is made of: every field but those declared as `place()`."""
    if is_dataclass(value):
        kept = {f.name: content(getattr(value, f.name)) for f in fields(value) if not f.metadata.get("place")}
        return {"": type(value).__name__} | kept
    if isinstance(value, tuple | list):
        return [content(v) for v in value]
    if isinstance(value, dict):
        return {str(k): content(v) for k, v in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"A spec holds {value!r} ({type(value).__name__}), but it should hold JSON values, tuples and dataclasses.")


def read(folder: Path) -> tuple[Step, Any]:
    """Return the step and the spec of a folder under runs/, from what it was keyed by; ValueError where it is another."""
    config = read_json(folder / CONFIG, ("function", "given"))
    module, name = config["function"].rsplit(".", 1)
    if not module.startswith("lib."):
        raise ValueError(f"{folder / CONFIG} names the step {config['function']}, which is none of this project.")
    found = getattr(importlib.import_module(module), name, None)
    if not isinstance(found, Step):
        raise ValueError(f"{folder / CONFIG} names the step {config['function']}, which the project no longer has.")
    return found, TypeAdapter(found.spec_type).validate_python(config["given"])


def computed_with() -> dict[str, dict[str, str]]:
    """Return the package versions of every step that this process has used, by step."""
    return {name: dict(used) for name, used in sorted(_USED.items())}


@cache
def code(file: Path) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the fingerprint of a module with the lib modules that it imports, and the packages that they import."""
    files = sources(file)
    return sha256(*files), tuple(packages(files).items())


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch, NumPy and Python inside, and leave their states as they were: found or computed, what follows is the same."""
    before = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])
