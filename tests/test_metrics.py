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


def test_an_interval_over_seeds_and_samples_covers_what_one_over_samples_alone_misses():
    rng, score, covered, alone = np.random.default_rng(0), metrics.mse, 0, 0
    for k in range(100):
        y = rng.normal(size=150)
        one, other = (y + rng.normal(0, 0.5, 150) + rng.normal(shift, 0.1, (4, 1)) for shift in (0.3, 0.0))  # seeds shift all
        truth = 0.3**2  # of the mean squared errors' expected difference
        value, low, high = metrics.repeated_difference(score, y, one, other, n=100, seed=k)
        assert low < value < high
        assert value == pytest.approx(np.mean([score(y, a) - score(y, b) for a, b in zip(one, other, strict=True)]))
        covered += low < truth < high
        low, high = metrics.bootstrap_difference(score, y, one[0], other[0], n=100, seed=k)
        alone += low < truth < high
    assert covered >= 90
    assert alone <= 85


def test_an_interval_over_seeds_needs_two_and_in_pairs():
    y = np.arange(5.0)
    for one, other in ((y[None], y[None]), (np.stack([y, y]), np.stack([y, y, y]))):
        with pytest.raises(ValueError, match="at least two seeds are needed in pairs"):
            metrics.repeated_difference(metrics.mse, y, one, other)
