"""Read the label table of a spectra file with h5py alone: pandas' own reader would unpickle attributes of the file."""

import pickletools

import h5py
import numpy as np
import pandas as pd

ALIASES = {"t_eff": "T_eff", "m_h": "M_H", "a_m": "a_M", "c_m": "C_M"}  # the grid's names -> the documents' columns
NUMERIC = "fiub"


def read_table(file: h5py.File, rows: int, labels: tuple[str, ...], n: int | None = None) -> pd.DataFrame:
    """Return the numeric columns of the first n rows of the file's table, whatever its key.

    rows    the number of spectra in the file: the table that fits has as many rows
    labels  columns that it must hold (the documents' or the grid's names)
    Raises ValueError naming file, tables and columns found. Reads pandas' `fixed` and `table` formats and plain
    compound data sets; text columns are left out, since HDF5 files store them pickled.
    """
    sizes = _table_sizes(file)
    if not sizes:
        raise ValueError(f"{file.filename} holds no table of labels: expected a pandas DataFrame with {', '.join(labels)}.")
    fitting = {name: _read(file[name], n) for name, size in sizes.items() if size == rows}
    if not fitting:
        found = ", ".join(f"'{name}' has {size}" for name, size in sizes.items())
        raise ValueError(f"{file.filename}: the flux has {rows} rows, but no table has as many ({found}).")
    for frame in fitting.values():
        if all(column(frame, label) is not None for label in labels):
            return frame
    name, frame = max(fitting.items(), key=lambda item: len(item[1].columns))
    absent = [label for label in labels if column(frame, label) is None]
    raise ValueError(
        f"{file.filename}: the table '{name}' has no column '{absent[0]}'; it has {', '.join(map(str, frame.columns))}."
    )


def column(frame: pd.DataFrame, label: str) -> str | None:
    """Return the column that holds `label`, under its own name or the documents', or None."""
    return next((name for name in (label, ALIASES.get(label)) if name in frame.columns), None)


def _table_sizes(file: h5py.File) -> dict[str, int]:
    """Return the rows of every table of the file, by name."""
    found: dict[str, int] = {}

    def look(name: str, node: h5py.Group | h5py.Dataset) -> None:
        if _is_table(node):
            found[name] = len(node if isinstance(node, h5py.Dataset) else node["axis1"])

    file.visititems(look)
    return found


def _read(node: h5py.Group | h5py.Dataset, n: int | None) -> pd.DataFrame:
    return pd.DataFrame(_compound(node, n) if isinstance(node, h5py.Dataset) else _fixed(node, n))


def _is_table(node: h5py.Group | h5py.Dataset) -> bool:
    if isinstance(node, h5py.Dataset):
        return node.dtype.names is not None and node.ndim == 1
    return all(name in node for name in ("block0_values", "axis0", "axis1"))


def _fixed(group: h5py.Group, n: int | None) -> dict[str, np.ndarray]:
    """Read pandas' `fixed` format: blocks of equal type, (rows, columns) each, with their column names beside them."""
    columns = {}
    block = 0
    while f"block{block}_values" in group:
        values = group[f"block{block}_values"]
        if values.ndim == 2 and values.dtype.kind in NUMERIC:
            names = [_text(item) for item in group[f"block{block}_items"][()]]
            columns |= dict(zip(names, values[:n].T, strict=True))
        block += 1
    order = [_text(item) for item in group["axis0"][()]]
    return {name: columns[name] for name in order if name in columns}


def _compound(table: h5py.Dataset, n: int | None) -> dict[str, np.ndarray]:
    """Read a compound data set: pandas' `table` format packs columns of one type in `values_block_k`."""
    columns = {}
    records = table[:n]
    for field in table.dtype.names:
        values = records[field]
        names = table.attrs.get(f"{field}_kind")
        if values.dtype.kind not in NUMERIC or field == "index":
            continue
        if values.ndim == 2 and names is not None:
            columns |= dict(zip(_pickled_names(bytes(names)), values.T, strict=True))
        elif values.ndim == 1:
            columns[field] = values
    return columns


def _pickled_names(data: bytes) -> list[str]:
    """Return the texts of a pickled list of texts from its opcodes, without running it."""
    return [arg for code, arg, _ in pickletools.genops(data) if isinstance(arg, str) and "UNICODE" in code.name]


def _text(item: bytes | str) -> str:
    return item.decode("utf8") if isinstance(item, bytes) else str(item)
