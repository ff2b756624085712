"""Where the spectra of a file live while they are used, chosen by size."""

import os
from pathlib import Path

import torch

MODES = ("device", "memory", "stream")
DEVICE_SHARE, MEMORY_SHARE = 0.5, 0.25


def choose_mode(n_bytes: int, *, device_free: int, memory_free: int) -> str:
    """Return where flux and error of `n_bytes` are kept.

    `device`  when they take at most half of the free memory of a CUDA device: no transfers at all
    `memory`  when they take at most a quarter of the free memory of the machine
    `stream`  otherwise: read from the files in shuffled blocks, with memory that does not grow with the set
    """
    if n_bytes <= DEVICE_SHARE * device_free:
        return "device"
    return "memory" if n_bytes <= MEMORY_SHARE * memory_free else "stream"


def device_free(device: torch.device) -> int:
    """Return the free bytes of a CUDA device, 0 for a CPU (whose memory is the machine's)."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0


def memory_free() -> int:
    """Return the bytes of memory that this process may still take: the machine's, or less where a cgroup limits it."""
    meminfo = Path("/proc/meminfo")
    free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if meminfo.is_file():
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        free = int(lines["MemAvailable"].split()[0]) * 1024
    limit, used = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))
    if limit.is_file() and used.is_file() and limit.read_text().strip().isdigit():
        free = min(free, int(limit.read_text()) - int(used.read_text()))
    return free
