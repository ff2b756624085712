"""Fisher information of labels in a spectrum, and the Cramer-Rao ceiling of R2.

Definition used wherever a ceiling is shown. For independent Gaussian noise of known sigma, a star with labels theta has the
information F = J^T diag(1/sigma^2) J, J = d flux / d theta in physical units. The free labels are estimated together, the
others are known; marginalising over the free ones leaves 1 / (F^-1)_ii as the information on label i. With the prior, the
inverse variance of the label over the sample is added to the diagonal of F (a Gaussian prior: the Bayesian bound at this
star); without it, a star's bound is clipped at the label's variance, since guessing the mean is never worse. Then
R2_max = 1 - mean over stars of the bound / variance of the label.
Sources: Kay 1993, Fundamentals of Statistical Signal Processing I, ch. 3; Van Trees 1968, ch. 2.4 (prior).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import pandas as pd
import torch
from torch import Tensor

from lib.data.noise import snr

STARS = 512  # drawn from the grid where none are given


class Spectrograph(Protocol):
    """What a ceiling needs of a grid (`lib.data.grid.SpectralGrid`)."""

    labels: Sequence[str]

    def sample(self, n: int, seed: int = 0, device: str = "cpu") -> Tensor: ...

    def flux(self, labels: Tensor) -> Tensor: ...


def jacobian(flux: Callable[[Tensor], Tensor], stars: Tensor, columns: Sequence[int]) -> Tensor:
    """Return d flux / d label by automatic differentiation: stars (n, k) -> (n, len(columns), L), float64.

    The vector-Jacobian product v -> v^T J is linear in v, so that its own gradient in v is J, one label at a time.
    """
    stars = stars.detach().double().clone().requires_grad_()
    spectra = flux(stars)
    v = torch.zeros_like(spectra, requires_grad=True)
    (product,) = torch.autograd.grad(spectra, stars, v, create_graph=True)
    rows = [torch.autograd.grad(product[:, column].sum(), v, retain_graph=True)[0] for column in columns]
    return torch.stack(rows, 1).detach()


def information(jacobian: Tensor, sigma: Tensor) -> Tensor:
    """Return Fisher matrices (n, p, p) from jacobian (n, p, L) and sigma (L,) or (n, L)."""
    if sigma.shape[-1] != jacobian.shape[-1]:
        raise ValueError(f"sigma has {sigma.shape[-1]} pixels, but the spectra have {jacobian.shape[-1]}.")
    if not bool((sigma > 0).all()):
        raise ValueError("sigma should be positive in every pixel.")
    scaled = jacobian / sigma.double().expand(len(jacobian), -1)[:, None]
    return scaled @ scaled.mT


def marginal(fisher: Tensor, index: int) -> Tensor:
    """Return the information on one label after marginalising over the others (Schur complement): (n, p, p) -> (n,)."""
    others = [i for i in range(fisher.shape[-1]) if i != index]
    own, cross = fisher[:, index, index], fisher[:, index][:, others]
    if not others:
        return own
    nuisance = fisher[:, others][:, :, others]
    scale = nuisance.diagonal(dim1=1, dim2=2).clamp_min(torch.finfo(torch.float64).tiny).rsqrt()  # labels differ in unit
    whitened = nuisance * scale[:, :, None] * scale[:, None]
    explained = torch.linalg.lstsq(whitened, (cross * scale)[..., None]).solution[..., 0]
    return (own - (cross * scale * explained).sum(1)).clamp_min(0)


def r2_ceiling(
    grid: Spectrograph,
    sigma: Tensor,
    labels: Sequence[str] | None = None,
    prior: bool = True,
    *,
    stars: Tensor | None = None,
    seed: int = 0,
) -> pd.Series:
    """Return the Cramer-Rao ceiling of R2 of each free label, by name; the module's docstring has the definition.

    sigma   (L,) or (n, L) noise standard deviation in units of the grid's flux
    labels  the free labels (default: all of the grid); the others are held known
    prior   add a Gaussian prior of the labels' variance over the stars
    stars   (n, k) labels of the stars averaged over; default: a sample of the grid, as many as sigma has rows, or 512
    """
    if isinstance(labels, Tensor):
        raise ValueError("labels are the names of the free labels; the stars' label values are given as stars=.")
    names = tuple(grid.labels if labels is None else labels)
    unknown = [name for name in names if name not in grid.labels]
    if unknown or not names:
        raise ValueError(f"The grid has no label {unknown or 'of an empty list'}: it has {', '.join(grid.labels)}.")
    if stars is None:
        stars = grid.sample(len(sigma) if sigma.ndim == 2 else STARS, seed, sigma.device)
    if sigma.ndim == 2 and len(sigma) != len(stars):
        raise ValueError(f"sigma has {len(sigma)} rows, but there are {len(stars)} stars.")
    columns = [list(grid.labels).index(name) for name in names]
    fisher = information(jacobian(grid.flux, stars, columns), sigma)
    return bound(fisher, stars.double()[:, columns].var(0, correction=0), names, prior)


def bound(fisher: Tensor, variance: Tensor, names: Sequence[str], prior: bool) -> pd.Series:
    """Return R2 ceilings from Fisher matrices (n, p, p) and the labels' variances (p,)."""
    if not bool((variance > 0).all()):
        raise ValueError("Every free label should vary over the stars: R2 needs a variance.")
    if prior:
        fisher = fisher + torch.diag(1 / variance)
    spread = torch.stack([1 / marginal(fisher, i).clamp_min(1e-300) for i in range(len(names))], 1)
    r2 = 1 - torch.minimum(spread, variance).mean(0) / variance
    return pd.Series(r2.tolist(), index=pd.Index(names, name="label"), name="r2_max")


def ceiling_table(
    grid: Spectrograph,
    sigmas: Mapping[float, Tensor],
    *,
    parameters: Sequence[Sequence[str]],
    stars: Tensor,
) -> pd.DataFrame:
    """Return one row per magnitude, set of free labels, prior and label: magnitude, snr, n_parameters, prior, label, r2_max.

    sigmas      {magnitude: sigma (L,) or (n, L)};  parameters: sets of free labels, such as the first 3 and all 5
    snr         median over stars and pixels of flux / sigma
    """
    every = list(grid.labels)
    slopes, flux = jacobian(grid.flux, stars, range(len(every))), grid.flux(stars.double())
    rows = []
    for magnitude, sigma in sigmas.items():
        whole = information(slopes, sigma)
        ratio = float(snr(flux, sigma).median())
        for names in parameters:
            columns = [every.index(name) for name in names]
            part, variance = whole[:, columns][:, :, columns], stars.double()[:, columns].var(0, correction=0)
            for prior in (True, False):
                state = {"magnitude": magnitude, "snr": ratio, "n_parameters": len(names), "prior": prior}
                rows += [{**state, "label": k, "r2_max": v} for k, v in bound(part, variance, names, prior).items()]
    return pd.DataFrame(rows)
