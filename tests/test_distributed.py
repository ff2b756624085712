"""Two processes train what one trains: the same batches, the same validation curve, under torchrun and under Slurm's variables."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from spectra_cases import write_foreign_file

from lib import paths
from lib.data.batches import SpectraBatches
from lib.data.spectra import SpectraDataset

SCRIPT = str(paths.ROOT / "tests" / "distributed_cases.py")
ROWS = 300  # batches of 64: the last one has 44 rows
ENV = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_")} | {
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(paths.ROOT),
}


def run(words, **env):
    done = subprocess.run(words, capture_output=True, text=True, env=ENV | env, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def curves(folder):
    vit = pd.read_csv(folder / "vit" / "history.csv")
    return vit[["val_loss", "val_mae", "val_r2"]], pd.read_csv(folder / "denoiser" / "pretraining.csv")[["val_loss"]]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    run([sys.executable, SCRIPT, str(folder), str(ROWS)])
    return curves(folder)


def assert_same(alone, together):
    for one, two in zip(alone, together, strict=True):
        assert len(one) == 4
        assert one.iloc[:, 0].is_unique, "the curve moves"
        np.testing.assert_allclose(two, one, rtol=0, atol=1e-4)


def test_torchrun_with_two_processes_gives_the_curves_of_one(alone, tmp_path):
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node=2",
        "--master_addr=127.0.0.1",
        "--master_port=29613",
    ]
    run([*torchrun, SCRIPT, str(tmp_path), str(ROWS)])
    assert_same(alone, curves(tmp_path))


@pytest.mark.slow
def test_two_slurm_tasks_give_the_curves_of_one(alone, tmp_path):
    job = {"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "study", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1",
           "SLURM_NODEID": "0", "SLURM_NODELIST": "localhost", "SLURM_JOB_NODELIST": "localhost", "MASTER_ADDR": "127.0.0.1",
           "MASTER_PORT": "29614"}  # fmt: skip
    words = [sys.executable, SCRIPT, str(tmp_path), str(ROWS)]
    tasks = [
        subprocess.Popen(
            words, env=ENV | job | {"SLURM_PROCID": str(i), "SLURM_LOCALID": str(i)}, stderr=subprocess.PIPE, text=True
        )
        for i in range(2)
    ]
    said = [task.communicate(timeout=300)[1] for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0], said
    assert_same(alone, curves(tmp_path))


def test_processes_share_every_batch_without_loss_or_repeat(tmp_path):
    write_foreign_file(tmp_path / "d.h5", rows=1700, pixels=4, index_=np.arange(1700.0))
    data = SpectraDataset.from_hdf5(tmp_path / "d.h5", labels="index_", norm="none")
    options = {"batch_size": 100, "seed": 3, "shuffle": True, "window": 2}
    whole = [b[1][:, 0] for b in SpectraBatches(data, **options)]
    parts = [[b[1][:, 0] for b in SpectraBatches(data, rank=r, world=3, **options)] for r in range(3)]
    assert {len(p) for p in parts} == {len(whole)} == {17}
    for batch, *shares in zip(whole, *parts, strict=True):
        assert sorted(torch.cat(shares).tolist()) == sorted(batch.tolist())
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert sorted(torch.cat(whole).tolist()) == list(range(1700))


def test_a_last_batch_too_small_for_all_processes_is_a_sentence(tmp_path):
    write_foreign_file(tmp_path / "d.h5", rows=129, pixels=4)
    data = SpectraDataset.from_hdf5(tmp_path / "d.h5", labels="log_g", norm="none")
    with pytest.raises(ValueError, match="2 processes cannot share the last batch, which has 1 of 129 rows: choose another"):
        next(iter(SpectraBatches(data, batch_size=64, rank=0, world=2)))
