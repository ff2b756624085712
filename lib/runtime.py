"""Seeds, device, precision, and the provenance that every report states."""

import os
import platform
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import filelock
import numpy as np
import torch

from lib.git import git_state

if TYPE_CHECKING:  # the parameters of a study are prose as well: a training must not hang on them
    from lib.config import StudyConfig

PACKAGES = (
    "torch",
    "lightning",
    "numpy",
    "pandas",
    "scikit-learn",
    "lightgbm",
    "scipy",
    "h5py",
    "papermill",
    "pydantic",
)


@dataclass(frozen=True)
class Runtime:
    """What a run computes on: the device, the arithmetic, the seed and the clock's start."""

    device: torch.device
    precision: str  # Lightning's name: 32-true, bf16-mixed, 16-mixed
    seed: int
    threads: int
    started: float
    code: tuple[str, bool] = ("unknown", True)  # commit, and whether the code differed from it, at the start

    def generator(self, *keys: int) -> torch.Generator:
        """Return a CPU generator keyed by the seed and `keys`, the same whatever ran before."""
        return generator(self.seed, *keys)


def generator(*keys: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a torch generator on `device` keyed by a tuple of integers."""
    state = np.random.SeedSequence([int(k) for k in keys]).generate_state(1, np.uint64)[0]
    return torch.Generator(device=device).manual_seed(int(state) >> 1)


def start(config: "StudyConfig") -> Runtime:
    """Seed everything, choose device and precision, and return them; a device that is not there is a ValueError.

    An operation without a deterministic implementation is an error on a CPU, where every study is tested, and a warning on a
    GPU, where its alternative may not exist; the parameter `deterministic: false` asks for neither.
    """
    device = choose_device(config.device)
    _check_devices(getattr(config, "devices", 1), device)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic matrix products on CUDA
    random.seed(config.seed)
    np.random.seed(config.seed)
    torch.manual_seed(config.seed)
    torch.use_deterministic_algorithms(getattr(config, "deterministic", True), warn_only=device.type == "cuda")
    torch.utils.deterministic.fill_uninitialized_memory = False
    threads = config.num_threads or allowed_threads()
    torch.set_num_threads(threads)
    return Runtime(device, choose_precision(config.precision, device), config.seed, threads, time.time(), git_state())


def allowed_threads() -> int:
    """Return OMP_NUM_THREADS, by which a workflow divides the cores among its jobs, or else the number of cores."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return (
        int(told)
        if told.isdigit() and int(told)
        else len(getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0))
    )


def choose_device(name: str) -> torch.device:
    """Resolve auto, cpu, cuda or cuda:N; without a number, the GPU of this rank or the first that no other run holds."""
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,2})?", name):
        raise ValueError(f"The device is '{name}', but it should be auto, cpu, cuda or cuda:N, such as cuda:0.")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    device = torch.device(name if name != "auto" else "cuda" if count else "cpu")
    if device.type == "cuda" and (device.index or 0) >= count:
        raise ValueError(f"Parameter 'device' is '{name}', but this machine has {count} CUDA devices: use auto or cpu.")
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]) if "LOCAL_RANK" in os.environ else _free_gpu(count))
    return device


_HELD: list[filelock.FileLock] = []  # for as long as this process lives


def _free_gpu(count: int) -> int:
    """Return the number of a GPU that no other run on this machine holds, and hold it; where all are held, one of them."""
    if len(_HELD):
        return int(Path(_HELD[0].lock_file).stem.rsplit("-", 1)[1])
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "") or ",".join(
        map(str, range(count))
    )  # what Slurm hands out has other names
    for k in range(count):
        lock = filelock.FileLock(
            Path(tempfile.gettempdir()) / f"live-reports-{os.getuid()}-gpu-{seen.replace(',', '_')}-{k}.lock"
        )
        with suppress(filelock.Timeout):
            lock.acquire(blocking=False)
            _HELD.append(lock)
            return k
    return os.getpid() % count


def _check_devices(wanted: int, device: torch.device) -> None:
    count = torch.cuda.device_count() if device.type == "cuda" else wanted
    if wanted > count:
        raise ValueError(f"Parameter 'devices' is {wanted}, but this machine has {count} CUDA devices: use {count} at most.")


def rank() -> int:
    """Return this process's rank as torchrun, Slurm or Lightning's launcher tell it; 0 where none of them does."""
    return int(next((os.environ[name] for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK") if name in os.environ), "0"))


@contextmanager
def fitting_in_memory(advice: str) -> Iterator[None]:
    """Turn running out of GPU or CPU memory into a ValueError whose sentence ends with `advice`: what to lower."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        said = str(error).splitlines()[0] if str(error) else "no size told"
        if isinstance(error, torch.OutOfMemoryError):
            raise ValueError(f"Out of GPU memory ({said}): {advice}.") from error
        if isinstance(error, MemoryError) or "can't allocate memory" in said:
            raise ValueError(f"Out of memory ({said}): {advice}.") from error
        raise


def choose_precision(name: str, device: torch.device) -> str:
    """Resolve `auto` to bf16-mixed on CUDA and 32-true elsewhere; 16-mixed on a CPU is a ValueError: it would become bfloat16."""
    if name == "16-mixed" and device.type == "cpu":
        raise ValueError("Parameter 'precision' is '16-mixed', which a CPU does not have: use bf16-mixed, 32-true or auto.")
    if name != "auto":
        return name
    return "bf16-mixed" if device.type == "cuda" else "32-true"


def provenance(runtime: Runtime) -> dict:
    """Return commit, packages, what cached steps were computed with, device, precision, threads and seconds since the start.

    A run is dirty where the code differed from the commit at its start or at its end, or another commit came between.
    """
    return {
        "commit": runtime.code[0],
        "dirty": runtime.code[1] or git_state() != runtime.code,
        "packages": {"python": platform.python_version(), **{p: metadata.version(p) for p in PACKAGES}},
        "computed_with": computed_with(),
        "device": device_name(runtime.device),
        "precision": runtime.precision,
        "threads": runtime.threads,
        "seconds": round(time.time() - runtime.started, 1),
    }


def computed_with() -> dict[str, dict[str, str]]:
    """Return step -> package -> version for the cached steps that this process asked for; the step cache keeps the books."""
    steps = sys.modules.get("lib.steps")  # above this module, so never imported from here; not loaded: no step was asked for
    return {} if steps is None else steps.computed_with()


def device_name(device: torch.device) -> str:
    """Return what the device is called, such as "cpu (x86_64, 2 cores)" or the GPU's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({platform.machine()}, {os.cpu_count()} cores)"
