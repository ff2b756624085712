"""Paired images: noise with the right moments, refusals in one sentence, a split without neighbours."""

import h5py
import imageio.v3 as iio
import nibabel
import numpy as np
import pytest
from scipy.stats import rice

from lib.data.images import add_noise, load, noise_floor, noisy_median, object_mask, scale_of, split
from lib.data.images.contrasts import FILE, spin_echo
from lib.data.images.pairing import check_pair, shift_px

EMBEDDED = load()


def brain(n=8, offset=0):
    """A stack of the embedded slices, (n, H, W) in both contrasts, in arbitrary units."""
    rows = np.arange(n) * 3 + 50 + offset
    return 700 * EMBEDDED.a[rows], 300 * EMBEDDED.b[rows]


HEADER = (  # the part of the ISMRMRD header that every release file has
    b'<?xml version="1.0"?><ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding><encodedSpace><matrixSize>'
    b"<x>16</x><y>8</y><z>1</z></matrixSize></encodedSpace></encoding></ismrmrdHeader>"
)


def write_fastmri(path, stack, acquisition, patient, *keys, coils=()):
    """Write one file in fastMRI's layout, intensities of its order of magnitude.

    kspace complex64 (slices, coils, 2 H', W'), without coils in the single-coil track; reconstructions float32
    (slices, H, W): RSS in both tracks, ESC in the single-coil one; the header as bytes; attributes of the release.
    """
    stack = (1e-6 * stack).astype(np.float32)
    with h5py.File(path, "w") as file:
        for key in keys or ("reconstruction_rss",):
            file[key] = stack if key == "reconstruction_rss" else stack[:, ::-1]  # mirrored, to be told apart
        file["kspace"] = np.zeros((len(stack), *coils, 16, 8), np.complex64)
        file["ismrmrd_header"] = HEADER
        file.attrs.update(acquisition=acquisition, patient_id=patient, max=stack.max(), norm=np.linalg.norm(stack))


def test_embedded_pair_is_small_scaled_and_carries_its_notice():
    assert FILE.stat().st_size <= 1_500_000
    with np.load(FILE, allow_pickle=False) as stacks:
        assert "McConnell Brain Imaging" in str(stacks["notice"])
    assert EMBEDDED.a.shape == EMBEDDED.b.shape == EMBEDDED.mask.shape
    for stack in (EMBEDDED.a, EMBEDDED.b):
        assert np.percentile(stack[EMBEDDED.mask], 99.5) == pytest.approx(1, abs=0.1)


def test_the_scale_of_a_noisy_volume_is_that_of_the_clean_one():
    noisy = add_noise(EMBEDDED.a, 0.1, "rician", np.random.default_rng(0))
    assert scale_of(noisy, object_mask(noisy)) == pytest.approx(scale_of(EMBEDDED.a, EMBEDDED.mask), rel=0.03)
    with pytest.raises(ValueError, match="constant"):
        object_mask(np.zeros((2, 8, 8), np.float32))


def test_t2_weighting_makes_fluid_bright_and_white_matter_dark():
    fluid, white = spin_echo(1.0, 4500.0, 2200.0), spin_echo(0.77, 600.0, 80.0)
    assert fluid > 2 * white
    assert spin_echo(1.0, 1.0, 1e9, tr_ms=1e6) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["rician", "gaussian"])
def test_noise_has_its_median_and_independent_realisations(kind):
    clean = np.full((1, 300, 300), 0.25, np.float32)
    rng = np.random.default_rng(0)
    one, two = (add_noise(clean, 0.1, kind, rng) for _ in range(2))
    assert np.median(one) == pytest.approx(float(noisy_median(clean, 0.1, kind)[0, 0, 0]), abs=1e-3)
    assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 0.02
    if kind == "rician":
        assert one.std() == pytest.approx(rice.std(2.5, scale=0.1), rel=0.02)


def test_no_constant_beats_the_noise_floor():
    clean = np.full((1, 200, 200), 0.12, np.float32)
    noisy = add_noise(clean, 0.1, "rician", np.random.default_rng(1))
    floor = noise_floor(noisy, clean, 0.1, "rician")[0]
    others = [np.abs(noisy - c).mean() for c in np.linspace(0.05, 0.3, 60)]
    assert floor == pytest.approx(min(others), abs=2e-4)


@pytest.mark.parametrize(("sigma", "kind", "what"), [(0.0, "rician", "positive"), (0.1, "poisson", "rician, gaussian")])
def test_impossible_noise_is_refused(sigma, kind, what):
    with pytest.raises(ValueError, match=what):
        add_noise(np.ones((1, 4, 4), np.float32), sigma, kind, np.random.default_rng(0))


def test_blocks_of_the_split_are_separated_by_gaps():
    parts = split(EMBEDDED, 0, 8, 20, gap=3)
    for one, other in (("train", "test"), ("train", "val"), ("val", "test")):
        distance = np.abs(parts[one].z[:, None] - parts[other].z).min()
        assert distance > 3
    assert [len(parts[name]) for name in ("val", "test")] == [8, 20]


def test_three_volumes_are_split_whole():
    thrice = EMBEDDED.take(np.arange(60))
    volumes = np.repeat([0, 1, 2], 20)
    parts = split(type(thrice)(**{**vars(thrice), "volume": volumes}), 0, 5, 6)
    assert [set(parts[name].volume) for name in ("train", "val", "test")] == [{0}, {1}, {2}]


def test_a_split_of_too_few_slices_is_refused():
    with pytest.raises(ValueError, match="too few for 20 test"):
        split(EMBEDDED.take(np.arange(12)), 0, 8, 20)


SINGLE_COIL = ("reconstruction_rss", "reconstruction_esc")


@pytest.mark.parametrize(
    ("keys", "coils", "asked"),
    [(SINGLE_COIL[:1], (15,), "rss"), (SINGLE_COIL, (), "rss"), (SINGLE_COIL, (), "esc"), (SINGLE_COIL[1:], (), "auto")],
)
def test_fastmri_files_are_paired_by_patient(tmp_path, keys, coils, asked):
    for patient, offset in (("p1", 0), ("p2", 20)):
        for acquisition, stack in zip(("CORPD_FBK", "CORPDFS_FBK"), brain(offset=offset), strict=True):
            write_fastmri(tmp_path / f"file_{patient}_{acquisition}.h5", stack, acquisition, patient, *keys, coils=coils)
    write_fastmri(tmp_path / "brain.h5", brain()[0], "AXT2", "p3")  # other acquisitions are left aside
    images = load(tmp_path, reconstruction=asked)
    assert (len(images), images.contrasts, images.source) == (16, ("PD", "PD-FS"), "hdf5")
    assert np.unique(images.volume).tolist() == [0, 1]
    mirrored = asked == "esc" or "reconstruction_rss" not in keys
    first = np.corrcoef(images.a[0].ravel(), brain()[0][0][:: -1 if mirrored else 1].ravel())[0, 1]
    assert first == pytest.approx(1, abs=1e-5)


def test_a_patient_without_a_partner_is_named(tmp_path):
    write_fastmri(tmp_path / "one.h5", brain()[0], "CORPD_FBK", "lonely")
    with pytest.raises(ValueError, match="CORPD_FBK and CORPDFS_FBK of each patient; patient lonely lacks one$"):
        load(tmp_path)
    write_fastmri(tmp_path / "two.h5", brain()[0], "CORPDFS_FBK", "other")
    with pytest.raises(ValueError, match="patient lonely lacks one .so do 1 more."):
        load(tmp_path)
    write_fastmri(tmp_path / "two.h5", brain()[1][:6], "CORPDFS_FBK", "lonely")
    with pytest.raises(ValueError, match=r"lonely: .* \(8, 96, 80\) and \(6, 96, 80\); a pair must be on one grid"):
        load(tmp_path)
    write_fastmri(tmp_path / "three.h5", brain()[1], "CORPDFS_FBK", "lonely")
    with pytest.raises(ValueError, match="already has a CORPDFS_FBK file"):
        load(tmp_path)


def test_a_pair_with_few_slices_that_show_something_passes(tmp_path):
    a, b = (np.where(np.arange(20)[:, None, None] < 17, 0, stack) for stack in brain(20))
    write_folder(tmp_path, a, b, "npy")
    assert len(load(tmp_path)) == 3
    with pytest.raises(ValueError, match="no slice shows an object in both"):
        check_pair(a, np.roll(b, 10, axis=0), "apart")


def test_a_missing_reconstruction_or_attribute_is_named(tmp_path):
    write_fastmri(tmp_path / "one.h5", brain()[0], "CORPD_FBK", "p", "reconstruction_esc")
    with pytest.raises(ValueError, match="no dataset reconstruction_rss"):
        load(tmp_path, reconstruction="rss")
    with h5py.File(tmp_path / "one.h5", "a") as file:
        del file.attrs["patient_id"]
    with pytest.raises(ValueError, match="'patient_id' is missing"):
        load(tmp_path)


def write_folder(folder, a, b, form):
    """Write a pair of stacks as folders a/ and b/ in one of the formats."""
    for side, stack in (("a", a), ("b", b)):
        (folder / side).mkdir()
        if form == "npy":
            np.save(folder / side / "one.npy", stack)
        elif form == "nii":
            nibabel.save(nibabel.Nifti1Image(np.moveaxis(stack, 0, -1), np.eye(4)), folder / side / "one.nii.gz")
        else:
            for i, image in enumerate(stack):
                iio.imwrite(folder / side / f"s{i}.png", (image / stack.max() * 60000).astype(np.uint16))


@pytest.mark.parametrize("form", ["npy", "nii", "png"])
def test_folders_of_npy_nifti_and_png_are_read_alike(tmp_path, form):
    write_folder(tmp_path, *brain(), form)
    images = load(tmp_path)
    assert images.a.shape == (8, 96, 80)
    for got, stack in ((images.a, brain()[0]), (images.b, brain()[1])):
        assert np.corrcoef(got.ravel(), stack.ravel())[0, 1] > 0.99
    assert load(tmp_path, crop=64).a.shape == (8, 64, 64)


def test_the_same_contrast_twice_has_one_clean_image():
    twice = load(pairs="same_contrast")
    assert np.array_equal(twice.a, twice.b)
    assert twice.contrasts == ("T1", "T1")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda a, b: (a, np.roll(b, 4, axis=2)), r"\+(3.9|4.0|4.1) px .columns. off the first"),
        (lambda a, b: (a, b[::-1]), "do not show the same anatomy|off the first"),
        (lambda a, b: (a, b[:, :90]), "must be on one grid"),
        (lambda a, b: (a + 1j, b), "complex"),
        (lambda a, b: (np.where(a > 500, np.nan, a), b), "pixels are not finite"),
        (lambda a, b: (a, 0 * b), "b.one.npy: the images are constant"),
        (lambda a, b: (a - 300, b), "no magnitudes; give intensities of 0 or more"),
        (lambda a, b: (a.astype(np.float64) * 1e30, b), "no magnitudes"),
        (lambda a, b: (a.astype(str), b), "expected numbers"),
    ],
)
def test_what_is_no_pair_is_refused_in_a_sentence(tmp_path, spoil, sentence):
    write_folder(tmp_path, *spoil(*brain()), "npy")
    with pytest.raises(ValueError, match=sentence) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_registered_pair_passes_under_noise_and_a_shift_is_measured():
    rng = np.random.default_rng(0)
    a, b = (add_noise(x[40:120:8], 0.1, "rician", rng) for x in (EMBEDDED.a, EMBEDDED.b))
    check_pair(a, b, "noisy")
    assert shift_px(a, np.roll(b, 3, axis=1)) == pytest.approx((3, 0), abs=0.3)


def test_names_without_a_partner_and_foreign_files_are_refused(tmp_path):
    write_folder(tmp_path, *brain(), "npy")
    (tmp_path / "a" / "one.npy").rename(tmp_path / "a" / "two.npy")
    with pytest.raises(ValueError, match="no partner for one, two"):
        load(tmp_path)
    (tmp_path / "a" / "notes.txt").write_text("x")
    with pytest.raises(ValueError, match="cannot read this kind of image"):
        load(tmp_path)
    with pytest.raises(ValueError, match="subfolders a/ and b/"):
        load(tmp_path / "a")


@pytest.mark.parametrize("name", ["one.png", "one.nii", "one.nii.gz", "one.npy"])
def test_a_broken_file_is_named(tmp_path, name):
    for side in ("a", "b"):
        (tmp_path / side).mkdir()
        (tmp_path / side / name).write_bytes(b"not an image")
    with pytest.raises(ValueError, match=name):
        load(tmp_path)
    (tmp_path / "x.h5").write_bytes(b"not an image")
    with pytest.raises(ValueError, match="x.h5: not an HDF5 file"):
        load(tmp_path)


def test_a_pickled_array_is_refused(tmp_path):
    write_folder(tmp_path, *brain(), "npy")
    np.save(tmp_path / "a" / "one.npy", np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=r"one\.npy is damaged.*Python objects"):
        load(tmp_path)
