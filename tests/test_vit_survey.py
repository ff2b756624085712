from types import SimpleNamespace

import pytest
from matplotlib import pyplot as plt

from lib.data import frames
from lib.data.grid import SpectralGrid
from lib.data.windows import QUICK_WINDOW_AA, cut_grid, pixel_slice
from lib.plots import spectra as plots
from lib.report.text import reported
from lib.studies.vit_scaling import tables


@pytest.fixture(scope="module")
def results():
    grid = SpectralGrid.default()
    grid = cut_grid(grid, pixel_slice(grid.wave, *QUICK_WINDOW_AA, multiple=1024))
    sets = SimpleNamespace(grid=grid, wave=grid.wave, parameters=grid.sample(32, 1))
    config = SimpleNamespace(noise_preset="mag205_225", seed=0, label="log_g", ceiling_stars=32)
    return SimpleNamespace(sets=sets, config=config)


def test_only_a_clean_sigma_gives_log_g_away(results):
    r2 = tables.controls(results).set_index("error_source").r2
    assert abs(r2["sigma_reference"]) < 0.05
    assert r2["sigma_clean"] > 0.7
    assert r2["sigma_noisy"] < r2["sigma_clean"]


def test_the_ceiling_of_the_data_section_rises_with_snr_and_stands_beside_the_reported(results):
    table = tables.ceilings(results)
    log_g = table[(table.label == "log_g") & table.prior & (table.n_parameters == 3)].sort_values("snr")
    assert log_g.r2_max.is_monotonic_increasing
    points = tables.reported_ceilings(reported("vit_scaling.public.fisher_ceiling"))
    assert set(points.n_parameters) == {3, 5}
    assert len(points) == 12
    ax = plots.ceiling(table, reported=points)
    assert len(ax.lines) == 6
    plt.close("all")


def test_the_giant_and_the_dwarf_differ_most_in_a_marked_feature(results):
    pair = frames.gravity_pair(results.sets.grid).pivot_table(index="wave_aa", columns="star", values="flux")
    difference = (pair["log g = 1"] - pair["log g = 5"]).abs()
    marks = frames.features(results.sets.wave)
    assert (marks.wave_aa - difference.idxmax()).abs().min() < 3
    for line in (8498.02, 8542.09, 8662.14):  # the triplet's cores differ too
        assert difference[abs(difference.index - line) < 3].max() > 5 * difference.median()


def test_sigma_stands_at_the_airglow_lines(results):
    table = tables.sigma(results)
    brightest = table[table.magnitude == 21.5].set_index("wave_aa").sigma.idxmax()
    assert abs(brightest - 8827.11) < 0.6
