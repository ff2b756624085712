"""Write default spectra as HDF5 shards in the documents' layout: noiseless flux, sigma and the label table.

    python scripts/write_spectra.py --n 1000 --split val --out data/val_1k
    python scripts/write_spectra.py --n 1000000 --shards 5 --split train --out data/train_200k --dtype float16

writes data/val_1k/dataset.h5, and data/train_200k_0/dataset.h5 to data/train_200k_4/dataset.h5. A row does not depend on
the number of shards or on n: the first 50,000 of a million are the set of 50,000. Files of one split share seed and grid.
"""

import argparse
import itertools
import sys
from pathlib import Path

from lib.commands import end, seed
from lib.data.generated import SPLITS, GeneratedSpectra
from lib.data.grid import SpectralGrid
from lib.data.noise import PRESETS, preset


def main(args: argparse.Namespace) -> None:
    """Write the shards one after another."""
    if not 1 <= args.shards <= args.n:
        raise ValueError(f"--shards is {args.shards}, but it should be between 1 and --n ({args.n}).")
    grid = SpectralGrid.load(args.grid) if args.grid else SpectralGrid.default()
    noise = preset(args.noise, error_source=args.error_source)
    data = GeneratedSpectra(grid, args.n, seed=args.seed, split=args.split, noise=noise, device=args.device)
    edges = [args.n * i // args.shards for i in range(args.shards + 1)]
    for i, (start, stop) in enumerate(itertools.pairwise(edges)):
        folder = args.out if args.shards == 1 else args.out.with_name(f"{args.out.name}_{i}")
        data.write_hdf5(folder / "dataset.h5", start, stop, dtype=args.dtype)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, required=True, help="spectra in all")
    parser.add_argument("--out", type=Path, required=True, help="folder of dataset.h5 (a number is added per shard)")
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--seed", type=seed, default=0)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--noise", choices=PRESETS, default="mag205_225")
    parser.add_argument("--error-source", choices=("reference", "clean"), default="reference")
    parser.add_argument("--dtype", choices=("float32", "float16"), default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--grid", type=Path, help="a grid file of your own")
    sys.exit(end(lambda: main(parser.parse_args())))
