import time

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from spectra_cases import TinyGrid

from lib.data.batches import SpectraBatches
from lib.data.generated import GeneratedSpectra
from lib.heads import EncoderAndHead, FeatureBatches, HeadTraining, predictions, standardised, train_regressor
from lib.metrics import r2
from lib.models.blindspot import BlindSpotConfig, BlindSpotDenoiser
from lib.models.heads import MLPHead
from lib.runtime import Runtime

RUNTIME = Runtime(torch.device("cpu"), "32-true", 0, 1, time.time())
SETTINGS = HeadTraining(epochs=25, batch_size=64, learning_rate=5e-3)


def curved(n=600, seed=0):
    """Features whose label bends: a linear model cannot follow, a head can."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 5, generator=draw) * torch.tensor([1.0, 10.0, 0.1, 1.0, 1.0]) + 3
    y = 4 + ((x[:, :1] - 3) ** 2 + (x[:, 1:2] - 3) / 10)
    return x, y


def trained(folder, settings=SETTINGS, draw=None, **options):
    (x, y), (xv, yv) = curved(), curved(200, 1)
    torch.manual_seed(0)
    model = standardised(MLPHead(5, 32), x, y)
    train = FeatureBatches(draw or (lambda _: x), y, batch_size=settings.batch_size, shuffle=True)
    val = FeatureBatches(lambda _: xv, yv, batch_size=256)
    done = train_regressor(model, train, val, y_scale=y.std(0), settings=settings, folder=folder, runtime=RUNTIME, **options)
    return model, done, (x, y), (xv, yv)


def test_head_follows_what_a_linear_model_cannot(tmp_path):
    model, done, (x, y), (xv, yv) = trained(tmp_path)
    linear = LinearRegression().fit(x, y).predict(xv)
    found = predictions(model, FeatureBatches(lambda _: xv, yv, batch_size=64))
    assert r2(yv, found).item() > r2(yv.numpy(), linear).item() + 0.2
    assert done.history.val_r2.max() == pytest.approx(r2(yv, found).item(), abs=1e-5)  # the best epoch's weights are kept


def test_history_starts_with_the_untrained_head(tmp_path):
    _, done, _, _ = trained(tmp_path)
    assert done.history.epoch.tolist() == list(range(len(done.history)))
    assert done.history.val_r2[0] < 0.2
    assert done.history.val_r2[done.best_epoch] == done.history.val_r2.max()
    assert {"val_r2", "val_rmse", "val_mae", "train_loss"} <= set(done.history)


def test_training_stops_when_validation_stands_still(tmp_path):
    settings = HeadTraining(epochs=40, batch_size=64, learning_rate=1e-9, stop_patience=3)
    _, done, _, _ = trained(tmp_path, settings)
    assert len(done.history) < 12


def test_every_epoch_asks_for_its_own_noise_draw(tmp_path):
    asked = []
    x = curved()[0]

    def draw(epoch):
        asked.append(epoch)
        return x

    trained(tmp_path, HeadTraining(epochs=3, batch_size=64), draw)
    assert asked == [0, 1, 2]


def test_one_label_of_many_can_decide(tmp_path):
    (x, y), (xv, yv) = curved(), curved(200, 1)
    two, two_v = torch.cat([torch.randn(600, 1), y], 1), torch.cat([torch.randn(200, 1), yv], 1)
    model = standardised(MLPHead(5, 32, 2), x, two)
    batches = FeatureBatches(lambda _: x, two, batch_size=64, shuffle=True)
    val = FeatureBatches(lambda _: xv, two_v, batch_size=256)
    options = {"y_scale": two.std(0), "settings": SETTINGS, "folder": tmp_path, "runtime": RUNTIME, "monitored": 1}
    done = train_regressor(model, batches, val, **options)
    found = predictions(model, val)
    assert done.history.val_r2.max() == pytest.approx(r2(two_v[:, 1], found[:, 1]).item(), abs=1e-5)


def test_unfrozen_encoder_learns_with_its_head_and_a_frozen_one_stays(tmp_path):
    source, val = (GeneratedSpectra(TinyGrid(64), n, split=s, noise="mag215", labels=("log_g",), norm="none")
                   for n, s in ((128, "train"), (64, "val")))  # fmt: skip
    fields = ("noisy", "sigma", "labels")
    for frozen in (True, False):
        torch.manual_seed(0)
        encoder = BlindSpotDenoiser(BlindSpotConfig(num_layers=3, embed_dim=4, kernel_size=5)).requires_grad_(not frozen)
        before = encoder.encoders[0].conv.weight.clone()
        model = EncoderAndHead(encoder, "enc_pre_latent", "seg_mean_K8", "mean", MLPHead(32, 8))
        batches = [SpectraBatches(s, batch_size=64, fields=fields) for s in (source, val)]
        options = {"y_scale": torch.ones(1), "settings": HeadTraining(epochs=2), "runtime": RUNTIME}
        train_regressor(model, *batches, folder=tmp_path / str(frozen), **options)
        assert torch.equal(before, encoder.encoders[0].conv.weight) == frozen


def test_standardised_head_survives_a_constant_feature():
    x, y = curved()
    x = torch.cat([x, torch.full((len(x), 1), 7.0)], 1)
    assert np.isfinite(standardised(MLPHead(6, 8), x, y)(x).detach().numpy()).all()
