"""What a user can get wrong, one row each: one sentence says what, where and what would be right; old output stays as it was."""

import json

import h5py
import imageio.v3 as iio
import numpy as np
import pytest
import torch
from bad_cases import (
    Command,
    brain,
    csvs,
    denoise,
    denoiser,
    designs,
    inverse_model,
    invert,
    n2n,
    opamp_model,
    predict_designs,
    predict_head,
    predict_vit,
    replaced,
    spectra,
    text,
    truncated,
    vit,
)  # fmt: skip
from safetensors.torch import save_file

from lib.data import opamp, sets
from lib.data.grid import SpectralGrid
from lib.data.images import load as load_images
from lib.data.spectra import SpectraDataset
from lib.data.spectra.layout import ERROR, FLUX, WAVE
from lib.execute import execute
from lib.execute import main as execute_main
from lib.inverse import spec
from lib.inverse.model import InverseModel
from lib.models import blindspot
from lib.models.vit import load_pretrained as load_vit
from lib.render.__main__ import main as render_main
from lib.report.publish import open_staging
from lib.runtime import choose_device, choose_precision, start
from lib.steps.noise2noise import load_model as load_n2n
from lib.steps.splits import open_sets
from lib.studies.latent_extraction.config import LatentExtractionConfig as Latents
from lib.studies.mlp_head.config import MLPHeadConfig as Head
from lib.studies.noise2noise.__main__ import main as n2n_main
from lib.studies.noise2noise.config import Config as N2n
from lib.studies.opamp_transfer import artifact as opamp_artifact
from lib.studies.opamp_transfer.__main__ import main as opamp_main
from lib.studies.opamp_transfer.config import Config as Opamp
from lib.studies.opamp_transfer.data import prepare
from lib.studies.vit_scaling.config import VitScalingConfig as Vit
from lib.studies.vit_scaling.points import splits

ALIASES = "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a]\nlabels: [*b, *b, *b, *b, *b, *b, *b]\n"
CPU = torch.device("cpu")


def params(content, config=Latents):
    return lambda t: config.load(text(t / "p.yaml", content))


def checked(config=Latents, **values):
    return lambda t: config.checked(values)


def parsed(content):
    return lambda t: spec.load(text(t / "s.yaml", content), ["dc_gain", "ugf"])


PARAMETERS = {
    "params absent": (lambda t: Latents.load(t / "p.yaml"), r"Params file .*p\.yaml does not exist"),
    "params are a folder": (lambda t: Latents.load(t), r"Params file .* does not exist"),
    "params empty": (params(""), "must hold `name: value` lines, not NoneType"),
    "params a list": (params("- a"), "must hold `name: value` lines, not list"),
    "params broken": (params("seed: ["), r"p\.yaml is not plain YAML: .* line 1"),
    "params not UTF-8": (params(b"seed: \xff\xfe"), r"p\.yaml is 'utf-8' codec|p\.yaml is not"),
    "params with a tag": (params("seed: !!python/object/apply:os.system ['true']"), r"not plain YAML: a tag .* line 1"),
    "params with a bomb of aliases": (
        params(ALIASES),
        r"not plain YAML: an alias \(a\) where a plain value should be in line 1",
    ),
    "params nested without end": (params("seed: " + "[" * 5000), "not plain YAML: .*recursion"),
    "a key twice": (params("seed: 1\nseed: 2"), "not plain YAML: 'seed' is given twice in line 1"),
    "unknown key": (params("epohcs: 3"), "Unknown parameter 'epohcs': did you mean 'epochs'"),
    "number as text": (params("learning_rate: 1e-3"), "'learning_rate' is the text '1e-3', not a number"),
    "bool for int": (checked(epochs=True), "'epochs' is True, but it should be a valid integer"),
    "bool for float": (checked(noise_level=True), "'noise_level' is True, but it should be a valid number"),
    "NaN": (checked(learning_rate=float("nan")), "'learning_rate' is nan, but it should be"),
    "infinity in a list": (
        checked(window_aa=[8400.0, float("inf")]),
        r"'window_aa\.1' is inf, but it should be a finite number",
    ),
    "negative count": (checked(n_train=-1), "'n_train' is -1, but it should be greater than or equal to 32"),
    "no devices": (checked(devices=0), "'devices' is 0, but it should be greater than or equal to 1"),
    "a device of no kind": (checked(device="gpu"), "'device' is 'gpu', but it should match pattern"),
    "empty list": (checked(poolings=[]), r"'poolings' is \[\], but it should have at least 1 item"),
    "the same twice": (checked(labels=["log_g", "log_g"]), "'labels' names 'log_g' twice: once is right"),
    "files twice": (checked(Vit, train_path=["a.h5", "a.h5"]), "'train_path' names 'a.h5' twice"),
    "unknown arm": (checked(Head, arms=["cels"]), "'arms' names 'cels', but the arms are cells"),
    "unknown loss": (checked(Vit, loss="l7"), "'loss' is 'l7'; use one of"),
    "zero epochs in a list": (checked(Vit, epochs=[1, 0, 1]), r"'epochs\.1' is 0, but it should be greater than or equal to 1"),
    "no channels": (checked(N2n, features=[]), r"'features' is \[\], but it should have at least 1 item"),
    "negative weight in a sweep": (checked(N2n, sweep_recon=[-1.0]), r"'sweep_recon\.0' is -1\.0, but it should be greater"),
    "an even kernel": (checked(kernel_size=8), "lets every pixel see itself; take an odd one"),
    "window upside down": (checked(window_aa=[8850.0, 8412.0]), r"give \[low, high\] in Angstrom"),
    "window of one": (checked(Vit, window_aa=[8412.0]), r"give \[low, high\] in Angstrom"),
    "train without test": (checked(train_path=["a.h5"], val_path="b.h5"), "'train_path' is given without 'test_path'"),
    "a folder without files": (checked(Vit, data_dir="/data"), "'data_dir' is given without 'train_path'"),
    "op-amp name leads out": (checked(Opamp, opamp="../x"), "'opamp' is '../x', but it should match pattern"),
    "run name leads out": (checked(Head, run_name=".."), "'run_name' is '..', but it should match pattern"),
    "HTML in an op-amp name": (checked(Opamp, opamp="<script>"), "'opamp' is '<script>', but it should match pattern"),
    "results over the code": (checked(out_dir="lib/mine"), "'out_dir' is 'lib/mine', where the project itself lives"),
    "results over everything": (checked(out_dir="/"), "'out_dir' is '/', where the project itself lives"),
    "results over the repository": (checked(out_dir="build/.."), "'out_dir' is 'build/..', where the project itself lives"),
    "results of a job over the code": (
        lambda t: execute("vit_scaling", "smoke", {"out_dir": "notebooks"}),
        "where the project itself lives",
    ),
    "results over somebody's figures": (
        lambda t: (text(t / "figures" / "mine.png", "x"), open_staging(t)),
        "holds 'figures' of something else, which would be replaced",
    ),
    "cuda absent": (lambda t: start(Latents.checked({"device": "cuda"})), "'device' is 'cuda', but this machine has 0 CUDA"),
    "cuda:7 absent": (
        lambda t: choose_device("cuda:7"),
        "'device' is 'cuda:7', but this machine has 0 CUDA devices: use auto or cpu",
    ),
    "half precision on a CPU": (lambda t: choose_precision("16-mixed", CPU), "'16-mixed', which a CPU does not have: use"),
    "a study of no name": (lambda t: execute("astrology", "smoke", {}), "There is no study 'astrology' with profile 'smoke'"),
    "a long value": (checked(seed="x" * 10_000), "^Parameter 'seed' is 'x{100,130}…, but it should be a valid integer"),
}
SPECS = {
    "spec absent": (lambda t: spec.load(t / "s.yaml", ["ugf"]), r"Specification .*s\.yaml does not exist"),
    "spec empty": (parsed(""), "maps metrics to goals, such as"),
    "spec with aliases": (parsed("dc_gain: &a {goal: max}\nugf: *a"), "not plain YAML: an alias"),
    "unknown metric": (parsed("dc_gian: {goal: max}"), "unknown metric 'dc_gian': did you mean 'dc_gain'"),
    "unknown goal": (parsed("ugf: {goal: maximum}"), "goal is 'maximum', but it should be one of min, max, target, range"),
    "target without a value": (parsed("ugf: {goal: target}"), "the goal target needs a value"),
    "band upside down": (parsed("ugf: {goal: range, band: [2, 1]}"), "low must be below high"),
    "a number as text": (parsed("ugf: {goal: target, value: 1e6}"), r"YAML reads 1e6 as text, write 1\.0e\+6"),
    "a number beyond all": (
        parsed("ugf: {goal: target, value: 1" + "0" * 400 + "}"),
        "value is 1000.*, but it should be a finite",
    ),
    "all weights zero": (parsed("ugf: {goal: max, weight: 0}"), "every weight is 0; at least one must be positive"),
}


def folder(change=lambda x, y: (x, y), **more):
    return lambda t: opamp.load(csvs(t, change, **more), "amp")


def study(change, **more):
    """Return what reads a data set as the study does; both processes are spoilt alike."""
    return lambda t: prepare(Opamp.checked({"data_dir": str(csvs(t, change, both=True)), "opamp": "amp", **more}))


def target_csv(content):
    return lambda t: opamp.read_numbers(text(t / "x.csv", content))


TABLES = {
    "no data folder": (
        lambda t: opamp.load(t / "none", "amp"),
        "No op-amp 'amp' under .*none: that folder has no 01_train_set",
    ),
    "op-amp elsewhere": (lambda t: opamp.load(csvs(t), "../01_train_set/amp"), r"No op-amp '\.\./.*it holds amp"),
    "embedded op-amp elsewhere": (lambda t: opamp.embedded(".."), r"No embedded op-amp '\.\.': the embedded ones are"),
    "column missing": (folder(lambda x, y: (x.drop(columns="l1"), y)), r"differ in columns \['l1'\]"),
    "rows missing": (folder(lambda x, y: (x, y[:-1])), "target_design_features.csv has 40 rows but .* has 39"),
    "one unit per process": (folder(lambda x, y: (x.assign(w1=x.w1 * 1e-6), y)), "'w1' .* use one unit for both"),
    "an input that is a target": (folder(lambda x, y: (x.assign(ugf=1.0), y)), r"\['ugf'\] stand in"),
    "absent target": (
        study(lambda x, y: (x, y), targets=["cmmr"]),
        r"Target columns \['cmmr'\] are not in .*; it has \['dc_gain'",
    ),
    "absent log target": (
        study(lambda x, y: (x, y), log_targets=["cmmr"]),
        "log_targets names 'cmmr', which is not a target column: did you mean 'cmrr'",
    ),
    "widths in metres": (
        study(lambda x, y: (x.assign(w1=x.w1 * 1e-6), y)),
        "median of 'w1' is .*e-06, but micrometres are expected",
    ),
    "lengths in nanometres": (study(lambda x, y: (x.assign(l1=x.l1 * 1e3), y)), "'l1' is .*, but micrometres are expected"),
    "bias in microampere": (study(lambda x, y: (x.assign(ibias=x.ibias * 1e6), y)), "'ibias' is .*, but ampere are expected"),
    "constant target": (
        study(lambda x, y: (x, y.assign(cmrr=3.0))),
        "Op-amp amp, usable designs of the source process: the target 'cmrr' is 3 in all 40 rows, but it must vary .* 'targets'",
    ),
    "constant target after cleaning": (
        study(
            lambda x, y: (x, y.assign(dc_gain=np.where(y.index < 30, y.dc_gain, 0.1), cmrr=np.where(y.index < 30, 3.0, y.cmrr)))
        ),
        "the target 'cmrr' is 3 in all 30 rows",
    ),
    "all designs failed": (study(lambda x, y: (x, y.assign(dc_gain=0.1))), "Only 0 usable designs of the source process"),
    "empty CSV": (target_csv(""), r"x\.csv is not a readable CSV file \(it is empty"),
    "header alone": (target_csv("w1,l1\n"), r"x\.csv holds no rows"),
    "no header": (target_csv("1.5,2\n3,4\n"), "its first line should name the columns"),
    "duplicated header": (target_csv("w1,w1\n1,2\n"), r"one distinct name per column, but it is \['w1', 'w1'\]"),
    "nameless column": (target_csv("w1,\n1,2\n"), "one distinct name per column"),
    "formula in a header": (target_csv("w1,$x\n1,2\n"), r"its header names a column '\$x'"),
    "text for a number": (target_csv("w1,l1\n1,2\n3,wide\n"), r"x\.csv, line 3, column 'l1' is 'wide', not a finite number"),
    "empty cell": (target_csv("w1,l1\n1,\n"), "line 2, column 'l1' is 'nan', not a finite number"),
    "infinity": (target_csv("w1,l1\n1,inf\n"), "line 2, column 'l1' is 'inf', not a finite number"),
    "a row too long": (target_csv("w1,l1\n1,2,3\n"), "is not a readable CSV file .*header"),
    "bytes that are no text": (target_csv(b"w1,l1\n1,\xff\xfe\x00\n"), "is not a readable CSV file .*utf-8"),
    "gzip that is none": (lambda t: opamp.read_numbers(text(t / "x.csv.gz", b"w1\n1\n")), r"x\.csv\.gz is not a readable CSV"),
}


def opened(change=None, **options):
    return lambda t: SpectraDataset.from_hdf5(spectra(t / "d.h5", change), **options).flux


def in_study(change, config=Latents, **columns):
    """Return what opens a user's spectra as a study does, whichever of the two readers."""

    def read(t):
        names = [str(spectra(t / f"{s}.h5", change, T_eff=np.full(20, 5000.0), **columns)) for s in ("train", "val", "test")]
        values = {"train_path": names[:1], "val_path": names[1], "test_path": names[2], "window_aa": []}
        if config is Vit:
            return open_sets(splits(Vit.checked(values | {"sizes": [16], "epochs": [1], "fresh_sizes": [], "fresh_epochs": [],
                "ablations": [], "noise_levels": [], "patch_size": 16})), CPU)  # fmt: skip
        return sets.open_set(Latents.checked(values | {"labels": ["log_g"]}).spectra("train", 20), CPU)

    return read


def drop(name):
    return lambda file: file.__delitem__(name)


def grid(**arrays):
    """Return what reads a user's grid: two nodes of one label, spoilt."""

    def read(t):
        good = {
            "labels": np.array([[1.0], [2.0]]),
            "flux": np.ones((2, 8)),
            "wave": np.linspace(8412.0, 8850.0, 8),
            "names": ["log_g"],
        }
        with h5py.File(t / "g.h5", "w") as file:
            for name, values in (good | arrays).items():
                if values is not None:
                    file[name] = values
        return SpectralGrid.load(t / "g.h5")

    return read


SPECTRA = {
    "spectra absent": (lambda t: SpectraDataset.from_hdf5(t / "d.h5"), r"d\.h5 does not exist"),
    "spectra truncated": (
        lambda t: SpectraDataset.from_hdf5(truncated(spectra(t / "d.h5"))),
        r"d\.h5 is truncated or not HDF5",
    ),
    "spectra of another format": (lambda t: SpectraDataset.from_hdf5(text(t / "d.h5", "wave,flux")), "truncated or not HDF5"),
    "no flux": (opened(drop(FLUX)), f"has no data set '{FLUX}'"),
    "a group for an array": (opened(lambda f: (f.__delitem__(FLUX), f.create_group(FLUX))), f"has no data set '{FLUX}'"),
    "no table": (opened(drop("whatever")), r"d\.h5 holds no table of labels"),
    "no such label": (opened(labels="T_eff2"), "has no column 'T_eff2'; it has T_eff, log_g"),
    "flux of integers": (opened(replaced(FLUX, lambda a: a.astype(int))), "holds int64, but it should hold floats"),
    "another pixel count": (opened(replaced(FLUX, lambda a: a[:, :-1])), r"shape \(20, 63\), but it should be \(spectra, 64\)"),
    "another row count": (opened(replaced(ERROR, lambda a: a[:-1])), r"has shape \(19, 64\), but .* has \(20, 64\)"),
    "NaN in the flux": (
        opened(replaced(FLUX, lambda a: np.where(a > a.max() * 0.999, np.nan, a))),
        "flux/value' is nan at row",
    ),
    "negative error": (opened(replaced(ERROR, lambda a: -a)), "error/value' is -.* should be finite and not negative"),
    "wavelengths backwards": (opened(replaced(WAVE, lambda a: a[::-1])), "should increase from pixel to pixel"),
    "too few spectra": (opened(n=21), "21 spectra were asked for, but .* hold 20"),
    "wavelengths in nm": (in_study(replaced(WAVE, lambda a: a / 10)), "'wave' is 798, but Angstrom are expected .*nanometres"),
    "constant label": (
        in_study(None, log_g=np.full(20, 4.5)),
        "train.h5, first 20 rows: the target 'log_g' is 4.5 in all 20 rows",
    ),
    "constant label of a transformer": (in_study(None, Vit, log_g=np.full(20, 4.5)), "'log_g' is 4.5 in all 16 rows.* 'label'"),
    "wavelengths in um": (in_study(replaced(WAVE, lambda a: a / 1e4), Vit), r"'wave' is 0\.797, but Angstrom are expected"),
    "T_eff in kK": (
        lambda t: sets.check_units({"T_eff": [5.2, 4.8]}, "d.h5"),
        "d.h5: the median of 'T_eff' is 5, but kelvin are expected",
    ),
    "log g as a linear gravity": (
        in_study(None, log_g=np.linspace(1e3, 3e4, 20)),
        r"'log_g' is .*, but log10 of cm/s2 are expected",
    ),
    "mask of another length": (
        lambda t: opened(mask_path=text(t / "m.txt", "1\n0\n"))(t),
        r"has shape \(2,\), but the spectra have 64",
    ),
    "grid without names": (grid(names=None), "no label names; add a data set `names`"),
    "grid with a hole": (grid(labels=np.array([[1.0], [1.0]])), "not rectangular: node .* occurs 2 times"),
    "grid of NaN": (grid(flux=np.full((2, 8), np.nan)), "flux holds 16 values that are not finite"),
    "grid of another shape": (grid(flux=np.ones((2, 7))), r"flux has shape \(2, 7\); expected \(2, 8\)"),
    "grid file of another kind": (lambda t: SpectralGrid.load(denoiser(t) / "denoiser.safetensors"), "no grid header"),
    "denoise: no error": (lambda t: denoise(t, drop(ERROR)), f"has no data set '{ERROR}'"),
    "denoise: too few pixels": (
        lambda t: denoise(t, lambda f: [replaced(n, lambda a: a[..., :3])(f) for n in (WAVE, FLUX, ERROR)]),
        "3 pixels; the denoiser needs 4",
    ),
    "denoise: nanometres": (lambda t: denoise(t, replaced(WAVE, lambda a: a / 10)), "Angstrom"),
    "denoise: beyond float32": (lambda t: denoise(t, replaced(FLUX, lambda a: a.astype(float) * 1e300)), "inf at row 0"),
    "denoise: NaN": (
        lambda t: denoise(t, replaced(ERROR, lambda a: a * np.nan)),
        r"in\.h5: 'dataset/arrays/error/value' is nan at row 0",
    ),
    "denoise: no such device": (
        lambda t: denoise(t, more=("--device", "gpu")),
        "The device is 'gpu', but it should be auto, cpu, cuda",
    ),
    "head: other wavelengths": (lambda t: predict_head(t, replaced(WAVE, lambda a: a + 9)), "miss the model's 64 pixels"),
    "vit: other wavelengths": (lambda t: predict_vit(t, replaced(WAVE, lambda a: a / 10)), "do not hold the model's 64 pixels"),
    "vit: NaN": (lambda t: predict_vit(t, replaced(FLUX, lambda a: a * np.nan)), "flux/value' is nan at row 0, pixel 0"),
}


def images(change=lambda a, b: (a, b), **options):
    return lambda t: load_images(str(brain(t, change)), **options)


def one(name, content):
    """Return what reads a folder pair of one spoilt file."""

    def read(t):
        for side in "ab":
            text(t / side / name, content)
        return load_images(str(t))

    return read


def png(t):
    for side in "ab":
        (t / side).mkdir()
        iio.imwrite(t / side / "x.png", np.zeros((8, 8, 3), np.uint8))
    return load_images(str(t))


def denoise_image(t, array=None, out="out.npy", model=None):
    folder = n2n(t / "m")
    if model:
        model(folder)
    np.save(t / "in.npy", np.random.default_rng(0).random((2, 16, 16)) if array is None else array)
    return Command(n2n_said, ["denoise", "--model", folder, "--in", t / "in.npy", "--out", t / out, "--device", "cpu"], t / out)


def n2n_said(words):
    from lib.commands import end

    return end(lambda: n2n_main(words))


IMAGES = {
    "no image folder": (lambda t: load_images(str(t / "none")), r"data_dir .*none is no folder"),
    "one side only": (lambda t: (text(t / "a" / "x.npy", ""), load_images(str(t))), "or the subfolders a/ and b/"),
    "no partner": (lambda t: (text(brain(t) / "a" / "two.npy", ""), load_images(str(t))), "no partner for two"),
    "misregistered": (images(lambda a, b: (a, np.roll(b, 5, axis=2))), r"\+(4.9|5.0|5.1) px .columns. off the first"),
    "noise for a contrast": (
        images(lambda a, b: (a, np.random.default_rng(0).random(b.shape))), "do not show the same anatomy|off the first"),
    "another grid": (images(lambda a, b: (a, b[:, :90])), "must be on one grid"),
    "complex": (images(lambda a, b: (a + 1j, b)), "complex; take their magnitude first"),
    "NaN pixels": (images(lambda a, b: (np.where(a > 500, np.nan, a), b)), "pixels are not finite; mask or repair"),
    "four dimensions": (images(lambda a, b: (a[None], b[None])), r"expected an image \(H, W\) or a volume"),
    "empty images": (images(lambda a, b: (a * 0, b * 0)), "images are constant"),
    "crop too large": (images(crop=9999), "crop 9999 is larger than the images"),
    "text in an array": (one("x.npy", b""), r"x\.npy is damaged, or laid out in another way"),
    "a colour PNG": (png, "a PNG must be grey"),
    "a truncated PNG": (one("x.png", b"\x89PNG\r\n\x1a\n"), r"x\.png is damaged"),
    "a NIfTI that is none": (one("x.nii.gz", b"\x1f\x8b\x08"), r"x\.nii\.gz is damaged"),
    "a foreign image": (one("x.jpg", b"x"), "cannot read this kind of image; use .npy"),
    "fastMRI broken": (lambda t: (text(t / "x.h5", "x"), load_images(str(t))), r"x\.h5: not an HDF5 file"),
    "denoise: NaN pixels": (lambda t: denoise_image(t, np.full((2, 16, 16), np.nan)), "512 pixels are not finite"),
    "denoise: no format": (lambda t: denoise_image(t, out="out.jpg"), "cannot write this kind of image"),
    "denoise: over its input": (lambda t: denoise_image(t, out="in.npy"), r"in\.npy is both input and output"),
    "denoise: no weights": (
        lambda t: denoise_image(t, model=lambda m: (m / "weights.safetensors").unlink()), r"no file .*weights\.safetensors"),
}  # fmt: skip


def without(name, key):
    """Return a change of a model folder: a JSON file that lacks a key."""

    def change(folder):
        state = json.loads((folder / name).read_text())
        del state[key]
        (folder / name).write_text(json.dumps(state))

    return change


def weights(**tensors):
    return lambda t: (save_file(tensors, t / "w.safetensors"), t / "w.safetensors")[1]


def poisoned(folder):
    state = blindspot.load_pretrained(folder / "denoiser.safetensors").state_dict()
    state["encoders.0.conv.bias"][0] = torch.nan
    save_file({k: v.contiguous() for k, v in state.items()}, folder / "denoiser.safetensors")


MODELS = {
    "checkpoint absent": (lambda t: blindspot.load_pretrained(t / "x.ckpt"), r"There is no file .*x\.ckpt"),
    "checkpoint empty": (lambda t: load_vit(text(t / "x.pt", "")), r"x\.pt is no plain checkpoint of tensors"),
    "checkpoint of text": (lambda t: load_vit(text(t / "x.pt", "hello")), r"x\.pt is no plain checkpoint of tensors"),
    "checkpoint of numbers": (lambda t: (torch.save([1, 2], t / "x.pt"), load_vit(t / "x.pt")), "holds no state dict"),
    "a vit for a denoiser": (
        lambda t: blindspot.load_pretrained(vit(t).joinpath("model.safetensors").rename(t / "x.safetensors")), "no 'encoders.0.conv.weight'.* no blind-spot denoiser"),
    "a denoiser for a vit": (lambda t: load_vit(denoiser(t) / "denoiser.safetensors"), "no MyViT regression file"),
    "weights truncated": (lambda t: load_vit(truncated(vit(t) / "model.safetensors")), "is truncated or no safetensors file"),
    "weights of NaN": (lambda t: denoise(t, model=poisoned), "the weight 'encoders.0.conv.bias' holds NaN or infinity"),
    "weights of another size": (lambda t: denoise(t, model=lambda m: (m / "denoiser.json").write_text(
        json.dumps({"num_layers": 4, "embed_dim": 2, "kernel_size": 3}))), "absent or misshapen, first .*: it is of another architecture"),
    "config broken": (lambda t: denoise(t, model=lambda m: text(m / "denoiser.json", "{")), r"denoiser\.json is not valid JSON"),
    "config of another model": (
        lambda t: denoise(t, model=lambda m: text(m / "denoiser.json", "{}")), r"denoiser\.json lacks num_layers, embed_dim"),
    "config of nonsense": (lambda t: denoise(t, model=lambda m: text(m / "denoiser.json", json.dumps(
        {"num_layers": 3, "embed_dim": 2, "kernel_size": 3, "flux_scale": None}))), r"denoiser\.json is damaged, or laid out in another way"),
    "op-amp model of nonsense": (lambda t: predict_designs(t, model=lambda m: text(m / "model.json", (m / "model.json").read_text()
        .replace('"kind"', '"kinds"'))), "is damaged, or laid out in another way: it cannot be read as a model of this study"),
    "config nested without end": (
        lambda t: denoise(t, model=lambda m: text(m / "denoiser.json", "[" * 100_000)), r"denoiser\.json is not valid JSON"),
    "head without its recipe": (lambda t: predict_head(t, model=lambda m: (m / "head.json").unlink()), r"head\.json does not exist"),
    "head of another kind": (lambda t: predict_head(t, model=lambda m: vit(m).joinpath("model.safetensors").replace(
        m / "head.safetensors")), r"head\.safetensors has no 'head\.0\.weight'"),
    "vit without its scaler": (lambda t: predict_vit(t, model=without("model.json", "scaler")), r"model\.json lacks scaler"),
    "n2n without its sizes": (lambda t: load_n2n(n2n(t).joinpath("model.json").write_text("{}") and t), "lacks features"),
    "op-amp model absent": (lambda t: opamp_artifact.load(t), r"model\.json does not exist"),
    "op-amp model of another study": (
        lambda t: predict_designs(t, model=lambda m: text(m / "model.json", '{"features": [4]}')), r"model\.json lacks opamp, members"),
    "op-amp member of no kind": (lambda t: predict_designs(t, model=lambda m: text(m / "model.json", (m / "model.json").read_text()
        .replace("Linear", "os.system"))), "member of kind 'os.system'; it should be one of Linear"),
    "op-amp model without a part": (
        lambda t: predict_designs(t, model=lambda m: (m / "member_0/linear.json").unlink()), r"linear\.json does not exist"),
    "inverse model absent": (lambda t: invert(t, model=lambda m: (m / "inverse.json").unlink()), "holds no inverse model"),
    "inverse model broken": (lambda t: InverseModel.load(truncated(inverse_model(t) / "mixture.safetensors").parent), "truncated"),
    "inverse sizes broken": (lambda t: invert(t, model=without("inverse.json", "mixture")), r"inverse\.json lacks mixture"),
    "predict: column missing": (lambda t: predict_designs(t, "w1,ibias\n1,1e-6\n"), r"Columns \['l1'\] are missing; the model needs"),
    "predict: negative width": (lambda t: predict_designs(t, "w1,l1,ibias\n-1,1,1e-6\n"), "'w1' holds -1, but the logarithm"),
    "predict: widths in metres": (
        lambda t: predict_designs(t, "w1,l1,ibias\n2e-6,1,5e-6\n"), "'w1' has the median 2e-06, but the model was fitted on .* same unit"),
    "predict: over its input": (lambda t: Command(opamp_main, ["predict", "--model", opamp_model(t / "m"), "--features",
        text(t / "x.csv", designs()[0].to_csv(index=False)), "--out", t / "x.csv"], t / "x.csv"), "is both input and output"),
    "invert: another unit": (lambda t: invert(t, init=text(t / "i.csv", "w1,l1,ibias\n2e-6,1,5e-6\n")), "'w1' is .* use the same unit"),
    "invert: no such metric": (lambda t: invert(t, "gain: {goal: max}\n"), "unknown metric 'gain': did you mean 'dc_gain'"),
    "sample: spec of a list": (lambda t: invert(t, "[1]", command="sample"), "maps metrics to goals"),
    "stage: predecessor missing": (lambda t: Command(opamp_main, ["stage", "bias", "--folder", t, "--profile", "smoke"], t / "o"),
                                   "checkpoint of stage 'source' is missing"),
    "check: no such op-amp": (lambda t: Command(opamp_main, ["check", "--data", t, "--opamp", "amp"], t / "o"), "No op-amp 'amp'"),
    "render: no notebook": (lambda t: Command(render_main, ["page", text(t / "n.ipynb", "{}"), t / "p.html"], t / "p.html"), "notebook"),
    "compare: no results": (lambda t: Command(render_main, ["compare", text(t / "a.json", "[]"), t / "a.json", t / "p.html"],
                                              t / "p.html"), r"a\.json lacks schema"),
    "execute: a bomb for a value": (
        lambda t: Command(execute_main, ["vit_scaling", "--profile", "smoke", "-p", "sizes", "[&a [1], *a]"], t / "o"), "plain YAML"),
}  # fmt: skip
ROWS = [(name, *row) for table in (PARAMETERS, SPECS, TABLES, SPECTRA, IMAGES, MODELS) for name, row in table.items()]


def attempt(act, tmp_path, capsys):
    """Run a row; a command's sentence is raised as a function's is, once its exit code and its old output were checked."""
    command = act(tmp_path)
    if not isinstance(command, Command):
        return
    if not command.out.exists():
        command.out.write_text("old")
    before = command.out.read_bytes()
    code, said = command.main(command.words), capsys.readouterr().err
    assert code == 1
    assert command.out.read_bytes() == before
    assert not list(command.out.parent.glob(".*.partial"))
    raise ValueError(said.removesuffix("\n"))


@pytest.mark.parametrize(("name", "act", "sentence"), ROWS, ids=[name for name, *_ in ROWS])
def test_bad_input_is_one_sentence_and_old_output_stays(tmp_path, capsys, monkeypatch, name, act, sentence):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=sentence) as caught:
        attempt(act, tmp_path, capsys)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_there_are_rows_enough():
    assert len(ROWS) == len({name for name, *_ in ROWS}) >= 60


def test_reordered_columns_are_known_by_their_names(tmp_path):
    x, y = opamp.load(csvs(tmp_path / "a"), "amp").target, designs(seed=True)
    again = opamp.load(csvs(tmp_path / "b", lambda x, y: (x[["ibias", "w1", "l1"]], y[["cmrr", "ugf", "dc_gain"]])), "amp")
    assert again.target[list(x)].equals(x)
    assert y[0].w1.iloc[0] == pytest.approx(x.w1.iloc[0])
    one, other = (
        predict_designs(tmp_path / "c"),
        predict_designs(tmp_path / "d", designs()[0][["l1", "ibias", "w1"]].to_csv(index=False)),
    )
    for command in (one, other):
        assert command.main(command.words) == 0
    assert one.out.read_bytes() == other.out.read_bytes()


def test_a_gain_in_decibels_is_doubted_and_not_refused(tmp_path, caplog):
    change = lambda x, y: (x, y.assign(dc_gain=np.where(np.arange(40) < 4, -20.0, y.dc_gain), ugf=y.ugf / 1e6))  # noqa: E731
    prepare(Opamp.checked({"data_dir": str(csvs(tmp_path, change, both=True)), "opamp": "amp"}))
    assert "'dc_gain' is negative in 4 rows: V/V are expected; decibels are 20 log10 of them." in caplog.text
    assert "'ugf' has a median of" in caplog.text
