import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lib.probes import RidgeProbe, binned, boost, fit_ridge, frame, gain, lightgbm_rows, ridge_path, ridge_rows


def problem(n=400, d=12, seed=0):
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=draw, dtype=torch.float64) * torch.logspace(-3, 3, d) + 5
    z = (x - 5) / torch.logspace(-3, 3, d)
    y = torch.stack([z[:, 0] + 0.5 * z[:, 1], z[:, 2].sin() * 3, torch.randn(n, generator=draw)], 1)
    return x, y + 0.1 * torch.randn(n, 3, generator=draw)


@pytest.mark.parametrize(("n", "d"), [(400, 12), (30, 80)])
def test_ridge_equals_sklearn_on_standardised_features(n, d):
    x, y = problem(n, d)
    theirs = make_pipeline(StandardScaler(), Ridge(alpha=0.001)).fit(x.numpy(), y.numpy())
    np.testing.assert_allclose(fit_ridge(x, y).predict(x).numpy(), theirs.predict(x.numpy()), atol=1e-6)


def test_a_path_of_penalties_equals_single_fits():
    x, y = problem()
    for alpha, probe in zip((0.001, 10.0), ridge_path(x, y, (0.001, 10.0)), strict=True):
        torch.testing.assert_close(probe.coef, fit_ridge(x, y, alpha).coef)


def test_ridge_survives_a_constant_and_a_doubled_feature():
    x, y = problem()
    x = torch.cat([x, x[:, :1], torch.full((len(x), 1), 7.0)], 1)
    probe = fit_ridge(x, y)
    assert probe.predict(x).isfinite().all()
    assert probe.coef[-1].abs().max() < 1e-9


def test_ridge_comes_back_from_json(tmp_path):
    x, y = problem()
    probe = fit_ridge(x, y)
    probe.save(tmp_path / "probe.json")
    torch.testing.assert_close(RidgeProbe.load(tmp_path / "probe.json").predict(x), probe.predict(x))


def test_ridge_refuses_rows_that_do_not_match_and_nan():
    x, y = problem()
    with pytest.raises(ValueError, match="400 rows of features and 399"):
        fit_ridge(x, y[1:])
    x[0, 0] = torch.nan
    with pytest.raises(ValueError, match="not finite"):
        fit_ridge(x, y)


def test_probe_rows_find_what_is_there_and_nothing_in_noise():
    x, y = problem(2000)
    splits = {"train": (x[:800], y[:800]), "val": (x[800:1000], y[800:1000]), "test": (x[1000:], y[1000:])}
    rows, pred = ridge_rows(fit_ridge(*splits["train"]), splits, ["a", "b", "c"])
    table = frame(rows).set_index("label")
    assert pred.shape == (1000, 3)
    assert table.test_r2["a"] > 0.98
    assert table.test_r2["c"] < 0.05
    assert ((table.test_r2_low < table.test_r2) & (table.test_r2 < table.test_r2_high)).all()
    halves = (x[:1000], y[:1000]), (x[1000:], y[1000:])
    (tree, _), (other, other_pred) = lightgbm_rows(*halves, {"b": 1, "a": 0})
    np.testing.assert_array_equal(
        other_pred, boost(binned(x[:1000]), y[:1000, 0]).predict(x[1000:].float().numpy(), num_threads=1)
    )
    assert other["test_r2"] > 0.9
    assert tree["test_r2"] > table.test_r2["b"] + 0.02  # the sine is not linear
    truth = y[1000:, 1].numpy()
    ((drawn, _),) = lightgbm_rows(*halves, {"b": 1}, n_boot=60)
    assert drawn["test_r2"] == tree["test_r2"]
    assert drawn["test_r2_low"] != tree["test_r2_low"]  # other draws, another interval
    assert tree["test_rmse"] == pytest.approx((1 - tree["test_r2"]) ** 0.5 * truth.std(), rel=1e-6)


def test_lightgbm_is_repeatable_and_has_the_documents_size():
    x, y = problem()
    first, again = (boost(binned(x), y[:, 0], seed=3) for _ in range(2))
    assert first.num_trees() == 50
    assert first.model_to_string() == again.model_to_string()
    assert first.trees_to_dataframe().query("left_child.isnull()").groupby("tree_index").size().max() <= 15


def test_paired_gain_is_tighter_than_the_two_intervals_apart():
    draw = np.random.default_rng(0)
    y = draw.normal(size=1000)
    shared = 0.5 * draw.normal(size=1000)
    result = gain(y, y + shared, y + 1.1 * shared)
    assert result["gain"] > 0
    assert 0 < result["gain_low"] < result["gain"] < result["gain_high"]
    assert gain(y, y + shared, y + shared)["gain"] == 0
