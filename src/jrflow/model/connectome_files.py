"""Connectomes in files: The Virtual Brain's zip, NPZ, MATLAB, and text tables of weights and lengths."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from jrflow.model.connectome import Connectome
from jrflow.model.tvb_zip import is_number

#: Names that files give to each part, in lower case.
_PARTS = {
    "weights": ("weights", "weight", "sc", "connectivity", "connectome", "w"),
    "tract_lengths": ("tract_lengths", "tracts", "lengths", "length", "fiber_lengths", "len", "distances"),
    "names": ("names", "labels", "region_labels", "regions"),
    "centres": ("centres", "centers", "centroids", "positions", "coordinates", "xyz"),
}
_DELIMITERS = (",", ";", "\t")


def read_connectome(
    path: str | PathLike[str], tract_lengths: str | PathLike[str] | None = None
) -> Connectome:
    """Read weights, and tract lengths, names and centres where the file has them.

    Parameters
    ----------
    path
        ``.zip`` (The Virtual Brain), ``.npz``, ``.mat`` (up to version 7), or a table of numbers (``.csv``,
        ``.tsv``, ``.txt``). ``weights[i, j]`` is the link to region i from region j. An NPZ or MATLAB file
        names its parts ``weights``, ``tract_lengths``, ``names`` and ``centres``; common other names are
        known, too. A table may have the regions' names as its first row and column.
    tract_lengths
        Table of the lengths, mm, in the order of the weights; for a table of weights only.

    Raises
    ------
    OSError
        If a file cannot be read.
    ValueError
        If a file holds something else, or its parts disagree.
    """
    path = Path(path)
    readers: dict[str, Callable[[Path], Mapping[str, Any]]] = {".npz": _read_npz, ".mat": _read_mat}
    suffix = path.suffix.lower()
    if tract_lengths is not None and suffix in (".zip", *readers):
        raise ValueError(f"{path}: expected its tract lengths in the same file, received {tract_lengths}")
    if suffix == ".zip":
        return Connectome.from_tvb_zip(path)
    try:
        if suffix in readers:
            parts = _parts(readers[suffix](path))
        else:
            names, weights = _read_table(path)
            lengths = None
            if tract_lengths is not None:
                others, lengths = _read_table(Path(tract_lengths))
                if names is not None and others is not None and names != others:
                    raise ValueError(f"{tract_lengths}: its regions are not those of the weights, in order")
            parts = {"weights": weights, "tract_lengths": lengths, "names": names}
        return Connectome(**parts)
    except ValueError as error:
        raise ValueError(f"{path}: expected a connectome; {error}") from error


def _read_npz(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as content:
            return dict(content)
    except BadZipFile as error:
        raise ValueError(f"it is no NPZ file: {error}") from error


def _read_mat(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat

    try:
        content = loadmat(path, squeeze_me=True, chars_as_strings=True)
    except NotImplementedError as error:
        raise ValueError("MATLAB files of version 7.3 are not read; save it with -v7") from error
    return {name: value for name, value in content.items() if not name.startswith("__")}


def _parts(content: Mapping[str, Any]) -> dict[str, Any]:
    """Find the parts by their names, or the weights as the only square matrix."""
    by_name = {name.lower(): name for name in content}
    parts = {}
    for part, names in _PARTS.items():
        there = [by_name[name] for name in names if name in by_name]
        if there:
            parts[part] = content[there[0]]
    if "weights" not in parts:
        square = {name: value for name, value in content.items() if _is_square(value)}
        others = [name for name in square if not any(content[name] is value for value in parts.values())]
        if len(others) != 1:
            found = ", ".join(f"{name} {np.shape(value)}" for name, value in content.items()) or "nothing"
            raise ValueError(f"it has no weights: expected an array of that name, found {found}")
        parts["weights"] = content[others[0]]
    if "names" in parts:
        parts["names"] = [str(name).strip() for name in np.atleast_1d(parts["names"])]
    return parts


def _is_square(value: Any) -> bool:
    shape = np.shape(value)
    return len(shape) == 2 and shape[0] == shape[1] > 1


def _read_table(path: Path) -> tuple[list[str] | None, list[list[str]]]:
    """Names of the regions, if the table has them, and rows of numbers as text."""
    text = path.read_text(encoding="utf-8-sig")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise ValueError(f"{path.name} is empty")
    delimiter = next((mark for mark in _DELIMITERS if mark in lines[0]), None)
    if delimiter is None:
        rows = [line.split() for line in lines]
    else:
        rows = [[field.strip() for field in row] for row in csv.reader(lines, delimiter=delimiter)]
    names = None
    if sum(is_number(field) for field in rows[0]) < len(rows[0]) / 2:
        names = [field for field in rows[0] if field]
        del rows[0]
    if rows and all(row and not is_number(row[0]) for row in rows):
        names = [row[0] for row in rows]
        rows = [row[1:] for row in rows]
    return names, rows
