"""Circuit simulation: decks, readings and the shipped data; what needs ngspice is skipped where it is not installed."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest

from lib.data import circuit
from lib.data.topology import CARDS, FIVE_T, TOPOLOGIES, TWO_STAGE
from tools.simulate_opamps import HELD, sample_designs, topology

needs_ngspice = pytest.mark.skipif(circuit.ngspice_version() is None, reason="ngspice is not installed")
PREFIX = {"source": "pretrain", "target": "target"}


def shipped(name: str, domain: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    folder = CARDS / name / domain
    return tuple(pd.read_csv(folder / f"{PREFIX[domain]}_{part}.csv.gz") for part in ("design_features", "targets"))


@pytest.mark.parametrize("name", TOPOLOGIES)
@pytest.mark.parametrize("domain", PREFIX)
def test_shipped_designs_lie_on_the_grid_and_are_the_ones_drawn(name, domain):
    topo = TOPOLOGIES[name]
    features, targets = shipped(name, domain)
    record = json.loads((CARDS / name / "generation.json").read_text())
    drawn = record["designs"][domain]["drawn"]
    failures = pd.read_csv(CARDS / name / "failures.csv.gz").query("domain == @domain")
    held = HELD.get(name) if domain == "source" else None
    designs = sample_designs(topo, drawn, record["seed"] + (domain == "target"), held=held)
    np.testing.assert_allclose(designs.drop(index=failures.draw), features, rtol=1e-6)
    assert len(features) + len(failures) == drawn
    assert np.isfinite(targets).all().all()
    assert (targets.dc_gain > 1).all()


def test_shipped_data_are_small_and_complete():
    assert len(shipped("5t_opamp", "source")[0]) == 10_000
    assert len(shipped("5t_opamp", "target")[0]) == 1_000
    assert len(shipped("two_stage_opamp", "source")[0]) == 2_000
    assert len(shipped("two_stage_opamp", "target")[0]) == 300
    assert sum(f.stat().st_size for f in CARDS.rglob("*") if f.is_file()) < 1_000_000


def test_two_stage_source_holds_its_bias_current():
    assert shipped("two_stage_opamp", "source")[0].ibias.nunique() == 1
    assert shipped("two_stage_opamp", "target")[0].ibias.nunique() == 4


@needs_ngspice
@pytest.mark.ngspice
@pytest.mark.parametrize(("name", "domain"), [("5t_opamp", "source"), ("5t_opamp", "target"), ("two_stage_opamp", "target")])
def test_twenty_shipped_rows_are_what_ngspice_says(name, domain):
    features, targets = shipped(name, domain)
    rows = np.random.default_rng(1).choice(len(features), 20, replace=False)
    card = circuit.card({"source": "a", "target": "b"}[domain])
    again = circuit.simulate(topology(name), card, features.iloc[rows])
    assert (again.failure == "").all()
    tolerance = 1e-5 if circuit.ngspice_version() == "39" else 1e-3
    np.testing.assert_allclose(again[list(circuit.METRICS)], targets.iloc[rows], rtol=tolerance)


@needs_ngspice
@pytest.mark.ngspice
def test_shipped_failure_fails_again_for_the_same_reason():
    failures = pd.read_csv(CARDS / "5t_opamp" / "failures.csv.gz").query("domain == 'source'").head(5)
    again = circuit.simulate(FIVE_T, circuit.card("a"), failures)
    assert list(again.failure) == list(failures.failure)


@needs_ngspice
@pytest.mark.ngspice
@pytest.mark.parametrize("process", ["a", "b"])
def test_every_device_is_saturated_at_the_median_design(process):
    median = pd.DataFrame([dict.fromkeys(("w1", "w2", "w3"), 25.0) | dict.fromkeys(("l1", "l2", "l3"), 1.0) | {"ibias": 1e-5}])
    text = circuit.deck(FIVE_T, circuit.card(process), median)
    ask = "\n".join(f"print @m{d}a[vds] @m{d}a[vdsat]" for d in range(1, 7))
    text = text[: text.index("ac lin")] + f"op\n{ask}\nquit\n.endc\n.end\n"
    said = [line.split("=") for line in circuit.run_deck(text, 20).splitlines() if line.startswith("@m")]
    volts = {name.strip(): abs(float(value)) for name, value in said}
    assert all(volts[f"@m{d}a[vds]"] > volts[f"@m{d}a[vdsat]"] > 0 for d in range(1, 7))


@needs_ngspice
@pytest.mark.ngspice
def test_order_and_batches_do_not_change_a_measurement():
    designs = sample_designs(FIVE_T, 12, 5)
    forward = circuit.simulate(FIVE_T, circuit.card("b"), designs)
    backward = circuit.simulate(FIVE_T, circuit.card("b"), designs[::-1], batch=5, workers=2)
    pd.testing.assert_frame_equal(forward, backward[::-1].reset_index(drop=True))


@needs_ngspice
@pytest.mark.ngspice
def test_slew_rate_is_bias_current_over_load():
    design = sample_designs(FIVE_T, 1, 0).assign(w1=40.0, w2=10.0, w3=20.0, l1=0.5, l2=1.0, l3=2.0)
    measured = circuit.simulate(FIVE_T, circuit.card("b"), pd.concat([design.assign(ibias=i) for i in (5e-6, 1e-5)]))
    np.testing.assert_allclose(measured.slewrate_pos, [5e-6 / 2.2e-12, 1e-5 / 2.2e-12], rtol=0.12)


@needs_ngspice
@pytest.mark.ngspice
def test_interrupted_simulation_goes_on_from_its_folder(tmp_path, monkeypatch):
    designs = sample_designs(FIVE_T, 6, 3)
    first = circuit.simulate(FIVE_T, circuit.card("a"), designs[:3], batch=3, folder=tmp_path)
    real, asked = circuit.run_deck, []
    monkeypatch.setattr(circuit, "run_deck", lambda text, seconds: asked.append(text) or real(text, seconds))
    both = circuit.simulate(FIVE_T, circuit.card("a"), designs, batch=3, folder=tmp_path)
    assert len(asked) == 1
    pd.testing.assert_frame_equal(both[:3], first)


def test_batch_that_dies_is_halved_until_the_culprit_stands_alone(monkeypatch):
    designs = sample_designs(FIVE_T, 5, 0)
    good = "adc = 100\nugf = 1e6\nshift = -90\nacm = 0.01\nearly = 1e-8\nlate = 2e-8\n"

    def fake(text, seconds):
        culprit = f"= {designs.w1[3] * 1e-6:.9g}"
        out = ""
        for block in text.split("echo begin ")[1:]:
            number = block.split("\n")[0]
            if culprit in block:
                return out + f"begin {number}\n"
            out += f"begin {number}\n{good}end {number}\n"
        return out

    monkeypatch.setattr(circuit, "run_deck", fake)
    monkeypatch.setattr(circuit, "ngspice_version", lambda: "39")
    result = circuit.simulate(FIVE_T, circuit.card("a"), designs)
    assert list(result.failure) == ["", "", "", circuit.STOPPED, ""]
    assert result.cmrr[0] == 100 / (2 * 0.01)
    assert result.phase_margin[0] == 90


@pytest.mark.parametrize(
    ("drop", "reason"),
    [("acm", "no operating point"), ("ugf", "no unity-gain crossing"), ("late", "step not followed"), ("end", circuit.STOPPED)],
)
def test_missing_reading_fails_with_its_reason(drop, reason):
    lines = ["begin 0", "adc = 100", "ugf = 1e6", "shift = -90", "acm = 0.01", "early = 1e-8", "late = 2e-8", "end 0"]
    result = circuit.parse("\n".join(line for line in lines if not line.startswith(drop)), 1)
    assert result.failure[0] == reason
    assert result[list(circuit.METRICS)].isna().all().all()


def test_bad_designs_and_names_are_refused_with_a_sentence():
    designs = sample_designs(FIVE_T, 3, 0)
    with pytest.raises(ValueError, match="lack the columns w2"):
        circuit.simulate(FIVE_T, circuit.card("a"), designs.drop(columns="w2"))
    with pytest.raises(ValueError, match="design row 1: ibias is -1"):
        circuit.simulate(FIVE_T, circuit.card("a"), designs.assign(ibias=[1e-5, -1, 1e-5]))
    with pytest.raises(ValueError, match="opamp '6t' has no netlist"):
        topology("6t")
    with pytest.raises(ValueError, match="process 'c' has no card"):
        circuit.card("c")


def test_designs_are_unique_and_do_not_depend_on_how_many_are_drawn():
    many = sample_designs(TWO_STAGE, 500, 9)
    assert not many.duplicated().any()
    pd.testing.assert_frame_equal(sample_designs(TWO_STAGE, 50, 9), many.head(50))


def test_shipped_archives_carry_no_time_stamp():
    for file in CARDS.rglob("*.csv.gz"):
        with gzip.open(file) as archive:
            archive.read(1)
            assert archive.mtime == 1
