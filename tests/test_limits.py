"""What a machine cannot do is one sentence that says what to lower: memory, devices, operations that cannot be repeated."""

import json
import os
import subprocess
import sys

import pytest
import torch
from test_train import problem

from lib import paths, runtime
from lib.commands import end
from lib.report.failure import write_failure
from lib.runtime import Runtime, choose_device, fitting_in_memory, start
from lib.studies.latent_extraction.config import LatentExtractionConfig
from lib.studies.vit_scaling.config import VitScalingConfig
from lib.train import fit

CPU = Runtime(torch.device("cpu"), "32-true", 0, 1, 0.0)


@pytest.fixture
def strict():
    """Ask for deterministic operations as `start` does, and leave the process as it was."""
    threads = torch.get_num_threads()
    yield start(LatentExtractionConfig.checked({"device": "cpu", "num_threads": 1}))
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)


def train(tmp_path, step):
    task, batches, held = problem()
    task.training_step = step
    return fit(task, batches, held, folder=tmp_path, epochs=1, runtime=CPU, name="ViT")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nGPU 0 has"), r"^Out of GPU memory \(CUDA .* 2 GiB\.\): lower"),
        (MemoryError("Unable to allocate 8 TiB"), r"^Out of memory \(Unable to allocate 8 TiB\): lower"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"), "^Out of memory .*: lower"),
    ],
)  # fmt: skip
def test_out_of_memory_in_a_training_names_what_to_lower(tmp_path, error, sentence):
    def step(batch, batch_idx):
        raise error

    with pytest.raises(ValueError, match=sentence) as caught:
        train(tmp_path, step)
    assert r"'batch_size' (now 32) or the size of the model" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_error_of_a_training_stays_what_it_is(tmp_path):
    def step(batch, batch_idx):
        raise RuntimeError("mat1 and mat2 cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        train(tmp_path, step)


def test_out_of_memory_in_a_command_is_a_sentence_and_an_exit_code(capsys):
    def act():
        with fitting_in_memory("use --device cpu"):
            raise torch.OutOfMemoryError("CUDA out of memory.\nmore")

    assert end(act) == 1
    assert capsys.readouterr().err == "Out of GPU memory (CUDA out of memory.): use --device cpu.\n"


def test_out_of_memory_anywhere_in_a_notebook_says_what_to_lower(tmp_path):
    write_failure("vit_scaling", tmp_path, "OutOfMemoryError: CUDA out of memory.\nmore", "trace")
    said = json.loads((tmp_path / "failed.json").read_text())["error"]
    assert said == "OutOfMemoryError: CUDA out of memory.: lower batch_size, or the sizes of the model or of the data."


def test_an_operation_that_cannot_be_repeated_is_refused(tmp_path, strict):
    def step(batch, batch_idx):
        torch.zeros(4).put_(torch.tensor([0]), torch.tensor([1.0]))

    with pytest.raises(ValueError, match=r"^ViT: put_ has no deterministic implementation, two runs would differ: use another"):
        train(tmp_path, step)
    start(VitScalingConfig.checked({"device": "cpu", "num_threads": 1, "deterministic": False}))
    torch.zeros(4).put_(torch.tensor([0]), torch.tensor([1.0]))  # allowed where it was asked for


def test_more_devices_than_the_machine_has_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError, match="'devices' is 4, but this machine has 2 CUDA devices: use 2 at most"):
        start(LatentExtractionConfig.checked({"device": "cuda", "devices": 4}))
    with pytest.raises(ValueError, match="'device' is 'cuda:7', but this machine has 2 CUDA devices"):
        runtime.choose_device("cuda:7")


TAKE = """
import sys, time
import torch
from lib import paths, runtime
torch.cuda.is_available, torch.cuda.device_count = lambda: True, lambda: 2
print(runtime.choose_device("auto"), runtime.choose_device("cuda"), flush=True)
sys.stdin.read()
"""


def test_runs_on_one_machine_take_different_gpus_and_give_them_back(tmp_path):
    env = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(paths.ROOT)}
    env.pop("LOCAL_RANK", None)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": env}

    def take():
        process = subprocess.Popen([sys.executable, "-c", TAKE], **pipes)
        return process, process.stdout.readline().strip()

    first, second = take(), take()
    assert {first[1], second[1]} == {"cuda:0 cuda:0", "cuda:1 cuda:1"}
    first[0].communicate("")
    third = take()
    assert third[1] == first[1], "the first run ended, so that its GPU is free"
    for process, _ in (second, third):
        process.communicate("")


def test_a_rank_of_a_distributed_training_takes_its_own_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert choose_device("auto") == torch.device("cuda:3")
    assert choose_device("cuda:1") == torch.device("cuda:1")
