"""Search, simulate, correct: a few measurements per specification make up for a forward model that is off."""

import numpy as np
import pandas as pd
import pytest
import torch

from lib.inverse.refine import corrected, refine
from lib.inverse.search import Found
from lib.inverse.spec import Goal, targets

KNOWN = torch.tensor([[1.0, -1.0], [2.0, 3.0], [4.0, 0.5]])


def predicted(x):
    """Return a model's metrics of designs (..., 2): the first is their first size, the second their second."""
    return x


def measured(x):
    """Return the true metrics: one is 1.4 times what the model says, the other is shifted."""
    return np.stack([1.4 * x[:, 0] ** 1.1, x[:, 1] - 0.7], 1)


def search(asked, start):
    """Answer every specification with the design that the model takes for exact."""
    x = torch.tensor([[[s["gain"].value, s["offset"].value]] for s in asked], dtype=torch.float64)
    ones = torch.ones(x.shape[:2])
    return Found(x, predicted(x), torch.zeros_like(x), ones > 0, ones, pd.DataFrame())


WANTED = [targets({"gain": g, "offset": o}) for g, o in ((2.0, 0.5), (3.0, -0.4), (1.5, 2.0))]


def test_rounds_of_correction_meet_what_the_model_alone_misses():
    found = refine(search, measured, WANTED, ["gain", "offset"], KNOWN, search(WANTED, None), rounds=3)
    share = found.history.met_share.tolist()
    assert share[0] == 0
    assert share[-1] == 1
    assert found.history.median_worst_miss.is_monotonic_decreasing
    np.testing.assert_allclose(found.measured, measured(found.x))
    assert found.history.simulations.tolist() == [1, 2, 3, 4]


def test_a_failed_simulation_never_wins_and_corrects_nothing():
    def failing(x):
        y = measured(x)
        y[x[:, 0] > 2.5] = np.nan
        return y

    found = refine(search, failing, WANTED, ["gain", "offset"], KNOWN, search(WANTED, None), rounds=1)
    assert np.isnan(found.measured[1]).all()
    assert np.isfinite(found.measured[[0, 2]]).all()
    assert found.history.met_share.max() <= 2 / 3


def test_a_band_moves_as_a_whole_and_by_no_more_than_the_limit():
    spec = {"gain": Goal("range", low=10.0, high=20.0), "offset": Goal("max")}
    moved = corrected(spec, ["gain", "offset"], np.array([12.0, 1.0]), np.array([6.0, 2.0]))
    assert (moved["gain"].low, moved["gain"].high) == (20.0, 40.0)
    assert moved["offset"] == spec["offset"]
    far = corrected(spec, ["gain", "offset"], np.array([100.0, 1.0]), np.array([1.0, 2.0]))
    assert far["gain"].low == pytest.approx(30.0)
