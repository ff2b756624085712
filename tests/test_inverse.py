"""Inverse design: specifications, the design grid, the search and the diagnosis, on amplifiers known in closed form."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize

from lib.data import opamp
from lib.inverse import lbfgs, spec
from lib.inverse.candidates import check_designs, conditions, known_and_random
from lib.inverse.diagnose import diagnose, nearest_designs, verdict
from lib.inverse.grid import descend, moves
from lib.inverse.search import SearchConfig, search
from lib.inverse.space import Space, nearest
from lib.inverse.spec import Goal, Goals
from lib.inverse.surrogate import ScaledSurrogate
from lib.models.ensemble import Ensemble, EnsembleConfig

FEATURES = ["w1", "l1", "ibias"]
METRICS = ["slewrate_pos", "dc_gain", "phase_margin"]
QUICK = SearchConfig(steps=30, lr=0.05, lbfgs=20, keep=6, n_init=16)


def amplifier(x):
    """Slew rate, gain and phase margin of a made-up one-stage amplifier; the model is sure of everything."""
    w, length, ibias = x.double().unbind(-1)
    gm = (2e-4 * w / length * ibias).sqrt()
    y = torch.stack([ibias / 2e-12, gm * length / (0.1 * ibias), 90 - 30 * gm / 1e-3 - 4 * length], -1)
    return y, torch.full_like(y, 1e-9)


def known_designs(n=200, seed=0):
    rng = np.random.default_rng(seed)
    x = pd.DataFrame(
        {"w1": rng.integers(1, 101, n) * 0.5, "l1": rng.choice([0.5, 1, 1.5, 2], n), "ibias": rng.choice([5e-6, 1e-5, 2e-5], n)}
    )
    y = amplifier(torch.tensor(x.to_numpy()))[0].numpy()
    return pd.concat([x, pd.DataFrame(y, columns=METRICS)], axis=1)


def solve(specs, config=QUICK, surrogate=amplifier, top=4):
    known = known_designs()
    space = Space.from_frame(known, FEATURES)
    x, y = (torch.tensor(known[c].to_numpy()) for c in (FEATURES, METRICS))
    goals = Goals.stack(specs, METRICS, y)
    starts = known_and_random(goals, y, x, space, config.n_init, torch.Generator().manual_seed(0))
    return search(surrogate, space, goals, starts, config, top=top), space, goals


def test_search_reproduces_held_out_designs_on_the_grid():
    hidden = known_designs(12, seed=9)
    found, space, _ = solve([spec.targets(row) for row in hidden[METRICS].to_dict("records")])
    assert found.meets[:, 0].all()
    for i, levels in enumerate(space.levels):
        assert set(found.x[..., i].ravel().tolist()) <= set(levels)
    assert (found.distance[:, 0] < 0.02).all()


def test_maximum_without_a_bound_reaches_the_wall():
    found, space, _ = solve([{"slewrate_pos": Goal("max")}, {"slewrate_pos": Goal("min")}])
    assert found.x[0, 0, 2] == space.high[2]
    assert found.x[1, 0, 2] == space.low[2]


def test_band_is_kept_while_another_metric_is_maximised():
    found, _, _ = solve([{"dc_gain": Goal("max"), "phase_margin": Goal("range", low=70.0)}])
    assert found.meets[0, 0]
    assert found.y[0, 0, 2] >= 70
    everything = known_designs(20_000)
    allowed = everything[everything.phase_margin >= 70].dc_gain.max()
    assert found.y[0, 0, 1] >= 0.98 * allowed


def test_a_batch_of_specifications_gives_what_each_gives_alone():
    specs = [spec.targets({"dc_gain": g, "phase_margin": 75.0}) for g in (60.0, 90.0)]
    both, _, _ = solve(specs)
    for i, one in enumerate(specs):
        alone, _, _ = solve([one])
        assert abs(float(both.distance[i, 0] - alone.distance[0, 0])) < 0.02


def test_designs_are_ranked_best_first_and_the_trace_falls():
    found, _, goals = solve([spec.targets({"dc_gain": 60.0, "slewrate_pos": 5e6})])
    merit = goals.rows(torch.zeros(4, dtype=torch.long)).merit(found.y[0], found.sd[0])
    assert (merit.diff() >= 0).all()
    adam = found.trace[found.trace.stage == "adam"]
    assert adam["median"].iloc[-1] < adam["median"].iloc[0]


def test_unsure_design_ranks_behind_a_sure_one():
    goals = Goals.stack([spec.targets({"dc_gain": 60.0})], METRICS, torch.rand(9, 3) + 1)
    y, sd = torch.tensor([[1.0, 60.0, 1.0]]), torch.tensor([[0.0, 3.0, 0.0]])
    assert goals.merit(y, sd) > goals.merit(y, 0 * sd)


def test_neighbour_search_beats_rounding():
    hidden = known_designs(20, seed=4)[METRICS] * np.random.default_rng(1).uniform(0.96, 1.04, (20, 3))
    specs = [spec.targets(row) for row in hidden.to_dict("records")]
    short = {**QUICK.model_dump(), "n_init": 2, "keep": 1}
    merit = []
    for sweeps in (0, 20):
        found, _, goals = solve(specs, SearchConfig(**short | {"sweeps": sweeps}), top=1)
        merit.append(goals.merit(found.y[:, 0], found.sd[:, 0]))
    rounded, searched = merit
    assert (searched <= rounded + 1e-9).all()
    assert (searched < rounded - 1e-6).sum() >= 5


def test_neighbour_search_stops_at_a_local_optimum():
    known = known_designs()
    space = Space.from_frame(known, FEATURES)
    goals = Goals.stack([spec.targets({"dc_gain": 70.0})], METRICS, torch.tensor(known[METRICS].to_numpy()))
    start = space.to_unit(torch.tensor(known[FEATURES].to_numpy()[:1]))[None]
    end = descend(amplifier, space, goals, start, 50)
    again = descend(amplifier, space, goals, space.to_unit(end), 50)
    torch.testing.assert_close(end, again, rtol=0, atol=0)
    assert (moves(space)[0] == 0).all()


def test_space_fills_a_regular_grid_and_leaves_a_continuous_feature_free():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"w1": [0.5, 1.0, 2.5] * 200, "r": rng.uniform(1, 2, 600), "k": 3.0})
    space = Space.from_frame(frame, ["w1", "r", "k"])
    assert space.levels[0] == [0.5, 1.0, 1.5, 2.0, 2.5]
    assert space.levels[1] == []
    assert space.levels[2] == [3.0]
    assert space.free == [0, 1]
    x = torch.tensor(frame.to_numpy())
    torch.testing.assert_close(space.from_unit(space.to_unit(x)), x)


def test_space_handles_zero_and_negative_features():
    space = Space.from_frame(pd.DataFrame({"v": [-1.0, 0.0, 1.0, 2.0]}), ["v"])
    x = torch.tensor([[-1.0], [0.5], [2.0]], dtype=torch.float64)
    torch.testing.assert_close(space.from_unit(space.to_unit(x)), x)
    torch.testing.assert_close(
        space.from_unit(space.snap(space.to_unit(x - 0.1)))[:, 0], torch.tensor([-1.0, 0.0, 2.0]).double()
    )


def test_nearest_level_is_the_nearest():
    level = torch.tensor([0.0, 0.1, 0.5, 1.0])
    u = torch.rand(500, generator=torch.Generator().manual_seed(0))
    assert (nearest(u, level) == (u[:, None] - level).abs().argmin(1)).all()
    assert nearest(u, level[:1]).eq(0).all()


def test_lbfgs_agrees_with_scipy_inside_a_box():
    def f(v, rows=None):
        return (1 - v[:, 0]) ** 2 + 100 * (v[:, 1] - v[:, 0] ** 2) ** 2

    low, high = torch.tensor([[-2.0, -2.0], [-2.0, -2.0]]).double(), torch.tensor([[2.0, 2.0], [0.5, 2.0]]).double()
    v, loss = lbfgs.minimise(f, torch.tensor([[-1.2, 1.0], [-1.2, 1.0]]).double(), low, high, 200)
    torch.testing.assert_close(v[0], torch.tensor([1.0, 1.0]).double(), atol=1e-4, rtol=0)
    best = minimize(lambda p: float(f(torch.tensor(p)[None])), [-1.2, 1.0], bounds=[(-2, 0.5), (-2, 2)], method="L-BFGS-B")
    assert math.isclose(float(loss[1]), best.fun, rel_tol=1e-4)
    assert (v >= low).all()
    assert (v <= high).all()


def test_lbfgs_rows_do_not_touch_each_other():
    def f(v, rows):
        return ((v - 0.3) ** 2 * torch.tensor([1.0, 50.0, 3.0])[rows, None]).sum(-1).exp()

    start, wall = torch.rand(3, 4, generator=torch.Generator().manual_seed(0)), torch.ones(3, 4)
    together = lbfgs.minimise(f, start, -wall, wall, 15)[0]
    for i in range(3):
        alone = lbfgs.minimise(lambda v, rows, i=i: f(v, rows + i), start[i : i + 1], -wall[:1], wall[:1], 15)[0]
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-4, rtol=0)


def test_goals_measure_what_they_say():
    reference = torch.tensor([[1.0, 10.0, -50.0], [2.0, 20.0, 90.0]])
    specs = [{"slewrate_pos": Goal("target", 2.0), "dc_gain": Goal("range", low=10.0, high=20.0), "phase_margin": Goal("max")}]
    goals = Goals.stack(specs, METRICS, reference)
    y = torch.tensor([[2.08, 15.0, 0.0], [2.2, 15.0, 0.0], [2.0, 22.0, 0.0]])
    assert goals.meets(y).tolist() == [True, False, False]
    torch.testing.assert_close(goals.miss(y)[:, 0], torch.tensor([0.04, 0.1, 0.0]).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(goals.miss(y)[:, 1], torch.tensor([0.0, 0.0, 0.1]).double(), atol=1e-6, rtol=0)
    assert goals.gain(torch.tensor([[1.0, 1.0, 60.0]])) > goals.gain(torch.tensor([[1.0, 1.0, -60.0]]))


def test_metric_of_weight_zero_is_ignored():
    specs = [{"slewrate_pos": Goal("target", 2.0, weight=0.0), "dc_gain": Goal("target", 10.0)}]
    goals = Goals.stack(specs, METRICS, torch.ones(3, 3))
    y = torch.tensor([[99.0, 10.0, 1.0]])
    assert goals.meets(y).all()
    assert float(goals.distance(y)) == 0


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"gain": {"goal": "max"}}, "unknown metric 'gain': did you mean 'dc_gain'"),
        ({"dc_gain": {"goal": "maximize"}}, "goal is 'maximize'.*min, max, target, range"),
        ({"dc_gain": {"goal": "target"}}, "needs a value"),
        ({"dc_gain": {"goal": "target", "value": "high"}}, "value is 'high'.*finite number"),
        ({"dc_gain": {"goal": "target", "value": "1e6"}}, r"write 1.0e\+6"),
        ({"dc_gain": {"goal": "target", "value": True}}, "value is True"),
        ({"dc_gain": {"goal": "range"}}, "needs a band"),
        ({"dc_gain": {"goal": "range", "band": [75, 60]}}, "band .* is empty"),
        ({"dc_gain": {"goal": "range", "band": [60]}}, "should be .low, high."),
        ({"dc_gain": {"goal": "target", "value": 5, "band": [60, 75]}}, "outside its band"),
        ({"dc_gain": {"goal": "max", "weight": -1}}, "weight is -1"),
        ({"dc_gain": {"goal": "max", "weight": 0}}, "every weight is 0"),
        ({"dc_gain": {"goal": "max", "wieght": 1}}, "unknown key 'wieght'"),
        ({"dc_gain": "max"}, "should be a mapping"),
        (["dc_gain"], "maps metrics to goals"),
        ({}, "maps metrics to goals"),
        ({"dc_gain": {"goal": "target", "value": float("nan")}}, "finite number"),
    ],
)
def test_bad_specification_is_refused_with_a_sentence(entry, message):
    with pytest.raises(ValueError, match=message):
        spec.parse(entry, METRICS)


def test_specification_is_read_from_yaml(tmp_path):
    file = tmp_path / "spec.yaml"
    file.write_text("phase_margin: {goal: range, band: [60, null]}\ndc_gain: {goal: target, value: 200, weight: 2}\n")
    assert spec.load(file, METRICS) == {"dc_gain": Goal("target", 200.0, weight=2.0), "phase_margin": Goal("range", low=60.0)}
    with pytest.raises(ValueError, match="does not exist"):
        spec.load(tmp_path / "none.yaml", METRICS)
    file.write_text("dc_gain: {goal: [")
    with pytest.raises(ValueError, match="not plain YAML"):
        spec.load(file, METRICS)


def test_documents_example_is_diagnosed_as_infeasible():
    read = opamp.embedded("5t_opamp")
    wanted = spec.targets(dict(zip(read.targets, [2.5e8, 200, 1.5e6, 65, 20_000], strict=True)))
    table = diagnose(wanted, read.target, read.targets).set_index("metric")
    assert list(table.index[~table.reachable]) == ["slewrate_pos", "phase_margin"]
    said = verdict(table.reset_index())
    assert "cannot be met" in said
    assert all(name in said for name in ("slewrate_pos", "phase_margin"))
    assert "dc_gain" not in said


def test_goals_reachable_alone_but_not_together_name_what_binds():
    known = known_designs(2_000)
    wanted = {"slewrate_pos": Goal("range", low=9e6), "dc_gain": Goal("range", low=known.dc_gain.quantile(0.99))}
    table = diagnose(wanted, known, METRICS).set_index("metric")
    assert table.reachable.all()
    assert table.binds.any()
    assert table.relief.max() > 0.9
    assert table.relief.between(0, 1).all()
    assert "together" in verdict(table.reset_index())


def test_attainable_specification_is_called_so():
    known = known_designs()
    wanted = spec.targets(known[METRICS].iloc[7].to_dict())
    assert verdict(diagnose(wanted, known, METRICS)) == "The specification can be met."
    assert nearest_designs(wanted, known, METRICS).index[0] == 7


def test_conditions_honour_the_specification_and_stay_in_range():
    known = known_designs()
    wanted = {"dc_gain": Goal("target", 70.0), "phase_margin": Goal("range", low=75.0, high=80.0)}
    rows = conditions(wanted, known, METRICS, 300, np.random.default_rng(0))
    assert (rows[:, 1] == 70).all()
    assert ((rows[:, 2] >= 75) & (rows[:, 2] <= 80)).all()
    beyond = conditions({"dc_gain": Goal("target", 1e9)}, known, METRICS, 10, np.random.default_rng(0))
    assert (beyond[:, 1] == known.dc_gain.max()).all()


def test_starts_without_a_feature_are_refused():
    known = known_designs()
    with pytest.raises(ValueError, match=r"init.csv lacks the columns l1"):
        check_designs(known.drop(columns="l1"), Space.from_frame(known, FEATURES), "init.csv")
    goals = Goals.stack([{"dc_gain": Goal("max")}], METRICS, torch.tensor(known[METRICS].to_numpy()))
    with pytest.raises(ValueError, match="starts have shape"):
        search(amplifier, Space.from_frame(known, FEATURES), goals, torch.ones(2, 4, 3))


def test_scaled_surrogate_agrees_with_its_scalers():
    known = known_designs()
    x_scaler, y_scaler = opamp.Scaler.fit(known, FEATURES), opamp.Scaler.fit(known, METRICS, ["slewrate_pos"])
    truth = torch.from_numpy(y_scaler.transform(known))
    wrapped = ScaledSurrogate(lambda x: (truth, torch.full_like(truth, -20.0)), x_scaler, y_scaler)
    y, sd = wrapped(torch.tensor(known[FEATURES].to_numpy(), dtype=torch.float32))
    np.testing.assert_allclose(y, known[METRICS], rtol=2e-4)
    assert (sd > 0).all()


def test_ensemble_counts_disagreement_as_doubt(monkeypatch):
    monkeypatch.setattr(Ensemble, "forward", lambda self, x: (torch.stack([x, 3 * x]), torch.full((2, *x.shape), -2.0)))
    model = Ensemble(EnsembleConfig(tuple(FEATURES), 2, members=2, hidden=8, layers=2))
    mu, logvar = model.combined(torch.ones(4, 2))
    torch.testing.assert_close(mu, torch.full((4, 2), 2.0))
    torch.testing.assert_close(logvar.exp(), torch.full((4, 2), math.exp(-2) + 1.0))


def test_ensemble_members_are_independent_networks():
    torch.manual_seed(0)
    model = Ensemble(EnsembleConfig(tuple(FEATURES), 3, members=3, hidden=8, layers=2))
    x = torch.tensor(known_designs(20)[FEATURES].to_numpy(), dtype=torch.float32)
    model.features.fit(x)
    before = model(x)[0].detach()
    with torch.no_grad():
        model.weights[0][1] += 1
    after = model(x)[0].detach()
    assert (before[0] == after[0]).all()
    assert (before[2] == after[2]).all()
    assert not torch.allclose(before[1], after[1])


def test_design_features_are_standardised_and_ignore_a_constant():
    frame = known_designs().assign(ibias=1e-5)
    model = Ensemble(EnsembleConfig(tuple(FEATURES), 1))
    x = torch.tensor(frame[FEATURES].to_numpy(), dtype=torch.float32)
    model.features.fit(x)
    out = model.features(x)
    assert out.isfinite().all()
    assert out[:, 2].abs().max() == 0
    assert (out.std(0) - 1).abs()[[0, 1, 3]].max() < 1e-3
    assert model.features.scale.isfinite().all(), "a file of weights holds finite numbers alone"
    assert model.features(x * torch.tensor([1.0, 1.0, 2.0]))[:, 2].abs().max() == 0, "nor another value of it"
