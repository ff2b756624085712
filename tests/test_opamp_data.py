"""Op-amp CSVs: what is read, what is refused and with which sentence, and the scaling."""

import numpy as np
import pandas as pd
import pytest

from lib.data import opamp
from lib.steps.opamp.bench import build
from lib.steps.opamp.data import split
from lib.studies.opamp_transfer.__main__ import main
from lib.studies.opamp_transfer.config import Config
from lib.studies.opamp_transfer.data import prepare

FEATURES, TARGETS = ["w1", "l1", "ibias"], ["dc_gain", "ugf", "cmrr"]


def write(folder, n=40, edit=None):
    """Write a small op-amp folder; `edit(name, features, targets)` may spoil it."""
    rng = np.random.default_rng(0)
    for process, names in opamp.FILES.items():
        x = pd.DataFrame(rng.uniform(1, 9, (n, 3)), columns=FEATURES).assign(ibias=lambda x: 1e-6 * x.ibias)
        y = pd.DataFrame(rng.uniform(10, 99, (n, 3)), columns=TARGETS)
        if edit:
            x, y = edit(process, x, y)
        for name, frame in zip(names, (x, y), strict=True):
            file = folder / "01_train_set" / "amp" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            frame.to_csv(file, index=False)
    return folder


def target_only(change):
    return lambda process, x, y: change(x, y) if process == "target" else (x, y)


BAD = {
    "rows differ": (
        lambda x, y: (x, y[:-1]),
        r"pretrain|target_design_features.csv has 40 rows but .*target_targets.csv has 39",
    ),
    "a column is missing": (lambda x, y: (x.drop(columns="l1"), y), r"differ in columns \['l1'\]"),
    "a value is text": (
        lambda x, y: (x.astype(object).assign(w1="wide"), y),
        r"line 2, column 'w1' is 'wide', not a finite number",
    ),
    "a value is infinite": (lambda x, y: (x, y.assign(ugf=np.inf)), r"line 2, column 'ugf' is 'inf'"),
    "a value is missing": (lambda x, y: (x, y.assign(ugf=np.nan)), r"column 'ugf' is 'nan'"),
    "no rows": (lambda x, y: (x[:0], y[:0]), "holds no rows"),
    "another unit": (lambda x, y: (x.assign(ibias=x.ibias * 1e6), y), r"Column 'ibias' .* use one unit for both"),
    "an input that is a target": (lambda x, y: (x.assign(ugf=1.0), y), r"Columns \['ugf'\] stand in"),
}


@pytest.mark.parametrize("case", BAD, ids=str)
def test_bad_csvs_are_refused_with_file_and_column(tmp_path, case):
    change, sentence = BAD[case]
    with pytest.raises(ValueError, match=sentence):
        opamp.load(write(tmp_path, edit=target_only(change)), "amp")


def test_missing_empty_or_binary_files_are_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="No op-amp 'amp' under"):
        opamp.load(tmp_path, "amp")
    file = write(tmp_path) / "01_train_set/amp/source/pretrain_targets.csv"
    file.write_bytes(b"")
    with pytest.raises(ValueError, match="pretrain_targets.csv is not a readable CSV"):
        opamp.load(tmp_path, "amp")
    file.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ValueError, match="pretrain_targets.csv"):
        opamp.load(tmp_path, "amp")
    file.unlink()
    with pytest.raises(ValueError, match="pretrain_targets.csv does not exist"):
        opamp.load(tmp_path, "amp")
    with pytest.raises(ValueError, match=r"No op-amp 'other' .* it holds amp"):
        opamp.load(tmp_path, "other")


def test_absent_targets_are_named_and_reordered_columns_are_put_in_order(tmp_path):
    with pytest.raises(ValueError, match=r"Target columns \['psrr'\] are not in"):
        opamp.load(write(tmp_path), "amp", ["psrr"])
    swap = target_only(lambda x, y: (x[FEATURES[::-1]], y[TARGETS[::-1]]))
    read = opamp.load(write(tmp_path, edit=swap), "amp")
    assert list(read.target.columns) == list(read.source.columns) == FEATURES + TARGETS


def test_failed_simulations_are_found_counted_and_dropped_by_rule(tmp_path):
    def spoil(process, x, y):
        y.loc[0, ["dc_gain", "ugf"]] = [0.3, 1e11]
        y.loc[1, "ugf"] = 1e11
        y.loc[2, "cmrr"] = -1.0
        return x, y

    config = Config.checked({"data_dir": str(write(tmp_path, edit=spoil)), "opamp": "amp"})
    prepared = prepare(config)
    assert prepared.dropped.reason.value_counts().to_dict() == {
        "gain_below_one": 2,
        "no_unity_crossing": 2,
        "log_of_nonpositive": 2,
    }
    assert len(prepared.source) == len(prepared.target) == 37


def test_equal_designs_stay_on_one_side_of_a_split(tmp_path):
    twice = target_only(lambda x, y: (pd.concat([x[:20], x[:20]], ignore_index=True), y))
    frame = prepare(Config.checked({"data_dir": str(write(tmp_path, edit=twice)), "opamp": "amp"})).target
    for seed in range(5):
        kept, held = split(frame, 0.3, seed)
        groups = opamp.duplicates(frame)
        assert not set(groups[kept]) & set(groups[held])


def test_the_scaler_inverts_survives_json_and_leaves_constant_columns_alone(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 10.0, 100.0], "b": [5.0, 5.0, 5.0]})
    scaler = opamp.Scaler.fit(frame, ["a", "b"], ["a"])
    scaler.save(tmp_path / "s.json")
    again = opamp.Scaler.read(tmp_path / "s.json")
    assert again == scaler
    assert again.inverse(again.transform(frame)) == pytest.approx(frame.to_numpy(), rel=1e-5)
    assert scaler.scale[1] == 1.0
    with pytest.raises(ValueError, match=r"Columns \['b'\] are missing"):
        scaler.transform(frame[["a"]])


def test_the_scaler_is_fitted_on_source_training_rows_only(tmp_path):
    prepared = prepare(Config.checked({"data_dir": str(write(tmp_path)), "opamp": "amp"}))
    before = build(Config().lab(), prepared)
    prepared.target[TARGETS] *= 7
    held = split(prepared.source, Config().source_split, 0)[1]
    prepared.source.loc[held, TARGETS + FEATURES] *= 7
    after = build(Config().lab(), prepared)
    assert after.y_scaler == before.y_scaler
    assert after.inputs == before.inputs


def test_check_tells_what_was_read_and_fails_with_one_sentence(tmp_path, capsys):
    assert main(["check", "--data", str(write(tmp_path)), "--opamp", "amp"]) == 0
    assert "to train" in capsys.readouterr().out
    assert main(["check", "--data", str(tmp_path / "nowhere")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
