"""Statistics of a scaling curve against curves that are known."""

import numpy as np
import pytest

from lib import metrics
from lib.studies.vit_scaling import scaling


def test_bootstrap_draws_are_those_of_r2_and_paired():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=400)
    preds = {"a": truth + 0.5 * rng.normal(size=400)}
    preds["b"] = preds["a"] * 0.99
    draws = scaling.bootstrap_r2(truth, preds, n=400)
    low, high = metrics.bootstrap(metrics.r2, truth, preds["a"], n=400)
    assert np.quantile(draws["a"], [0.025, 0.975]) == pytest.approx([low, high], abs=0.02)
    assert np.std(draws["a"] - draws["b"]) < 0.2 * np.std(draws["a"])


def test_scaling_statistics_recover_a_known_curve():
    sizes = [1000, 2000, 4000, 8000, 16000]
    law = {n: 1 - (0.2 + 0.5 * (n / 1000) ** -0.7) for n in sizes}
    found = scaling.power_law(law)
    assert [found["floor"], found["a"], found["b"]] == pytest.approx([0.2, 0.5, 0.7], abs=0.02)
    line = {n: 0.1 + 0.2 * np.log10(n) for n in sizes}
    assert scaling.slopes(line, {n: np.full(10, line[n]) for n in sizes})["slope"] == pytest.approx(0.2)
    flat = dict.fromkeys(sizes, 0.5)
    assert scaling.crossing({1000: 0.4, 4000: 0.6}, {1000: 0.5, 4000: 0.5}) == pytest.approx(2000)
    assert scaling.crossing(flat, dict.fromkeys(sizes, 0.6)) is None
    assert scaling.crossing(dict.fromkeys(sizes, 0.7), flat) == 1000
    assert scaling.equivalent_size({1000: 0.4, 4000: 0.6}, 0.5) == pytest.approx(2000)
    assert scaling.equivalent_size(line, 0.0) == 1000
    assert scaling.equivalent_size(flat, 0.6) == np.inf
    assert scaling.rough(5209.4) == "5,200"
    assert scaling.saturation(flat) == 1000
    assert scaling.saturation(line) is None
    assert scaling.power_law({1: 0.1, 2: 0.2}) is None
