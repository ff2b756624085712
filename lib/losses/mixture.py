"""Likelihood of a mixture of diagonal Gaussians."""

import math

import torch
from torch import Tensor


def mixture_nll(x: Tensor, log_weight: Tensor, mu: Tensor, sigma: Tensor) -> Tensor:
    """Mean negative log-likelihood of x, in nats per row.

    x           (B, D)
    log_weight  (B, K)     normalised: logsumexp over K is 0
    mu, sigma   (B, K, D)  in the unit of x; sigma > 0
    Raises ValueError where shapes disagree.   Source: Bishop 1994, eq. 29.
    """
    if mu.shape != sigma.shape or mu.shape[:2] != log_weight.shape or (mu.shape[0], mu.shape[2]) != x.shape:
        shapes = [tuple(t.shape) for t in (x, log_weight, mu, sigma)]
        raise ValueError(f"x, log_weight, mu, sigma have shapes {shapes}; needed: (B, D), (B, K), (B, K, D), (B, K, D)")
    z = (x[:, None] - mu) / sigma  # (B, K, D)
    log_density = -(0.5 * z**2 + sigma.log() + 0.5 * math.log(2 * math.pi)).sum(-1)  # (B, K)
    return -torch.logsumexp(log_weight + log_density, dim=-1).mean()
