import time

import h5py
import numpy as np
import pytest
import torch
from spectra_cases import TinyGrid

from lib import denoising, latents
from lib.data.batches import Spectra, whole_set
from lib.data.generated import GeneratedSpectra
from lib.data.noise import preset
from lib.denoising import Pretraining, build, denoise, load, measure, pretrain
from lib.models.blindspot import BlindSpotConfig
from lib.models.latent import pool_by_name
from lib.runtime import Runtime

SHAPE = BlindSpotConfig(num_layers=3, embed_dim=4, kernel_size=5)
QUICK = {"epochs": 3, "batch_size": 16, "learning_rate": 5e-3, "schedule": "onecycle"}


def stars(n, split="train", pixels=64, level=1.0):
    noise = preset("mag215", noise_level=level)
    return GeneratedSpectra(TinyGrid(pixels), n, split=split, noise=noise, labels=TinyGrid.labels, norm="none")


def seen_of(source):
    return Spectra(*whole_set(source))


def runtime(seed=0, precision="32-true"):
    return Runtime(torch.device("cpu"), precision, seed, 1, time.time())


def fitted(folder, n=256, **changes):
    return pretrain(SHAPE, Pretraining(**QUICK | changes), stars(n), stars(64, "val"), folder=folder, runtime=runtime())


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("denoiser")
    history = fitted(folder, epochs=12, n=384).history
    return load(folder)[0], history


def test_pretraining_lowers_the_loss_and_removes_noise(trained):
    denoiser, history = trained
    assert history.val_loss.iloc[-1] < history.val_loss.iloc[0] - 0.1
    quality = measure(denoiser, stars(256, "test")).set_index("estimate")
    assert quality.gain["noisy_pixel"] == 1
    assert quality.gain_low["posterior"] > 1.3
    assert quality.gain["posterior"] >= quality.gain["mu"] * 0.95
    assert quality.rms_error["noisy_pixel"] == pytest.approx(1, abs=0.1)
    assert 0.6 < quality.z_std["mu"] < 1.6


@pytest.mark.parametrize("loss", ["e1", "e2", "t1"])
def test_every_loss_and_schedule_trains(tmp_path, loss):
    history = fitted(tmp_path, loss=loss, schedule="plateau", clip=0.5).history
    assert history.train_loss.iloc[-1] < history.train_loss.iloc[0]
    assert np.isfinite(history.val_loss).all()


def test_auxiliary_label_loss_reaches_the_encoder(tmp_path):
    history = fitted(tmp_path, label_weight=1.0).history
    assert {"train_nll", "train_label", "val_label"} <= set(history)
    model = denoising.Pretrainee(build(SHAPE, Pretraining(), stars(32), 0), 3)
    seen = seen_of(stars(32))
    batch = tuple(getattr(seen, name) for name in denoising.FIELDS)
    parts = denoising.objective(Pretraining(label_weight=2.0))(model, batch)
    assert parts["loss"].item() == pytest.approx(parts["nll"].item() + 2 * parts["label"].item(), rel=1e-5)
    (parts["loss"] - denoising.objective(Pretraining())(model, batch)["loss"]).backward()
    assert model.denoiser.encoders[0].conv.weight.grad.abs().sum() > 0


def test_interrupted_pretraining_ends_with_the_numbers_of_an_undisturbed_one(tmp_path, monkeypatch):
    whole = fitted(tmp_path / "whole")
    save = torch.optim.Optimizer.zero_grad
    calls = {"n": 0}

    def die(self, *args, **kwargs):
        calls["n"] += 1
        if calls["n"] == 40:  # in the third epoch of 16 steps
            raise KeyboardInterrupt
        return save(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "zero_grad", die)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        fitted(tmp_path / "cut")
    monkeypatch.undo()
    resumed = fitted(tmp_path / "cut")
    np.testing.assert_allclose(resumed.history.val_loss, whole.history.val_loss, rtol=1e-6)
    x = torch.rand(1, 2, 64)
    assert torch.equal(load(tmp_path / "cut")[0](x), load(tmp_path / "whole")[0](x))


def test_pretraining_is_repeatable_with_seed(tmp_path):
    first, again = (fitted(tmp_path / str(i)).history for i in range(2))
    assert first.drop(columns="seconds", errors="ignore").equals(again.drop(columns="seconds", errors="ignore"))


def test_denoiser_starts_at_the_flux_and_below_the_noise():
    source = stars(64)
    denoiser = build(SHAPE, Pretraining(sigma_start=0.3), source, 0).train()
    noisy, noise, _, _ = seen_of(source)
    mu, sigma = denoiser(denoising.stack_input(noisy, noise, denoiser.config)).unbind(1)
    assert mu.mean().item() == pytest.approx(noisy.mean().item(), rel=0.05)
    assert (sigma.mean() / noise.median()).item() == pytest.approx(0.3, rel=0.3)


def test_build_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    build(SHAPE, Pretraining(), stars(32), 0)
    assert torch.equal(before, torch.get_rng_state())


def test_denoise_refuses_train_mode_and_combines_prior_and_pixel(trained):
    denoiser, _ = trained
    noisy, noise, _, _ = seen_of(stars(4, "test"))
    found = denoise(denoiser, noisy, noise)
    weight = found.sigma**2 / (found.sigma**2 + noise**2)
    torch.testing.assert_close(found.flux, weight * noisy + (1 - weight) * found.mu)
    assert (found.sd <= torch.minimum(found.sigma, noise) * 1.0001).all()
    with pytest.raises(ValueError, match="train mode"):
        denoise(denoiser.train(), noisy, noise)
    denoiser.eval()


@pytest.mark.parametrize(("wrong", "says"), [({"loss": "mse"}, "loss 'mse'"), ({"schedule": "cosine"}, "'cosine'")])
def test_pretraining_rejects_unknown_names(wrong, says):
    with pytest.raises(ValueError, match=says):
        Pretraining(**wrong)


def test_features_are_the_same_whatever_the_batch_and_differ_by_noise_draw(trained):
    denoiser, _ = trained
    source, cells = stars(100, "test"), [("enc_pre_latent", "seg_mean_K8"), latents.FUSED]
    whole = latents.pooled(denoiser, source, cells, batch_size=100)
    parts = latents.pooled(denoiser, source, cells, batch_size=32)
    for cell in cells:
        torch.testing.assert_close(whole[cell], parts[cell], rtol=1e-4, atol=1e-5)
    assert whole[cells[0]].shape == (100, 32)
    assert whole[latents.FUSED].shape == (100, 12)  # three stages of four channels
    other = latents.pooled(denoiser, source, cells, epoch=1)
    assert not torch.allclose(whole[cells[0]], other[cells[0]], atol=1e-3)


@torch.no_grad()
def test_one_pass_gives_what_the_denoiser_gives_for_every_direction(trained):
    denoiser, _ = trained
    source, cells, ways = (
        stars(20, "test"),
        [("enc_last", "mean_max"), ("layer1", "seg_mean_K8")],
        ("forward", "mean", "concat"),
    )
    found = latents.pooled_ways(denoiser, source, cells, ways)
    seen = next(denoising.in_order(source))
    x = denoising.stack_input(seen.noisy, seen.sigma, denoiser.config)
    for way in ways:
        for layer, pooling in cells:
            expected = pool_by_name(denoiser.latents(x, layer, way), pooling)
            torch.testing.assert_close(found[way][layer, pooling], expected, rtol=1e-5, atol=1e-6)


def test_fused_layers_join_the_global_means_of_all_stages(trained):
    denoiser, _ = trained
    source = stars(8, "test")
    fused = latents.pooled(denoiser, source, [latents.FUSED])[latents.FUSED]
    each = latents.pooled(denoiser, source, [(f"layer{i}", "global_mean") for i in range(3)])
    torch.testing.assert_close(fused, torch.cat(list(each.values()), 1))


def test_cells_that_do_not_fit_are_known(trained):
    denoiser, _ = trained
    assert latents.fits(denoiser, 64, ("enc_last", "seg_mean_K16"))
    assert not latents.fits(denoiser, 64, ("enc_last", "seg_mean_K32"))
    assert latents.fits(denoiser, 64, ("layer0", "seg_mean_K32"))


def test_features_are_written_by_split_layer_and_pooling(trained, tmp_path):
    denoiser, _ = trained
    cells = [("enc_pre_latent", "seg_mean_K8")]
    found = latents.pooled(denoiser, stars(8, "test"), cells)
    latents.write_features(tmp_path / "f.h5", {"test": found}, {"test": np.arange(8.0)})
    with h5py.File(tmp_path / "f.h5") as file:
        np.testing.assert_allclose(file["test/enc_pre_latent/seg_mean_K8"][()], found[cells[0]].numpy(), rtol=1e-3, atol=1e-3)
        assert file["test/labels"].shape == (8,)


def test_passes_in_order_repeat_their_draw_and_differ_between_draws():
    source = stars(300, "test")
    first, again, other = (torch.cat([s.noisy for s in denoising.in_order(source, epoch=e, batch_size=100)]) for e in (0, 0, 3))
    assert torch.equal(first, again)
    assert torch.equal(first, seen_of(source).noisy)
    assert not torch.equal(first, other)


def test_mixed_precision_trains_to_what_full_precision_reaches(tmp_path):
    settings, sets = Pretraining(**QUICK | {"epochs": 8}), (stars(384), stars(64, "val"))
    losses = []
    for precision in ("32-true", "bf16-mixed"):
        done = pretrain(SHAPE, settings, *sets, folder=tmp_path / precision, runtime=runtime(precision=precision))
        losses.append(done.history.val_loss)
    full, mixed = losses
    assert not np.array_equal(full, mixed)
    assert mixed.iloc[-1] < mixed.iloc[0] - 0.1
    assert mixed.iloc[-1] == pytest.approx(full.iloc[-1], abs=0.15)
    weights = load(tmp_path / "bf16-mixed")[0].state_dict().values()
    assert {w.dtype for w in weights if w.is_floating_point()} == {torch.float32}


def test_plateau_schedule_lowers_the_rate_by_a_fifth_after_fifty_epochs_without_gain():
    made = denoising.optimisers(Pretraining(), steps=1)(torch.nn.Linear(1, 1))
    schedule, adam = made["lr_scheduler"]["scheduler"], made["optimizer"]
    assert made["lr_scheduler"]["monitor"] == "val_loss"
    rates = []
    for _ in range(53):
        schedule.step(1.0)
        rates.append(adam.param_groups[0]["lr"])
    assert rates[50] == 5e-4
    assert rates[51] == pytest.approx(4e-4)


def test_denoiser_without_batch_norm_trains_and_loads(tmp_path):
    shape = BlindSpotConfig(num_layers=3, embed_dim=4, kernel_size=5, use_bn=False)
    settings = Pretraining(**QUICK | {"learning_rate": 1e-3})
    history = pretrain(shape, settings, stars(256), stars(64, "val"), folder=tmp_path, runtime=runtime()).history
    assert history.val_loss.iloc[-1] < history.val_loss.iloc[0]
    assert not load(tmp_path)[0].config.use_bn
