import pytest
import torch
from matplotlib import pyplot as plt
from spectra_cases import TinyGrid

from lib.data import frames
from lib.data.generated import GeneratedSpectra
from lib.fisher import ceiling_table
from lib.plots import spectra as plots

GRID = TinyGrid()


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_spectra_are_drawn_with_their_features_named():
    df = frames.gravity_pair(GRID, m_h=0.0)
    marks = frames.features(GRID.wave)
    ax = plots.spectra(df, marks)
    assert [line.get_label() for line in ax.lines[:2]] == ["log g = 1", "log g = 5"]
    assert {t.get_text() for t in ax.texts} == set(marks.name)
    assert "Ca II 8542" in set(marks.name)


def test_sigma_is_drawn_per_magnitude_and_grows_with_it():
    table = frames.sigma_table(GRID.wave, frames.sigmas(GRID, [20.5, 21.5, 22.5]))
    assert table.groupby("magnitude").sigma.median().is_monotonic_increasing
    assert len(plots.sigma(table).lines) == 3


def test_snr_is_drawn_beside_the_reported_quantiles():
    batch = GeneratedSpectra(GRID, 300).spectra()
    df = frames.snr_of(batch.flux, batch.sigma)
    table = frames.snr_quantiles(df.snr, {0: 2.79, 50: 8.21, 100: 27.68})
    assert table.reported.notna().sum() == 3
    assert table.snr.is_monotonic_increasing
    ax = plots.snr(df, table)
    assert ax.lines[-1].get_xdata().tolist() == [2.79, 8.21, 27.68]


def test_ceiling_is_drawn_with_and_without_prior():
    sigmas = frames.sigmas(GRID, [20.0, 21.0, 22.0])
    stars = GRID.sample(20, 0)
    ax = plots.ceiling(ceiling_table(GRID, sigmas, parameters=[("t_eff", "log_g"), GRID.labels], stars=stars))
    assert len(ax.lines) == 4
    with_prior = next(line for line in ax.lines if line.get_label() == "3 labels free, with prior")
    assert (torch.tensor(with_prior.get_ydata()).diff() > 0).all()  # S/N grows to the right
