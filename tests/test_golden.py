"""The smoke run is the golden one but for what another processor moves, and the comparison can fail (see golden_compare)."""

import copy
import json
import re

import golden_compare as golden
import pytest

from lib import paths

METRICS = {  # what a function of lib.metrics gives, by the names of columns, facts and claims' metrics
    "r2": re.compile(r"(^|_)r2($|_)|^(first|average|inner|efficiency|gain)"),
    "mae": re.compile(r"(^|_)mae($|_)"),
    "psnr": re.compile(r"(^|_)psnr(_db)?($|_)"),
}
HAS = dict.fromkeys(paths.STUDIES, ("r2", "mae")) | {"noise2noise": ("psnr",)}


@pytest.fixture(params=paths.STUDIES)
def kept(request):
    """Return a study's golden run."""
    return json.loads((golden.FOLDER / f"{request.param}.json").read_text("utf8"))


@pytest.fixture
def changed(kept):
    """Return a copy of it, to be spoilt."""
    return copy.deepcopy(kept)


def scaled(run, metric, factor):
    """Multiply all that a metric gives by `factor`, in place."""
    named = METRICS[metric]
    for claim in run["claims"].values():
        if claim["verdict"] != "not_tested" and named.search(claim["metric"]):
            claim |= {k: claim[k] and claim[k] * factor for k in ("value", "low", "high")}
    for name, fact in run["facts"].items():
        if named.search(name) and isinstance(fact["value"], float):
            fact["value"] *= factor
    for table in run["tables"].values():
        for column in filter(named.search, table["numbers"]):
            table["numbers"][column] = [v and v * factor for v in table["numbers"][column]]


def test_smoke_run_is_the_golden_one(kept):
    folder = golden.BUILT / kept["study"]
    if not (folder / "results.json").is_file():
        pytest.skip("no smoke run to compare: `make reports PROFILE=smoke`, which `make test` does first")
    assert golden.differences(kept, golden.reduce_run(folder)) == []


def test_golden_run_holds_what_a_page_shows(kept):
    assert all(kept[part] for part in ("claims", "facts", "tables", "figures", "sentences"))
    assert any(c["verdict"] != "not_tested" for c in kept["claims"].values())
    assert golden.differences(kept, kept) == []


@pytest.mark.parametrize("sign", [1, -1])
def test_ten_percent_error_in_a_metric_is_seen(kept, changed, sign):
    for metric in HAS[kept["study"]]:
        scaled(changed, metric, 1 + 0.1 * sign)
        assert golden.differences(kept, changed), metric
        scaled(changed, metric, 1 / (1 + 0.1 * sign))


def test_late_digits_are_not_seen(kept, changed):
    for metric in METRICS:
        scaled(changed, metric, 1 + 1e-4)
    assert golden.differences(kept, changed) == []


def test_value_moved_by_less_than_its_interval_is_not_seen_and_by_more_is(kept, changed):
    key, claim = next((k, c) for k, c in changed["claims"].items() if c["low"] is not None and c["high"] > c["low"])
    half, value = (claim["high"] - claim["low"]) / 2, claim["value"]
    claim["value"] = value + 0.9 * golden.SHARE * half
    assert golden.differences(kept, changed) == []
    claim["value"] = value + 1.1 * golden.SHARE * half
    assert [key in d for d in golden.differences(kept, changed)] == [True]


def test_flipped_verdict_is_not_seen_but_one_that_does_not_exist_is(kept, changed):
    claim = next(c for c in changed["claims"].values() if c["verdict"] != "not_tested")
    for verdict in ("supported", "refuted", "inconclusive"):
        claim["verdict"] = verdict
        assert golden.differences(kept, changed) == []
    claim["verdict"] = "perhaps"
    assert golden.differences(kept, changed)


def test_claim_that_is_no_longer_tested_is_seen(kept, changed):
    key = next(k for k, c in changed["claims"].items() if c["verdict"] != "not_tested" and k not in golden.JUDGED["claims"])
    changed["claims"][key] |= {"verdict": "not_tested", "value": None, "low": None, "high": None}
    assert [key in d for d in golden.differences(kept, changed)] == [True]


@pytest.mark.parametrize("part", ["claims", "facts", "tables"])
def test_dropped_or_added_item_is_seen(kept, changed, part):
    name, item = changed[part].popitem()
    assert any(name in d and "missing" in d for d in golden.differences(kept, changed))
    changed[part] |= {name: item, "another": item}
    assert any("another" in d and "new" in d for d in golden.differences(kept, changed))


def test_dropped_figure_and_dropped_sentence_are_seen(kept, changed):
    changed["figures"].pop()
    changed["sentences"].pop(0)
    assert [d.endswith("is missing") for d in golden.differences(kept, changed)] == [True, True]


def test_renamed_column_and_dropped_row_are_seen(kept, changed):
    for name, table in changed["tables"].items():
        saved, columns = copy.deepcopy(table), table["columns"]
        for i in range(len(columns)):
            table["columns"] = [*columns[:i], "renamed", *columns[i + 1 :]]
            assert any(name in d for d in golden.differences(kept, changed)), columns[i]
        table |= saved
        if name not in golden.JUDGED["tables"] and table["rows"]:
            table["rows"] -= 1
            assert any(name in d for d in golden.differences(kept, changed))
        table |= saved


def test_changed_unit_criterion_metric_or_fact_of_a_sentence_is_seen(kept, changed):
    next(iter(changed["facts"].values()))["unit"] += "m"
    claim = next(iter(changed["claims"].values()))
    claim["criterion"]["threshold"] += 1
    claim["metric"] += "2"
    i = next(i for i, s in enumerate(changed["sentences"]) if s.startswith("text "))
    changed["sentences"][i] += "x"
    assert len(golden.differences(kept, changed)) == 5  # the sentence is missing, and another is new


def test_every_smoke_run_is_the_notebook_by_its_own_defaults(kept):
    """Then nbval, which knows no parameters, runs what the golden is of, from the run cache."""
    import importlib

    config = importlib.import_module(f"lib.studies.{kept['study']}").Config
    assert config.load(paths.PARAMS / "smoke" / f"{kept['study']}.yaml") == config(num_threads=1)
