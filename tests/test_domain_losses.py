"""Losses of transfer, against torch.distributions and against their definitions."""

import pytest
import torch
from torch.distributions import Normal

from lib.losses.domain import batch_r2, coral_loss, heteroscedastic_nll, l2sp
from lib.metrics import r2


def rows(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_heteroscedastic_nll_is_that_of_a_normal_distribution(reduction):
    mu, logvar, y = rows(7, 3), rows(7, 3, seed=1), rows(7, 3, seed=2)
    expected = -Normal(mu, (logvar / 2).exp()).log_prob(y)
    expected = {"mean": expected.mean(), "sum": expected.sum(), "none": expected}[reduction]
    torch.testing.assert_close(heteroscedastic_nll(mu, logvar, y, reduction), expected)


def test_heteroscedastic_nll_rejects_an_unknown_reduction():
    with pytest.raises(ValueError, match=r"'mean', 'sum' or 'none', not 'median'"):
        heteroscedastic_nll(rows(2, 2), rows(2, 2), rows(2, 2), "median")


def test_batch_r2_is_the_metric_averaged_over_outputs():
    y, pred = rows(20, 4), rows(20, 4, seed=1)
    torch.testing.assert_close(batch_r2(y, pred), r2(y, pred).mean())
    assert batch_r2(y, y) == 1


def test_batch_r2_of_a_constant_output_is_finite():
    assert torch.isfinite(batch_r2(torch.ones(5, 1), torch.zeros(5, 1)))


def test_coral_is_the_frobenius_distance_of_the_covariances():
    a, b = rows(30, 4), 2 * rows(40, 4, seed=1)
    expected = torch.linalg.norm(torch.cov(a.T) - torch.cov(b.T)) ** 2 / (4 * 4**2)
    torch.testing.assert_close(coral_loss(a, b), expected)


def test_coral_ignores_a_shift_and_sees_a_stretch():
    a = rows(30, 4)
    torch.testing.assert_close(coral_loss(a, a + 5), torch.zeros((), dtype=torch.float64), atol=1e-12, rtol=0)
    assert coral_loss(a, 3 * a) > 0.1


def test_coral_names_features_of_two_widths():
    with pytest.raises(ValueError, match="one width, not 4 and 5"):
        coral_loss(rows(9, 4), rows(9, 5))


def test_l2sp_measures_the_distance_from_the_start_over_shared_names_only():
    start = {"a": torch.zeros(2), "b": torch.ones(3)}
    now = {"a": torch.tensor([3.0, 4.0]), "b": torch.ones(3), "new_head": torch.full((9,), 7.0)}
    assert l2sp(now, start) == 25
    with pytest.raises(ValueError, match="names do not overlap"):
        l2sp({"x": torch.ones(1)}, start)
