"""Making spectra, and reading them from files, against the plain ways: same run, same machine.

Run `python -m benchmarks.spectra [--device cuda] [--rows 8192]`. Rates are per core: one thread, CPU seconds of the
process (wall seconds on a GPU), best of three passes, so that a busy machine does not blur them; wall rates stand beside.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, Dataset

from lib.data.batches import SpectraBatches
from lib.data.generated import GeneratedSpectra
from lib.data.grid import SpectralGrid
from lib.data.noise import BLOCK
from lib.data.spectra import SpectraDataset, write_hdf5
from lib.data.spectra.layout import ERROR, FLUX
from lib.data.views import observe

MILLION, DOCUMENT_CORE_HOURS = 1_000_000, 304.2 * 64  # 1M spectra took 304.2 hours on 64 cores (public report)
LAYOUTS = {
    "contiguous float32": {"dtype": "float32", "chunk_rows": None},
    "chunks of 64, float32": {"dtype": "float32", "chunk_rows": 64},
    "chunks of 64, float16": {"dtype": "float16", "chunk_rows": 64},
}


class PlainFile(Dataset):
    """What one writes first: h5py, one row of flux and error per `__getitem__`, for a shuffling DataLoader.

    reopen  open the file for every spectrum, as is often done because an open file does not survive a worker's fork;
            else file and data sets stay open, the fastest that a plain loader gets
    """

    def __init__(self, path: Path, *, reopen: bool = False):
        self.path, self.log_g = path, pd.read_hdf(path)["log_g"].to_numpy()
        self.data = None if reopen else self.opened(h5py.File(path, "r"))

    def __len__(self) -> int:
        return len(self.log_g)

    def __getitem__(self, row: int):
        if self.data is not None:
            return self.read(self.data, row)
        with h5py.File(self.path, "r") as file:
            return self.read(self.opened(file), row)

    def opened(self, file: h5py.File) -> tuple[h5py.Dataset, h5py.Dataset]:
        """Return the data sets of flux and error."""
        return file[FLUX], file[ERROR]

    def read(self, data: tuple[h5py.Dataset, h5py.Dataset], row: int):
        """Return flux (L,), clipped as the documents do, error (L,) and log g (1,)."""
        flux, error = (torch.from_numpy(part[row].astype(np.float32)) for part in data)
        return flux.clip(min=0), error, torch.tensor([self.log_g[row]])


def rates(batches: Iterable, passes: int = 3, seconds: float = 4.0) -> tuple[float, float]:
    """Return spectra per CPU second and per wall second, the best pass; a pass stops after `seconds`."""
    found = []
    for _ in range(passes):
        cpu, wall, rows = time.process_time(), time.perf_counter(), 0
        for batch in batches:
            rows += len(batch[0])
            if time.perf_counter() - wall > seconds:
                break
        if batch[0].is_cuda:
            torch.cuda.synchronize()
        found.append((rows / (time.process_time() - cpu), rows / (time.perf_counter() - wall)))
    return tuple(max(values) for values in zip(*found, strict=True))


def generation(device: str, rows: int) -> list[dict]:
    """Time labels -> flux -> noisy spectra; the ratio is to the core hours that the documents' million took."""
    made = []
    data = GeneratedSpectra(SpectralGrid.default(), rows, device=device)
    for what, fields in (("noisy", ("noisy", "labels")), ("noiseless", ("flux", "labels"))):
        cpu, wall = rates(SpectraBatches(data, batch_size=256, fields=fields, fresh=True))
        rate = wall if device.startswith("cuda") else cpu
        made.append(
            {
                "what": f"generate {what} spectra, {device}",
                "ratio": DOCUMENT_CORE_HOURS * 3600 / (MILLION / rate),
                "per_second": rate,
                "per_second_wall": wall,
                "minutes_per_million": MILLION / rate / 60 / (1 if device.startswith("cuda") else 2),  # two CPU cores
            }
        )
    return made


def files(rows: int, folder: Path) -> list[dict]:
    """Time writing and shuffled streaming per layout; the ratio is to a plain per-sample loader on the same file, kept open.

    ratio_reopened is to the one that opens the file per spectrum; copied_per_second is what `one_copy` reaches, which no
    reader exceeds whose window does not fit the processor's cache.
    """
    flux = np.random.default_rng(0).uniform(0.5, 1.5, (rows, 4096)).astype(np.float32)
    table = pd.DataFrame({"log_g": np.linspace(1, 5, rows)})
    found = []
    for name, layout in LAYOUTS.items():
        path, began = folder / "layout.h5", time.process_time()
        blocks = ((flux[i : i + 256], flux[i : i + 256]) for i in range(0, rows, 256))
        write_hdf5(path, np.linspace(7100, 8850, 4096), table, blocks, **layout)
        written = rows / (time.process_time() - began)
        data = SpectraDataset.from_hdf5(path, mode="stream")
        ours = rates(SpectraBatches(data, batch_size=256, shuffle=True, fields=("flux", "sigma", "labels")))
        loaders = [DataLoader(PlainFile(path, reopen=way), batch_size=256, shuffle=True) for way in (False, True)]
        plain, reopened = (rates(loader, passes=2)[0] for loader in loaders)
        row = {"what": f"stream {name}", "ratio": ours[0] / plain, "ratio_reopened": ours[0] / reopened}
        row |= {"per_second": ours[0], "per_second_wall": ours[1], "plain_per_second": plain, "reopened_per_second": reopened}
        found.append({**row, "copied_per_second": one_copy(path, rows), "written_per_second": written})
    return found


def one_copy(path: Path, rows: int, passes: int = 3) -> float:
    """Return spectra per CPU second of copying the file's bytes, already in the system's cache, once to memory in use: the best pass."""
    found, into = [], np.empty(path.stat().st_size, np.uint8)
    for _ in range(passes + 1):  # the first one brings the memory into use
        began = time.process_time()
        with path.open("rb", buffering=0) as file:
            file.readinto(into)
        found.append(rows / (time.process_time() - began))
    return max(found[1:])


def peak_memory(what: Callable[[], object]) -> float:
    """Return the resident memory in MiB that running `what` in this process adds to its peak."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    what()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def generation_memory(rows: int) -> float:
    """Return the peak in MiB that making `rows` noisy spectra in batches adds, in this process."""

    def make() -> None:
        for _ in SpectraBatches(GeneratedSpectra(SpectralGrid.default(), rows), batch_size=256, shuffle=True):
            pass

    return peak_memory(make)


def half_a_million(which: int, rows: int = MILLION // 2) -> dict:
    """Make one half of a million noisy spectra, nothing kept; return its minutes, by the clock and of the CPU, and its peak in MiB."""
    torch.set_num_threads(1)
    wall, cpu = time.perf_counter(), time.process_time()
    data = GeneratedSpectra(SpectralGrid.default(), 2 * rows)
    for start in range(which * rows, (which + 1) * rows, BLOCK):
        observe(data, start, min(start + BLOCK, (which + 1) * rows))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"minutes": (time.perf_counter() - wall) / 60, "cpu_minutes": (time.process_time() - cpu) / 60, "peak_mib": peak}


def million() -> list[dict]:
    """Make a million noisy spectra of 4096 pixels in two processes; return a row for each."""
    code = "import json, sys; import benchmarks.spectra as b; print(json.dumps(b.half_a_million(int(sys.argv[1]))))"
    both = [subprocess.Popen([sys.executable, "-c", code, str(i)], stdout=subprocess.PIPE, text=True) for i in range(2)]
    return [{"what": f"half {i} of a million", **json.loads(process.communicate()[0])} for i, process in enumerate(both)]


def main(device: str = "cpu", rows: int = 8192) -> list[dict]:
    """Return one row per measurement: what, ratio, per_second, ..."""
    torch.set_num_threads(1)
    code = f"import benchmarks.spectra as b; print(b.generation_memory({rows}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = [{**row, "peak_mib": float(done.stdout)} for row in generation("cpu", rows // 2)]
    if device.startswith("cuda"):
        found += generation(device, 64 * rows)
    with tempfile.TemporaryDirectory() as folder:
        return found + files(rows, Path(folder))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rows", type=int, default=8192)
    parser.add_argument("--million", action="store_true", help="only make a million spectra, in two processes")
    given = vars(parser.parse_args())
    print(pd.DataFrame(million() if given.pop("million") else main(**given)).to_string(float_format=lambda v: f"{v:.4g}"))
