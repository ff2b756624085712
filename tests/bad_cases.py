"""Small good models and files for every command, made in moments; the tests of bad input spoil one thing at a time."""

import json
import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from spectra_cases import write_foreign_file

from lib.data import opamp
from lib.data.images import load as load_images
from lib.data.labels import LabelScaler
from lib.data.opamp import Scaler
from lib.inverse.model import InverseModel
from lib.inverse.space import Space
from lib.models import blindspot
from lib.models.ensemble import Ensemble, EnsembleConfig
from lib.models.heads import MLPHead, Standardised
from lib.models.mdn import MDN, MDNConfig
from lib.models.shared_latent import SharedLatentConfig, SharedLatentDenoiser
from lib.models.vit import SpectrumViT, ViTConfig
from lib.steps.noise2noise import save_model
from lib.steps.opamp.bench import Inputs
from lib.steps.opamp.classical import Linear
from lib.steps.opamp.spec import Arm
from lib.steps.vit import save as save_vit
from lib.studies.latent_extraction.__main__ import main as denoise_main
from lib.studies.mlp_head.__main__ import main as head_main
from lib.studies.opamp_transfer import artifact as opamp_artifact
from lib.studies.opamp_transfer.__main__ import main as opamp_main
from lib.studies.vit_scaling.__main__ import main as vit_main

FEATURES, TARGETS = ["w1", "l1", "ibias"], ["dc_gain", "ugf", "cmrr"]
WAVE = np.linspace(7100.0, 8850.0, 64)  # of `write_foreign_file`
SPEC = "dc_gain: {goal: target, value: 50}\n"


def designs(n=40, seed=0):
    rng = np.random.default_rng(seed)
    x = pd.DataFrame(rng.uniform(1, 9, (n, 3)), columns=FEATURES).assign(ibias=lambda x: 1e-6 * x.ibias)
    y = pd.DataFrame(rng.uniform(10, 99, (n, 3)), columns=TARGETS).assign(ugf=lambda y: 1e5 * y.ugf)
    return x, y


def csvs(folder, change=lambda x, y: (x, y), name="amp", both=False):
    """Write an op-amp data set; `change(features, targets)` spoils the target process, or both."""
    for process, names in opamp.FILES.items():
        frames = designs(seed=process == "target")
        frames = change(*frames) if both or process == "target" else frames
        for file, frame in zip(names, frames, strict=True):
            place = folder / "01_train_set" / name / file
            place.parent.mkdir(parents=True, exist_ok=True)
            frame.to_csv(place, index=False)
    return folder


def spectra(path, change=None, **options):
    """Write a file in the documents' layout; `change(file)` spoils it."""
    write_foreign_file(path, rows=20, **options)
    with h5py.File(path, "a") as file:
        if change:
            change(file)
    return path


def replaced(name, values):
    """Return a change of a spectra file: another array, or a function of it."""

    def change(file):
        new = values(file[name][()]) if callable(values) else values
        del file[name]
        file[name] = new

    return change


def truncated(path, share=0.6):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


class Bomb:
    """An object whose unpickling makes a folder: what a hostile checkpoint holds."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return (os.mkdir, (self.mark,))


def bomb(path, mark, *, inside=True):
    """Write a torch file with a bomb in it, or a bare pickle; `mark` is what appears when it goes off."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if inside:
        torch.save({"state_dict": {"encoders.0.conv.weight": torch.zeros(2, 2, 3)}, "callbacks": Bomb(mark)}, path)
    else:
        path.write_bytes(pickle.dumps(Bomb(mark)))
    return path


def denoiser(folder):
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    model = blindspot.BlindSpotDenoiser(blindspot.BlindSpotConfig(3, 2, 3)).eval()
    blindspot.save_pretrained(model, folder / "denoiser.safetensors")
    return folder


def head(folder):
    denoiser(folder)
    made = Standardised(MLPHead(2, 4), torch.zeros(2), torch.ones(2), torch.zeros(1), torch.ones(1))
    save_file({k: v.contiguous() for k, v in made.state_dict().items()}, folder / "head.safetensors")
    recipe = {"layer": "enc_pre_latent", "pooling": "global_mean", "direction": "mean", "wave_aa": WAVE.tolist()}
    (folder / "head.json").write_text(json.dumps(recipe))
    return folder


def vit(folder):
    folder.mkdir(parents=True, exist_ok=True)
    model = SpectrumViT(ViTConfig(input_length=64, patch_size=16, hidden_size=8, num_layers=1, num_heads=2))
    scaler = LabelScaler("standard", ("label",), (2.0,), (1.0,))
    save_vit(folder, model, scaler, {"settings": {}, "label": "log_g", "wave_aa": WAVE.tolist(), "mean_over_aa": None})
    return folder


def opamp_model(folder):
    x, y = designs()
    inputs, scaler = Inputs.fit(x, FEATURES, []), Scaler.fit(y, TARGETS, TARGETS)
    linear = Linear(np.zeros((3, len(inputs.physics.names))), np.zeros(3), 1)
    member = opamp_artifact.Member(Arm("ridge", "target_only", recipe=""), linear, np.ones(3), np.ones(3))
    opamp_artifact.save(
        opamp_artifact.Model("amp", inputs, scaler, [member], np.ones(3), np.full(3, -3.0), np.full(3, 3.0), {}), folder
    )
    return folder


def inverse_model(folder):
    x, y = designs()
    known = pd.concat([x, y], axis=1)
    torch.manual_seed(0)
    nets = Ensemble(EnsembleConfig(tuple(FEATURES), 3, 1, 4, 1)), MDN(MDNConfig(3, 3, 2, 4, 1))
    scaler = Scaler.fit(y, TARGETS, TARGETS)
    InverseModel(*nets, Space.from_frame(known, FEATURES), scaler, [-2.0] * 3, [2.0] * 3, known).save(folder)
    return folder


def n2n(folder):
    torch.manual_seed(0)
    save_model(SharedLatentDenoiser(SharedLatentConfig((4,), 4)), folder, recipe="x")
    return folder


def brain(folder, change=lambda a, b: (a, b), every=10):
    """Write a small pair of stacks as folders a/ and b/."""
    images = load_images()
    stacks = (1000 * images.a[40:120:every], 1000 * images.b[40:120:every])
    for side, stack in zip("ab", change(*stacks), strict=True):
        (folder / side).mkdir(parents=True, exist_ok=True)
        np.save(folder / side / "one.npy", stack)
    return folder


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf8"))
    return path


class Command:
    """A command to be run in this process whose output file exists already: it must fail and leave that file alone."""

    def __init__(self, main, words, out):
        self.main, self.words, self.out = main, [str(w) for w in words], Path(out)


def predict_designs(t, content=None, model=None):
    x = text(t / "x.csv", designs()[0].to_csv(index=False) if content is None else content)
    folder = opamp_model(t / "m")
    if model:
        model(folder)
    return Command(opamp_main, ["predict", "--model", folder, "--features", x, "--out", t / "y.csv"], t / "y.csv")


def invert(t, spec=SPEC, model=None, command="invert", **more):
    folder = inverse_model(t / "m")
    if model:
        model(folder)
    words = [command, "--model", folder, "--spec", text(t / "s.yaml", spec), "--out", t / "y.csv"]
    return Command(opamp_main, words + [w for k, v in more.items() for w in (f"--{k.replace('_', '-')}", v)], t / "y.csv")


def on_spectra(main, build, t, change=None, model=None, verb="predict", more=()):
    folder = build(t / "m")
    if model:
        model(folder)
    words = [verb, "--model", folder, "--in", spectra(t / "in.h5", change), "--out", t / "out", *more]
    return Command(main, words, t / "out")


def denoise(t, change=None, model=None, more=("--device", "cpu")):
    return on_spectra(denoise_main, denoiser, t, change, model, "denoise", more)


def predict_head(t, change=None, model=None):
    return on_spectra(head_main, head, t, change, model, more=("--device", "cpu"))


def predict_vit(t, change=None, model=None, more=()):
    return on_spectra(vit_main, vit, t, change, model, more=more)
