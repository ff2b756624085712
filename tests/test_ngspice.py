"""ngspice is optional: both ways, by PATH alone. A stand-in plays the simulator, so that no machine needs the real one."""

import os
import sys

import pandas as pd
import pytest

from lib import paths
from lib import runtime as rt
from lib.data import circuit
from lib.data.topology import FIVE_T
from lib.studies.opamp_transfer import inverse as study
from lib.studies.opamp_transfer import judge
from lib.studies.opamp_transfer.config import Config
from lib.studies.opamp_transfer.data import prepare
from lib.studies.opamp_transfer.inverse import held_out, train_inverse
from tools.simulate_opamps import sample_designs

STAND_IN = """#!{python} -S
import re, sys
if "--version" in sys.argv:
    print("** ngspice-39 : Circuit level simulation program")
else:
    for number in re.findall(r"^echo begin (\\d+)", open(sys.argv[-1]).read(), re.M):
        print("begin", number)
        print("adc = 100\\nacm = 0.01\\nugf = 1e6\\nshift = -90\\nearly = 1e-8\\nlate = 2e-8")
        print("end", number)
"""


@pytest.fixture
def hidden(tmp_path, monkeypatch):
    """Leave nothing on the PATH."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


@pytest.fixture
def found(hidden):
    """Put a program named ngspice on the PATH that gives every design the same readings."""
    program = hidden / "ngspice"
    program.write_text(STAND_IN.format(python=sys.executable), "utf8")
    program.chmod(0o755)
    return program


@pytest.fixture(scope="module")
def inverse(tmp_path_factory):
    """Return the inverse model of the shipped data, trained as at smoke, and what it is asked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "RUNS", tmp_path_factory.mktemp("runs"))
        config = Config(num_threads=1)
        runtime, prepared = rt.start(config), prepare(config)
        kept, held = held_out(config, prepared)
        return config, prepared, train_inverse(config, prepared, runtime, kept)[0], runtime, held


def inverted(inverse):
    """Run the search and its rounds, as the notebook does."""
    config, prepared, model, runtime, held = inverse
    return study.with_rounds(config, prepared, model, study.invert_held_out(config, prepared, model, runtime, held), held)


def test_simulator_is_what_the_path_says(found, monkeypatch):
    assert circuit.ngspice_version() == "39"
    assert judge.choose(prepare(Config())).name == "ngspice"
    monkeypatch.setenv("PATH", os.devnull)
    assert circuit.ngspice_version() is None
    assert judge.choose(prepare(Config())).name == "gaussian_process"


def test_simulator_on_the_path_measures_designs(found):
    measured = circuit.simulate(FIVE_T, circuit.card("b"), sample_designs(FIVE_T, 5, 0), batch=2, workers=2)
    assert (measured.failure == "").all()
    assert measured.dc_gain.tolist() == [100.0] * 5
    assert measured.phase_margin.tolist() == [90.0] * 5


def test_simulation_without_the_simulator_says_what_to_install(hidden):
    with pytest.raises(RuntimeError, match="ngspice is not on the PATH; install it"):
        circuit.simulate(FIVE_T, circuit.card("b"), sample_designs(FIVE_T, 1, 0))


def test_without_the_simulator_the_study_runs_and_says_which_claims_are_not_judged(inverse, hidden):
    done = inverted(inverse)
    assert done.judge == "gaussian_process"
    assert done.rounds is None
    assert set(study.shares(done).method) == set(study.METHODS)  # the tables still give the estimate
    for claim in (study.reached(done), study.reached(done, "mdn"), study.advantage(done)):
        assert (claim.value, claim.low, claim.high) == (None, None, None)
        assert "ngspice" in claim.why["zh"]
        assert "ngspice is not on the PATH" in claim.why["en"]


def test_with_the_simulator_the_claims_are_judged_and_the_rounds_follow(inverse, found, tmp_path, monkeypatch):
    monkeypatch.setattr(judge, "RUNS", tmp_path)
    done = inverted(inverse)
    assert done.judge == "ngspice"
    assert done.rounds.simulations.tolist() == list(range(1, len(done.rounds) + 1))
    assert set(study.shares(done).method) == {*study.METHODS, "corrected"}
    for claim in (study.reached(done), study.reached(done, "mdn"), study.advantage(done)):
        assert claim.tool == "ngspice"
        assert claim.low <= claim.value <= claim.high
    searched = done.results[(done.results.method == "search") & (done.results.metric == "dc_gain")]
    assert (searched.judged == 100.0).all()


def test_users_own_data_are_judged_without_the_simulator(inverse, hidden):
    results = pd.DataFrame([{"method": m, "specification": s, "miss": 0.01} for m in study.METHODS for s in range(3)])
    own = study.Inverted(results, pd.DataFrame(), "gaussian_process", 0.0)
    assert study.reached(own).value == 1.0
    assert study.advantage(own).value == 0.0
    assert study.reached(own).tool == ""
