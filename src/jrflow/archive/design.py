"""The design of a campaign as it stands in its store: compared, mended, and made longer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from upath import UPath

from jrflow.archive.attributes import write_attributes
from jrflow.archive.errors import ArchiveMismatchError
from jrflow.archive.layout import OUTCOMES, ShardLayout
from jrflow.archive.manifest import manifest_path
from jrflow.archive.place import UNREADABLE, files, is_local, open_array, read_json, write_atomically
from jrflow.archive.template import array_metadata
from jrflow.model.parameters import ALL_PARAMETERS

#: What is simulated, over ``sim``; everything else over ``sim`` is design.
_SIMULATED = ("source", *OUTCOMES)


def mend_design(store: UPath, design: xr.Dataset) -> list[str]:
    """Write again what a store has lost of its design and labels.

    Parameters
    ----------
    store
        The store.
    design
        Parameters over ``sim``, drawn again, as long as the store; perhaps ``region`` and ``time``.

    Returns
    -------
    Names of the variables that were written again.

    Raises
    ------
    ArchiveMismatchError
        If the store has another design.
    """
    lost = [name for name, values in _columns(design).items() if not _has(store, name, values)]
    for name in lost:
        _write_whole(store, name, design[name].values)
    return lost


def has_length(store: UPath, n: int) -> bool:
    """Whether every variable over ``sim`` has n values; not so where an extension was interrupted."""
    names = [name for name in ("sim", *ALL_PARAMETERS, *_SIMULATED) if (store / name).exists()]
    return all(open_array(store, name).shape[0] == n for name in names)


def extend_store(store: UPath, design: xr.Dataset, n_before: int, attrs: Mapping[str, Any], key: int) -> None:
    """Bring a store to the length of a design that begins with the store's own; what is there stays.

    The attributes are written last: an interruption leaves a store that is known by its old ones, and
    doing it again ends in the same.

    Parameters
    ----------
    store
        The store.
    design
        Parameters over ``sim``.
    n_before
        Simulations that the store's attributes speak of.
    attrs
        Attributes of the longer store.
    key
        Key of its campaign.

    Raises
    ------
    ArchiveMismatchError
        If the design does not begin with that of the store.
    """
    for name, values in _columns(design).items():
        _has(store, name, values[:n_before])
    manifest_path(store).unlink(missing_ok=True)  # it spoke of the shorter one
    layout = replace(ShardLayout.of_store(store), n_simulations=design.sizes["sim"], aligned=None)
    kept = {name: _outcomes(store, name, n_before) for name in OUTCOMES}
    for name, metadata in array_metadata(design, layout, key).items():
        # Small and large archives have different chunks: files in the old ones cannot stay.
        changed = name != "source" and not _same_grid(store, name, metadata)
        if changed:
            _remove_chunks(store, name)
        if is_local(store):
            (store / name).mkdir(exist_ok=True)
        write_atomically(store / name / "zarr.json", metadata)
        if changed and name in kept:
            open_array(store, name, "r+")[:n_before] = kept[name]
    for name, values in _columns(design).items():
        _write_whole(store, name, values)
    write_attributes(store, attrs)


def _outcomes(store: UPath, name: str, n: int) -> np.ndarray:
    """One of the outcomes of the first n simulations; what cannot be read is the fill value."""
    array, shard_size = open_array(store, name), ShardLayout.of_store(store).shard_size
    values = np.full(n, array.fill_value, array.dtype)
    for start in range(0, n, shard_size):
        with suppress(*UNREADABLE):
            part = np.asarray(array[start : min(n, start + shard_size)])
            values[start : start + len(part)] = part
    return values


def _same_grid(store: UPath, name: str, metadata: bytes) -> bool:
    """Whether an array is there, with the chunks and codecs that the metadata speak of."""
    path, keys = store / name / "zarr.json", ("chunk_grid", "codecs")
    if not path.exists():
        return False
    there, wanted = read_json(path), json.loads(metadata)
    return all(there.get(key) == wanted[key] for key in keys)


def _write_whole(store: UPath, name: str, values: np.ndarray) -> None:
    """Write all of a variable as if for the first time.

    Zarr reads what is in a file before it writes a part of it, and keeps what is beyond the end; the first
    fails where the file is damaged, the second where the store was longer for a while.
    """
    _remove_chunks(store, name)
    open_array(store, name, "r+")[:] = values


def _remove_chunks(store: UPath, name: str) -> None:
    for file, _ in list(files(store / name)):
        if file.startswith("c/"):
            (store / name / file).unlink()


def _columns(design: xr.Dataset) -> dict[str, np.ndarray]:
    return {str(name): variable.values for name, variable in design.variables.items()}


def _has(store: UPath, name: str, values: np.ndarray) -> bool:
    """Whether a store has these values; False where it has lost some.

    Raises
    ------
    ArchiveMismatchError
        If it has others.
    """
    array = open_array(store, name)
    try:
        stored = np.asarray(array[: len(values)])
    except UNREADABLE:
        return False
    same = stored == values
    missing = stored != stored if array.fill_value != array.fill_value else stored == array.fill_value
    if (same | missing).all():  # Zarr answers with the fill value where a file is missing
        return bool(same.all())
    first = int(np.argmin(same))
    raise ArchiveMismatchError(
        f"{store}: the values of {name!r} are not those of its design: expected {values[first]} for "
        f"simulation {first}, found {stored[first]}. Other versions of numpy or scipy may draw others: go on "
        "with those of then, or begin another campaign"
    )
