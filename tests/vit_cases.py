"""A small spectral grid with a pressure-broadened line, for tests of the study `vit_scaling`."""

import itertools

import numpy as np

from lib.data.grid import SpectralGrid

NODES = {"t_eff": [4000.0, 5000.0, 6000.0], "log_g": [1.0, 2.0, 3.0, 4.0, 5.0], "m_h": [-1.0, -0.5, 0.0]}


def save_toy_grid(path, pixels=512):
    """Write a grid of one line at 8542 A, deeper with m_h and wider with log_g, on a slope set by t_eff."""
    wave = np.linspace(8400.0, 8850.0, pixels)
    labels = np.array(list(itertools.product(*NODES.values())))
    t_eff, log_g, m_h = (labels[:, [i]] for i in range(3))
    width = 2.0 + 3.0 * log_g
    line = (0.8 + 0.4 * m_h) * width**2 / ((wave - 8542.0) ** 2 + width**2)
    flux = (1 + (t_eff - 5000) / 5000 * (wave - 8600) / 400) * (1 - 0.8 * line)
    SpectralGrid.from_spectra(list(NODES), labels, flux, wave, n_components=12).save(path)
    return path
