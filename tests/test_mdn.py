"""Mixture density network and its likelihood."""

import numpy as np
import pytest
import torch
from torch import distributions as dist

from lib.losses.mixture import mixture_nll
from lib.models.mdn import MDN, MDNConfig


def draw(B=7, K=3, D=4):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(B, D, generator=g, dtype=torch.float64)
    log_weight = torch.randn(B, K, generator=g, dtype=torch.float64).log_softmax(-1)
    mu = torch.randn(B, K, D, generator=g, dtype=torch.float64)
    sigma = torch.rand(B, K, D, generator=g, dtype=torch.float64) + 0.1
    return x, log_weight, mu, sigma


def test_mixture_nll_equals_torch_distributions():
    x, log_weight, mu, sigma = draw()
    mixture = dist.MixtureSameFamily(dist.Categorical(logits=log_weight), dist.Independent(dist.Normal(mu, sigma), 1))
    torch.testing.assert_close(mixture_nll(x, log_weight, mu, sigma), -mixture.log_prob(x).mean())


def test_mixture_nll_stays_finite_far_away():
    x, log_weight, mu, sigma = draw()
    assert torch.isfinite(mixture_nll(x + 1e4, log_weight, mu, sigma))


def test_mixture_nll_names_shapes_that_disagree():
    x, log_weight, mu, sigma = draw()
    with pytest.raises(ValueError, match="needed"):
        mixture_nll(x[:, :2], log_weight, mu, sigma)


def test_samples_follow_the_mixture():
    model = MDN(MDNConfig(in_dim=2, out_dim=3, components=4, hidden=16, layers=1))
    y = torch.tensor([[0.3, -1.0]])
    log_weight, mu, sigma = model(y)
    samples = model.sample(y.expand(40_000, -1), torch.Generator().manual_seed(1))
    weight = log_weight.exp()[0, :, None]
    mean = (weight * mu[0]).sum(0)
    variance = (weight * (sigma[0] ** 2 + mu[0] ** 2)).sum(0) - mean**2
    torch.testing.assert_close(samples.mean(0), mean, atol=0.03, rtol=0)
    torch.testing.assert_close(samples.var(0), variance, atol=0.05, rtol=0.05)


def test_sampling_is_repeatable_with_a_generator():
    model = MDN(MDNConfig(in_dim=2, out_dim=3, hidden=16, layers=1))
    y = torch.zeros(5, 2)
    first, second = (model.sample(y, torch.Generator().manual_seed(4)) for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_mdn_finds_both_roots_of_a_parabola():
    g = torch.Generator().manual_seed(0)
    x = torch.rand(2_000, 1, generator=g) * 2 - 1
    torch.manual_seed(0)
    model = MDN(MDNConfig(in_dim=1, out_dim=1, components=2, hidden=32, layers=2))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(300):
        optimizer.zero_grad()
        mixture_nll(x, *model(x**2)).backward()
        optimizer.step()
    roots = model.sample(torch.full((500, 1), 0.64), g).numpy()
    assert 0.3 < (roots > 0).mean() < 0.7
    assert np.median(np.abs(np.abs(roots) - 0.8)) < 0.06


@pytest.mark.parametrize(("key", "value"), [("components", 0), ("layers", 0), ("min_sigma", 0.0)])
def test_mdn_names_a_bad_size(key, value):
    with pytest.raises(ValueError, match=f"{key} is {value}"):
        MDNConfig(**{"in_dim": 5, "out_dim": 7, key: value})
