import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lib.metrics import r2
from lib.probes import RidgeProbe, binned, boost, fit_ridge, ridge_path


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


def test_probes_find_what_is_there_and_nothing_in_noise():
    x, y = problem(2000)
    (seen, labels), (new, truth) = (x[:1000], y[:1000]), (x[1000:], y[1000:].numpy())
    linear = r2(truth, fit_ridge(seen, labels).predict(new).numpy())
    assert linear[0] > 0.98
    assert linear[2] < 0.05
    data = binned(seen)
    first, again = (boost(data, labels[:, k]).predict(new.float().numpy(), num_threads=1) for k in (1, 0))
    assert r2(truth[:, 1], first) > linear[1] + 0.02  # the sine is not linear
    assert r2(truth[:, 0], again) > 0.9
    alone = boost(binned(seen), labels[:, 0]).predict(new.float().numpy(), num_threads=1)
    np.testing.assert_array_equal(again, alone)  # bins serve every label


def test_lightgbm_is_repeatable_and_has_the_documents_size():
    x, y = problem()
    first, again = (boost(binned(x), y[:, 0], seed=3) for _ in range(2))
    assert first.num_trees() == 50
    assert first.model_to_string() == again.model_to_string()
    assert first.trees_to_dataframe().query("left_child.isnull()").groupby("tree_index").size().max() <= 15
