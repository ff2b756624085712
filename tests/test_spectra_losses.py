import pytest
import torch
from torch.distributions import Laplace, Normal

from lib.losses.spectra import LOSSES, e1, e2, posterior, supervised, t1


@pytest.fixture
def pixels():
    draw = torch.Generator().manual_seed(0)
    mu, sigma, noisy, noise, clean = torch.rand(5, 4, 9, generator=draw, dtype=torch.float64) + 0.1
    return mu, sigma, noisy, noise, clean


def test_e1_is_the_laplace_likelihood_of_the_noisy_pixel(pixels):
    mu, sigma, noisy, noise, _ = pixels
    scale = ((sigma**2 + noise**2) / 2).sqrt()
    torch.testing.assert_close(e1(mu, sigma, noisy, noise), -Laplace(mu, scale).log_prob(noisy).mean())


def test_e2_is_the_gaussian_likelihood_of_the_noisy_pixel(pixels):
    mu, sigma, noisy, noise, _ = pixels
    expected = -Normal(mu, (sigma**2 + noise**2).sqrt()).log_prob(noisy).mean()
    torch.testing.assert_close(e2(mu, sigma, noisy, noise), expected)


def test_t1_is_the_laplace_likelihood_of_the_clean_flux_under_the_posterior(pixels):
    mu, sigma, noisy, noise, clean = pixels
    precision = sigma**-2 + noise**-2
    mean = (mu * sigma**-2 + noisy * noise**-2) / precision
    torch.testing.assert_close(t1(*pixels), -Laplace(mean, (0.5 / precision).sqrt()).log_prob(clean).mean())


def test_posterior_is_the_product_of_two_gaussians_and_trusts_the_sharper(pixels):
    mu, sigma, noisy, noise, _ = pixels
    _, var = posterior(mu, sigma, noisy, noise)
    torch.testing.assert_close(1 / var, sigma**-2 + noise**-2)
    torch.testing.assert_close(posterior(mu, sigma, noisy, 0 * noise)[0], noisy)
    torch.testing.assert_close(posterior(mu, 0 * sigma, noisy, noise)[0], mu)
    torch.testing.assert_close(posterior(mu, 0 * sigma, noisy, 0 * noise)[0], mu)


@pytest.mark.parametrize("name", ["e1", "e2"])
def test_self_supervised_losses_never_read_the_clean_flux(pixels, name):
    mu, sigma, noisy, noise, clean = pixels
    assert LOSSES[name](mu, sigma, noisy, noise, clean * torch.nan).isfinite()
    assert not supervised(name)


@pytest.mark.parametrize("name", ["e1", "e2", "t1"])
def test_losses_stay_finite_without_noise_or_spread(pixels, name):
    mu, sigma, noisy, noise, clean = pixels
    sigma = torch.zeros_like(sigma).requires_grad_()
    loss = LOSSES[name](mu, sigma, noisy, 0 * noise, clean)
    loss.backward()
    assert loss.isfinite()
    assert sigma.grad.isfinite().all()


@pytest.mark.parametrize("name", ["e1", "e2"])
def test_losses_are_least_at_the_true_spread(name):
    draw = torch.Generator().manual_seed(1)
    clean, noise = torch.zeros(200_000), torch.full((200_000,), 0.3)
    noisy = clean + 0.4 * torch.randn(clean.shape, generator=draw) + noise * torch.randn(clean.shape, generator=draw)
    losses = {s: LOSSES[name](clean, torch.full_like(clean, s), noisy, noise).item() for s in (0.2, 0.4, 0.8)}
    assert min(losses, key=losses.get) == 0.4


def test_unknown_loss_is_refused_by_name():
    with pytest.raises(ValueError, match="loss 'l2' is unknown"):
        supervised("l2")
