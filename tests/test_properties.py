"""What must hold for any input: pooling, scalers, interpolation, files, verdicts, specifications. The examples are the same every time."""

import functools
import itertools
import re

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lib.data.grid import SpectralGrid, spline_pieces, spline_weights
from lib.data.images import PairedImages, split
from lib.data.images.noise import add_noise, noise_floor
from lib.data.noise import PfsNoise
from lib.data.opamp import Scaler, read_numbers
from lib.data.opamp_features import physics_features
from lib.data.spectra import SpectraDataset, write_hdf5
from lib.data.units import LIMITS, check_units
from lib.files import parse_yaml, write_csv
from lib.inverse import spec
from lib.inverse.space import Space
from lib.inverse.spec import Goals
from lib.models.blindspot import BlindSpotConfig, BlindSpotDenoiser
from lib.models.latent import pool
from lib.report.claims import Criterion
from lib.report.text import number, pair

settings.register_profile(
    "few",
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("few")
FLOATS = st.floats(-1e6, 1e6)


@st.composite
def latents(draw):
    """Draw a latent (B, C, L') with float64 values."""
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 24)))
    return torch.from_numpy(draw(arrays(np.float64, shape, elements=st.floats(-100, 100))))


@given(latents(), st.data())
def test_means_of_equal_segments_average_to_the_global_mean(latent, data):
    length = latent.shape[-1]
    k = data.draw(st.sampled_from([k for k in range(1, length + 1) if length % k == 0]))
    segments = pool(latent, "seg_mean", k).unflatten(1, (k, -1))  # (B, K, C)
    torch.testing.assert_close(segments.mean(1), pool(latent, "global_mean"))
    torch.testing.assert_close(pool(latent, "seg_mean", k, "legacy"), pool(latent, "seg_mean", k))


@given(latents(), st.data(), st.sampled_from(["adaptive", "legacy"]))
def test_pooled_values_lie_within_the_latent_and_follow_shift_and_scale(latent, data, edges):
    k = data.draw(st.integers(1, latent.shape[-1]))
    for how in ("global_mean", "mean_max", "seg_mean"):
        pooled = pool(latent, how, k, edges)
        assert latent.min() - 1e-9 <= pooled.min()
        assert pooled.max() <= latent.max() + 1e-9
        torch.testing.assert_close(pool(2 * latent + 3, how, k, edges), 2 * pooled + 3)


@given(latents(), st.randoms(use_true_random=False))
def test_global_pools_do_not_know_the_order_of_pixels(latent, random):
    order = list(range(latent.shape[-1]))
    random.shuffle(order)
    for how in ("global_mean", "mean_max"):
        torch.testing.assert_close(pool(latent[..., order], how), pool(latent, how))


@given(latents(), st.data())
def test_segments_of_a_reversed_latent_are_the_segments_reversed(latent, data):
    k = data.draw(st.integers(1, latent.shape[-1]))
    segments = pool(latent, "seg_mean", k).unflatten(1, (k, -1))
    torch.testing.assert_close(pool(latent.flip(-1), "seg_mean", k).unflatten(1, (k, -1)), segments.flip(1))


@given(arrays(np.float64, st.tuples(st.integers(2, 20), st.just(2)), elements=st.floats(0, 1e9)), st.booleans())
def test_scaler_inverts_itself_survives_json_and_leaves_its_input(values, log):
    frame = pd.DataFrame(values, columns=["a", "b"])
    before = frame.copy()
    scaler = Scaler.fit(frame, ["a", "b"], ["b"] if log else [])
    scaled = scaler.transform(frame)
    assert frame.equals(before)
    assert Scaler.checked(scaler.model_dump()) == scaler
    spread = np.maximum(values.std(0), 1e-3 * np.abs(values).max(0)) + 1e-9
    tolerance = 1e-5 * np.maximum(np.abs(values).max(0), spread)
    back = scaler.inverse(scaled)
    assert (np.abs(back[:, 0] - values[:, 0]) <= tolerance[0] + 1e-9).all()
    if log:
        np.testing.assert_allclose(np.log1p(back[:, 1].clip(0)), np.log1p(values[:, 1]), atol=1e-4, rtol=1e-4)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=7, unique_by=lambda v: round(v, 2)), st.data())
def test_interpolation_is_exact_at_nodes_and_reproduces_what_its_degree_can(nodes, data):
    x = torch.tensor(sorted(round(v, 2) for v in nodes), dtype=torch.float64)
    pieces = spline_pieces(x.numpy())
    eye = torch.eye(len(x), dtype=torch.float64)
    torch.testing.assert_close(spline_weights(x, x, pieces), eye, atol=1e-7, rtol=0)
    at = x[0] + (x[-1] - x[0]) * torch.tensor(data.draw(st.lists(st.floats(0, 1), min_size=1, max_size=5)), dtype=torch.float64)
    weights = spline_weights(at, x, pieces)
    torch.testing.assert_close(weights.sum(-1), torch.ones(len(at), dtype=torch.float64), atol=1e-7, rtol=0)
    for power in range(1, min(len(x), 4)):
        torch.testing.assert_close(weights @ x**power, at**power, atol=1e-5, rtol=1e-5)


@functools.cache
def grid():
    """Return a toy grid, the labels of its nodes, and their spectra."""
    nodes = {"t_eff": [4000.0, 5000.0, 6000.0], "log_g": [1.0, 2.0, 3.0, 4.0], "m_h": [-1.0, 0.0]}
    labels = np.array(list(itertools.product(*nodes.values())))
    wave = np.linspace(8412.0, 8850.0, 32)
    depth = 0.3 + 0.05 * labels[:, [1]] + 0.1 * labels[:, [2]]
    flux = (1 + (labels[:, [0]] - 5000) / 1e5 * (wave - 8600) / 10) * (1 - depth * np.exp(-(((wave - 8542) / 20) ** 2)))
    return SpectralGrid.from_spectra(list(nodes), labels, flux, wave), labels, flux / flux.mean(1, keepdims=True)


UNIT = st.lists(st.floats(0, 1), min_size=3, max_size=3)


def within(grid, unit):
    low, high = np.array(list(grid.ranges.values())).T
    return torch.from_numpy((low + (high - low) * np.array(unit))[None])


def test_the_grid_is_exact_at_its_nodes():
    made, labels, flux = grid()
    np.testing.assert_allclose(made.flux(torch.from_numpy(labels)).numpy(), flux, rtol=2e-4)


@given(UNIT)
def test_the_grid_is_positive_near_its_nodes_and_smooth(unit):
    made, _, flux = grid()
    labels = within(made, unit).requires_grad_()
    found = made.flux(labels)
    assert 0.9 * flux.min() <= found.min()
    assert found.max() <= 1.1 * flux.max()
    (slope,) = torch.autograd.grad(found[0, 7], labels)
    found = found.detach()
    for i, step in enumerate((0.5, 1e-3, 1e-3)):
        inside = labels.detach().clone()
        sign = -1 if unit[i] > 0.5 else 1  # stay inside the nodes
        inside[0, i] += sign * step
        assert float(slope[0, i]) == pytest.approx(
            sign * float(made.flux(inside)[0, 7] - found[0, 7]) / step, abs=2e-3, rel=0.05
        )


@given(UNIT, st.integers(0, 2), st.sampled_from([-1, 1]))
def test_the_grid_refuses_labels_outside(unit, which, side):
    made = grid()[0]
    labels = within(made, unit)
    low, high = list(made.ranges.values())[which]
    labels[0, which] = high + (high - low) if side > 0 else low - (high - low)
    with pytest.raises(ValueError, match=f"{made.labels[which]} of row 0 is"):
        made.flux(labels)


@given(
    arrays(np.float32, st.tuples(st.integers(1, 7), st.just(5)), elements=st.floats(0, 1e4, width=32)),
    st.sampled_from(["float32", "float64", "float16"]), st.sampled_from([None, 1, 3, 64]),
)  # fmt: skip
@settings(max_examples=12)
def test_hdf5_gives_back_what_was_written(tmp_path, flux, dtype, chunk_rows):
    table = pd.DataFrame({"log_g": np.arange(len(flux), dtype=float), "T_eff": 5000.0 + np.arange(len(flux))})
    wave = np.linspace(8412.0, 8850.0, 5)
    half = max(len(flux) // 2, 1)
    blocks = [(part, part / 2) for part in (flux[:half], flux[half:]) if len(part)]
    path = write_hdf5(tmp_path / "d.h5", wave, table, blocks, dtype=dtype, chunk_rows=chunk_rows)
    for mode in ("memory", "stream"):
        data = SpectraDataset.from_hdf5(path, norm="none", mode=mode)
        np.testing.assert_array_equal(data.flux.numpy(), flux.astype(dtype).astype(np.float32))
        np.testing.assert_array_equal(data.error.numpy(), (flux / 2).astype(dtype).astype(np.float32))
        assert data.table.equals(table)
        np.testing.assert_array_equal(data.wave.numpy(), wave)


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="$`\\\x7f", exclude_categories=("Cc", "Zl", "Zp", "Cs")),
    min_size=1,
    max_size=12,
)


@given(st.lists(NAMES.map(str.strip).filter(lambda s: s and not s.startswith("![") and "![" not in s and s[0] not in "+-.0123456789"),
                min_size=1, max_size=4, unique=True), st.data())  # fmt: skip
@example(["a,b", 'say "x"', "<script>"], None)
def test_a_csv_of_numbers_comes_back_with_any_names(tmp_path, names, data):
    rows = (
        [[1.5e-12] * len(names)]
        if data is None
        else data.draw(st.lists(st.lists(FLOATS, min_size=len(names), max_size=len(names)), min_size=1, max_size=5))
    )
    frame = pd.DataFrame(rows, columns=names)
    write_csv(tmp_path / "x.csv", frame)
    found = read_numbers(tmp_path / "x.csv")
    assert list(found) == names
    np.testing.assert_allclose(found.to_numpy(), frame.to_numpy(), rtol=1e-15)


POSITIVE = st.floats(1e-9, 1e6)


@given(st.lists(st.tuples(POSITIVE, POSITIVE, POSITIVE), min_size=2, max_size=8), st.permutations(["w1", "l1", "ibias"]))
def test_op_amp_features_are_finite_and_do_not_know_the_order_of_columns_or_rows(values, order):
    designs = pd.DataFrame(values, columns=["w1", "l1", "ibias"])
    features = physics_features(designs)
    assert np.isfinite(features.to_numpy()).all()
    again = physics_features(designs[order].iloc[::-1])
    pd.testing.assert_frame_equal(again[list(features)].iloc[::-1], features)
    drive = designs.ibias * designs.l1 / designs.w1
    np.testing.assert_allclose(np.exp(features.ln_drive1), drive, rtol=1e-9)
    np.testing.assert_allclose(features.sqrt_drive1 * features.inv_drive1, 1, rtol=1e-9)


@given(
    st.floats(-10, 10),
    st.floats(-10, 10),
    st.floats(0, 5),
    st.floats(0, 5),
    st.sampled_from(["gt", "lt", "within"]),
    st.floats(0, 5),
)
def test_a_verdict_follows_from_the_interval_alone(value, threshold, below, above, direction, margin):
    refute = {"gt": threshold - margin, "lt": threshold + margin, "within": threshold + margin}[direction]
    low, high = value - below, value + above
    said = Criterion(direction, threshold, refute).verdict(value, low, high)
    inside = {"gt": lambda v: v >= threshold, "lt": lambda v: v <= threshold, "within": lambda v: abs(v) <= threshold}[
        direction
    ]
    assert (said == "supported") == (inside(low) and inside(high))
    if said == "refuted":
        assert not inside(low)
        assert not inside(high)
        assert not inside(value)
    wider = Criterion(direction, threshold, refute).verdict(value, low - 1, high + 1)
    assert wider == said or wider == "inconclusive", "a wider interval never decides otherwise"


@given(st.floats(-10, 10), st.floats(-10, 10))
def test_gt_and_lt_mirror_each_other(value, threshold):
    assert Criterion("gt", threshold).verdict(value) == Criterion("lt", -threshold).verdict(-value)


def result(act):
    """Return what `act` returns, or the sentence of its ValueError; anything else that it raises is a failure."""
    try:
        return act()
    except ValueError as error:
        return str(error)


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.integers(), inner, max_size=3), max_leaves=6,
)  # fmt: skip
ENTRIES = st.fixed_dictionaries(
    {}, optional={"goal": st.sampled_from([*spec.GOALS, "best", 1]) | TREES, "value": TREES, "band": st.lists(FLOATS | st.none(), max_size=3) | TREES,
                  "weight": st.floats() | TREES, "extra": TREES})  # fmt: skip
METRICS = ["dc_gain", "ugf", "cmrr"]


@given(TREES | st.dictionaries(st.sampled_from([*METRICS, "gain"]), ENTRIES | TREES, max_size=3))
@settings(max_examples=120)
def test_a_specification_is_understood_or_refused_in_one_sentence(content):
    found = result(lambda: spec.parse(content, METRICS))
    if isinstance(found, str):
        assert "\n" not in found
        return
    y = torch.rand(5, 3, dtype=torch.float64) + 0.1
    goals = Goals.stack([found], METRICS, y)
    assert goals.meets(y).shape == (5,)
    assert not goals.miss(y).isnan().any()


@given(st.text(max_size=40) | TREES.map(lambda tree: yaml.safe_dump(tree)) | st.text("[]{}:&*!-\n ,'\"#|>%@a1", max_size=30))
@settings(max_examples=150)
@example("&a [*a]")
@example("!!int x")
@example("2020-13-45")
@example("<<: 1")
@example("? [a]\n: 1")
def test_any_text_is_plain_yaml_or_a_sentence(text):
    found = result(lambda: {"": parse_yaml(text)})
    if isinstance(found, str):
        assert found.startswith("not plain YAML: ")
        assert "\n" not in found
    else:
        assert repr(found[""]) == repr(yaml.safe_load(text))


@given(st.sampled_from(["w1", "l12", "ibias", "T_eff", "log_g", "wave", "cc"]), st.floats(-12, 12))
def test_a_unit_is_refused_by_its_stated_bounds_and_by_nothing_else(name, exponent):
    low, high, *_ = next(v for k, v in LIMITS.items() if re.fullmatch(k, name.lower()))
    values = np.array([0.9, 1.0, 1.1]) * 10.0**exponent
    if low <= values[1] <= high:
        check_units({name: values, "mine": values * 1e30}, "x.csv")
    else:
        with pytest.raises(ValueError, match=rf"x\.csv: the median of '{name}'"):
            check_units({name: values}, "x.csv")


@given(st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.integers(-(10**12), 10**12), st.none(), st.booleans()))
def test_a_number_written_for_people_is_short_and_never_raises(value):
    text = number(value)
    assert text
    assert "\n" not in text
    if isinstance(value, float) and 1e-300 < abs(value) < 1e300:
        mantissa, _, exponent = text.replace("⁻", "-").translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")).partition("×10")
        assert float(mantissa) * 10.0 ** int(exponent or 0) == pytest.approx(value, rel=6e-3)


@given(st.text(max_size=10), FLOATS)
def test_both_languages_carry_the_same_facts(text, value):
    made = pair("值 {name} {value:.3f}", "value {name} {value:.3f}", name=text, value=value)
    assert made["zh"].removeprefix("值 ") == made["en"].removeprefix("value ")


@given(st.lists(st.integers(1, 60), min_size=2, max_size=8, unique=True), UNIT)
def test_snapped_designs_sit_on_the_grid_and_stay_where_they_are(levels, unit):
    frame = pd.DataFrame({"w1": np.array(levels) * 0.5, "l1": 1.0, "ibias": np.linspace(1e-6, 2e-6, len(levels))})
    space = Space.from_frame(frame, list(frame))
    snapped = space.snap(torch.tensor([unit], dtype=torch.float64))
    torch.testing.assert_close(space.snap(snapped), snapped)
    design = space.from_unit(snapped)[0]
    for value, allowed in zip(design, space.levels, strict=True):
        assert min(abs(float(value) / v - 1) for v in allowed) < 1e-9


@given(st.integers(1, 3), st.integers(30, 60), st.integers(1, 4), st.integers(1, 4), st.integers(0, 4))
def test_no_slice_is_in_two_parts_of_a_split_and_the_gap_is_kept(volumes, slices, n_val, n_test, gap):
    n = volumes * slices
    stack = np.zeros((n, 1, 1), np.float32)
    volume, z = np.repeat(np.arange(volumes), slices), np.tile(np.arange(slices), volumes)
    images = PairedImages(stack, stack, stack > 0, volume, z, ("a", "b"), "test", "test")
    parts = {
        k: set(zip(p.volume.tolist(), p.z.tolist(), strict=True)) for k, p in split(images, 0, n_val, n_test, gap=gap).items()
    }
    for one, other in itertools.combinations(parts.values(), 2):
        assert not one & other
        assert all(v != w or abs(a - b) > (gap if volumes < 3 else 0) for v, a in one for w, b in other)


@given(st.floats(0.01, 1), st.sampled_from(["rician", "gaussian"]), st.integers(0, 9))
@settings(max_examples=10)
def test_no_pixelwise_constant_gets_below_the_noise_floor_by_more_than_chance(sigma, kind, seed):
    clean = np.full((1, 60, 60), 0.5, np.float32)
    noisy = add_noise(clean, sigma, kind, np.random.default_rng(seed))
    best = min(np.abs(noisy - c).mean() for c in np.quantile(noisy, np.linspace(0.3, 0.7, 41)))
    assert best >= noise_floor(noisy, clean, sigma, kind)[0] * 0.97


@given(st.floats(19.0, 23.0), st.floats(0.1, 2.0))
@settings(max_examples=10)
def test_a_fainter_star_is_never_less_noisy(magnitude, fainter):
    wave = torch.linspace(8412.0, 8850.0, 32, dtype=torch.float64)
    noise = PfsNoise(wave, "mag215", torch.ones(32))
    bright, faint = noise.sigma(noise.at_magnitude([magnitude, magnitude + fainter]))
    assert (faint >= bright).all()


@given(st.integers(1, 3), st.integers(8, 40), st.booleans(), st.integers(0, 5))
@settings(max_examples=15)
def test_no_pixel_of_a_denoiser_sees_itself_whatever_the_length(batch, pixels, fast, seed):
    torch.manual_seed(seed)
    model = BlindSpotDenoiser(BlindSpotConfig(3, 4, 5, fast=fast)).double().eval()
    x = torch.rand(batch, 2, pixels, dtype=torch.float64)
    at = seed % pixels
    other = x.clone()
    other[:, :, at] += 5.0
    torch.testing.assert_close(model(other)[..., at], model(x)[..., at], rtol=0, atol=1e-12)
