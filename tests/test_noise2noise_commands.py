"""The commands of the noise-leakage study: denoise a file, check data, publish a model that cannot leak."""

from dataclasses import replace

import h5py
import imageio.v3 as iio
import nibabel
import numpy as np
import pytest
import torch
from noise2noise_cases import IMAGES, run, saved

from lib import paths
from lib.data.images import object_mask, scale_of
from lib.steps.noise2noise import load_model
from lib.studies import noise2noise as study
from lib.studies.noise2noise.__main__ import main


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")


def test_a_saved_model_comes_back_without_pickle(tmp_path):
    model = saved(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.json", "weights.safetensors"]
    x = torch.rand(1, 1, 8, 8)
    assert torch.equal(load_model(tmp_path)(x, x)["cross_a"], model(x, x)["cross_a"])
    saved(tmp_path / "other", skip_source="latent")
    (tmp_path / "other" / "weights.safetensors").replace(tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match="of another architecture"):
        load_model(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"x")
    with pytest.raises(ValueError, match="no safetensors file"):
        load_model(tmp_path)
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(ValueError, match="There is no file"):
        load_model(tmp_path)


@pytest.mark.parametrize("form", [".npy", ".nii.gz", ".png", ".h5"])
def test_the_denoise_command_keeps_format_shape_and_units(tmp_path, form):
    model, source, stack = saved(tmp_path / "model"), tmp_path / f"in{form}", 5000 * IMAGES.a
    target = tmp_path / f"out{'.npy' if form == '.h5' else form}"
    if form == ".npy":
        np.save(source, stack)
    elif form == ".png":
        iio.imwrite(source, stack[0].astype(np.uint16))
    elif form == ".h5":
        with h5py.File(source, "w") as file:
            file["reconstruction_rss"] = stack
    else:
        nibabel.save(nibabel.Nifti1Image(np.moveaxis(stack, 0, -1), np.diag([2.0, 2, 1, 1])), source)
    said = main(["denoise", "--model", str(tmp_path / "model"), "--in", str(source), "--out", str(target), "--device", "cpu"])
    assert str(target) in said
    if form == ".nii.gz":
        assert nibabel.load(target).affine[0, 0] == 2
        got = np.moveaxis(np.asarray(nibabel.load(target).dataobj), -1, 0)
    else:
        got = iio.imread(target)[None] if form == ".png" else np.load(target)
    scale = scale_of(stack[: len(got)], object_mask(stack[: len(got)]))
    with torch.no_grad():
        expected = model.translate(torch.from_numpy(stack[: len(got), None] / scale), "b")[:, 0].numpy() * scale
    assert got.shape == expected.shape
    assert np.corrcoef(got.ravel(), np.clip(expected, 0 if form == ".png" else None, None).ravel())[0, 1] > 0.99


@pytest.mark.parametrize(
    ("skips", "options", "sentence"),
    [
        ({"skip_source": "target"}, [], "copies the noise of its input"),
        ({}, ["--domain", "c"], "use a or b"),
        ({}, ["--out", "x.jpg"], "cannot write this kind of image; use .npy, .png, .nii, .nii.gz$"),
        ({}, ["--in", "absent.npy"], "absent.npy does not exist"),
        ({}, ["--out", "x.png"], "a PNG holds one image, these are 6"),
    ],
)
def test_the_denoise_command_refuses_in_a_sentence(tmp_path, skips, options, sentence):
    saved(tmp_path / "model", **skips)
    np.save(tmp_path / "in.npy", IMAGES.a)
    words = ["--model", str(tmp_path / "model"), "--in", str(tmp_path / "in.npy"), "--out", str(tmp_path / "o.npy"), *options]
    with pytest.raises(ValueError, match=sentence):
        main(["denoise", *words])


def test_the_check_command_tells_what_was_read(tmp_path):
    params = tmp_path / "p.yaml"
    params.write_text("profile: smoke\nn_train: 6\n", encoding="utf8")
    said = main(["check", "--params", str(params)])
    assert "MNI152" in said
    assert "T1 and T2" in said
    assert "pure_noise2noise" in main(["points", "--params", str(params)])
    with pytest.raises(ValueError, match="K/N such as 2/8"):
        main(["run", "--params", str(params), "--part", "3/2"])


def test_the_published_model_is_one_that_cannot_leak(tmp_path):
    _, data, trained = run(configs=["original", "latent_skips", "pure_noise2noise"], epochs=1)
    loss = {"original": 0.0, "latent_skips": 1.0, "pure_noise2noise": 2.0}
    losing = [replace(row.trained, history=row.trained.history.assign(val_cross=loss[row.arm])) for row in trained.itertuples()]
    name = study.publish(trained.assign(trained=losing), tmp_path, data.images)
    assert name == "latent_skips"
    assert load_model(tmp_path).config.skip_source == "latent"
    assert load_model(tmp_path / "original").config.skip_source == "target"
