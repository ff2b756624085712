"""Exact Gaussian processes, many at once: one for each output, fold or label budget, batched through one Cholesky."""

import math
from dataclasses import dataclass

import torch

JITTER = 1e-6


@dataclass(frozen=True)
class GPConfig:
    """How the hyper-parameters are found."""

    steps: int = 80  # Adam steps on the marginal likelihood
    lr: float = 0.1
    rows: int = 250  # at most so many training rows are used to find them; prediction uses all

    def __post_init__(self):
        if self.steps < 1 or self.rows < 2:
            raise ValueError(f"steps must be at least 1 and rows at least 2, not {self.steps} and {self.rows}")


class GaussianProcess:
    """K processes with a squared-exponential kernel of one length per feature, a linear kernel and noise.

    k(x, x') = a^2 exp(-sum((x - x')^2 / l^2) / 2) + b^2 x.x' / d + s^2 [x = x']; inputs standardised, outputs of
    zero mean.   Source: Rasmussen and Williams 2006, eqs. 2.25, 2.26 and 5.8.
    """

    def __init__(self, theta: dict, x: torch.Tensor, y: torch.Tensor):
        """Condition on rows: theta name -> (K, ...), x (K, n, d), y (K, n), all float64."""
        self.theta, self.x = theta, x
        self.chol = torch.linalg.cholesky(covariance(theta, x, x) + noise(theta, x))
        self.alpha = torch.cholesky_solve(y[..., None], self.chol)

    @classmethod
    def fit(cls, x, y, config: GPConfig | None = None, seed: int = 0) -> "GaussianProcess":
        """Find the hyper-parameters by maximum marginal likelihood, then condition on all rows.

        x (K, n, d) standardised features; y (K, n) of zero mean and unit variance
        """
        config = config or GPConfig()
        x, y = x.double(), y.double()
        pick = torch.randperm(x.shape[1], generator=torch.Generator().manual_seed(seed))[: config.rows]
        theta = maximise(initial(*x.shape[::2], x.device), x[:, pick], y[:, pick], config)
        return cls(theta, x, y)

    def predict(self, x, *, deviation=True):
        """Return mean and standard deviation (K, m), noise included, at x (K, m, d), differentiable in x.

        deviation  False: None in place of the standard deviation, which takes most of the time
        """
        cross = covariance(self.theta, self.x, x.double())  # (K, n, m)
        mean = (cross.mT @ self.alpha)[..., 0]
        if not deviation:
            return mean, None
        solved = torch.linalg.solve_triangular(self.chol, cross, upper=False)
        prior = (2 * self.theta["ln_a"]).exp() + (2 * self.theta["ln_s"]).exp() + JITTER
        prior = prior[:, None] + (2 * self.theta["ln_b"]).exp()[:, None] * (x.double() ** 2).mean(-1)
        return mean, (prior - (solved**2).sum(1)).clamp_min(1e-12).sqrt()

    def leave_one_out(self, y):
        """Return mean and standard deviation (K, n) of each training row as if it had been left out.

        y (K, n) as in `fit`.   Source: Rasmussen and Williams 2006, eq. 5.12.
        """
        inverse = torch.cholesky_inverse(self.chol).diagonal(dim1=-2, dim2=-1)  # (K, n)
        return y.double() - self.alpha[..., 0] / inverse, inverse.rsqrt()

    def state(self) -> dict:
        """Return tensors from which `load` restores the process."""
        return {**self.theta, "x": self.x, "chol": self.chol, "alpha": self.alpha}

    @classmethod
    def load(cls, state: dict) -> "GaussianProcess":
        """Restore a process from `state()`."""
        gp = cls.__new__(cls)
        gp.theta = {name: state[name] for name in ("ln_l", "ln_a", "ln_b", "ln_s")}
        gp.x, gp.chol, gp.alpha = state["x"], state["chol"], state["alpha"]
        return gp


def initial(K: int, d: int, device="cpu") -> dict:
    """Return starting hyper-parameters: lengths that suit standardised features, a tenth of noise."""
    full = {"ln_l": (K, d), "ln_a": (K,), "ln_b": (K,), "ln_s": (K,)}
    value = {"ln_l": 0.5 * math.log(d) + 0.5, "ln_a": 0.0, "ln_b": 0.0, "ln_s": math.log(0.1)}
    return {n: torch.full(s, value[n], dtype=torch.float64, device=device, requires_grad=True) for n, s in full.items()}


def covariance(theta: dict, x1, x2):
    """Return the noise-free kernel (K, n, m) of rows (K, n, d) and (K, m, d)."""
    scale = (-theta["ln_l"]).exp()[:, None]  # (K, 1, d)
    u, v = x1 * scale, x2 * scale
    d2 = (u**2).sum(-1)[:, :, None] + (v**2).sum(-1)[:, None] - 2 * u @ v.mT
    smooth = (2 * theta["ln_a"]).exp()[:, None, None] * torch.exp(-0.5 * d2.clamp_min(0))
    return smooth + (2 * theta["ln_b"]).exp()[:, None, None] * (x1 @ x2.mT) / x1.shape[-1]


def noise(theta: dict, x):
    """Return the diagonal noise (K, n, n)."""
    eye = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    return ((2 * theta["ln_s"]).exp() + JITTER)[:, None, None] * eye


def negative_log_likelihood(theta: dict, x, y):
    """Return each process's negative log marginal likelihood per row (K,)."""
    chol = torch.linalg.cholesky(covariance(theta, x, x) + noise(theta, x))
    white = torch.linalg.solve_triangular(chol, y[..., None], upper=False)[..., 0]
    logdet = chol.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return (0.5 * (white**2).sum(-1) + logdet) / y.shape[1] + 0.5 * math.log(2 * math.pi)


def maximise(theta: dict, x, y, config: GPConfig) -> dict:
    """Return the hyper-parameters after Adam on the marginal likelihood, noise bounded from below."""
    optimiser = torch.optim.Adam(theta.values(), lr=config.lr)
    for _ in range(config.steps):
        optimiser.zero_grad()
        negative_log_likelihood(theta, x, y).sum().backward()
        optimiser.step()
        with torch.no_grad():
            theta["ln_s"].clamp_(min=-6.0)
            theta["ln_l"].clamp_(-2.0, 6.0)
    return {name: value.detach() for name, value in theta.items()}
