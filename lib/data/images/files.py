"""Read and write the user's images: fastMRI HDF5 files, or folders a/ and b/ of .npy, .png, .nii and .nii.gz files."""

import gzip
import io
from pathlib import Path

import h5py
import imageio.v3 as iio
import nibabel
import numpy as np
from PIL import Image

from lib.legible import legible

SUFFIXES = (".npy", ".png", ".nii", ".nii.gz")
FASTMRI_CONTRASTS = ("CORPD_FBK", "CORPDFS_FBK")  # proton density, and with fat suppression
DAMAGED = (nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError, Image.DecompressionBombError)
RECONSTRUCTIONS = ("reconstruction_rss", "reconstruction_esc")
UNDERSHOOT = 0.1  # negative pixels that resampling may leave, over the brightest one
BRIGHTEST = 1e15  # above it float32 squares overflow soon


def suffix(path, doing="read"):
    """Return the suffix of an image file (`.nii.gz` is one), or raise ValueError where it is none of ours."""
    found = next((s for s in SUFFIXES if str(path).lower().endswith(s)), None)
    if found is None:
        fastmri = " or fastMRI's .h5" if doing == "read" else ""
        raise ValueError(f"{path}: cannot {doing} this kind of image; use {', '.join(SUFFIXES)}{fastmri}")
    return found


def read_array(path):
    """Return the array of one image file, slices first (NIfTI keeps them last); .h5 gives fastMRI's reconstruction.

    Raises ValueError for a missing file and for pickled arrays.
    """
    if not Path(path).is_file():
        raise ValueError(f"{path} does not exist")
    with legible(path, "the image that its name says", DAMAGED):
        array = _read(path)
    if array.dtype.kind not in "fiubc":
        raise ValueError(f"{path}: its values are {array.dtype}; expected numbers")
    return array


def _read(path):
    if str(path).endswith(".h5"):
        with h5py.File(path) as file:
            return _reconstruction(file, "auto", path)
    kind = suffix(path)
    if kind == ".npy":
        return _read_npy(path)
    if kind == ".png":
        return _grey(iio.imread(path, plugin="pillow"), path)
    array = np.asarray(nibabel.load(path).dataobj)
    return np.moveaxis(array, -1, 0) if array.ndim == 3 else array


def _grey(array, path):
    if array.ndim != 2:
        raise ValueError(f"{path}: a PNG must be grey (one channel), this one has the shape {array.shape}")
    return array


def _read_npy(path):
    array = np.load(path, mmap_mode="r", allow_pickle=False)  # mapped: a header that lies about its size takes no memory
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path}: not a plain numeric .npy array, but an archive of several")
    return array


def as_stack(array, name):
    """Return magnitudes (H, W) or (n, H, W) as float32 (n, H, W); a ValueError says why they are none.

    Refused: complex numbers or text, other shapes, pixels that are not finite, images that are constant, brighter than
    BRIGHTEST, or negative by more than an interpolation leaves behind.
    """
    if np.iscomplexobj(array):
        raise ValueError(f"{name}: the images are complex; take their magnitude first")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name}: the array holds {array.dtype}, not numbers")
    if array.ndim not in (2, 3) or min(array.shape) == 0:
        raise ValueError(f"{name}: expected an image (H, W) or a volume of slices, got the shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: {int((~np.isfinite(array)).sum())} pixels are not finite; mask or repair them first")
    low, high = float(array.min()), float(array.max())
    if low == high:
        raise ValueError(f"{name}: the images are constant ({low:.3g}); no object stands out from the background")
    if low < -UNDERSHOOT * high or high > BRIGHTEST:
        raise ValueError(f"{name}: pixels from {low:.3g} to {high:.3g} are no magnitudes; give intensities of 0 or more")
    return np.asarray(array, np.float32).reshape(-1, *array.shape[-2:])


def folder_pairs(folder):
    """Return {name: (a, b)} of stacks from `folder`/a and `folder`/b, files of equal names being partners."""
    folder = Path(folder)
    sides = []
    for side in ("a", "b"):
        if not (folder / side).is_dir():
            raise ValueError(f"{folder}: expected fastMRI .h5 files, or the subfolders a/ and b/ with files of equal names")
        files = sorted(path for path in (folder / side).iterdir() if path.is_file() and not path.name.startswith("."))
        sides.append({path.name[: -len(suffix(path))]: path for path in files})
    lonely = sorted(set(sides[0]) ^ set(sides[1]))
    if lonely or not sides[0]:
        raise ValueError(f"{folder}: no partner for {', '.join(lonely[:5]) or 'anything'}; a/ and b/ must hold equal names")
    return {name: tuple(as_stack(read_array(side[name]), side[name]) for side in sides) for name in sides[0]}


def fastmri_pairs(folder, reconstruction="auto", contrasts=FASTMRI_CONTRASTS):
    """Return {patient: (a, b)} of stacks from the fastMRI files in `folder`, paired by the attribute patient_id.

    reconstruction: `rss`, `esc`, or `auto` (what the file holds, RSS first); contrasts: the values of the attribute
    `acquisition` that make the pair. Files of other acquisitions are left aside.
    """
    found = {}
    for path in sorted(Path(folder).glob("*.h5")):
        if not h5py.is_hdf5(path):
            raise ValueError(f"{path}: not an HDF5 file, or a broken one")
        with legible(path), h5py.File(path) as file:
            patient, acquisition = _attribute(file, "patient_id", path), _attribute(file, "acquisition", path)
            if acquisition not in contrasts:
                continue
            if acquisition in found.setdefault(patient, {}):
                raise ValueError(f"{path}: patient {patient} already has a {acquisition} file; keep one of each contrast")
            found[patient][acquisition] = as_stack(_reconstruction(file, reconstruction, path), path)
    lonely = [patient for patient, stacks in found.items() if len(stacks) < 2]
    if lonely or not found:
        more = f" (so do {len(lonely) - 1} more)" if lonely[1:] else ""
        missing = f"patient {lonely[0]} lacks one{more}" if lonely else "no file has either"
        raise ValueError(f"{folder}: pairs need the acquisitions {' and '.join(contrasts)} of each patient; {missing}")
    return {patient: tuple(stacks[name] for name in contrasts) for patient, stacks in found.items()}


def _attribute(file, name, path):
    if name not in file.attrs:
        raise ValueError(f"{path}: the attribute {name!r} is missing; fastMRI files carry patient_id and acquisition")
    value = file.attrs[name]
    return value.decode() if isinstance(value, bytes) else str(value)


def _reconstruction(file, which, path):
    """Return the magnitude images of an open fastMRI file, (slices, H, W)."""
    names = RECONSTRUCTIONS if which == "auto" else (f"reconstruction_{which}",)
    name = next((name for name in names if isinstance(file.get(name), h5py.Dataset)), None)
    if name is None:
        raise ValueError(f"{path}: no dataset {' or '.join(names)}; it holds {', '.join(file) or 'nothing'}")
    return file[name][...]


def encoded(images, kind, source):
    """Return the bytes of an image file: .png in 16 bits (or its source's depth), .nii with the affine of its source."""
    if kind == ".npy":
        buffer = io.BytesIO()
        np.save(buffer, images, allow_pickle=False)
        return buffer.getvalue()
    if kind == ".png":
        return iio.imwrite("<bytes>", _integers(images, source), plugin="pillow", extension=".png")
    affine = nibabel.load(source).affine if ".nii" in source.suffixes else np.eye(4)
    volume = nibabel.Nifti1Image(np.moveaxis(images, 0, -1) if images.ndim == 3 else images, affine)
    return gzip.compress(volume.to_bytes()) if kind == ".nii.gz" else volume.to_bytes()


def _integers(images, source):
    """Return one image as integers of its source's depth, clipped; an image from elsewhere fills 16 bits."""
    if images.ndim != 2:
        raise ValueError(f"a PNG holds one image, these are {len(images)}: write .npy or .nii")
    from_png = source.suffix.lower() == ".png"
    depth = iio.imread(source, plugin="pillow").dtype if from_png else np.dtype(np.uint16)
    top = np.iinfo(depth).max
    factor = 1.0 if from_png else top / max(float(images.max()), 1e-12)
    return np.clip(images * factor, 0, top).round().astype(depth)
