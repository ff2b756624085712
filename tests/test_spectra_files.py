import os
import pickle
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spectra_cases import write_foreign_file

from lib.data.batches import SpectraBatches
from lib.data.noise import BLOCK
from lib.data.spectra import LabelScaler, SpectraDataset, choose_mode, write_hdf5
from lib.data.spectra.masks import keep_least_noisy

FLUX, ERROR, WAVE = "dataset/arrays/flux/value", "dataset/arrays/error/value", "spectrumdataset/wave"


@pytest.mark.parametrize("table_format", ["fixed", "table"])
@pytest.mark.parametrize("key", ["params", "dataset/params", "a/b/c"])
def test_a_foreign_file_is_read_whatever_the_key_and_format_of_its_table(tmp_path, table_format, key):
    flux, error, table = write_foreign_file(tmp_path / "d.h5", key=key, table_format=table_format)
    data = SpectraDataset.from_hdf5(tmp_path / "d.h5", labels=("log_g", "t_eff"), norm="none")
    assert torch.equal(data.flux, torch.from_numpy(flux.clip(0)))
    assert torch.equal(data.error, torch.from_numpy(error))
    assert np.allclose(data.labels.numpy(), table[["log_g", "T_eff"]])
    assert list(data.table.columns) == list(table.columns)


@pytest.mark.parametrize("form", ["data_columns", "compound"])
def test_other_forms_of_the_table_are_read(tmp_path, form):
    _, _, table = write_foreign_file(tmp_path / "d.h5")
    with h5py.File(tmp_path / "d.h5", "a") as file:
        del file["whatever"]
        if form == "compound":
            file["stars"] = table.to_records(index=False)
    if form == "data_columns":
        table.assign(name="star").to_hdf(tmp_path / "d.h5", key="stars", format="table", data_columns=["log_g"])
    data = SpectraDataset.from_hdf5(tmp_path / "d.h5", labels=("log_g", "m_h"), norm="none")
    assert np.allclose(data.labels.numpy(), table[["log_g", "M_H"]])
    assert set(data.table.columns) == set(table.columns)


def test_what_is_written_opens_with_h5py_and_pandas_alone(tmp_path):
    write_foreign_file(tmp_path / "in.h5")
    data = SpectraDataset.from_hdf5(tmp_path / "in.h5")
    data.write_hdf5(tmp_path / "out.h5")
    table = pd.read_hdf(tmp_path / "out.h5")  # no key: there is one table
    assert list(table.log_g) == list(data.table.log_g)
    with h5py.File(tmp_path / "out.h5") as file:
        assert np.array_equal(file[FLUX][()], data.flux.numpy())
        assert np.array_equal(file[ERROR][()], data.error.numpy())
        assert np.allclose(file[WAVE][()], data.wave.numpy())


@pytest.mark.parametrize("mode", ["memory", "device", "stream"])
def test_shards_read_as_one_set_in_every_mode(tmp_path, mode):
    parts = [write_foreign_file(tmp_path / f"train_{i}.h5", rows=30, seed=i) for i in range(3)]
    paths = [tmp_path / f"train_{i}.h5" for i in range(3)]
    data = SpectraDataset.from_hdf5(paths, n=70, mode=mode, norm="none")
    flux = np.concatenate([p[0] for p in parts])[:70].clip(0)
    assert len(data) == 70
    assert np.array_equal(data.rows(25, 65)[0].numpy(), flux[25:65])
    assert np.array_equal(data[69][0].numpy(), flux[69])
    assert np.allclose(data.labels[:, 0].numpy(), np.concatenate([p[2].log_g for p in parts])[:70])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("chunk_rows", [None, 8])
def test_every_layout_reads_back(tmp_path, dtype, chunk_rows):
    flux = np.random.default_rng(0).uniform(0.2, 2, (50, 32)).astype(np.float32)
    table = pd.DataFrame({"log_g": np.linspace(1, 5, 50)})
    blocks = ((flux[i : i + 20], flux[i : i + 20] / 10) for i in range(0, 50, 20))
    path = write_hdf5(tmp_path / "d.h5", np.arange(32.0) + 7100, table, blocks, dtype=dtype, chunk_rows=chunk_rows)
    data = SpectraDataset.from_hdf5(path, mode="stream")
    assert np.allclose(data.rows(13, 47)[0].numpy(), flux[13:47], rtol=6e-4 if dtype == "float16" else 1e-6)
    assert np.allclose(data.rows(13, 47)[1].numpy(), flux[13:47] / 10, rtol=6e-4 if dtype == "float16" else 1e-6)


def test_label_normalisation_comes_from_the_training_set(tmp_path):
    write_foreign_file(tmp_path / "train.h5", seed=0)
    write_foreign_file(tmp_path / "val.h5", seed=1)
    for norm in ("standard", "minmax"):
        train = SpectraDataset.from_hdf5(tmp_path / "train.h5", norm=norm)
        val = SpectraDataset.from_hdf5(tmp_path / "val.h5", like=train)
        assert val.scaler == train.scaler
        assert torch.allclose(train.scaler.inverse(val.labels)[:, 0], torch.tensor(val.table.log_g, dtype=torch.float32))
    assert train.labels.min() == 0
    assert train.labels.max() == 1


@given(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=20, unique=True), st.sampled_from(["standard", "minmax"]))
@settings(max_examples=30, deadline=None)
def test_label_scaler_inverts_itself_and_survives_json(values, kind):
    labels = torch.tensor(values, dtype=torch.float64)[:, None]
    scaler = LabelScaler.fit(labels, ("x",), kind)
    assert LabelScaler.from_json(scaler.to_json()) == scaler
    back = scaler.inverse(scaler.transform(labels))
    assert torch.allclose(back.double(), labels, atol=1e-3 * float(labels.abs().max() + 1))


def test_mask_ratio_keeps_the_least_noisy_pixels_and_is_passed_on(tmp_path):
    _, error, _ = write_foreign_file(tmp_path / "train.h5")
    train = SpectraDataset.from_hdf5(tmp_path / "train.h5", mask_ratio=0.5)
    kept = np.sort(np.argsort(np.median(error, axis=0))[:32])
    assert np.array_equal(np.flatnonzero(train.mask), kept)
    assert np.array_equal(train.error.numpy(), error[:, kept])
    write_foreign_file(tmp_path / "val.h5", seed=1)
    assert np.array_equal(SpectraDataset.from_hdf5(tmp_path / "val.h5", like=train).mask, train.mask)
    assert keep_least_noisy(np.random.default_rng(0).random((3, 4096)), 0.85).sum() == 3481


def test_mask_files_are_read_from_npy_and_text(tmp_path):
    write_foreign_file(tmp_path / "d.h5")
    mask = np.arange(64) % 3 == 0
    np.save(tmp_path / "m.npy", mask)
    np.savetxt(tmp_path / "m.txt", mask, fmt="%d")
    for name in ("m.npy", "m.txt"):
        data = SpectraDataset.from_hdf5(tmp_path / "d.h5", mask_path=tmp_path / name)
        assert np.array_equal(data.mask, mask)
        assert data.flux.shape[1] == len(data.wave) == mask.sum()


def test_a_window_of_wavelengths_is_cut_to_whole_patches(tmp_path):
    flux, _, _ = write_foreign_file(tmp_path / "d.h5")
    data = SpectraDataset.from_hdf5(tmp_path / "d.h5", window_aa=(8000.0, 8850.0), multiple=16)
    assert torch.equal(data.flux, torch.from_numpy(flux[:, 48:].clip(0)))
    assert data.wave[-1] == 8850
    assert SpectraDataset.from_hdf5(tmp_path / "d.h5", like=data).flux.shape[1] == 16
    with pytest.raises(ValueError, match="Give one of like, mask_path, mask_ratio and window_aa"):
        SpectraDataset.from_hdf5(tmp_path / "d.h5", window_aa=(8000.0, 8850.0), mask_ratio=0.5)


def test_rows_that_were_not_staged_are_not_taken(tmp_path):
    write_foreign_file(tmp_path / "d.h5", rows=600, pixels=4)
    data = SpectraDataset.from_hdf5(tmp_path / "d.h5", mode="stream")
    data.stage([1])
    assert torch.equal(data.take(torch.tensor([300]), None).flux, data.rows(300, 301)[0])
    with pytest.raises(ValueError, match="before their blocks were staged"):
        data.take(torch.tensor([10]), None)


def test_read_mode_follows_the_stated_rule():
    free = {"device_free": 100, "memory_free": 1000}
    assert [choose_mode(n, **free) for n in (50, 51, 250, 251)] == ["device", "memory", "memory", "stream"]
    assert choose_mode(10, device_free=0, memory_free=1000) == "memory"


def test_reading_a_table_runs_no_pickle(tmp_path):
    write_foreign_file(tmp_path / "d.h5", key="params", table_format="table")
    with h5py.File(tmp_path / "d.h5", "a") as file:
        bomb = b"cbuiltins\nexec\n(Vraise RuntimeError('unpickled')\ntR."
        with pytest.raises(RuntimeError):
            pickle.loads(bomb)  # noqa: S301  (shows that the bomb is live)
        file["params"].attrs["info"] = np.bytes_(bomb)
        file["params/table"].attrs["values_block_0_meta"] = np.bytes_(bomb)
    assert "log_g" in SpectraDataset.from_hdf5(tmp_path / "d.h5").table


@pytest.fixture
def path(tmp_path):
    write_foreign_file(tmp_path / "d.h5", rows=300)
    return tmp_path / "d.h5"


def edited(path, name, change):
    with h5py.File(path, "a") as file:
        values = change(file[name][()])
        del file[name]
        file[name] = values
    return path


def poke(row, pixel, value):
    def change(array):
        array[row, pixel] = value
        return array

    return change


@pytest.mark.parametrize("name", [WAVE, FLUX, ERROR])
def test_an_absent_data_set_is_named(path, name):
    with h5py.File(path, "a") as file:
        del file[name]
    with pytest.raises(ValueError, match=rf"d\.h5 has no data set '{name}'"):
        SpectraDataset.from_hdf5(path)


@pytest.mark.parametrize("mode", ["memory", "stream"])
@pytest.mark.parametrize(("name", "value"), [(FLUX, np.nan), (ERROR, np.inf), (ERROR, -1.0)])
def test_nan_and_negative_errors_are_located(path, mode, name, value):
    edited(path, name, poke(270, 13, value))
    with pytest.raises(ValueError, match=rf"d\.h5: '{name}' is .* at row 270, pixel 13"):
        list(SpectraBatches(SpectraDataset.from_hdf5(path, mode=mode), batch_size=64))


def test_a_nan_in_a_masked_pixel_is_nobodys_business(path):
    edited(path, ERROR, poke(270, 13, np.nan))
    mask = np.arange(64) != 13
    np.savetxt(path.with_name("m.txt"), mask, fmt="%d")
    assert SpectraDataset.from_hdf5(path, mask_path=path.with_name("m.txt")).error.isfinite().all()
    mask[20] = False
    np.savetxt(path.with_name("m.txt"), mask, fmt="%d")
    edited(path, FLUX, poke(3, 40, np.nan))
    with pytest.raises(ValueError, match="row 3, pixel 40"):
        SpectraDataset.from_hdf5(path, mask_path=path.with_name("m.txt"))


def test_single_rows_do_not_hide_a_nan_from_later_reads(path):
    data = SpectraDataset.from_hdf5(edited(path, FLUX, poke(5, 3, np.nan)), mode="stream")
    data[6]
    with pytest.raises(ValueError, match="row 5, pixel 3"):
        data.rows(0, BLOCK)


@pytest.mark.parametrize("cut", [0.3, 0.9])
@pytest.mark.parametrize("mode", ["memory", "stream"])
def test_a_truncated_file_is_named(path, cut, mode):
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(int(size * cut))
    with pytest.raises(ValueError, match=r"d\.h5"):
        list(SpectraBatches(SpectraDataset.from_hdf5(path, mode=mode), batch_size=64))


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        (FLUX, lambda a: a[:, :-1], r"flux/value' has shape \(300, 63\), but it should be \(spectra, 64\)"),
        (ERROR, lambda a: a[:-1], r"error/value' has shape \(299, 64\), but .* has \(300, 64\)"),
        (FLUX, lambda a: a.astype(int), "should hold floats"),
        (WAVE, lambda a: a[::-1], "should increase"),
    ],
)
def test_shapes_that_do_not_fit_are_told(path, name, change, sentence):
    with pytest.raises(ValueError, match=sentence):
        SpectraDataset.from_hdf5(edited(path, name, change))


def test_shards_of_other_pixels_are_refused(tmp_path, path):
    write_foreign_file(tmp_path / "e.h5", pixels=32)
    with pytest.raises(ValueError, match=r"e\.h5: 'spectrumdataset/wave' has 32 pixels"):
        SpectraDataset.from_hdf5([path, tmp_path / "e.h5"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"labels": "T_eff2"}, "has no column 'T_eff2'; it has T_eff, log_g"),
        ({"n": 301}, "301 spectra were asked for"),
        ({"norm": "robust"}, "one of standard, minmax, none"),
        ({"mode": "disk"}, "auto or one of device, memory, stream"),
        ({"mask_ratio": 0.0}, "mask_ratio is 0.0"),
        ({"mask_path": "absent.npy"}, "absent.npy does not exist"),
    ],
)
def test_wrong_arguments_get_one_sentence(path, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        SpectraDataset.from_hdf5(path, **arguments)


def test_a_table_of_another_length_or_none_is_told(tmp_path):
    write_foreign_file(tmp_path / "d.h5", rows=40)
    pd.DataFrame({"log_g": [1.0, 2.0]}).to_hdf(tmp_path / "short.h5", key="t", mode="w")
    with h5py.File(tmp_path / "d.h5", "a") as file, h5py.File(tmp_path / "short.h5") as short:
        del file["whatever"]
        with pytest.raises(ValueError, match=r"d\.h5 holds no table of labels"):
            SpectraDataset.from_hdf5(tmp_path / "d.h5")
        file.flush()
        short.copy("t", file)
    with pytest.raises(ValueError, match="flux has 40 rows, but no table has as many"):
        SpectraDataset.from_hdf5(tmp_path / "d.h5")


def test_a_file_without_spectra_is_told(tmp_path):
    write_foreign_file(tmp_path / "d.h5", rows=0)
    with pytest.raises(ValueError, match=r"d\.h5: 'dataset/arrays/flux/value' holds no spectra"):
        SpectraDataset.from_hdf5(tmp_path / "d.h5")


def test_a_file_that_is_not_hdf5_or_not_there_is_told(tmp_path):
    (tmp_path / "x.h5").write_text("wave,flux")
    with pytest.raises(ValueError, match=r"x\.h5 is truncated or not HDF5"):
        SpectraDataset.from_hdf5(tmp_path / "x.h5")
    with pytest.raises(ValueError, match=r"y\.h5 does not exist"):
        SpectraDataset.from_hdf5(tmp_path / "y.h5")


def test_writing_refuses_what_does_not_fit(tmp_path):
    flux, table = np.ones((4, 3)), pd.DataFrame({"log_g": np.arange(4.0)})
    wave = np.arange(3.0)
    with pytest.raises(ValueError, match="the table has 4 rows, but 3 spectra were given"):
        write_hdf5(tmp_path / "a.h5", wave, table, [(flux[:3], flux[:3])])
    with pytest.raises(ValueError, match=r"NaN or values beyond 6\.55e"):
        write_hdf5(tmp_path / "a.h5", wave, table, [(flux * 1e5, flux)], dtype="float16")
    with pytest.raises(ValueError, match="Column 'name' of the table is not numeric"):
        write_hdf5(tmp_path / "a.h5", wave, table.assign(name="x"), [(flux, flux)])
    assert not list(tmp_path.iterdir())  # nothing half-written is left


@pytest.mark.parametrize("mode", ["memory", "stream"])
def test_shuffled_batches_hold_every_row_once_in_a_new_order_each_epoch(tmp_path, mode):
    write_foreign_file(tmp_path / "d.h5", rows=1200, pixels=8, index_=np.arange(1200.0))
    data = SpectraDataset.from_hdf5(tmp_path / "d.h5", labels="index_", norm="none", mode=mode)
    batches = SpectraBatches(data, batch_size=100, shuffle=True, fresh=True, window=2, fields=("flux", "labels"))
    seen = [torch.cat([b[1][:, 0] for b in batches])]
    batches.set_epoch(1)
    seen.append(torch.cat([b[1][:, 0] for b in batches]))
    assert len(batches) == 12
    for order in seen:
        assert sorted(order.tolist()) == list(range(1200))
    assert not torch.equal(*seen)
    flux, labels = next(iter(batches))
    assert torch.equal(flux[3], data[int(labels[3])][0])


def streamed(path, **options):
    flux, *_ = write_foreign_file(path, rows=1200, pixels=8, index_=np.arange(1200.0))
    data = SpectraDataset.from_hdf5(path, labels="index_", norm="none", mode="stream")
    return flux.clip(0), data, SpectraBatches(data, shuffle=True, window=2, fields=("flux", "labels"), **options)


@pytest.mark.parametrize("batch_size", [64, 100])
def test_batches_that_are_kept_stay_as_they_were_while_later_windows_are_read(tmp_path, batch_size):
    flux, _, batches = streamed(tmp_path / "d.h5", batch_size=batch_size)
    for _ in range(2):  # the second pass clips by what the first one saw
        for values, labels in list(batches):
            assert np.array_equal(values.numpy(), flux[labels[:, 0].long().numpy()])


def test_memory_of_a_window_is_used_again_only_when_no_batch_looks_at_it(tmp_path):
    flux, data, batches = streamed(tmp_path / "d.h5", batch_size=64)
    used = lambda: data._storage.windows[0]  # noqa: E731
    for _ in batches:
        first = used()
    for _ in batches:
        assert used() is first
    values, labels = next(iter(batches))
    for _ in batches:
        assert used() is not first
    assert np.array_equal(values.numpy(), flux[labels[:, 0].long().numpy()])


def test_reads_that_the_system_cuts_short_are_gone_on_with(tmp_path, monkeypatch):
    whole = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, pieces, offset: whole(file, [pieces[0][:20]], offset))
    flux, data, batches = streamed(tmp_path / "d.h5", batch_size=100)
    for values, labels in batches:
        assert np.array_equal(values.numpy(), flux[labels[:, 0].long().numpy()])
    assert np.array_equal(data.rows(5, 300)[0].numpy(), flux[5:300])


def test_rows_are_the_same_where_the_system_cannot_fill_several_buffers_at_once(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "preadv")
    flux, data, batches = streamed(tmp_path / "d.h5", batch_size=100)
    for values, labels in batches:
        assert np.array_equal(values.numpy(), flux[labels[:, 0].long().numpy()])
    assert np.array_equal(data.rows(5, 300)[0].numpy(), flux[5:300])


PEAK = """
import resource, sys
import torch
from lib.data.batches import SpectraBatches
from lib.data.spectra import SpectraDataset
data = SpectraDataset.from_hdf5(sys.argv[1], mode="stream")
for batch in SpectraBatches(data, batch_size=64, shuffle=True, window=2):
    pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def test_streaming_a_ten_times_larger_file_takes_no_more_memory(tmp_path):
    peaks = []
    for rows in (1024, 10240):
        block = np.ones((256, 2048), np.float32)
        table = pd.DataFrame({"log_g": np.arange(float(rows))})
        blocks = ((block, block) for _ in range(rows // 256))
        write_hdf5(tmp_path / f"{rows}.h5", np.arange(2048.0), table, blocks)
        done = subprocess.run([sys.executable, "-c", PEAK, tmp_path / f"{rows}.h5"], capture_output=True, text=True, check=True)
        peaks.append(float(done.stdout))
    assert (10240 - 1024) * 2048 * 2 * 4 / 2**20 == 144  # MiB more data
    assert peaks[1] - peaks[0] < 15
