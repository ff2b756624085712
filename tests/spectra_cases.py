"""A small analytic grid with the interface of SpectralGrid, and a file in the documents' layout made without lib."""

import h5py
import numpy as np
import pandas as pd
import torch


class TinyGrid:
    """Two Gaussian lines and a slope: t_eff tilts, log_g broadens, m_h deepens; flux has mean 1."""

    labels = ("t_eff", "log_g", "m_h")

    def __init__(self, pixels=256):
        self.wave = torch.linspace(8412.0, 8850.0, pixels, dtype=torch.float64)
        self.ranges = {"t_eff": (4000.0, 6000.0), "log_g": (1.0, 5.0), "m_h": (-2.0, 0.5)}

    def sample(self, n, seed=0, device="cpu"):
        low, high = np.array(list(self.ranges.values())).T
        unit = np.random.default_rng([seed, 7]).random((n, 3))
        return torch.from_numpy(low + (high - low) * unit).float().to(device)

    def flux(self, labels):
        wave = self.wave.to(labels.device, labels.dtype)
        t_eff, log_g, m_h = (x[:, None] for x in labels.unbind(1))
        depth = 0.3 + 0.15 * m_h
        lines = sum(torch.exp(-(((wave - c) / (4 + 2 * log_g)) ** 2)) for c in (8542.0, 8662.0))
        flux = (1 + (t_eff / 5000 - 1) * (wave / 8600 - 1) * 5) * (1 - depth * lines)
        return flux / flux.mean(1, keepdim=True)


def write_foreign_file(path, *, rows=40, pixels=64, key="whatever/table", table_format="fixed", seed=0, **columns):
    """Write the layout with h5py and pandas alone, as somebody else would; return flux, error and table."""
    rng = np.random.default_rng(seed)
    flux = rng.normal(1.0, 0.2, (rows, pixels)).astype(np.float32)
    error = rng.uniform(0.05, 0.3, (rows, pixels)).astype(np.float32)
    names = ("T_eff", "log_g", "M_H", "a_M", "C_M", "mag", "redshift", "snr")
    table = pd.DataFrame({name: rng.normal(2.0, 1.0, rows) for name in names} | columns)
    table.to_hdf(path, key=key, mode="w", format=table_format)
    with h5py.File(path, "a") as file:
        file["spectrumdataset/wave"] = np.linspace(7100.0, 8850.0, pixels)
        file["dataset/arrays/flux/value"] = flux
        file["dataset/arrays/error/value"] = error
    return flux, error, table
