"""Metrics against scikit-learn and their own definitions."""

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score

from lib import metrics

RNG = np.random.default_rng(0)
Y = RNG.normal(size=(200, 3))
PRED = Y + 0.3 * RNG.normal(size=Y.shape)


def test_r2_and_mae_equal_scikit_learn_for_arrays_and_tensors():
    assert metrics.r2(Y, PRED) == pytest.approx(r2_score(Y, PRED, multioutput="raw_values"))
    assert metrics.mae(Y, PRED) == pytest.approx(mean_absolute_error(Y, PRED, multioutput="raw_values"))
    assert metrics.r2(torch.tensor(Y), torch.tensor(PRED)).numpy() == pytest.approx(metrics.r2(Y, PRED))


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(ValueError, match="differ in shape"):
        metrics.r2(Y[:, 0], PRED[:, :1])


def test_bootstrap_covers_the_truth_and_the_paired_one_is_narrower():
    y, a = Y[:, 0], PRED[:, 0]
    b = a + 0.02 * RNG.normal(size=len(a))
    low, high = metrics.bootstrap(metrics.r2, y, a)
    assert low < metrics.r2(y, a) < high
    d_low, d_high = metrics.bootstrap_difference(metrics.r2, y, a, b)
    assert d_high - d_low < high - low


def test_t_interval_of_one_value_has_no_bounds():
    assert metrics.t_interval([1.0, 2.0, 3.0])[0] == 2.0
    assert np.isnan(metrics.t_interval([1.0])[1])


def test_ln_r2_raises_on_values_that_have_no_logarithm():
    with pytest.raises(ValueError, match="needs positive values"):
        metrics.ln_r2(np.array([1.0, -1.0]), np.array([1.0, 1.0]))
