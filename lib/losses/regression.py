"""Losses of label regression; every function returns a scalar mean.

The documents' two heteroscedastic losses divide by the *flux* error, which is no error of the label; they are kept so
that a run can test what that does. `gaussian_nll` instead learns the label's own error.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

EPSILON = 1e-8  # the documents' guard against zero errors


def mse(pred: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error of pred, target (B, n)."""
    return F.mse_loss(pred, target)


def l1(pred: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute error of pred, target (B, n)."""
    return F.l1_loss(pred, target)


def huber(pred: Tensor, target: Tensor, *, delta: float = 1.0) -> Tensor:
    """Return the mean Huber loss: quadratic below `delta`, linear above. Source: Huber 1964, eq. 1.2."""
    return F.huber_loss(pred, target, delta=delta)


def heteroscedastic_l1(pred: Tensor, target: Tensor, error: Tensor) -> Tensor:
    """Return mean |pred - target| / error; error (B, 1) or (B, n), > 0. Source: the document, 8.4 (Laplace form)."""
    return ((pred - target).abs() / (_positive(error) + EPSILON)).mean()


def heteroscedastic_mse(pred: Tensor, target: Tensor, error: Tensor) -> Tensor:
    """Return mean (pred - target)^2 / error^2; error (B, 1) or (B, n), > 0. Source: the document, 8.4 (Gauss form)."""
    return ((pred - target) ** 2 / (_positive(error) ** 2 + EPSILON)).mean()


def gaussian_nll(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean Gaussian negative log-likelihood, in nats per label.

    output  (B, 2 n)  means, then log sigmas, in the unit of target;  target  (B, n)
    """
    mean, log_sigma = output.chunk(2, dim=-1)
    return F.gaussian_nll_loss(mean, target, (2 * log_sigma).exp(), full=True)


def _positive(error: Tensor) -> Tensor:
    if error.ndim != 2 or not bool((error > 0).all()):
        raise ValueError(f"errors must be positive and (B, 1) or (B, n), got shape {tuple(error.shape)}")
    return error


PLAIN = {"mse": mse, "l1": l1, "huber": huber}
WEIGHTED = {"heteroscedastic_l1": heteroscedastic_l1, "heteroscedastic_mse": heteroscedastic_mse}
NAMES = (*PLAIN, *WEIGHTED, "gaussian_nll")


def loss_on_batch(name: str) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Return loss(output, target, flux_error) by name; flux_error (B, L) is averaged per spectrum.

    The averages are divided by their batch mean: the weighting of spectra changes, the size of the step does not.
    """
    if name in PLAIN:
        return lambda output, target, error: PLAIN[name](output, target)
    if name == "gaussian_nll":
        return lambda output, target, error: gaussian_nll(output, target)
    if name in WEIGHTED:
        return lambda output, target, error: WEIGHTED[name](output, target, _relative(error))
    raise ValueError(f"loss is {name!r}; use one of {', '.join(NAMES)}")


def _relative(error: Tensor) -> Tensor:
    per_spectrum = error.mean(dim=-1, keepdim=True)  # (B, 1)
    return per_spectrum / per_spectrum.mean().clamp_min(torch.finfo(per_spectrum.dtype).tiny)
