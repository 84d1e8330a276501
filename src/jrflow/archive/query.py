"""Opening an archive. Plain ``xr.open_zarr`` reads it too; this adds checks."""

from __future__ import annotations

import numpy as np
import xarray as xr
from upath import UPath

from jrflow.archive.attributes import store_attributes
from jrflow.archive.errors import ArchiveError
from jrflow.archive.manifest import check_intact, manifest_path, read_manifest
from jrflow.archive.place import UNREADABLE, AnyPath, place
from jrflow.archive.selection import is_selection
from jrflow.archive.status import NOT_SIMULATED
from jrflow.archive.variables import CAMPAIGN_KEY
from jrflow.model import MODEL


def open_archive(path: AnyPath, *, allow_unsealed: bool = False) -> xr.Dataset:
    """Open an archive and make sure that it is complete.

    Every file that the manifest lists must exist with its size. Checksums of whole files are compared by
    ``jrflow archive verify``; those of chunks whenever a chunk is read.

    Parameters
    ----------
    path
        The store, <campaign>.zarr: a path, or a URL of an object store. A selection that was written with
        ``ds.jrflow.export`` or ``ds.to_zarr`` opens, too.
    allow_unsealed
        Also open an archive whose campaign has not finished: look at ``status``.

    Returns
    -------
    xarray.Dataset
        ``source`` (sim, region, time) lazy, in mV; ``status`` and all parameters in memory, so that
        ``ds.query(sim="A_e > 4 and status == 0")`` selects at once.

    Raises
    ------
    ArchiveError
        If there is no archive, it is not sealed, or files are missing, truncated or unreadable.
    """
    store = place(path)
    _check_exists(store)
    attrs = store_attributes(store)
    sealed = read_manifest(store) is not None
    if sealed:
        check_intact(store)
    try:
        small = xr.open_zarr(str(store), chunks=None, drop_variables="source", consolidated=sealed).load()
        source = xr.open_zarr(str(store), consolidated=sealed)["source"]
        ids, pending = small["sim"].values.reshape(-1), int((small["status"] == NOT_SIMULATED).sum())
    except (*UNREADABLE, KeyError) as error:
        raise ArchiveError(
            f"{store} cannot be read: {error}. What is damaged: jrflow archive verify '{store}'"
        ) from error
    if not (sealed or allow_unsealed or is_selection(ids, attrs)):
        raise ArchiveError(_not_sealed(store, pending, ids.size))
    # Without the source nothing says that what differs between regions is a coordinate.
    parameters = [name for name in MODEL.space if name in small.variables]
    return small.set_coords(parameters).assign(source=source.variable)


def check_dataset(ds: xr.Dataset) -> None:
    """Make sure that the archive that a Dataset was opened from has all its files, in full length.

    Raises
    ------
    ArchiveError
        If a file is missing or truncated, or the archive is not sealed.
    ValueError
        If the Dataset does not say where it was opened, or holds simulations of several archives.
    """
    n_campaigns = np.unique(ds[CAMPAIGN_KEY].values).size if CAMPAIGN_KEY in ds.variables else 1
    path = ds.encoding.get("source")
    if path is None or n_campaigns > 1:
        raise ValueError(
            "this Dataset does not say from which one archive it was opened: check the Dataset as "
            "xr.open_zarr or jrflow.open_archive returned it, or run: jrflow archive verify PATH"
        )
    check_intact(place(path))


def _not_sealed(store: UPath, pending: int, n: int) -> str:
    if pending:
        return (
            f"{store} is not sealed: {pending} of {n} simulations are still to be run. Start its campaign "
            "again to finish it, or pass allow_unsealed=True to look at what is there"
        )
    return (
        f"{store} is not sealed: all {n} simulations are there, but not the manifest, "
        f"{manifest_path(store).name}. If this is a copy, copy the manifest, too. Otherwise start its "
        "campaign again to seal it, or pass allow_unsealed=True"
    )


def _check_exists(store: UPath) -> None:
    if store.exists():
        return
    if ".zip" in str(store):
        raise ArchiveError(
            f"{store}: expected a folder or a URL; unpack the archive, or read it with plain xarray, without "
            "the checks: xr.open_zarr('zip::' + path)"
        )
    there = sorted(path.name for path in store.parent.glob("*.zarr"))
    raise ArchiveError(f"{store} does not exist; archives in {store.parent}: {', '.join(there) or 'none'}")
