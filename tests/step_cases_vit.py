"""Tiny cases of the steps of `vit_scaling`: 64 stars around the calcium triplet, of the embedded grid or from files."""

import tempfile
from functools import cache
from pathlib import Path

from lib.data.generated import GeneratedSpectra
from lib.data.grid import SpectralGrid
from lib.files import fingerprint
from lib.steps.baselines import RidgeSpec, TreesSpec, fit_lightgbm, fit_ridge
from lib.steps.splits import FileSplits, GridSplits
from lib.steps.vit import VitSpec, train_vit
from lib.studies.vit_scaling import VitScalingConfig, vit_settings

FOLDER = tempfile.TemporaryDirectory()  # until the last test is done
SHARED = {
    "label": "log_g",
    "n_train": 64,
    "n_val": 32,
    "n_test": 32,
    "window_aa": (8490.0, 8560.0),
    "multiple": 32,
    "noise_level": 0.5,
}


def stars():
    return GridSplits(SpectralGrid.default().fingerprint, **SHARED, seed=3, noise_preset="mag215", error_source="reference")


@cache
def files():
    grid, folder = SpectralGrid.default(), Path(FOLDER.name)
    made = [GeneratedSpectra(grid, 64, seed=k, norm="none").write_hdf5(folder / f"{k}.h5") for k in range(3)]
    train, val, test = map(str, made)
    return FileSplits(fingerprint(*made), **SHARED, seed=3, mode="memory", train=(train,), val=val, test=test)


CASES = {
    train_vit: lambda: VitSpec(stars(), seed=7, epochs=2, fresh=True, settings=vit_settings(VitScalingConfig(patch_size=32))),
    fit_ridge: lambda: RidgeSpec(files(), seed=7, alphas=(1.0, 100.0), copies=2),
    fit_lightgbm: lambda: TreesSpec(stars(), 7, leaves=(7,), rates=(0.1, 0.2), rounds=20, features=0.5, bins=31, copies=1),
}
