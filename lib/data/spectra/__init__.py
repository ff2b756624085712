"""The users' spectra files: one HDF5 layout, read in three ways."""

from lib.data.labels import LabelScaler
from lib.data.spectra.dataset import SpectraDataset
from lib.data.spectra.layout import write_hdf5
from lib.data.spectra.modes import choose_mode

__all__ = ["LabelScaler", "SpectraDataset", "choose_mode", "write_hdf5"]
