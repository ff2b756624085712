import pytest
import torch
from spectra_cases import TinyGrid

from lib.fisher import bound, ceiling_table, information, jacobian, marginal, r2_ceiling
from lib.metrics import r2

GRID = TinyGrid()
STARS = GRID.sample(40, 0).double()


def test_jacobian_equals_finite_differences_within_one_percent():
    exact = jacobian(GRID.flux, STARS, range(3))
    for column, step in enumerate((1.0, 1e-3, 1e-3)):
        shift = torch.zeros(3, dtype=torch.float64)
        shift[column] = step
        numeric = (GRID.flux(STARS + shift) - GRID.flux(STARS - shift)) / (2 * step)
        assert (exact[:, column] - numeric).norm() < 0.01 * numeric.norm()


def test_schur_complement_is_the_inverse_of_the_inverse():
    fisher = information(jacobian(GRID.flux, STARS, range(3)), torch.full((256,), 0.1))
    for i in range(3):
        assert torch.allclose(marginal(fisher, i), 1 / torch.linalg.inv(fisher)[:, i, i], rtol=1e-6)


def test_a_linear_model_reaches_its_ceiling_and_no_more():
    class Linear:
        labels = ("a", "b")
        design = torch.randn(2, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

        def flux(self, labels):
            return labels @ self.design.to(labels.dtype)

    generator = torch.Generator().manual_seed(1)
    stars = torch.randn(20000, 2, generator=generator, dtype=torch.float64)
    sigma = torch.full((30,), 4.0)
    grid = Linear()
    noisy = grid.flux(stars) + sigma * torch.randn(20000, 30, generator=generator, dtype=torch.float64)
    posterior = torch.linalg.inv(information(grid.design[None], sigma)[0] + torch.eye(2))  # Gaussian prior of variance 1
    estimate = noisy / 16 @ grid.design.T @ posterior
    ceiling = r2_ceiling(grid, sigma, stars=stars)
    assert r2(stars, estimate).tolist() == pytest.approx(ceiling.tolist(), abs=0.02)
    assert (r2_ceiling(grid, sigma, stars=stars, prior=False) <= ceiling).all()


def test_the_ceiling_falls_with_noise_and_with_more_free_labels():
    low, high = (r2_ceiling(GRID, torch.full((256,), s)) for s in (0.05, 0.5))
    assert (low > high).all()
    assert r2_ceiling(GRID, torch.full((256,), 0.2), ("log_g",))["log_g"] >= r2_ceiling(GRID, torch.full((256,), 0.2))["log_g"]


def test_a_label_that_leaves_no_trace_has_a_ceiling_of_zero():
    fisher = torch.diag(torch.tensor([4.0, 0.0], dtype=torch.float64)).expand(5, 2, 2)
    result = bound(fisher, torch.ones(2, dtype=torch.float64), ("seen", "unseen"), prior=False)
    assert result["seen"] == pytest.approx(0.75)
    assert result["unseen"] == pytest.approx(0.0)


def test_the_table_repeats_the_single_ceilings():
    sigmas = {m: torch.full((256,), s) for m, s in ((20.0, 0.05), (22.0, 0.3))}
    table = ceiling_table(GRID, sigmas, parameters=[("log_g", "t_eff"), GRID.labels], stars=STARS)
    assert len(table) == 2 * 2 * (2 + 3)
    row = table[(table.magnitude == 22.0) & (table.n_parameters == 3) & table.prior & (table.label == "log_g")]
    assert row.r2_max.item() == pytest.approx(r2_ceiling(GRID, sigmas[22.0], stars=STARS)["log_g"])
    assert row.snr.item() == pytest.approx(1 / 0.3, rel=0.1)


def test_wrong_sigma_and_labels_are_told():
    with pytest.raises(ValueError, match="sigma has 10 pixels, but the spectra have 256"):
        r2_ceiling(GRID, torch.ones(10))
    with pytest.raises(ValueError, match="sigma should be positive"):
        r2_ceiling(GRID, torch.zeros(256))
    with pytest.raises(ValueError, match="The grid has no label"):
        r2_ceiling(GRID, torch.ones(256), ("alpha",))
    with pytest.raises(ValueError, match="given as stars="):
        r2_ceiling(GRID, torch.ones(256), STARS)
    with pytest.raises(ValueError, match="sigma has 4 rows, but there are 40 stars"):
        r2_ceiling(GRID, torch.ones(4, 256), stars=STARS)
