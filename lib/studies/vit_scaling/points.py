"""The sweep points of a config: each an arm, trained by a step that leaves its predictions on the fixed test set.

An arm's changes name its model, its protocol (fixed: one noise draw; fresh: new noise every epoch, or noise copies for the
baselines), its size, its noise level and its epochs, beside what the table of arms changes.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml
from safetensors.torch import load_file

from lib import files, paths
from lib.arms import Arm, chosen
from lib.data.grid import SpectralGrid
from lib.files import read_json, write_text
from lib.progress import Progress
from lib.runtime import Runtime
from lib.steps import Step
from lib.steps.baselines import RidgeSpec, TreesSpec, fit_lightgbm, fit_ridge
from lib.steps.splits import FileSplits, GridSplits, Sets, open_grid, open_sets
from lib.steps.vit import VitSpec, train_vit
from lib.studies.vit_scaling.arms import ARMS
from lib.studies.vit_scaling.config import VitScalingConfig, vit_settings

MODELS = ("vit", "lightgbm", "ridge")
RUN = ("model", "protocol", "n_train", "noise_level", "epochs")  # what every point states
TRAINING_ONLY = ("devices", "num_nodes", "strategy", "deterministic", "compile_model", "logger")


def points(config: VitScalingConfig) -> list[Arm]:
    """Return every point of the study, equal trainings listed once per use (the cache computes them once)."""
    return [*_ladder(config), *_ablations(config), *_noise_sweep(config)]


def _ladder(config: VitScalingConfig) -> Iterator[Arm]:
    for protocol, sizes, epochs in (("fixed", config.sizes, config.epochs), ("fresh", config.fresh_sizes, config.fresh_epochs)):
        for n, rounds in zip(sizes, epochs, strict=True):
            repeats = config.repeats if n == max(config.sizes) and protocol == "fixed" else 1
            seeds = {"vit": range(config.seed, config.seed + repeats)}
            for model in MODELS:
                run = _run(config, n, rounds if model == "vit" else 0, model=model, protocol=protocol)
                yield from Arm(f"{model}_{protocol}_{n}", "ladder", run).seeded(seeds.get(model, [config.seed]))


def _ablations(config: VitScalingConfig) -> Iterator[Arm]:
    names = ["run_1", *config.ablations] if config.ablations else []
    for arm in chosen(ARMS, names, "ablations"):
        run = _run(config, config.ablation_size, config.ablation_epochs)
        yield replace(arm, changes=run | arm.changes, seed=config.seed)


def _noise_sweep(config: VitScalingConfig) -> Iterator[Arm]:
    for level in config.noise_levels:
        run = _run(config, config.noise_size, config.noise_epochs, noise_level=level)
        yield Arm(f"noise_{level}", "noise", run, config.seed)


def _run(config: VitScalingConfig, n_train: int, epochs: int, **others: Any) -> dict[str, Any]:
    usual = {"model": "vit", "protocol": "fixed", "noise_level": config.noise_level}
    return usual | {"n_train": n_train, "epochs": epochs} | others


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

    def folder(self, point: Arm) -> Path:
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
                bar.advance(1, point.name)
        return folders

    def share(self, k: int, of: int) -> list[int]:
        """Return the k-th of `of` shares of about equal cost, as numbers of points; equal trainings appear once."""
        places = [made.folder(*given) for made, *given in map(self.call, self.points)]
        distinct = {place: i for i, place in reversed(list(enumerate(places)))}
        return sorted(distinct.values(), key=lambda i: (-self.cost(self.points[i]), i))[k - 1 :: of]

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
        """Return one row per point: index, group, arm, model, protocol, n_train, noise_level, epochs, seed, done."""
        rows = [{"group": p.group, "arm": p.name} | {k: p.changes[k] for k in RUN} | {"seed": p.seed} for p in self.points]
        done = [made.done(*given) for made, *given in map(self.call, self.points)]
        return pd.DataFrame(rows).assign(done=done).rename_axis("index").reset_index()

    def call(self, point: Arm) -> tuple[Step, Any, Runtime]:
        """Return the step of a point with its spec and what it is computed on."""
        config, changes = self.config, dict(point.changes)
        model, protocol, n_train, noise_level, epochs = (changes.pop(name) for name in RUN)
        data = replace(self.data, n_train=n_train, noise_level=noise_level)
        copies = config.baseline_copies if protocol == "fresh" else 1
        if model == "ridge":
            return fit_ridge, RidgeSpec(data, point.seed, tuple(config.ridge_alphas), copies), self.runtime
        if model == "lightgbm":
            search = {name: getattr(config, f"lightgbm_{name}") for name in ("leaves", "rates", "rounds", "features", "bins")}
            search |= {"leaves": tuple(search["leaves"]), "rates": tuple(search["rates"])}
            return fit_lightgbm, TreesSpec(data, point.seed, **search, copies=copies), self.runtime
        runtime = replace(self.runtime, precision=changes.pop("precision", self.runtime.precision))
        options = {name: getattr(config, name) for name in TRAINING_ONLY}
        settings = vit_settings(config, **changes)
        return train_vit, VitSpec(data, point.seed, epochs, protocol == "fresh", settings, **options), runtime

    def cost(self, point: Arm) -> float:
        """Return about how long a point takes, in arbitrary units: it balances the shares."""
        copies = self.config.baseline_copies if point.changes["protocol"] == "fresh" else 1
        passes = point.changes["epochs"] or {"lightgbm": 3 * copies, "ridge": 0.3}[point.changes["model"]]
        return point.changes["n_train"] * passes


def read(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return what a point measured and predicted."""
    return read_json(folder / "point.json"), load_file(folder / "predictions.safetensors")
