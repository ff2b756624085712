"""The study vit_scaling trained from HDF5 shards twenty times larger than the memory it is allowed: resident memory over time.

Run `python -m benchmarks.out_of_core [--shards 5] [--rows 51200] [--pixels 2048]`; it writes shards * rows * pixels * 4 bytes
of temporary files (flux and error in float16). After a small training, which loads all code, the kernel limits the process's
data (RLIMIT_DATA) to what it has plus a twentieth of the files; then a ViT is trained on all rows.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd

from lib import paths
from lib.data.batches import SpectraBatches
from lib.data.spectra import SpectraDataset, write_hdf5
from lib.studies import vit_scaling
from lib.studies.vit_scaling.points import Sweep

MIB, TIMES = 2**20, 20
SMALL = 4096  # rows of the training before the limit


def write_shards(folder: Path, shards: int, rows: int, pixels: int) -> list[Path]:
    """Write equal shards of smooth spectra whose slope tells log g, float16, and a small file to validate and test on."""
    log_g = np.random.default_rng(0).uniform(1, 5, rows).astype(np.float32)
    wave = np.linspace(7100, 8850, pixels)
    tilt = ((wave - 7975) / 4000).astype(np.float32)

    def block(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        flux = 1 + (log_g[start:stop, None] - 3) * tilt
        return flux, np.full_like(flux, 0.3)

    for name, n in (("0", rows), ("held", 512)):
        table = pd.DataFrame({"log_g": log_g[:n]})
        pieces = (block(a, min(a + 256, n)) for a in range(0, n, 256))
        write_hdf5(folder / f"{name}.h5", wave, table, pieces, dtype="float16")
    return [folder / "0.h5", *(shutil.copy(folder / "0.h5", folder / f"{i}.h5") for i in range(1, shards))]


def _status(name: str) -> float:
    """Return a line of /proc/self/status in MiB, such as VmRSS or VmData."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


def _point(folder: Path, shards: list[str], n: int, runs: str) -> Path:
    """Train the study's point on n rows of the shards, streamed; return its folder."""
    paths.RUNS = folder / runs
    held = str(folder / "held.h5")
    config = vit_scaling.Config.checked(
        {"train_path": shards, "val_path": held, "test_path": held, "data_mode": "stream", "window_aa": [], "n_val": 512, "n_test": 512,
         "sizes": [n], "epochs": [1], "fresh_sizes": [], "fresh_epochs": [], "ablations": [], "noise_levels": [], "batch_size": 256,
         "num_threads": 1, "out_dir": str(folder)}
    )  # fmt: skip
    return Sweep(config, vit_scaling.start(config)).run([0])[0]


def trained(folder: Path, shards: int, rows: int, pixels: int) -> dict:
    """Train in this process under the limit; return sizes and rates, and resident memory in MiB at ten moments."""
    files = write_shards(folder, shards, rows, pixels)
    size, names = sum(f.stat().st_size for f in files) / MIB, [str(f) for f in files]
    _point(folder, names, SMALL, "small")
    seen: list[float] = []
    done = threading.Event()
    watch = threading.Thread(target=lambda: [seen.append(_status("VmRSS")) for _ in iter(lambda: done.wait(0.1), True)])
    watch.start()
    before, allowed = _status("VmRSS"), size / TIMES
    limit = int((_status("VmData") + allowed) * MIB)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        point = _point(folder, names, shards * rows, "large")
    finally:
        done.set()
        watch.join()
    measured = json.loads((point / "point.json").read_text())
    history = pd.read_csv(point / "history.csv")
    moments = [round(seen[i]) for i in np.linspace(0, len(seen) - 1, 10).astype(int)]
    return {"files_mib": size, "allowed_mib": allowed, "before_mib": before, "peak_mib": max(seen), "rss_mib": moments,
            "train_per_second": measured["spectra_per_s"], "read_per_second": _reading(files), "val_r2": float(history.val_r2.iloc[-1])}  # fmt: skip


def _reading(files: list[Path]) -> float:
    """Return the spectra per second that streaming alone delivers."""
    data, began = SpectraDataset.from_hdf5(files, mode="stream"), time.perf_counter()
    for _ in SpectraBatches(data, batch_size=256, shuffle=True, fields=("flux", "sigma", "labels")):
        pass
    return len(data) / (time.perf_counter() - began)


def main(shards: int = 5, rows: int = 51200, pixels: int = 2048) -> list[dict]:
    """Return one row: the ratio of the files to the memory allowed, and what was measured, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        call = f"import json; from pathlib import Path; from benchmarks.out_of_core import trained; import torch; torch.set_num_threads(1); print(json.dumps(trained(Path({folder!r}), {shards}, {rows}, {pixels})))"
        done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=False, cwd=paths.ROOT)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    found = json.loads(done.stdout.splitlines()[-1])
    head = {
        "what": f"train from {shards} shards, {shards * rows} spectra of {pixels} pixels",
        "ratio": found["files_mib"] / found["allowed_mib"],
    }
    return [head | found | {"rss_mib": " ".join(map(str, found["rss_mib"]))}]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in (("shards", 5), ("rows", 51200), ("pixels", 2048)):
        parser.add_argument(f"--{name}", type=int, default=value)
    print(pd.DataFrame(main(**vars(parser.parse_args()))).T.to_string())
