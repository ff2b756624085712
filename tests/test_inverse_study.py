"""Inverse design in the study: training, judging, the model folder and the commands, on op-amps never seen before."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from lib import paths
from lib import runtime as rt
from lib.data import circuit, opamp
from lib.inverse import spec as specs
from lib.inverse.diagnose import diagnose
from lib.inverse.model import InverseModel
from lib.studies.opamp_transfer import inverse as study
from lib.studies.opamp_transfer import judge
from lib.studies.opamp_transfer.__main__ import main, simulated
from lib.studies.opamp_transfer.config import Config
from lib.studies.opamp_transfer.data import prepare
from lib.studies.opamp_transfer.inverse import held_out, train_inverse

FEATURES, TARGETS = ["w1", "l1", "r_load", "ibias"], ["dc_gain", "ugf", "offset"]


def amplifier(x, k=1.3):
    """Return the metrics in closed form; `k` is the process."""
    gm = np.sqrt(2e-4 * k * x.w1 / x.l1 * x.ibias)
    return pd.DataFrame({"dc_gain": 5 + gm * x.r_load, "ugf": gm / 1e-11 / x.l1**0.5, "offset": 1e3 * gm - 0.6 - x.l1 / 4})


class Truth:
    """A judge that knows the amplifier."""

    name = "closed form"

    def measure(self, designs):
        return amplifier(designs)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write CSVs of an amplifier of which no netlist is known; one metric is negative for half of the designs."""
    root = tmp_path_factory.mktemp("csv")
    rng = np.random.default_rng(0)
    for process, names in opamp.FILES.items():
        n, k = (300, 1.0) if process == "source" else (150, 1.3)
        x = pd.DataFrame({"w1": rng.integers(2, 60, n) * 0.5, "l1": rng.choice([0.5, 1, 2], n), "r_load": rng.uniform(1e3, 9e3, n),
                          "ibias": rng.choice([5e-6, 1e-5, 2e-5], n)})  # fmt: skip
        y = amplifier(x, k)
        for name, frame in zip(names, (x, y), strict=True):
            file = root / "01_train_set" / "amp" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            frame.to_csv(file, index=False)
    return root


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """Train briefly, with the run cache in a temporary folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "RUNS", tmp_path_factory.mktemp("runs"))
        config = Config.checked(
            {"data_dir": str(folder), "opamp": "amp", "inverse_epochs": 100, "inverse_specs": 20, "inverse_starts": 12,
             "inverse_steps": 20, "inverse_lbfgs": 10, "mdn_epochs": 10, "num_threads": 1}
        )  # fmt: skip
        runtime, prepared = rt.start(config), prepare(config)
        kept, held = held_out(config, prepared)
        model, said = train_inverse(config, prepared, runtime, kept)
        return config, prepared, runtime, kept, held, model, said


def test_held_out_designs_are_neither_known_nor_trained_on(trained):
    _, prepared, _, kept, held, model, _ = trained
    assert not set(kept) & set(held)
    asked = prepared.target.iloc[held][FEATURES]
    assert model.known[FEATURES].merge(asked, how="inner").empty
    assert len(model.known) == len(kept)


def test_search_on_a_forgotten_design_beats_look_up_before_the_judge(trained):
    config, prepared, runtime, _, held, model, _ = trained
    inverted = study.invert_held_out(config, prepared, model, runtime, held, Truth())
    assert inverted.judge == "closed form"
    assert set(inverted.results.method) == set(study.METHODS)
    worst = inverted.results.groupby(["method", "specification"]).miss.max().groupby("method").median()
    assert worst["search"] < 0.7 * worst["lookup"]
    table = study.shares(inverted)
    assert ((table.low <= table.met_share) & (table.met_share <= table.high)).all()
    lookup = inverted.results.query("method == 'lookup'")
    assert (lookup.predicted == lookup.judged).all()


def test_gaussian_process_judge_knows_the_amplifier(trained):
    prepared = trained[1]
    chosen = judge.choose(prepared)
    measured = chosen.measure(prepared.target)
    for name in TARGETS:
        assert np.corrcoef(measured[name], prepared.target[name])[0, 1] > 0.99


def test_simulator_judges_only_the_data_that_it_made(trained, monkeypatch):
    monkeypatch.setattr(circuit, "ngspice_version", lambda: "39")
    assert judge.choose(prepare(Config())).name == "ngspice"
    assert judge.choose(prepare(Config())).workers == torch.get_num_threads(), "one number for all that is simulated"
    assert judge.choose(trained[1]).name == "gaussian_process"
    monkeypatch.setattr(circuit, "ngspice_version", lambda: None)
    assert judge.choose(prepare(Config())).name == "gaussian_process"


def test_training_is_found_in_the_run_cache_and_repeats(trained, tmp_path, monkeypatch):
    config, prepared, runtime, kept, _, model, said = trained
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    again, also = train_inverse(config, prepared, runtime, kept)
    assert said["ensemble_nll"] == also["ensemble_nll"]
    for a, b in zip(model.mixture.state_dict().values(), again.mixture.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_model_folder_is_read_back_exactly_and_holds_no_pickle(trained, tmp_path):
    model = trained[5]
    model.save(tmp_path)
    again = InverseModel.load(tmp_path)
    x = torch.tensor(model.known[FEATURES].to_numpy(), dtype=torch.float32)
    for a, b in zip(model.surrogate()(x), again.surrogate()(x), strict=True):
        assert torch.equal(a, b)
    wanted = [specs.targets(model.known[TARGETS].iloc[0])]
    assert torch.equal(model.sample(wanted, 5, 3), again.sample(wanted, 5, 3))
    assert {f.suffix for f in tmp_path.iterdir()} == {".json", ".safetensors", ".csv"}


@pytest.fixture
def written(trained, tmp_path):
    """Return a study's model folder and a specification that can be met."""
    model = trained[5]
    model.save(tmp_path / "model" / "inverse")
    row = model.known[TARGETS].iloc[3]
    (tmp_path / "spec.yaml").write_text(
        f"dc_gain: {{goal: target, value: {row.dc_gain}}}\nugf: {{goal: range, band: [{0.9 * row.ugf}, null]}}\noffset: {{goal: max, weight: 0.1}}\n"
    )
    return tmp_path


def arguments(command, where, *more):
    return [
        command,
        "--model",
        str(where / "model"),
        "--spec",
        str(where / "spec.yaml"),
        "--out",
        str(where / "out.csv"),
        *more,
    ]


SHORT = ("--n-init", "16", "--steps", "20", "--lr", "0.05", "--finish-lbfgs", "10")


def test_sample_then_invert_give_ranked_designs_on_the_grid(written, trained, capsys):
    assert main(arguments("sample", written, "--n", "12")) == 0
    drawn = pd.read_csv(written / "out.csv")
    wanted = ["rank", *FEATURES, *[c for t in TARGETS for c in (t, f"{t}_sd")], "meets", "distance"]
    assert list(drawn.columns) == wanted
    (written / "out.csv").rename(written / "init.csv")
    assert main(arguments("invert", written, *SHORT, "--init", str(written / "init.csv"))) == 0
    found = pd.read_csv(written / "out.csv")
    assert list(found.columns) == wanted
    assert list(found["rank"]) == list(range(1, len(found) + 1))
    assert found.meets.iloc[0]
    assert found.distance.iloc[0] <= drawn.distance.iloc[0] + 1e-9
    assert set(found.l1) <= {0.5, 1.0, 2.0}
    assert set(found.ibias) <= {5e-6, 1e-5, 1.5e-5, 2e-5}
    assert "The specification can be met." in capsys.readouterr().out


def test_impossible_specification_is_explained(written, capsys):
    (written / "spec.yaml").write_text("ugf: {goal: target, value: 1.0e+13}\n")
    assert main(arguments("invert", written, *SHORT)) == 0
    said = capsys.readouterr().out
    assert "cannot be met" in said
    assert "ugf" in said
    assert "nearest known designs" in said


def test_designs_without_a_netlist_cannot_be_verified(written, capsys):
    assert main(arguments("invert", written, *SHORT, "--verify", str(written / "simulated.csv"))) == 1
    assert "no netlist has the features w1, l1, r_load, ibias" in capsys.readouterr().err


@pytest.mark.ngspice
@pytest.mark.skipif(circuit.ngspice_version() is None, reason="ngspice is not installed")
def test_simulation_stands_beside_the_prediction():
    read = opamp.embedded()
    known = read.target.head(3).reset_index(drop=True)
    known.insert(0, "rank", [1, 2, 3])
    model = SimpleNamespace(features=read.features, metrics=read.targets)
    table = simulated(known, model, "b")
    for name in read.targets:
        np.testing.assert_allclose(table[f"{name}_simulated"], table[f"{name}_predicted"], rtol=1e-3)
    assert (table.failure == "").all()


def test_without_the_simulator_there_are_no_rounds(trained):
    config, prepared, runtime, _, held, model, _ = trained
    inverted = study.invert_held_out(config, prepared, model, runtime, held, Truth())
    assert study.with_rounds(config, prepared, model, inverted, held) is inverted
    assert "no rounds" in study.rounds_say(inverted.rounds)[1]


@pytest.mark.slow
@pytest.mark.ngspice
@pytest.mark.skipif(circuit.ngspice_version() is None, reason="ngspice is not installed")
def test_rounds_of_simulation_never_make_a_specification_worse(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    config = Config(num_threads=1, inverse_rounds=2, inverse_epochs=20)
    runtime, prepared = rt.start(config), prepare(config)
    kept, held = held_out(config, prepared)
    model, _ = train_inverse(config, prepared, runtime, kept)
    inverted = study.invert_held_out(config, prepared, model, runtime, held)
    better = study.with_rounds(config, prepared, model, inverted, held)
    worst = better.results.groupby(["method", "specification"]).miss.max()
    assert (worst["corrected"] <= worst["search"] + 1e-9).all()
    assert better.rounds.simulations.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: (p / "spec.yaml").write_text("gian: {goal: max}"), "unknown metric 'gian'"),
        (lambda p: (p / "model/inverse/inverse.json").unlink(), "holds no inverse model"),
        (
            lambda p: (p / "model/inverse/mixture.safetensors").write_bytes(b"x"),
            "mixture.safetensors is truncated or no safetensors",
        ),
        (lambda p: (p / "model/inverse/space.json").write_text("{}"), "names"),
        (lambda p: (p / "spec.yaml").unlink(), "does not exist"),
    ],
)
def test_broken_input_of_a_command_is_one_sentence(written, change, message, capsys):
    change(written)
    assert main(arguments("sample", written)) == 1
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


def test_bad_start_file_is_one_sentence(written, capsys):
    pd.DataFrame({"w1": [1.0]}).to_csv(written / "init.csv", index=False)
    assert main(arguments("invert", written, *SHORT, "--init", str(written / "init.csv"))) == 1
    assert "lacks the columns l1, r_load, ibias" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["5t_opamp", "two_stage_opamp"])
def test_example_target_of_both_embedded_opamps_is_out_of_reach(name):
    prepared = prepare(Config(opamp=name))
    assert set(study.example(prepared)) == set(prepared.targets)
    assert not diagnose(study.example(prepared), prepared.target, prepared.targets).reachable.all()


def test_the_page_says_what_the_model_promised_and_what_the_judge_grants():
    rows = [
        ("search", 0, "ugf", 1.00, 1.00, 0.01, 0.0),
        ("search", 0, "cmrr", 90.0, 100.0, 0.2, 0.02),
        ("mdn", 0, "ugf", 1.0, 9.0, 9.0, 0.0),
    ]
    columns = ["method", "specification", "metric", "predicted", "judged", "miss", "promised_miss"]
    zh, en = study.model_says(pd.DataFrame(rows, columns=columns))
    assert "meet 100% of the specifications; the judge grants 0%" in en
    assert "cmrr" in en
    assert "10.0%" in en
    assert "10.0%" in zh


def test_advantage_is_the_paired_difference_of_shares():
    rows = [(m, s, miss) for m, hits in {"search": [1, 1, 1, 0], "lookup": [1, 0, 0, 0]}.items() for s, miss in enumerate(hits)]
    results = pd.DataFrame([{"method": m, "specification": s, "miss": 0.01 if hit else 0.2} for m, s, hit in rows])
    found = study.advantage(study.Inverted(results, pd.DataFrame(), "ngspice", 0.0))
    assert found.value == 0.5
    assert found.low <= 0.5 <= found.high
    assert found.tool == "ngspice"
