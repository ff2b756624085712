"""Losses of the blind-spot denoiser, in nats per pixel, and how its prior meets the pixel that it did not see."""

import math

from torch import Tensor


def posterior(mu: Tensor, sigma: Tensor, noisy: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Combine the prior N(mu, sigma^2) with the pixel N(noisy, noise^2): mean and variance of the clean flux.

    mu, sigma, noisy, noise  (B, L) in one unit; a pixel without noise is returned as it is, a pixel with neither
    spread as mu.   Source: Laine et al. 2019, eq. 4.
    """
    var_x, var_n = sigma.square(), noise.square()
    var_y = (var_x + var_n).clamp_min(1e-20)
    weight = var_x / var_y
    return mu + weight * (noisy - mu), weight * var_n


def laplace_nll(y: Tensor, mu: Tensor, var: Tensor) -> Tensor:
    """Mean negative log-likelihood of a Laplace error with variance `var` (B, L) > 0; the scale is sqrt(var / 2)."""
    scale = (var / 2).sqrt()
    return ((y - mu).abs() / scale + (2 * scale).log()).mean()


def gaussian_nll(y: Tensor, mu: Tensor, var: Tensor) -> Tensor:
    """Mean negative log-likelihood of a Gaussian error with variance `var` (B, L) > 0."""
    return 0.5 * ((y - mu).square() / var + (2 * math.pi * var).log()).mean()


def e1(mu: Tensor, sigma: Tensor, noisy: Tensor, noise: Tensor, clean: Tensor | None = None) -> Tensor:
    """Self-supervised: Laplace likelihood of the noisy pixel under var_y = sigma^2 + noise^2; `clean` is not used."""
    return laplace_nll(noisy, mu, _floor(sigma.square() + noise.square()))


def e2(mu: Tensor, sigma: Tensor, noisy: Tensor, noise: Tensor, clean: Tensor | None = None) -> Tensor:
    """Self-supervised: Gaussian likelihood of the noisy pixel under var_y = sigma^2 + noise^2; `clean` is not used."""
    return gaussian_nll(noisy, mu, _floor(sigma.square() + noise.square()))


def t1(mu: Tensor, sigma: Tensor, noisy: Tensor, noise: Tensor, clean: Tensor) -> Tensor:
    """Supervised: Laplace likelihood of the clean flux under the posterior's mean and variance."""
    denoised, var = posterior(mu, sigma, noisy, noise)
    return laplace_nll(clean, denoised, _floor(var))


def _floor(var: Tensor) -> Tensor:
    """Keep a variance from reaching zero where a pixel has no noise and the prior no spread."""
    return var.clamp_min(1e-12)


LOSSES = {"e1": e1, "e2": e2, "t1": t1}


def supervised(name: str) -> bool:
    """Say whether a loss reads the clean flux; raise ValueError for an unknown name."""
    if name not in LOSSES:
        raise ValueError(f"loss {name!r} is unknown; choose one of {', '.join(LOSSES)}.")
    return name == "t1"
