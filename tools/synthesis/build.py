"""Build the embedded grid from the synthesizer, in resumable blocks, and measure its error between the nodes."""

import hashlib
import multiprocessing
from itertools import product
from pathlib import Path

import numpy as np
import torch

from lib.data.grid import DEFAULT_FILE, SpectralGrid
from lib.paths import RUNS
from tools.synthesis import chemistry, lines
from tools.synthesis.spectrum import RESOLUTION, pixel_wave, synthesize

LABELS = ("t_eff", "log_g", "m_h", "a_m", "c_m")
RANGES = {"t_eff": (3750.0, 6000.0), "log_g": (1.0, 5.0), "m_h": (-2.5, 0.75), "a_m": (-0.2, 0.4), "c_m": (-0.6, 0.0)}
NODES = {
    "default": {
        "t_eff": (3625, 3750, 3875, 4000, 4125, 4250, 4450, 4700, 5000, 5350, 5700, 6100),
        "log_g": (1, 2, 3, 4, 5),
        "m_h": (-2.5, -1.8, -1.1, -0.5, 0.0, 0.4, 0.75),
        "a_m": (-0.2, 0.0, 0.2, 0.4),
        "c_m": (-0.6, -0.3, 0.0),
    },
    "coarse": {
        "t_eff": (3625, 4000, 4375, 4750, 5250, 5750, 6250),
        "log_g": (1, 2.5, 4, 5),
        "m_h": (-2.5, -1.5, -0.75, 0.0, 0.75),
        "a_m": (-0.2, 0.4),
        "c_m": (-0.6, 0.0),
    },
}
PHYSICS = (
    "LTE, plane-parallel, T(tau_5000) scaled from the MARCS solar model, hydrostatic equilibrium, v_mic 1.5 km/s, "
    "Gaia-ESO atomic lines, TiO and CN bands, Paschen lines; wavelengths in air; Gaussian R = 5000"
)


def block_labels(nodes):
    """Return the grid as blocks: one per (t_eff, log_g, m_h), each (n_a * n_c, 5), in grid order."""
    outer = product(*(nodes[name] for name in LABELS[:3]))
    inner = list(product(nodes["a_m"], nodes["c_m"]))
    return [torch.tensor([[*key, *pair] for pair in inner], dtype=torch.float64) for key in outer]


def source_key():
    """Return a short hash of the synthesizer and its tables, so that blocks of another version are never mixed in."""
    files = [p for p in sorted(Path(__file__).parent.glob("*.py")) if p.stem not in ("build", "__main__")]
    files += [lines.FILE, chemistry.FILE]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def _compute(task):
    """Synthesize one block and store it, unless it is stored; returns its path."""
    path, labels, device = task
    if not path.exists():
        torch.set_num_threads(1)
        temporary = path.with_suffix(".part")
        with open(temporary, "wb") as file:
            np.save(file, synthesize(labels, device).float().cpu().numpy())
        temporary.replace(path)
    return path


class Serial:
    """Stand in for a pool of one: compute in this process."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    imap = staticmethod(map)


def pool_of(workers):
    """Return a pool of worker processes, or this process alone for one worker."""
    return Serial() if workers == 1 else multiprocessing.get_context("spawn").Pool(workers)


def build(profile="default", out=DEFAULT_FILE, workers=1, metadata=None, device="cpu"):
    """Synthesize every node (kept under runs/, so that a stopped build goes on), compress and save the grid.

    Raises ValueError for an unknown profile.
    """
    if profile not in NODES:
        raise ValueError(f"no grid profile {profile!r}; there are {sorted(NODES)}")
    blocks = block_labels(NODES[profile])
    folder = RUNS / "synthesis" / f"{profile}-{source_key()}"
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [(folder / f"{index:05d}.npy", labels, device) for index, labels in enumerate(blocks)]
    with pool_of(workers) as pool:
        paths = list(pool.imap(_compute, tasks))
    flux = np.concatenate([np.load(path, allow_pickle=False) for path in paths])
    grid = SpectralGrid.from_spectra(
        LABELS, torch.cat(blocks).numpy(), flux, pixel_wave().numpy(), ranges=RANGES,
        metadata={"profile": profile, "physics": PHYSICS, "resolution": RESOLUTION, "medium": "air", "source": source_key(), **(metadata or {})},
    )  # fmt: skip
    grid.save(out)
    return SpectralGrid.load(out)


def off_grid_error(grid, n=64, seed=20261122):
    """Compare the grid with direct synthesis at n random labels: |flux / synthesized - 1| of every pixel.

    Returns {"n", "warm": {"median", "p99"}, "cool": {...}}; warm is T_eff >= 4250 K.
    """
    labels = grid.sample(n, seed=seed).double()
    direct = torch.cat([synthesize(row[None]) for row in labels])
    error = (grid.flux(labels) / direct - 1.0).abs()
    out = {"n": n, "seed": seed}
    for name, chosen in (("warm", labels[:, 0] >= 4250.0), ("cool", labels[:, 0] < 4250.0)):
        part = error[chosen].flatten().numpy()
        out[name] = {"n": int(chosen.sum()), "median": float(np.median(part)), "p99": float(np.quantile(part, 0.99))}
    return out


def check(path=DEFAULT_FILE, n=64):
    """Measure the off-grid error of a grid file, write it into the file's metadata, and return it."""
    grid = SpectralGrid.load(path)
    grid.metadata["off_grid_error"] = off_grid_error(grid, n)
    grid.save(path)
    return grid.metadata["off_grid_error"]
