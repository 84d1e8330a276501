"""A store made longer: what is there stays, byte for byte, and what is new is still to be simulated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from upath import UPath

from jrflow.archive.attributes import write_attributes
from jrflow.archive.errors import ArchiveMismatchError
from jrflow.archive.manifest import manifest_path
from jrflow.archive.place import open_array


def extend_store(store: UPath, design: xr.Dataset, n_before: int, attrs: Mapping[str, Any]) -> None:
    """Bring a store to the length of a design that begins with the store's own.

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

    Raises
    ------
    ArchiveMismatchError
        If the design does not begin with that of the store.
    """
    columns = {str(name): variable.values for name, variable in design.variables.items()}
    for name, values in columns.items():
        stored = np.asarray(open_array(store, name)[:n_before])
        if not np.array_equal(stored, values[:n_before]):
            raise ArchiveMismatchError(
                f"{store} cannot be extended: the first {n_before} values of {name!r} would not be those "
                "that are there; other versions of numpy or scipy may draw others. Begin another campaign"
            )
    manifest_path(store).unlink(missing_ok=True)  # it spoke of the shorter one
    for name, values in columns.items():
        array = open_array(store, name, "r+")
        array.resize(values.shape)
        array[:] = values
    for name in ("source", "failed_step", "n_trials", "status"):
        array = open_array(store, name, "r+")
        array.resize((design.sizes["sim"], *array.shape[1:]))
    write_attributes(store, attrs)
