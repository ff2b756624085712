"""What holds on the embedded grid: S/N, what sigma gives away, derivatives, ceilings."""

import h5py
import pandas as pd
import pytest
import torch

from lib.data import frames
from lib.data.batches import whole_set
from lib.data.generated import GeneratedSpectra, reference_flux
from lib.data.grid import SpectralGrid
from lib.data.noise import PfsNoise, preset, snr
from lib.data.windows import QUICK_WINDOW_AA, cut_grid, pixel_slice
from lib.fisher import ceiling_table, information, jacobian, marginal, r2_ceiling
from lib.metrics import r2
from lib.probes import fit_ridge


@pytest.fixture(scope="module")
def grid():
    return SpectralGrid.default()


@pytest.mark.parametrize("seed", [0, 1])
def test_default_snr_quantiles_are_the_documents_within_15_percent(grid, seed):
    noise, star = PfsNoise(grid.wave, "mag205_225", reference_flux(grid)), reference_flux(grid).float()
    weights = noise.weights(noise.conditions(10_000, seed))
    ratio = torch.cat([snr(star[None], noise.sigma(part)) for part in weights.split(1000)])
    found = torch.quantile(ratio, torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))
    reported = torch.tensor([2.79, 5.29, 8.21, 12.53, 27.68])  # snr_quantiles_test_10k
    assert (found / reported - 1).abs().max() < 0.15
    assert float(ratio.max()) > 23


def test_the_table_tells_the_snr_of_flux_and_sigma(grid):
    made = GeneratedSpectra(grid, 512, split="test")
    batch = made.spectra()
    assert torch.allclose(torch.tensor(made.table().snr.to_numpy()), snr(batch.flux, batch.sigma))


def sigma_alone(grid, source):
    """R2(log g) of Ridge on every eighth pixel of sigma."""
    sets = [
        GeneratedSpectra(grid, n, split=split, noise=preset("mag205_225", error_source=source), norm="none")
        for split, n in (("train", 2048), ("test", 1024))
    ]
    (x, y), (x_test, y_test) = (whole_set(data, fields=("sigma", "labels")) for data in sets)
    probe = fit_ridge(x[:, ::8], y)
    return float(r2(y_test.double(), probe.predict(x_test[:, ::8]))[0])


def test_default_sigma_tells_nothing_of_log_g_and_clean_sigma_tells_much(grid):
    assert abs(sigma_alone(grid, "reference")) < 0.05
    assert sigma_alone(grid, "clean") > 0.7


def test_fisher_information_equals_finite_differences_within_one_percent(grid):
    stars = grid.sample(16, 3).double()
    exact = jacobian(grid.flux, stars, range(5))
    numeric = torch.empty_like(exact)
    for column, step in enumerate((0.5, 5e-4, 5e-4, 5e-4, 5e-4)):
        shift = torch.zeros(5, dtype=torch.float64)
        shift[column] = step
        numeric[:, column] = (grid.flux(stars + shift) - grid.flux(stars - shift)) / (2 * step)
    assert ((exact - numeric).norm(dim=(0, 2)) < 0.01 * numeric.norm(dim=(0, 2))).all()
    sigma = frames.sigmas(grid, [21.5])[21.5]
    for i in range(5):
        ours, theirs = (marginal(information(slopes, sigma), i) for slopes in (exact, numeric))
        assert torch.allclose(ours, theirs, rtol=0.01)


def test_the_default_ceiling_rises_with_snr_and_with_fewer_free_labels(grid):
    sigmas = frames.sigmas(grid, [20.0, 21.5, 22.5])
    table = ceiling_table(grid, sigmas, parameters=[grid.labels[:3], grid.labels], stars=grid.sample(64, 0))
    log_g = table[table.label == "log_g"].pivot_table(index="magnitude", columns=["n_parameters", "prior"], values="r2_max")
    assert (log_g.diff().dropna() < 0).all().all()
    assert (log_g[3] >= log_g[5]).all().all()
    assert (log_g.xs(True, axis=1, level="prior") >= log_g.xs(False, axis=1, level="prior")).all().all()
    single = r2_ceiling(grid, sigmas[21.5], grid.labels[:3], stars=grid.sample(64, 0))
    assert single["log_g"] == pytest.approx(log_g.loc[21.5, (3, True)])


def test_a_window_of_the_grid_makes_the_same_flux(grid):
    pixels = pixel_slice(grid.wave, *QUICK_WINDOW_AA, multiple=1024)
    labels = grid.sample(8, 0)
    assert torch.allclose(cut_grid(grid, pixels).flux(labels), grid.flux(labels)[:, pixels], rtol=1e-5)


def test_a_generated_file_opens_with_h5py_and_pandas_alone(grid, tmp_path):
    made = GeneratedSpectra(grid, 300, split="val")
    path = made.write_hdf5(tmp_path / "dataset.h5", 256, 300)
    table = pd.read_hdf(path)
    assert {"T_eff", "log_g", "M_H", "a_M", "C_M", "mag", "redshift", "snr"} <= set(table.columns)
    with h5py.File(path) as file:
        assert file["dataset/arrays/flux/value"].shape == file["dataset/arrays/error/value"].shape == (44, 4096)
        assert len(file["spectrumdataset/wave"]) == 4096
    assert table.log_g.tolist() == made.parameters[256:, 1].tolist()
