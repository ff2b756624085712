"""Compute the sweep points: each a cached, resumable job that leaves its predictions on the fixed test set."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml
from safetensors.torch import load_file, save_file

from lib import paths
from lib.data.grid import SpectralGrid
from lib.data.views import First
from lib.files import read_json, replacing, write_json, write_text
from lib.progress import Progress
from lib.runs import cached, is_cached, rank
from lib.runtime import Runtime
from lib.studies.vit_scaling.baselines import ROWS, chunks, ridge_path, search_lightgbm
from lib.studies.vit_scaling.config import Point, VitScalingConfig, model_config, points
from lib.studies.vit_scaling.data import Sets, data_key, fingerprint, open_grid, open_sets
from lib.studies.vit_scaling.training import PREDICT_BATCH, load, logger, predict, train_vit

STEP = "vit_scaling"
TRAINING_ONLY = ("devices", "num_nodes", "strategy", "deterministic", "compile_model")


class Sweep:
    """Every point of a config, computed or found in the cache; spectra are opened when a point first needs them."""

    def __init__(self, config: VitScalingConfig, runtime: Runtime) -> None:
        self.config, self.runtime = config, runtime
        self.points = points(config)
        self.data = fingerprint(config)
        self._sets: dict[float, Sets] = {}

    @property
    def grid(self) -> SpectralGrid | None:
        """The whole grid that spectra come from; None where they come from files."""
        return None if self.config.train_path else open_grid(self.config.grid_path)

    def sets(self, noise_level: float | None = None) -> Sets:
        """Return the spectra at a noise factor."""
        level = self.config.noise_level if noise_level is None else noise_level
        if level not in self._sets:
            self._sets[level] = open_sets(self.config, self.runtime.device, noise_level=level)
        return self._sets[level]

    def folder(self, point: Point) -> Path:
        """Return the folder of a finished point, computing it first where the cache does not have it."""
        return cached(STEP, partial(self._compute, point), force=self.config.force, **self._key(point))

    def run(self, indices: Sequence[int] | None = None) -> list[Path]:
        """Compute points (default: all) with progress; return their folders."""
        chosen = [self.points[i] for i in (range(len(self.points)) if indices is None else indices)]
        with Progress("sweep points", len(chosen)) as bar:
            folders = []
            for point in chosen:
                folders.append(self.folder(point))
                bar.advance(1, f"{point.model} {point.protocol} n={point.n_train} {point.arm}")
        return folders

    def share(self, k: int, of: int) -> list[int]:
        """Return the k-th of `of` shares of about equal cost, as numbers of points; equal trainings appear once."""
        distinct = {json.dumps(self._key(p)["config"], sort_keys=True): i for i, p in reversed(list(enumerate(self.points)))}
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
        done = [is_cached(STEP, partial(self._compute, p), **self._key(p)) for p in self.points]
        return pd.DataFrame(rows).assign(done=done).rename_axis("index").reset_index()

    def _key(self, point: Point) -> dict[str, Any]:
        config = {"point": point.key(), "spectra": data_key(self.config)}
        config["training"] = {name: getattr(self.config, name) for name in TRAINING_ONLY}
        return {"config": config, "runtime": self._runtime(point), "data": self.data}

    def _runtime(self, point: Point) -> Runtime:
        wanted = point.settings.get("precision", "auto")
        precision = self.runtime.precision if wanted == "auto" else wanted
        return replace(self.runtime, seed=point.seed, precision=precision)

    def _compute(self, point: Point, folder: Path) -> None:
        if rank() and point.model != "vit":
            return  # only the networks are trained by several processes together
        sets, began = self.sets(point.noise_level), time.monotonic()
        train = sets.first(point.n_train)
        work = {"vit": _vit, "ridge": _ridge, "lightgbm": _lightgbm}[point.model]
        found = work(point, folder, train, sets, self._runtime(point), self.config)
        if rank():
            return
        with replacing(folder / "predictions.safetensors") as path:
            save_file({name: value.float().cpu().contiguous() for name, value in found.pop("predictions").items()}, path)
        write_json(folder / "point.json", {"seconds": time.monotonic() - began, **found})


def _cost(point: Point) -> float:
    """Return about how long a point takes, in arbitrary units: it balances the shares."""
    passes = {"vit": point.epochs, "lightgbm": 3 * point.settings.get("copies", 1), "ridge": 0.3}[point.model]
    return point.n_train * passes


def _vit(point: Point, folder: Path, train: First, sets: Sets, runtime: Runtime, config: VitScalingConfig) -> dict:
    settings = point.settings
    trainer: dict[str, Any] = {"logger": logger(config.logger, folder)}
    if config.devices > 1 or config.num_nodes > 1:
        trainer |= {"devices": config.devices, "num_nodes": config.num_nodes, "strategy": config.strategy}
    model, scaler = train_vit(
        folder, train, sets.val, model_config(settings, len(sets.wave)), settings, epochs=point.epochs,
        fresh=point.protocol == "fresh", runtime=runtime, trainer=trainer, compiled=config.compile_model,
    )  # fmt: skip
    if rank():
        return {}
    out: dict[str, torch.Tensor] = {}
    for name, part in (("train", train), ("val", sets.val), ("test", sets.test)):
        few = First(part, min(len(part), len(sets.test)))
        found = [predict(model, scaler, flux, precision=runtime.precision) for flux, _ in chunks(few, rows=PREDICT_BATCH)]
        out[name] = torch.cat([label for label, _ in found])
        if found[0][1] is not None:
            out[f"{name}_sigma"] = torch.cat([sigma for _, sigma in found])
    return {"predictions": out, "label_scale": scaler.scale[0], **read_json(folder / "training.json")}


def _ridge(point: Point, folder: Path, train: First, sets: Sets, runtime: Runtime, config: VitScalingConfig) -> dict:
    probe, search = ridge_path(train, sets.val, point.settings["alphas"], point.settings["copies"])
    probe.save(folder / "ridge.json")
    return {"predictions": _apply(probe.predict, train, sets), "search": search}


def _lightgbm(point: Point, folder: Path, train: First, sets: Sets, runtime: Runtime, config: VitScalingConfig) -> dict:
    booster, search = search_lightgbm(train, sets.val, seed=point.seed, threads=runtime.threads, **point.settings)
    booster.save_model(folder / "lightgbm.txt")
    found = _apply(lambda x: torch.from_numpy(booster.predict(x.cpu().numpy()))[:, None], train, sets)
    return {"predictions": found, "search": search}


def _apply(predictor, train: First, sets: Sets) -> dict[str, torch.Tensor]:
    """Return predictions of a baseline on validation, test and as many training rows."""
    few = First(train, min(len(train), max(ROWS, len(sets.test))))
    parts = {"train": few, "val": sets.val, "test": sets.test}
    found = {name: torch.cat([predictor(flux).float().cpu() for flux, _ in chunks(part)]) for name, part in parts.items()}
    return found | {"train": found["train"][: len(sets.test)]}


def read(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return what a point measured and predicted."""
    return read_json(folder / "point.json"), load_file(folder / "predictions.safetensors")


__all__ = ["STEP", "Sweep", "load", "read"]
