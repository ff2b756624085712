"""Paired images of one anatomy in two contrasts (or twice in one), their noise, their split."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from skimage.filters import gaussian, threshold_otsu

from lib.data.images.contrasts import embedded_volumes
from lib.data.images.files import fastmri_pairs, folder_pairs
from lib.data.images.noise import add_noise, noise_floor, noisy_median
from lib.data.images.pairing import check_pair
from lib.paths import resolve

PAIRS = ("two_contrast", "same_contrast")
__all__ = ["PAIRS", "PairedImages", "add_noise", "load", "noise_floor", "noisy_median", "object_mask", "scale_of", "split"]


@dataclass(frozen=True)
class PairedImages:
    """Slices in two contrasts, on one grid.

    a, b    (n, H, W)  float32 magnitudes; scaled so that the brightest parts of each volume's object lie near 1 (`scale_of`)
    mask    (n, H, W)  the object
    volume  (n,)       which volume (patient, file) a slice is of;   z (n,) its place in it
    """

    a: np.ndarray
    b: np.ndarray
    mask: np.ndarray
    volume: np.ndarray
    z: np.ndarray
    contrasts: tuple[str, str]
    source: str
    name: str
    n_dropped: int = 0  # slices with too little of the object

    def __len__(self):
        return len(self.a)

    def take(self, index):
        """Return the slices at `index`."""
        parts = {key: getattr(self, key)[index] for key in ("a", "b", "mask", "volume", "z")}
        return replace(self, **parts)

    def same_contrast(self):
        """Return the pairs a, a: two acquisitions of one contrast."""
        return replace(self, b=self.a, contrasts=(self.contrasts[0], self.contrasts[0]))


def scale_of(volume, mask):
    """Return the 99.5th percentile of the slightly blurred object, by which a volume (n, H, W) is divided.

    The blur (1 px) keeps noise from passing for brightness: noisy and clean images get the same scale within 3%.
    """
    scale = float(np.percentile(gaussian(volume, sigma=(0, 1.0, 1.0))[mask], 99.5)) if mask.any() else 0.0
    if not scale > 0:
        raise ValueError("the images are empty: no object stands out from the background")
    return scale


def object_mask(volume):
    """Return where the object is, (n, H, W) bool: above half of Otsu's threshold of the blurred volume."""
    blurred = gaussian(volume, sigma=(0, 1.5, 1.5))
    if blurred.max() == blurred.min():
        raise ValueError("the images are constant: no object stands out from the background")
    return blurred > 0.5 * threshold_otsu(blurred)


def load(data_dir="", *, pairs="two_contrast", reconstruction="auto", crop=0, max_shift_px=1.5, min_object=0.05):
    """Return the PairedImages of `data_dir`, or the embedded ones where it is empty.

    data_dir holds fastMRI .h5 files, or the folders a/ and b/. crop > 0 cuts the central crop x crop pixels; slices with
    less than min_object of their pixels inside the object are left out. Raises ValueError for what is no pair.
    """
    if pairs not in PAIRS:
        raise ValueError(f"pairs is {pairs!r}: use one of {', '.join(PAIRS)}")
    images = _embedded() if not str(data_dir) else _users(resolve(data_dir), reconstruction, crop, max_shift_px)
    kept = images.mask.mean(axis=(1, 2)) >= min_object
    images = replace(images.take(kept), n_dropped=int((~kept).sum()))
    return images.same_contrast() if pairs == "same_contrast" else images


def _embedded():
    t1, t2, mask = embedded_volumes()
    volume = _volume(t1, t2, mask, 0)
    return PairedImages(**volume, contrasts=("T1", "T2"), source="embedded", name="MNI152 average brain")


def _users(folder, reconstruction, crop, max_shift_px):
    """Read, check, crop and scale the user's volumes."""
    if not folder.is_dir():
        raise ValueError(f"data_dir {folder} is no folder")
    fastmri = any(folder.glob("*.h5"))
    stacks = fastmri_pairs(folder, reconstruction) if fastmri else folder_pairs(folder)
    volumes = []
    for number, (name, (a, b)) in enumerate(stacks.items()):
        check_pair(a, b, f"{folder.name}/{name}", max_shift_px)
        a, b = (_crop(stack, crop, name) for stack in (a, b))
        volumes.append(_volume(a, b, object_mask(a) | object_mask(b), number))
    shapes = sorted({volume["a"].shape[1:] for volume in volumes})
    if len(shapes) > 1:
        raise ValueError(f"{folder}: images of the shapes {shapes} cannot share a batch; set crop to cut them alike")
    joined = {key: np.concatenate([volume[key] for volume in volumes]) for key in volumes[0]}
    contrasts = ("PD", "PD-FS") if fastmri else ("a", "b")
    return PairedImages(**joined, contrasts=contrasts, source="hdf5" if fastmri else "folder", name=Path(folder).name)


def _volume(a, b, mask, number):
    """Scale one pair of stacks."""
    n = len(a)
    a, b = (np.asarray(stack / scale_of(stack, mask), np.float32) for stack in (a, b))
    return {"a": a, "b": b, "mask": mask, "volume": np.full(n, number), "z": np.arange(n)}


def _crop(stack, size, name):
    """Return the central size x size pixels (0: all)."""
    if not size:
        return stack
    height, width = stack.shape[1:]
    if size > min(height, width):
        raise ValueError(f"{name}: crop {size} is larger than the images, {height} x {width}")
    top, left = (height - size) // 2, (width - size) // 2
    return stack[:, top : top + size, left : left + size]


def split(images, n_train, n_val, n_test, *, gap=3):
    """Return {train, val, test} PairedImages without neighbours across a border.

    Volumes are cut along z: a test and a validation block from the middle, `gap` slices thrown away at each border
    (neighbouring slices look alike). With three volumes or more, whole volumes are set apart instead, the last ones.
    n_train slices are taken evenly from what is left (0: all). Raises ValueError where there are too few slices.
    """
    wanted = {"test": n_test, "val": n_val, "train": n_train}
    too_few = f"the data have {len(images)} slices, too few for {n_test} test + {n_val} validation slices and training"
    if len(np.unique(images.volume)) >= 3:
        rest, parts = _split_volumes(images, wanted)
    else:
        rest, parts = _split_blocks(images, wanted, gap)
    if len(rest) < max(n_train, 1) or any(len(part) < wanted[name] for name, part in parts.items()):
        raise ValueError(f"{too_few} ({n_train or 'any'}); lower them or bring more images")
    return {"train": images.take(_evenly(rest, n_train)), **{k: images.take(_evenly(v, wanted[k])) for k, v in parts.items()}}


def _split_volumes(images, wanted):
    """Take whole volumes from the end until test, then val, have their slices."""
    order, parts = list(np.unique(images.volume)), {}
    for name in ("test", "val"):
        taken = []
        while order and sum(np.sum(images.volume == v) for v in taken) < max(wanted[name], 1):
            taken.append(order.pop())
        parts[name] = np.flatnonzero(np.isin(images.volume, taken))
    return np.flatnonzero(np.isin(images.volume, order)), parts


def _split_blocks(images, wanted, gap):
    """Cut each volume along z into train | gap | test | gap | val | gap | train."""
    numbers = np.unique(images.volume)
    per_volume = {name: -(-wanted[name] // len(numbers)) for name in ("test", "val")}
    rest, parts = [], {"test": [], "val": []}
    for number in numbers:
        index = np.flatnonzero(images.volume == number)
        index = index[np.argsort(images.z[index])]
        start = max((len(index) - per_volume["test"] - per_volume["val"] - gap) // 2, 0)
        rest.append(index[: max(start - gap, 0)])
        for name in ("test", "val"):
            parts[name].append(index[start : start + per_volume[name]])
            start += per_volume[name] + gap
        rest.append(index[start:])
    return np.concatenate(rest), {name: np.concatenate(found) for name, found in parts.items()}


def _evenly(index, n):
    """Return n of the indices, evenly spaced (0: all)."""
    return index if not n else index[np.linspace(0, len(index) - 1, n).round().astype(int)]
