"""Training: repeatable, resumable, and honest about divergence."""

import pandas as pd
import pytest
import torch
from torch import nn

from lib import metrics
from lib.runtime import Runtime
from lib.train import Task, TensorBatches, fit

RUNTIME = Runtime(torch.device("cpu"), "32-true", 7, 1, 0.0)


def _noisy(batch, generator):
    return batch[0] + 0.1 * torch.randn(batch[0].shape, generator=generator), batch[1]


def problem(loss_scale=1.0):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(96, 5, generator=g)
    y = x @ torch.randn(5, 2, generator=g)
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(5, 16), nn.GELU(), nn.Dropout(0.2), nn.Linear(16, 2))
    task = Task(
        model,
        lambda m, b: {"loss": loss_scale * nn.functional.mse_loss(m(b[0]), b[1])},
        lambda m: torch.optim.AdamW(m.parameters(), 1e-2),
        predict=lambda m, b: (b[1], m(b[0])),
        metrics={"r2": metrics.r2},
    )
    return task, TensorBatches(x, y, batch_size=32, seed=3, shuffle=True, augment=_noisy), TensorBatches(x, y, batch_size=64)


def test_a_killed_training_ends_with_the_numbers_of_an_undisturbed_one(tmp_path):
    whole = fit(*problem(), folder=tmp_path / "a", epochs=6, runtime=RUNTIME)
    task, train, val = problem()
    step = task.training_step

    def deadly(batch, batch_idx):
        if task.current_epoch == 3:
            raise RuntimeError("killed")
        return step(batch, batch_idx)

    task.training_step = deadly
    with pytest.raises(RuntimeError, match="killed"):
        fit(task, train, val, folder=tmp_path / "b", epochs=6, runtime=RUNTIME)
    resumed = fit(*problem(), folder=tmp_path / "b", epochs=6, runtime=RUNTIME)
    pd.testing.assert_frame_equal(whole.history, resumed.history)


def test_fit_leaves_the_best_weights_and_logs_every_epoch(tmp_path):
    task, train, val = problem()
    fitted = fit(task, train, val, folder=tmp_path, epochs=5, runtime=RUNTIME, monitor="val_r2", mode="max")
    x, y = val.tensors
    with torch.no_grad():
        assert metrics.r2(y, task.model(x)).mean() == pytest.approx(fitted.history.val_r2.max(), abs=1e-6)
    assert list(fitted.history.epoch) == list(range(5))


def test_a_diverging_loss_is_reported_by_name_and_epoch(tmp_path):
    with pytest.raises(ValueError, match=r"(train|val)_loss is nan in epoch 0"):
        fit(*problem(float("nan")), folder=tmp_path, epochs=2, runtime=RUNTIME)


def test_early_stopping_ends_before_the_last_epoch(tmp_path):
    task, train, val = problem(0.0)
    assert len(fit(task, train, val, folder=tmp_path, epochs=50, runtime=RUNTIME, patience=2).history) < 6


def test_batches_of_an_epoch_depend_on_seed_and_epoch_only():
    _, train, _ = problem()
    first = [b[0].clone() for b in train]
    train.set_epoch(1)
    assert not torch.equal(first[0], next(iter(train))[0])
    train.set_epoch(0)
    assert all(torch.equal(a, b[0]) for a, b in zip(first, train, strict=True))
