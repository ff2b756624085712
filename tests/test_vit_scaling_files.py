"""The study vit_scaling on users' files, in other precisions, with other logs, and from more data than memory."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import papermill
import pytest
import torch
from safetensors.torch import load_file
from vit_cases import save_toy_grid

from benchmarks import out_of_core
from lib import paths
from lib.data.generated import GeneratedSpectra
from lib.data.grid import SpectralGrid
from lib.files import read_json
from lib.steps.vit import logger
from lib.studies import vit_scaling
from lib.studies.vit_scaling import VitScalingConfig
from lib.studies.vit_scaling.points import Sweep

TOY = {
    "window_aa": [8420.0, 8840.0], "patch_size": 32, "sizes": [64, 256], "epochs": [1, 2], "fresh_sizes": [], "fresh_epochs": [],
    "ablations": [], "noise_levels": [], "n_val": 64, "n_test": 256, "num_threads": 1, "lightgbm_rounds": 20,
}  # fmt: skip


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    return save_toy_grid(tmp_path_factory.mktemp("grid") / "toy.safetensors")


@pytest.fixture
def config(grid, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    return VitScalingConfig.checked(TOY | {"grid_path": str(grid)})


def users_config(config, grid, folder, **changes):
    """Write three files of spectra, training in two shards, and return the config that reads them."""
    shards = [f"train_{i}.h5" for i in range(2)]
    train = GeneratedSpectra(grid, 600, seed=0, split="train", norm="none")
    for i, name in enumerate(shards):
        train.write_hdf5(folder / name, 300 * i, 300 * (i + 1))
    for k, split in enumerate(("val", "test"), 1):
        GeneratedSpectra(grid, 300, seed=k, split=split, norm="none").write_hdf5(folder / f"{split}.h5")
    named = {"data_dir": str(folder), "train_path": shards, "val_path": "val.h5", "test_path": "test.h5", "grid_path": ""}
    alone = {"sizes": [600], "epochs": [3], "ablations": [], "fresh_sizes": [], "fresh_epochs": []}
    return VitScalingConfig.checked(config.model_dump() | named | alone | changes)


def test_every_read_mode_trains_the_same_network(config, grid, tmp_path, monkeypatch):
    found = {}
    for mode in ("memory", "device", "stream"):
        monkeypatch.setattr(paths, "RUNS", tmp_path / mode)
        user = users_config(config, SpectralGrid.load(grid), tmp_path, data_mode=mode)
        sweep = Sweep(user, vit_scaling.start(user))
        assert sweep.sets().train.mode == mode
        vit = next(i for i, p in enumerate(sweep.points) if p.changes["model"] == "vit")
        found[mode] = load_file(sweep.run([vit])[0] / "predictions.safetensors")
    for mode in ("device", "stream"):
        for part, values in found["memory"].items():
            torch.testing.assert_close(found[mode][part], values, rtol=0, atol=1e-6)


def test_bf16_trains_on_a_cpu_to_nearly_the_scores_of_fp32(config):
    mae = {}
    for precision in ("32-true", "bf16-mixed"):
        changed = config.model_copy(update={"precision": precision, "sizes": [512], "epochs": [8], "noise_level": 0.1})
        folder = Sweep(changed, vit_scaling.start(changed)).run([0])[0]
        mae[precision] = pd.read_csv(folder / "history.csv").val_mae
    assert mae["bf16-mixed"].iloc[-1] < 0.97 * mae["bf16-mixed"].iloc[0], "it learns"
    assert not np.array_equal(mae["bf16-mixed"], mae["32-true"])
    np.testing.assert_allclose(mae["bf16-mixed"], mae["32-true"], atol=0.03)


LOGS = {"csv": "log/version_0/metrics.csv", "tensorboard": "log/version_0/events.out.*", "wandb": "wandb/offline-run-*/*.wandb"}


@pytest.mark.parametrize("kind", [*LOGS, "none"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the logging packages
def test_training_log_is_a_parameter(config, kind):
    if kind in ("tensorboard", "wandb"):
        pytest.importorskip(kind)
    config = config.model_copy(update={"logger": kind, "ablations": []})
    folder = Sweep(config, vit_scaling.start(config)).run([0])[0]
    written = {name: [f for f in folder.glob(pattern) if f.stat().st_size] for name, pattern in LOGS.items()}
    assert [name for name, files in written.items() if files] == ([] if kind == "none" else [kind])


@pytest.mark.parametrize("kind", ["tensorboard", "wandb"])
def test_missing_logger_package_is_a_sentence(tmp_path, kind):
    if importlib.util.find_spec(kind):
        pytest.skip(f"{kind} is installed")
    with pytest.raises(ValueError, match=f"pip install {kind}"):
        logger(kind, tmp_path)


@pytest.mark.slow
def test_the_notebook_reads_shards_given_to_papermill(config, grid, tmp_path):
    users_config(config, SpectralGrid.load(grid), tmp_path)
    values = {"train_path": "[train_0.h5, train_1.h5]", "val_path": "val.h5", "test_path": "test.h5", "data_dir": str(tmp_path),
              "out_dir": str(tmp_path / "out"), "data_mode": "stream", "n_val": "300", "n_test": "300"}  # fmt: skip
    words = [sys.executable, "-m", "papermill", "notebooks/vit_scaling.ipynb", str(tmp_path / "done.ipynb")]
    words += [word for name, value in values.items() for word in ("-p", name, value)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=paths.ROOT, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert (found["status"], found["data"]["source"]) == ("complete", "hdf5")


@pytest.mark.slow
def test_training_from_files_twenty_times_the_allowed_memory_keeps_memory_flat():
    row = out_of_core.main(rows=49152, pixels=1024)[0]
    assert row["ratio"] >= 20
    seen = [int(v) for v in row["rss_mib"].split()]
    assert max(seen) - row["before_mib"] < row["allowed_mib"]
    assert abs(seen[-2] - seen[4]) < 0.25 * row["allowed_mib"], "flat over the second half"
    assert row["val_r2"] > 0.5


@pytest.mark.slow
def test_the_notebook_does_without_ablations_noise_levels_and_fresh_noise(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    absent = {"ablations": [], "noise_levels": [], "fresh_sizes": [], "fresh_epochs": []}
    given = absent | {"out_dir": str(tmp_path / "out"), "num_threads": 1}
    papermill.execute_notebook(
        paths.NOTEBOOKS / "vit_scaling.ipynb", tmp_path / "run.ipynb", given, cwd=paths.ROOT, progress_bar=False
    )
    verdicts = {c["id"]: c["verdict"] for c in read_json(tmp_path / "out" / "results.json")["claims"]}
    assert verdicts["H5"] == verdicts["H29"] == "not_tested"
