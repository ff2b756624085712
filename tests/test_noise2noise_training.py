"""Training of the noise-leakage study: repeatable, resumable, on several processes, in mixed precision, at every setting of `full`."""

import os
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest
import torch
import yaml
from bad_cases import brain
from noise2noise_cases import IMAGES, RUNTIME, TINY, run
from step_cases_noise2noise import spec

from lib import paths
from lib.steps import noise2noise as training
from lib.studies import noise2noise as study
from lib.studies.noise2noise.__main__ import main
from lib.studies.noise2noise.arms import points

SWEEPS = [name for name in study.Config.model_fields if name.startswith("sweep_")]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")


def test_training_is_repeatable_and_found_in_the_cache():
    first, again = run()[2].trained[0], run()[2].trained[0]
    assert first.seconds == again.seconds  # the cached training
    forced = run(force=True)[2].trained[0]
    pd.testing.assert_frame_equal(forced.history, first.history)
    assert sorted(first.snapshots) == [1, 2]


@pytest.mark.parametrize(
    "change",
    [{"crop": 64}, {"reconstruction": "rss"}, {"pairs": "same_contrast"}, {"max_shift_px": 2.0}, {"n_test": 3}, {"devices": 2}],
)
def test_how_the_images_are_read_and_split_is_part_of_the_key(tmp_path, change):
    images, there = brain(tmp_path / "here", every=4), brain(tmp_path / "there", every=4)
    given = {"n_train": 2, "n_val": 1, "n_test": 2}
    usual, moved, other = (
        spec(**given | c) for c in ({"data_dir": str(images)}, {"data_dir": str(there)}, {"data_dir": str(images)} | change)
    )
    folders = [training.train_shared_latent.folder(one, RUNTIME) for one in (usual, moved, other)]
    assert folders[0] == folders[1] != folders[2]
    assert training.open_images(other.images)[0].a.shape[1:] == ((64, 64) if "crop" in change else IMAGES.a.shape[1:])


def test_images_that_changed_since_they_were_described_are_refused(tmp_path):
    described = spec(data_dir=str(brain(tmp_path, every=4)), n_train=2, n_val=1)
    brain(tmp_path, lambda a, b: (a[::-1], b[::-1]))
    training.open_images.cache_clear()
    with pytest.raises(ValueError, match="the files are not those of fingerprint sha256"):
        training.train_shared_latent(described, RUNTIME)


@pytest.mark.parametrize("name", SWEEPS)
def test_every_sweep_of_the_parameters_is_trained(name):
    rows = points(study.Config.checked(TINY | {name: [1]}))
    assert set(rows.sweep) == {"main", name.removeprefix("sweep_").replace("noise", "noise_sigma")}


def test_the_diagnose_command_trains_no_sweep(tmp_path):
    params = tmp_path / "p.yaml"
    params.write_text(yaml.safe_dump(TINY | {"epochs": 1, "device": "cpu"} | {name: [1] for name in SWEEPS}), encoding="utf8")
    assert main(["diagnose", "--params", str(params)]).startswith("pure_noise2noise:")
    assert len(list((paths.RUNS / "train_shared_latent").glob("*/complete.json"))) == 1


def test_the_stages_of_progressive_training_are_one_curve_and_the_second_starts_from_the_first():
    _, _, trained = run(configs=["progressive"], epochs=6)
    history = trained.trained[0].history
    assert history.epoch.tolist() == list(range(1, 7))
    assert history.stage.tolist() == [1, 2, 2, 2, 2, 2]
    fresh = run(configs=["pure_noise2noise"], epochs=1, seed=0)[2].trained[0].history
    assert history.val_cross[1] < fresh.val_cross[0]  # the second stage does not start over
    assert study.costs(trained).parameters[0] == sum(p.numel() for p in trained.trained[0].model.parameters())


@pytest.mark.parametrize("moment", ["between its stages", "within its second stage"])
def test_a_killed_training_ends_like_an_undisturbed_one(monkeypatch, moment):
    whole = run(configs=["progressive"], epochs=6)[2].trained[0]
    fit, loss, fits, steps = training.fit, training._loss, [], []

    def killed(*args, **kwargs):
        fits.append(kwargs["name"])
        if moment == "between its stages" and len(fits) == 2:
            raise KeyboardInterrupt
        return fit(*args, **kwargs)

    def deadly(model, batch, weights):
        steps.append(weights)
        if moment == "within its second stage" and len(steps) == 10:
            raise RuntimeError("killed")
        return loss(model, batch, weights)

    monkeypatch.setattr(training, "fit", killed)
    monkeypatch.setattr(training, "_loss", deadly)
    with pytest.raises((KeyboardInterrupt, RuntimeError)):
        run(configs=["progressive"], epochs=6, force=True)
    monkeypatch.setattr(training, "fit", fit)
    monkeypatch.setattr(training, "_loss", loss)
    again = run(configs=["progressive"], epochs=6)[2].trained[0]
    pd.testing.assert_frame_equal(again.history, whole.history)
    assert sorted(again.snapshots) == sorted(whole.snapshots)
    assert all(torch.equal(w, v) for w, v in zip(again.model.parameters(), whole.model.parameters(), strict=True))


def test_training_in_mixed_precision_stays_close_to_single():
    config = study.Config.checked(TINY | {"configs": ["progressive"]})
    data = study.prepare(config)
    single, mixed = (study.train(config, data, replace(RUNTIME, precision=p)).trained[0] for p in ("32-true", "bf16-mixed"))
    assert mixed.history.val_cross.to_numpy() == pytest.approx(single.history.val_cross.to_numpy(), rel=0.02)
    assert mixed.history.train_edge.iloc[-1] > 0


def test_extra_noise_enters_the_inputs_and_never_the_targets():
    batch = tuple(torch.zeros(2, 1, 4, 4) for _ in range(4))
    assert training._augment(batch, None, 0.0) is batch
    out = training._augment(batch, torch.Generator().manual_seed(0), 0.3)
    assert out[0].std() > 0.1
    assert not torch.equal(out[0], out[1])
    assert out[2].abs().max() == out[3].abs().max() == 0


@pytest.mark.slow
@pytest.mark.parametrize("config", ["pure_noise2noise", "progressive"])
def test_two_processes_train_what_one_does(tmp_path, config):
    shared = TINY | {"configs": [config], "epochs": 2, "profile": "smoke", "device": "cpu", "augment_sigma": 0.05}
    found = []
    for devices in (1, 2):
        params = tmp_path / f"{devices}.yaml"
        params.write_text(yaml.safe_dump(shared | {"devices": devices}), encoding="utf8")
        code = f"from pathlib import Path; from lib import paths; paths.RUNS = Path({str(tmp_path / str(devices))!r})\n"
        code += "import sys; from lib.studies.noise2noise.__main__ import main; sys.stdout.write(main(sys.argv[1:]))"
        (tmp_path / "go.py").write_text(code, encoding="utf8")
        words = [sys.executable, str(tmp_path / "go.py"), "run", "--params", str(params)]
        env = os.environ | {"PYTHONPATH": str(paths.ROOT)}
        done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=240, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("1 of 1 trainings")
        history = next((tmp_path / str(devices) / "train_shared_latent").glob("*/history.csv"))
        assert (history.parent / "complete.json").is_file()
        found.append(pd.read_csv(history))
    of_a_batch = ["train_latent_std", "train_content_ratio"]  # no mean over rows: each process has its own batch's
    pd.testing.assert_frame_equal(*(frame.drop(columns=of_a_batch) for frame in found), rtol=2e-3, atol=2e-4)


@pytest.mark.slow
def test_every_configuration_sweep_and_plan_of_the_full_profile_trains_and_is_judged(tmp_path):
    full = yaml.safe_load((paths.PARAMS / "full" / "noise2noise.yaml").read_text(encoding="utf8"))
    tiny = {
        "n_train": 4,
        "n_val": 2,
        "n_test": 3,
        "features": [8, 4, 2],
        "latent_scale": 1 / 64,
        "num_threads": 1,
        "device": "cpu",
    }
    config = study.Config.checked(full | tiny | {"out_dir": str(tmp_path)})
    assert set(config.configs) == set(study.ARMS)
    data = study.prepare(config)
    trained = study.train(config, data, RUNTIME)
    assert len(trained) == len(points(config))
    for row in trained.itertuples():
        assert len(row.trained.history) == row.point.recipe.epochs
    scored = study.scores(trained, data, RUNTIME)
    cross = scored.query("sweep == 'main' and path == 'cross'")
    assert not scored[["psnr_db", "l1", "leak"]].isna().any().any()
    for one, other in (
        ("progressive", "pure_long"),
        ("extreme_denoising", "pure_noise2noise"),
        ("no_skip_everywhere", "original"),
    ):
        assert study.gap(cross, one, other, "psnr_db").low is not None
    assert study.best_gap(cross, "progressive", ["pure_noise2noise", "extreme_denoising"], "psnr_db").low is not None
    table = study.sweep_table(scored)
    assert set(table.seeds) == {3}
    assert set(table.sweep) == {"noise_sigma", "recon", "content", "latent", "edge", "cross"}


def test_parts_of_a_run_share_its_trainings_and_the_study_finds_them(tmp_path):
    params = tmp_path / "p.yaml"
    params.write_text("profile: smoke\nn_train: 4\nepochs: 1\nfeatures: [4]\nnum_threads: 1\ndevice: cpu\n", encoding="utf8")
    said = [main(["run", "--params", str(params), "--part", f"{k}/2"]) for k in (1, 2)]
    assert all(text.startswith("1 of 2 trainings") for text in said)
    cached = sorted((paths.RUNS / "train_shared_latent").glob("*/complete.json"))
    config = study.Config.load(params)
    study.train(config, study.prepare(config), RUNTIME)
    assert sorted((paths.RUNS / "train_shared_latent").glob("*/complete.json")) == cached
    assert len(cached) == 2
