"""Every arm of the `full` profiles runs, at the notebooks' own small sizes, and the claims that wait for it are judged."""

import importlib

import pytest

from lib import paths
from lib.config import read_params
from lib.execute import execute
from lib.render.compare import read_results

CHOICES = {  # what `full` chooses beside sizes
    "latent_extraction": ("schedule", "poolings", "arms", "random_seeds"),
    "mlp_head": ("arms", "realisations"),
    "vit_scaling": ("tokenizer", "pos_encoding", "pooling", "loss", "label_norm", "repeats", "ablations", "noise_levels"),
}
MORE = {
    "mlp_head": lambda folder: {
        "checkpoint": str(folder / "latent_extraction" / "model" / "denoiser.safetensors"),
        "epochs": 40,
    },
    "vit_scaling": lambda _: {"epochs": [4] * len(defaults("vit_scaling")["sizes"]), "ablation_epochs": 4},
}
BEYOND = {
    "mlp_head": {"H7"},  # a validation R² above zero
    "vit_scaling": {"H1", "H12", "H13", "H28", "H30", "H32", "H38", "H43"},
}  # a million spectra, a GPU, a curve that reaches, what no arm can ask


def defaults(study):
    return importlib.import_module(f"lib.studies.{study}").Config().model_dump()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("full")


@pytest.mark.slow
@pytest.mark.parametrize("study", CHOICES)  # mlp_head starts from the model of latent_extraction, which comes before it
def test_every_arm_of_the_full_profile_runs_and_is_judged(folder, study):
    full = read_params(paths.PARAMS / "full" / f"{study}.yaml")
    usual = defaults(study)
    small = {name: usual[name] for name in full if name not in (*CHOICES[study], "profile")}
    small |= MORE.get(study, lambda _: {})(folder)
    assert execute(study, "full", small | {"num_threads": 1, "device": "cpu", "out_dir": str(folder / study)}, folder)
    claims = read_results(folder / study / "results.json")["claims"]
    assert {c["id"] for c in claims if c["verdict"] == "not_tested"} <= BEYOND.get(study, set())
