"""Regression losses against torch.distributions, and what weighting by an error does and does not do."""

import math

import pytest
import torch
from torch.distributions import Laplace, Normal

from lib.losses import regression


def pair(n=1, rows=64):
    g = torch.Generator().manual_seed(0)
    return torch.randn(rows, n, generator=g), torch.randn(rows, n, generator=g)


def test_gaussian_nll_equals_the_normal_distribution():
    mean, target = pair(3)
    log_sigma = 0.3 * torch.randn(64, 3, generator=torch.Generator().manual_seed(1))
    expected = -Normal(mean, log_sigma.exp()).log_prob(target).mean()
    assert torch.allclose(regression.gaussian_nll(torch.cat([mean, log_sigma], 1), target), expected, atol=1e-5)


def test_weighted_losses_are_the_likelihoods_up_to_terms_free_of_the_prediction():
    pred, target = pair()
    error = torch.rand(64, 1, generator=torch.Generator().manual_seed(2)) + 0.5
    sigma = error / math.sqrt(2)
    gaussian = (-Normal(pred, sigma).log_prob(target) - (sigma * math.sqrt(2 * math.pi)).log()).mean()
    laplace = (-Laplace(pred, error).log_prob(target) - (2 * error).log()).mean()
    assert torch.allclose(regression.heteroscedastic_mse(pred, target, error), gaussian, atol=1e-5)
    assert torch.allclose(regression.heteroscedastic_l1(pred, target, error), laplace, atol=1e-5)


def test_huber_is_quadratic_inside_and_linear_outside():
    zero = torch.zeros(1, 1)
    assert regression.huber(zero, zero + 0.5).item() == pytest.approx(0.125)
    assert regression.huber(zero, zero + 3).item() == pytest.approx(2.5)


def test_equal_errors_make_the_weighted_loss_the_plain_one():
    pred, target = pair()
    error = torch.full((64, 10), 0.2)
    for name in ("mse", "l1"):
        weighted = regression.loss_on_batch(f"heteroscedastic_{name}")(pred, target, error)
        assert torch.allclose(weighted, regression.loss_on_batch(name)(pred, target, error), rtol=1e-5)


def test_weighting_helps_where_the_error_is_the_labels_own_and_hurts_where_it_is_not():
    g = torch.Generator().manual_seed(3)
    error = 0.2 + 2 * torch.rand(400, 60, 1, generator=g)
    own, foreign = error * torch.randn(400, 60, 1, generator=g), torch.randn(400, 60, 1, generator=g)
    weight = error**-2 / (error**-2).sum(1, keepdim=True)
    assert (weight * own).sum(1).std() < 0.6 * own.mean(1).std()
    assert (weight * foreign).sum(1).std() > 1.3 * foreign.mean(1).std()
    estimate = torch.zeros(1, 1, requires_grad=True)
    regression.heteroscedastic_mse(estimate.expand(60, 1), own[0], error[0]).backward()
    minimum = -estimate.grad / (2 * (error[0] ** -2).mean())  # one Newton step of a quadratic
    assert minimum.item() == pytest.approx((weight[0] * own[0]).sum().item(), rel=1e-4)


def test_bad_names_and_errors_are_refused():
    with pytest.raises(ValueError, match="mse, l1, huber"):
        regression.loss_on_batch("l2")
    with pytest.raises(ValueError, match="positive"):
        regression.heteroscedastic_l1(*pair(), torch.zeros(64, 1))
