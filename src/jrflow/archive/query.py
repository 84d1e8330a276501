"""Opening an archive. Plain ``xr.open_zarr`` reads it too; this adds checks."""

from __future__ import annotations

import xarray as xr
from upath import UPath

from jrflow.archive.attributes import store_attributes
from jrflow.archive.errors import ArchiveError
from jrflow.archive.manifest import check_intact, read_manifest
from jrflow.archive.place import AnyPath, place
from jrflow.archive.status import NOT_SIMULATED


def open_archive(path: AnyPath, *, allow_unsealed: bool = False) -> xr.Dataset:
    """Open an archive and make sure that it is complete.

    Parameters
    ----------
    path
        The store, <campaign>.zarr: a path, or a URL of an object store.
    allow_unsealed
        Also open an archive whose campaign has not finished: look at ``status``.

    Returns
    -------
    Dataset with ``source`` (sim, region, time) lazy, in mV, and ``status`` and all parameters in memory,
    so that ``ds.query(sim="A_e > 4 and status == 0")`` selects at once.

    Raises
    ------
    ArchiveError
        If there is no archive, it is not sealed, or files are missing or truncated.
    """
    store = place(path)
    _check_exists(store)
    store_attributes(store)
    sealed = read_manifest(store) is not None
    if sealed:
        check_intact(store)
    small = xr.open_zarr(str(store), chunks=None, drop_variables="source", consolidated=sealed).load()
    if not sealed and not allow_unsealed:
        missing = int((small["status"] == NOT_SIMULATED).sum())
        raise ArchiveError(
            f"{store} is not sealed: {missing} of {small.sizes['sim']} simulations are still to be run. "
            "Start its campaign again to finish it, or pass allow_unsealed=True to look at what is there"
        )
    source = xr.open_zarr(str(store), consolidated=sealed)["source"]
    return small.assign(source=source.variable)


def _check_exists(store: UPath) -> None:
    if not store.exists():
        there = sorted(path.name for path in store.parent.glob("*.zarr"))
        raise ArchiveError(
            f"{store} does not exist; archives in {store.parent}: {', '.join(there) or 'none'}"
        )
