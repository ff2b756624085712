"""The sweep points of a config: each a step, cached and resumable, that leaves its predictions on the fixed test set."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml
from safetensors.torch import load_file

from lib import files, paths
from lib.data.grid import SpectralGrid
from lib.files import read_json, write_text
from lib.progress import Progress
from lib.runtime import Runtime
from lib.steps import Step
from lib.steps.baselines import RidgeSpec, TreesSpec, fit_lightgbm, fit_ridge
from lib.steps.splits import FileSplits, GridSplits, Sets, open_grid, open_sets
from lib.steps.vit import VitSpec, train_vit
from lib.studies.vit_scaling.config import Point, VitScalingConfig, points

TRAINING_ONLY = ("devices", "num_nodes", "strategy", "deterministic", "compile_model", "logger")


def splits(config: VitScalingConfig) -> GridSplits | FileSplits:
    """Return what the spectra of a run are: as many training rows as its largest point needs; its files must exist."""
    shared = {name: getattr(config, name) for name in ("label", "n_val", "n_test", "noise_level", "seed")}
    shared |= {"n_train": config.n_max, "window_aa": tuple(config.window_aa), "multiple": config.patch_size}
    if not config.train_path:
        shared |= {"noise_preset": config.noise_preset, "error_source": config.error_source, "path": config.grid_path}
        return GridSplits(open_grid(config.grid_path).fingerprint, **shared)
    *train, val, test = (_located(config, name) for name in (*config.train_path, config.val_path, config.test_path))
    named = {"train": tuple(map(str, train)), "val": str(val), "test": str(test)}
    return FileSplits(files.fingerprint(*train, val, test), **shared, mode=config.data_mode, **named)


def fingerprint(config: VitScalingConfig) -> str:
    """Return the fingerprint of the grid or of the users' files."""
    return splits(config).fingerprint


def _located(config: VitScalingConfig, name: str) -> Path:
    """Return the absolute path of a data file, relative to `data_dir` where that is given; it must exist."""
    path = paths.resolve(f"{config.data_dir}/{name}" if config.data_dir else name)
    if not path.is_file():
        raise ValueError(f"{path}: no such file; it is named by train_path, val_path, test_path or data_dir")
    return path


class Sweep:
    """Every point of a config, computed or found in the cache."""

    def __init__(self, config: VitScalingConfig, runtime: Runtime) -> None:
        self.config, self.runtime = config, runtime
        self.points, self.data = points(config), splits(config)

    @property
    def grid(self) -> SpectralGrid | None:
        """The whole grid that spectra come from; None where they come from files."""
        return None if self.config.train_path else open_grid(self.config.grid_path)

    def sets(self) -> Sets:
        """Return the spectra at the config's noise factor, with all training rows."""
        return open_sets(self.data, self.runtime.device)

    def folder(self, point: Point) -> Path:
        """Return the folder of a finished point, computing it first where the cache does not have it."""
        made, *given = self.call(point)
        return made(*given, force=self.config.force)

    def run(self, indices: Sequence[int] | None = None) -> list[Path]:
        """Compute points (default: all) with progress; return their folders."""
        if self.config.train_path:  # a file with too few rows is told before anything is trained
            open_sets(replace(self.data, mode="stream"), self.runtime.device)
        chosen = [self.points[i] for i in (range(len(self.points)) if indices is None else indices)]
        with Progress("sweep points", len(chosen)) as bar:
            folders = []
            for point in chosen:
                folders.append(self.folder(point))
                bar.advance(1, f"{point.model} {point.protocol} n={point.n_train} {point.arm}")
        return folders

    def share(self, k: int, of: int) -> list[int]:
        """Return the k-th of `of` shares of about equal cost, as numbers of points; equal trainings appear once."""
        places = [made.folder(*given) for made, *given in map(self.call, self.points)]
        distinct = {place: i for i, place in reversed(list(enumerate(places)))}
        return sorted(distinct.values(), key=lambda i: (-_cost(self.points[i]), i))[k - 1 :: of]

    def run_in_processes(self) -> list[Path]:
        """Compute all points with `workers` processes that share the cache; this one takes part and waits for the rest."""
        of = self.config.workers
        if of == 1 or self.config.force or self.status().done.all():
            return self.run()
        params = self.config.out / "sweep.yaml"
        params.parent.mkdir(parents=True, exist_ok=True)
        write_text(params, yaml.safe_dump(self.config.model_dump()))
        command = [sys.executable, "-m", "lib.studies.vit_scaling", "run", "--params", str(params)]
        quiet = {"cwd": paths.ROOT, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        others = [subprocess.Popen([*command, "--part", f"{k}/{of}"], **quiet) for k in range(2, of + 1)]
        try:
            self.run(self.share(1, of))
            return self.run()  # a point that another process has in hand is waited for, one that it failed is computed here
        finally:
            for process in others:
                process.terminate()
                process.wait()

    def status(self) -> pd.DataFrame:
        """Return one row per point: index, group, arm, model, protocol, n_train, seed, noise_level, done."""
        names = ("group", "arm", "model", "protocol", "n_train", "seed", "noise_level")
        rows = [{name: getattr(p, name) for name in names} for p in self.points]
        done = [made.done(*given) for made, *given in map(self.call, self.points)]
        return pd.DataFrame(rows).assign(done=done).rename_axis("index").reset_index()

    def call(self, point: Point) -> tuple[Step, Any, Runtime]:
        """Return the step of a point with its spec and what it is computed on."""
        config, model = self.config, point.model
        data = replace(self.data, n_train=point.n_train, noise_level=point.noise_level)
        runtime = self.runtime if point.precision == "auto" else replace(self.runtime, precision=point.precision)
        if model != "vit":
            made, kind = {"ridge": (fit_ridge, RidgeSpec), "lightgbm": (fit_lightgbm, TreesSpec)}[model]
            return made, kind(data, point.seed, **point.settings), runtime
        options = {name: getattr(config, name) for name in TRAINING_ONLY}
        return train_vit, VitSpec(data, point.seed, point.epochs, point.protocol == "fresh", point.settings, **options), runtime


def _cost(point: Point) -> float:
    """Return about how long a point takes, in arbitrary units: it balances the shares."""
    passes = point.epochs or {"lightgbm": 3 * point.settings["copies"], "ridge": 0.3}[point.model]
    return point.n_train * passes


def read(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return what a point measured and predicted."""
    return read_json(folder / "point.json"), load_file(folder / "predictions.safetensors")
