"""A grid of model spectra: principal components of log flux, interpolated by separable cubic splines."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path

import h5py
import numpy as np
import torch
from safetensors.torch import save_file
from scipy.interpolate import CubicSpline

from lib.files import replacing
from lib.legible import legible
from lib.paths import EMBEDDED
from lib.weights import read_weights

DEFAULT_FILE = EMBEDDED / "spectral_grid.safetensors"
SAMPLE_BLOCK = 1024
FLUX_FLOOR = 1e-6  # of a spectrum's mean: the logarithm of a black pixel stays finite


def spline_pieces(nodes):
    """Return the cardinal cubic splines of `nodes` as polynomials (4, pieces, n), highest power first.

    Not-a-knot ends; a parabola through three nodes, a straight line through two, a constant for one.
    """
    if len(nodes) == 1:
        return torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64).reshape(4, 1, 1)
    pieces = CubicSpline(nodes, np.eye(len(nodes)), bc_type="not-a-knot").c
    padded = np.zeros((4, *pieces.shape[1:]))
    padded[4 - len(pieces) :] = pieces
    return torch.from_numpy(padded)


def spline_weights(x, nodes, pieces):
    """Return the weight of every node at x: (B,) -> (B, n); differentiable in x."""
    piece = (torch.searchsorted(nodes, x.detach().contiguous(), right=True) - 1).clamp(0, pieces.shape[1] - 1)
    step = (x - nodes[piece]).unsqueeze(-1)
    cubic, square, linear, constant = pieces[:, piece]
    return ((cubic * step + square) * step + linear) * step + constant


def principal_directions(centred, count):
    """Return at most `count` principal directions (K, L) of rows (n, L); from their covariance where rows are many."""
    if len(centred) > 2 * centred.shape[1]:
        return np.linalg.eigh(centred.T @ centred)[1][:, ::-1].T[:count]
    return np.linalg.svd(centred, full_matrices=False)[2][:count]


def as_int16(values, dims):
    """Return integers and the step (largest magnitude over `dims` / 32767) that turns them back into values."""
    step = (values.abs().amax(dims, keepdim=True) / 32767).clamp_min(1e-30).float()
    return (values / step).round().to(torch.int16), step


def fingerprint_of(tensors):
    """Return "sha256:..." over the names, types, shapes and bytes of a dict of tensors."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name].detach().cpu().numpy())
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return f"sha256:{digest.hexdigest()}"


@dataclass(eq=False)
class SpectralGrid:
    """Interpolate spectra between the nodes of a rectangular grid of labels.

    nodes         {label name: increasing node values}, in label order
    wave          (L,) wavelength in Angstrom
    mean          (L,) mean ln flux of the nodes
    components    (K, L) principal components of ln flux
    coefficients  (n1, ..., nk, K) amplitudes of the components at the nodes
    ranges        {label name: (low, high)}: where `sample` draws, inside the guard nodes; the nodes' span by default
    """

    nodes: Mapping[str, np.ndarray]
    wave: torch.Tensor
    mean: torch.Tensor
    components: torch.Tensor
    coefficients: torch.Tensor
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    metadata: dict = field(default_factory=dict)
    fingerprint: str = ""

    def __post_init__(self):
        self.nodes = {name: np.asarray(values, dtype=float) for name, values in self.nodes.items()}
        self.ranges = {name: tuple(self.ranges.get(name, (v[0], v[-1]))) for name, v in self.nodes.items()}
        shape = tuple(len(values) for values in self.nodes.values())
        if tuple(self.coefficients.shape[:-1]) != shape:
            raise ValueError(f"coefficients have node shape {tuple(self.coefficients.shape[:-1])}, the nodes {shape}")
        for name, values in self.nodes.items():
            low, high = self.ranges[name]
            if np.any(np.diff(values) <= 0) or not values[0] <= low <= high <= values[-1]:
                raise ValueError(f"{name}: nodes {values} must increase and hold the range ({low}, {high})")
        self.fingerprint = self.fingerprint or fingerprint_of(self.stored())
        self._placed = {}

    @property
    def labels(self):
        """Names of the labels, in the order of the columns of `sample` and `flux`."""
        return tuple(self.nodes)

    @classmethod
    def default(cls):
        """Open the embedded synthetic grid (LTE, plane-parallel; docs/spectra.md says what it is and is not)."""
        return cls.load(DEFAULT_FILE)

    @classmethod
    def load(cls, path):
        """Open a grid file: this project's `.safetensors`, or a user's HDF5 (see `read_spectra`).

        Raises ValueError for a file that is absent, unreadable, or not a complete rectangular grid.
        """
        path = Path(path)
        if not path.is_file():
            raise ValueError(f"{path}: no such grid file; give a .safetensors grid or an HDF5 file of spectra")
        if path.suffix != ".safetensors":
            return cls.from_spectra(*read_spectra(path), metadata={"source": path.name})
        stored, metadata = read_weights(path)
        header = json.loads(metadata.get("grid", "{}"))
        if not {"nodes", "ranges", "metadata", "fingerprint"} <= set(header):
            raise ValueError(f"{path}: no grid header; this file was not written by SpectralGrid.save")
        if fingerprint_of(stored) != header["fingerprint"]:
            raise ValueError(f"{path}: contents do not match their fingerprint; restore the file or build it again")
        return cls(
            nodes=header["nodes"],
            wave=stored["wave"],
            mean=stored["mean"],
            components=stored["components"].float() * stored["component_step"][:, None],
            coefficients=stored["coefficients"].float() * stored["coefficient_step"],
            ranges=header["ranges"],
            metadata=header["metadata"],
            fingerprint=header["fingerprint"],
        )

    def stored(self):
        """Return the tensors as they are written: int16 components and amplitudes, with the step of each component."""
        coefficients, coefficient_step = as_int16(self.coefficients, tuple(range(len(self.nodes))))
        components, component_step = as_int16(self.components, (1,))
        return {
            "wave": self.wave.double(),
            "mean": self.mean.float(),
            "components": components,
            "component_step": component_step.flatten(),
            "coefficients": coefficients,
            "coefficient_step": coefficient_step.flatten(),
        }

    def save(self, path):
        """Write the grid as safetensors; the header holds nodes, ranges, metadata and the fingerprint."""
        stored = {name: tensor.contiguous() for name, tensor in self.stored().items()}
        header = {
            "nodes": {name: values.tolist() for name, values in self.nodes.items()},
            "ranges": self.ranges,
            "metadata": self.metadata,
            "fingerprint": fingerprint_of(stored),
        }
        with replacing(Path(path)) as temporary:
            save_file(stored, temporary, metadata={"grid": json.dumps(header)})

    @classmethod
    def from_spectra(cls, names, labels, flux, wave, *, n_components=100, ranges=None, metadata=None):
        """Compress spectra at the nodes of a rectangular grid, in any order, into principal components.

        names   the k label names
        labels  (n, k), every combination of the node values once
        flux    (n, L) > 0 in any unit; each spectrum is divided by its mean
        wave    (L,) Angstrom
        Raises ValueError where labels, flux and wave disagree or a node is missing or doubled.
        """
        labels, flux, wave = (np.asarray(a, dtype=np.float64) for a in (labels, flux, wave))
        check_spectra(names, labels, flux, wave)
        nodes, order = rectangular_order(names, labels)
        flux = flux[order] / flux[order].mean(1, keepdims=True)
        log_flux = np.log(np.maximum(flux, FLUX_FLOOR))
        mean = log_flux.mean(0)
        components = principal_directions(log_flux - mean, n_components)
        amplitudes = (log_flux - mean) @ components.T
        kept, lost = len(components), np.abs(np.expm1(log_flux - mean - amplitudes @ components))
        coefficients = amplitudes.reshape(*(len(v) for v in nodes.values()), kept)
        to = lambda array: torch.from_numpy(np.ascontiguousarray(array))  # noqa: E731
        compression = {"n_components": kept, "compression_error_p99": float(np.quantile(lost, 0.99))}
        return cls(
            nodes=nodes,
            wave=to(wave),
            mean=to(mean).float(),
            components=to(components).float(),
            coefficients=to(coefficients).float(),
            ranges=ranges or {},
            metadata={**compression, **(metadata or {})},
        )

    def sample(self, n, seed=0, device="cpu"):
        """Draw labels uniformly inside `ranges`: (n, k) float32.

        Keyed by (seed, aligned block of 1,024 rows): the first rows of a longer sample are the shorter sample.
        """
        if n < 0:
            raise ValueError(f"n is {n}; the number of samples cannot be negative")
        low, high = np.array([self.ranges[name] for name in self.labels]).T
        blocks = [
            np.random.default_rng([seed, block]).random((SAMPLE_BLOCK, len(low))) for block in range(-(-n // SAMPLE_BLOCK))
        ]
        unit = np.concatenate(blocks)[:n] if blocks else np.zeros((0, len(low)))
        drawn = torch.from_numpy(low + (high - low) * unit).to(torch.float32)
        edges = torch.tensor(np.stack([low, high]), dtype=torch.float32)
        return torch.minimum(torch.maximum(drawn, edges[0]), edges[1]).to(device)

    def flux(self, labels):
        """Interpolate spectra, each divided by its mean over the pixels: (B, k) -> (B, L); differentiable.

        Works on the device and in the floating-point type of `labels` (at least float32).
        Raises ValueError for labels that are not (B, k), not finite or outside the nodes.
        """
        self._check_labels(labels)
        dtype = torch.float64 if labels.dtype == torch.float64 else torch.float32
        nodes, pieces, mean, components, table = self._on(labels.device, dtype)
        columns = labels.to(torch.float64).unbind(-1)
        weights = [spline_weights(*axis).to(dtype) for axis in zip(columns, nodes, pieces, strict=True)]
        joint = reduce(lambda a, b: (a.unsqueeze(-1) * b.unsqueeze(-2)).flatten(1), weights)  # (B, n1 * ... * nk)
        return torch.exp(torch.addmm(mean, joint @ table, components))

    def _check_labels(self, labels):
        if labels.ndim != 2 or labels.shape[1] != len(self.nodes):
            raise ValueError(f"labels have shape {tuple(labels.shape)}; expected (B, {len(self.nodes)}): {self.labels}")
        ends = torch.tensor([[v[0], v[-1]] for v in self.nodes.values()], device=labels.device, dtype=torch.float64)
        slack = 1e-6 * (ends[:, 1] - ends[:, 0]).clamp_min(1e-6)
        bad = ~((labels >= ends[:, 0] - slack) & (labels <= ends[:, 1] + slack))
        if bool(bad.any()):
            row, column = bad.nonzero()[0].tolist()
            name, value = self.labels[column], labels[row, column].item()
            raise ValueError(f"{name} of row {row} is {value}; the grid spans {ends[column].tolist()}")

    def _on(self, device, dtype):
        """Return nodes, pieces, mean, components and the flattened amplitudes on a device, kept for the next call."""
        key = (str(device), dtype)
        if key not in self._placed:
            self._placed[key] = (
                [torch.tensor(v, device=device) for v in self.nodes.values()],
                [spline_pieces(v).to(device) for v in self.nodes.values()],
                self.mean.to(device, dtype),
                self.components.to(device, dtype),
                self.coefficients.flatten(0, -2).to(device, dtype),
            )
        return self._placed[key]


def check_spectra(names, labels, flux, wave):
    """Raise ValueError where the arrays of a user's grid do not fit together."""
    if labels.ndim != 2 or labels.shape[1] != len(names):
        raise ValueError(f"labels have shape {labels.shape}; expected (n, {len(names)}) for the names {list(names)}")
    if flux.shape != (len(labels), len(wave)) or wave.ndim != 1:
        raise ValueError(f"flux has shape {flux.shape}; expected ({len(labels)}, {wave.size}) from labels and wave")
    for what, array in (("labels", labels), ("flux", flux), ("wave", wave)):
        if not np.isfinite(array).all():
            raise ValueError(f"{what} holds {np.count_nonzero(~np.isfinite(array))} values that are not finite")
    if (flux.mean(1) <= 0).any():
        raise ValueError(f"flux of row {int((flux.mean(1) <= 0).argmax())} has no positive mean; every node needs light")


def rectangular_order(names, labels):
    """Return the node values per label and the row order that walks the grid, the last label fastest."""
    found = [np.unique(column.round(9), return_inverse=True) for column in labels.T]
    nodes = {name: values for name, (values, _) in zip(names, found, strict=True)}
    shape = tuple(len(values) for values in nodes.values())
    flat = np.ravel_multi_index(tuple(index.ravel() for _, index in found), shape)
    count = np.bincount(flat, minlength=int(np.prod(shape)))
    if (count != 1).any():
        where = np.unravel_index(int((count != 1).argmax()), shape)
        node = {name: float(values[i]) for (name, values), i in zip(nodes.items(), where, strict=True)}
        times = int(count[np.ravel_multi_index(where, shape)])
        raise ValueError(f"the grid is not rectangular: node {node} occurs {times} times; every combination once")
    return nodes, np.argsort(flat)


def read_spectra(path):
    """Read names, labels (n, k), flux (n, L) and wave (L,) from a user's HDF5 file.

    `names` is a data set, or an attribute of `labels` or of the file.
    Raises ValueError naming the file and the data set that is absent.
    """
    with legible(path), h5py.File(path, "r") as file:
        absent = [key for key in ("labels", "flux", "wave") if not isinstance(file.get(key), h5py.Dataset)]
        if absent:
            raise ValueError(f"{path}: no data set {absent[0]!r}; a grid file holds labels, flux and wave")
        labels, flux, wave = (file[key][()] for key in ("labels", "flux", "wave"))
        names = file["names"][()] if "names" in file else file["labels"].attrs.get("names", file.attrs.get("names"))
    if names is None:
        raise ValueError(f"{path}: no label names; add a data set `names` or the attribute `names` of `labels`")
    return [n.decode() if isinstance(n, bytes) else str(n) for n in names], labels, flux, wave
