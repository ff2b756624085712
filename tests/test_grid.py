"""The spectral grid: interpolation, keyed sampling, storage, and the users' own grids."""

import itertools

import h5py
import numpy as np
import pytest
import torch

from lib.data.grid import DEFAULT_FILE, SpectralGrid, spline_pieces, spline_weights

NAMES = ["t_eff", "log_g"]


def spectra(nodes_t=(4000.0, 4500.0, 5000.0, 6000.0), nodes_g=(1.0, 2.0, 3.0, 5.0), n_pixels=40):
    """Return labels, flux and wave of a grid whose ln flux is a cubic polynomial of the labels."""
    labels = np.array(list(itertools.product(nodes_t, nodes_g)))
    wave = np.linspace(7100.0, 8850.0, n_pixels)
    return labels, np.exp(log_flux(labels, wave)), wave


def log_flux(labels, wave):
    x, t, g = (wave - 7900) / 900, labels[:, :1] / 5000 - 1, labels[:, 1:] - 3
    # the odd terms of x average out, so that dividing by the mean changes ln flux little
    return 0.1 * x * (t**3 + 0.1 * g**2 * t - 0.05 * g**3)


def made(**kwargs):
    labels, flux, wave = spectra(**kwargs)
    return SpectralGrid.from_spectra(NAMES, labels, flux, wave)


def test_spline_weights_reproduce_any_cubic_between_uneven_nodes():
    nodes = np.array([-2.0, -1.0, 0.5, 1.0, 4.0])
    x = torch.linspace(-2, 4, 101, dtype=torch.float64)
    weights = spline_weights(x, torch.tensor(nodes), spline_pieces(nodes))
    cubic = lambda v: 2 - v + 0.5 * v**2 - 0.3 * v**3  # noqa: E731
    torch.testing.assert_close(weights @ torch.tensor(cubic(nodes)), cubic(x))


@pytest.mark.parametrize(("nodes", "power"), [([1.0], 0), ([1.0, 3.0], 1), ([1.0, 2.0, 4.0], 2)])
def test_few_nodes_give_a_constant_a_line_or_a_parabola(nodes, power):
    x = torch.linspace(1, nodes[-1], 7, dtype=torch.float64)
    weights = spline_weights(x, torch.tensor(nodes, dtype=torch.float64), spline_pieces(np.array(nodes)))
    torch.testing.assert_close(weights @ torch.tensor(nodes, dtype=torch.float64) ** power, x**power)


def test_grid_returns_its_nodes_and_interpolates_between_them():
    labels, flux, wave = spectra()
    grid = made()
    at_nodes = grid.flux(torch.tensor(labels)).numpy()
    np.testing.assert_allclose(at_nodes, flux / flux.mean(1, keepdims=True), rtol=1e-6)
    between = np.array([[4321.0, 1.7], [5800.0, 4.4]])
    truth = np.exp(log_flux(between, wave))
    np.testing.assert_allclose(grid.flux(torch.tensor(between)).numpy(), truth / truth.mean(1, keepdims=True), rtol=2e-4)


def test_many_nodes_are_compressed_through_their_covariance():
    few, many = spectra(n_pixels=9), spectra(n_pixels=7)
    assert 2 * 9 > len(few[0]) == len(many[0]) > 2 * 7
    for labels, flux, wave in (few, many):
        at_nodes = SpectralGrid.from_spectra(NAMES, labels, flux, wave).flux(torch.tensor(labels)).numpy()
        np.testing.assert_allclose(at_nodes, flux / flux.mean(1, keepdims=True), rtol=1e-6)


def test_row_order_of_a_users_grid_does_not_matter():
    labels, flux, wave = spectra()
    shuffled = np.random.default_rng(0).permutation(len(labels))
    other = SpectralGrid.from_spectra(NAMES, labels[shuffled], flux[shuffled], wave)
    x = torch.tensor([[4100.0, 2.2]], dtype=torch.float64)
    torch.testing.assert_close(other.flux(x), made().flux(x))


def test_gradient_equals_finite_differences():
    grid = made()
    labels = torch.tensor([[4700.0, 2.4]], dtype=torch.float64, requires_grad=True)
    jacobian = torch.autograd.functional.jacobian(grid.flux, labels)[0, :, 0]
    for column, step in enumerate((1.0, 1e-3)):
        shift = torch.zeros(1, 2, dtype=torch.float64)
        shift[0, column] = step
        difference = (grid.flux(labels + shift) - grid.flux(labels - shift))[0] / (2 * step)
        torch.testing.assert_close(jacobian[:, column], difference.detach(), rtol=1e-4, atol=1e-9)


def test_first_rows_of_a_longer_sample_are_the_shorter_sample():
    grid = made()
    assert torch.equal(grid.sample(3000, seed=4)[:1000], grid.sample(1000, seed=4))
    assert not torch.equal(grid.sample(10, seed=4), grid.sample(10, seed=5))
    assert grid.sample(0).shape == (0, 2)


def test_sample_stays_inside_the_ranges_not_the_guard_nodes():
    labels, flux, wave = spectra()
    grid = SpectralGrid.from_spectra(NAMES, labels, flux, wave, ranges={"t_eff": (4500.0, 5000.0), "log_g": (1.0, 5.0)})
    t_eff = grid.sample(5000)[:, 0]
    assert 4500.0 <= t_eff.min() < 4505.0
    assert 4995.0 < t_eff.max() <= 5000.0


def test_saved_grid_loads_with_the_same_fingerprint_and_spectra(tmp_path):
    grid = made()
    grid.save(tmp_path / "g.safetensors")
    back = SpectralGrid.load(tmp_path / "g.safetensors")
    assert back.fingerprint == grid.fingerprint
    x = grid.sample(20)
    torch.testing.assert_close(back.flux(x), grid.flux(x), rtol=1e-4, atol=0)


def test_tampered_grid_is_refused(tmp_path):
    path = tmp_path / "g.safetensors"
    made().save(path)
    content = bytearray(path.read_bytes())
    content[-7] ^= 64
    path.write_bytes(content)
    with pytest.raises(ValueError, match="fingerprint"):
        SpectralGrid.load(path)


def test_users_hdf5_grid_opens_with_names_from_a_data_set_or_an_attribute(tmp_path):
    labels, flux, wave = spectra()
    for how in ("dataset", "attribute"):
        path = tmp_path / f"{how}.h5"
        with h5py.File(path, "w") as file:
            file["labels"], file["flux"], file["wave"] = labels, flux, wave
            if how == "dataset":
                file["names"] = NAMES
            else:
                file["labels"].attrs["names"] = NAMES
        grid = SpectralGrid.load(path)
        assert grid.labels == tuple(NAMES)
        torch.testing.assert_close(grid.flux(grid.sample(5)), made().flux(grid.sample(5)))


@pytest.mark.parametrize(
    ("drop", "message"), [("flux", "no data set 'flux'"), ("names", "no label names"), ("row", "not rectangular")]
)
def test_incomplete_users_grid_is_named(tmp_path, drop, message):
    labels, flux, wave = spectra()
    rows = slice(1, None) if drop == "row" else slice(None)
    with h5py.File(tmp_path / "g.h5", "w") as file:
        for key, value in {"labels": labels[rows], "flux": flux[rows], "wave": wave, "names": NAMES}.items():
            if key != drop:
                file[key] = value
    with pytest.raises(ValueError, match=message):
        SpectralGrid.load(tmp_path / "g.h5")


def test_unreadable_or_absent_file_is_a_sentence(tmp_path):
    (tmp_path / "x.h5").write_text("not hdf5")
    with pytest.raises(ValueError, match="cannot be read as HDF5"):
        SpectralGrid.load(tmp_path / "x.h5")
    with pytest.raises(ValueError, match="no such grid file"):
        SpectralGrid.load(tmp_path / "y.h5")


@pytest.mark.parametrize("bad", [[[3999.0, 2.0]], [[4500.0, 5.1]], [[4500.0, float("nan")]]])
def test_labels_outside_the_nodes_are_refused_by_name(bad):
    with pytest.raises(ValueError, match=r"t_eff|log_g"):
        made().flux(torch.tensor(bad))


def test_labels_of_the_wrong_width_are_refused():
    with pytest.raises(ValueError, match="expected"):
        made().flux(torch.zeros(3, 5))


def test_flux_that_is_not_finite_is_refused():
    labels, flux, wave = spectra()
    flux[3, 3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        SpectralGrid.from_spectra(NAMES, labels, flux, wave)


def test_default_grid_has_five_labels_4096_pixels_and_is_small():
    grid = SpectralGrid.default()
    assert grid.labels == ("t_eff", "log_g", "m_h", "a_m", "c_m")
    assert grid.wave.shape == (4096,)
    assert DEFAULT_FILE.stat().st_size <= 3_000_000
    labels = grid.sample(64)
    flux = grid.flux(labels)
    assert torch.isfinite(flux).all()
    torch.testing.assert_close(flux.mean(1), torch.ones(64), atol=5e-3, rtol=0)


def test_default_grid_keeps_carbon_below_oxygen():
    grid = SpectralGrid.default()
    richest = grid.ranges["c_m"][1] - grid.ranges["a_m"][0]
    assert 10 ** (8.39 - 8.66 + richest) <= 0.9


def test_calcium_triplet_of_the_default_grid_grows_with_metallicity():
    grid = SpectralGrid.default()
    labels = torch.tensor([[4750.0, 2.0, m, 0.0, -0.1] for m in (-2.5, -1.5, -0.5, 0.5)])
    line = ((grid.wave > 8530) & (grid.wave < 8554)).nonzero()[:, 0]
    depth = 1 - grid.flux(labels)[:, line].mean(1) / grid.flux(labels)[:, [line[0] - 8, line[-1] + 8]].mean(1)
    assert (depth.diff() > 0.01).all()
