"""Losses of transfer between two domains: uncertainty, explained variance, covariance alignment, pull to a start."""

import math

import torch


def heteroscedastic_nll(mu, logvar, y, reduction="mean"):
    """Negative log-likelihood of a normal error whose variance is predicted, in nats per value.

    mu, logvar, y  (..., M)  the same unit, logvar = ln(sd^2)
    reduction      "mean", "sum" or "none" (the shape of y)
    Raises ValueError for another reduction.   Source: Nix and Weigend 1994, eq. 3, with its constant.
    """
    nll = 0.5 * (logvar + (y - mu) ** 2 * torch.exp(-logvar) + math.log(2 * math.pi))
    if reduction == "none":
        return nll
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none', not {reduction!r}")
    return nll.mean() if reduction == "mean" else nll.sum()


def batch_r2(y_true, y_pred, eps=1e-8):
    """Coefficient of determination of a batch, averaged over the outputs.

    y_true, y_pred  (B, M); a constant output counts with a variance of eps, so that the result stays finite
    """
    residual = ((y_true - y_pred) ** 2).sum(0)  # (M,)
    total = ((y_true - y_true.mean(0)) ** 2).sum(0)  # (M,)
    return (1 - residual / (total + eps)).mean()


def covariance(features, unbiased=True):
    """Covariance (D, D) of features (B, D)."""
    centred = features - features.mean(0)
    return centred.T @ centred / max(len(features) - int(unbiased), 1)


def coral_loss(feat_a, feat_b, unbiased=True, eps=1e-6):
    """Squared distance of two feature covariances over 4 D^2; eps is added to both diagonals.

    feat_a  (B, D), feat_b  (B', D)
    Raises ValueError where the widths differ.   Source: Sun and Saenko 2016, eq. 1.
    """
    if feat_a.shape[-1] != feat_b.shape[-1]:
        raise ValueError(f"coral_loss needs features of one width, not {feat_a.shape[-1]} and {feat_b.shape[-1]}")
    ridge = eps * torch.eye(feat_a.shape[-1], dtype=feat_a.dtype, device=feat_a.device)
    gap = (covariance(feat_a, unbiased) + ridge) - (covariance(feat_b, unbiased) + ridge)
    return (gap**2).sum() / (4 * feat_a.shape[-1] ** 2)


def l2sp(params, start):
    """Squared distance of parameters from their pre-trained start, summed over the names that both have.

    params, start  dict name -> tensor
    Raises ValueError where no name is shared.   Source: Li, Grandvalet and Davoine 2018, eq. 3.
    """
    shared = [name for name in params if name in start]
    if not shared:
        raise ValueError("l2sp needs at least one parameter that the start also has; the names do not overlap")
    return sum(((params[name] - start[name]) ** 2).sum() for name in shared)
