"""Open an archive as an xarray Dataset, with checks, and write selections of it to new stores."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from upath import UPath
from zarr.errors import ZarrUserWarning

from jrflow.archive.errors import ArchiveError
from jrflow.archive.layout import SOURCE_CODECS
from jrflow.archive.manifest import (
    check_intact,
    checksums,
    manifest_of,
    manifest_path,
    require_manifest,
)
from jrflow.archive.paths import UNREADABLE, AnyPath, place, write_atomically
from jrflow.archive.store import Archive
from jrflow.archive.vocabulary import CAMPAIGN_KEY, FORMAT, NOT_SIMULATED, OK, count_statuses
from jrflow.model import MODEL

#: Sizes of chunks and shards of ``source`` before compression, bytes.
_CHUNK, _SHARD = 1.5e6, 64e6
_NETCDF = (".nc", ".nc4")


def open_archive(path: AnyPath, *, allow_unsealed: bool = False) -> xr.Dataset:
    """Open an archive and check that it is complete.

    Every file that the manifest lists must exist and have the listed size. ``jrflow archive verify`` compares
    checksums of whole files; checksums of chunks are compared whenever a chunk is read.

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
    archive = Archive.open(store)
    manifest = manifest_of(archive)
    sealed = manifest is not None
    if manifest is not None:
        check_intact(store, manifest)
    try:
        small = xr.open_zarr(str(store), chunks=None, drop_variables="source", consolidated=sealed).load()
        source = xr.open_zarr(str(store), consolidated=sealed)["source"]
        ids, pending = small["sim"].values.reshape(-1), int((small["status"] == NOT_SIMULATED).sum())
    except (*UNREADABLE, KeyError) as error:
        raise ArchiveError(
            f"{store} cannot be read: {error}. What is damaged: jrflow archive verify '{store}'"
        ) from error
    if not (sealed or allow_unsealed or is_selection(ids, archive.attributes)):
        raise ArchiveError(_not_sealed(store, pending, ids.size))
    # Without the source, variables over regions would not be recognised as coordinates.
    parameters = [name for name in MODEL.space if name in small.variables]
    return small.set_coords(parameters).assign(source=source.variable)


def check_dataset(ds: xr.Dataset) -> None:
    """Check that all files of the archive of a Dataset exist and have their full length.

    Raises
    ------
    ArchiveError
        If a file is missing or truncated, or the archive is not sealed.
    ValueError
        If the path of the archive is unknown, or the Dataset contains simulations of several archives.
    """
    n_campaigns = np.unique(ds[CAMPAIGN_KEY].values).size if CAMPAIGN_KEY in ds.variables else 1
    path = ds.encoding.get("source")
    if path is None or n_campaigns > 1:
        raise ValueError(
            "this Dataset does not say from which one archive it was opened: check the Dataset as "
            "xr.open_zarr or jrflow.open_archive returned it, or run: jrflow archive verify PATH"
        )
    store = place(path)
    check_intact(store, require_manifest(store))


def export_archive(path: AnyPath, out: AnyPath, query: str | None = None) -> xr.Dataset:
    """Write a selection of an archive to a netCDF file or a Zarr store; see ``export``.

    Parameters
    ----------
    path
        The archive.
    out
        File (.nc) or store (.zarr) to write.
    query
        Expression over parameters and ``status``, such as ``A_e > 4 and status == 0``; by default all.

    Returns
    -------
    xarray.Dataset
        The simulations that were written.

    Raises
    ------
    ValueError
        If the query cannot be understood, or selects nothing.
    """
    check_target(out)
    everything = open_archive(path)
    ds = everything if query is None else _select(everything, query)
    if ds.sizes["sim"] == 0:
        raise ValueError(f"query {query!r} selects none of the simulations; {_ranges(everything)}")
    export(ds, out)
    return ds


def export(ds: xr.Dataset, out: AnyPath) -> UPath:
    """Write simulations in the archive's layout to a netCDF-4 file or a Zarr store.

    At most a few shards of ``source`` are in memory. The target gets its name when it is complete. For a Zarr
    store, a manifest with the checksum of every file is written, too, so that lost files are noticed.

    Parameters
    ----------
    ds
        Simulations, whole or selected; an archive's attributes and coordinates are kept.
    out
        File to write (.nc), or store (.zarr): a path, or for a store the URL of an object store.

    Raises
    ------
    ValueError
        If the target has another suffix, or is inside a store, or nothing is selected.
    FileExistsError, FileNotFoundError
        If the target exists, or its folder does not.
    """
    target = check_target(out)
    ds = _complete(ds)
    if target.suffix in _NETCDF:
        _write_netcdf(ds, Path(str(target)))
    else:
        _write_zarr(ds, target)
    return target


def check_target(out: AnyPath) -> UPath:
    """Check that an export can be written; raises the errors of ``export``."""
    target = place(out)
    if target.suffix not in (*_NETCDF, ".zarr"):
        raise ValueError(f"expected a name that ends with .nc or .zarr, received {str(out)!r}")
    if within := [str(folder) for folder in target.parents if (folder / "zarr.json").exists()]:
        raise ValueError(f"{out} lies within the Zarr store {within[0]}: choose a place outside")
    taken = [target, *([] if target.suffix in _NETCDF else [manifest_path(target)])]
    if there := [str(path) for path in taken if path.exists()]:
        raise FileExistsError(f"{there[0]} exists already; remove it, or choose another name")
    if isinstance(target, Path) and not target.parent.is_dir():
        raise FileNotFoundError(f"{target.parent} is not a folder: create it, or choose another one")
    if target.suffix in _NETCDF and not isinstance(target, Path):
        raise ValueError(f"{out}: netCDF is written to a path of this machine; choose one, or a .zarr store")
    return target


def failed(ds: xr.Dataset) -> int:
    """Number of simulations whose status is not 'ok'."""
    return int((ds["status"].values != OK).sum())


def is_selection(sim: np.ndarray, attrs: Mapping[str, Any]) -> bool:
    """Whether these are only some simulations of a campaign, or all of them in another order.

    Parameters
    ----------
    sim
        Ids, shape (n,).
    attrs
        Attributes of the store. Archives of early versions do not contain the number of simulations.
    """
    n = attrs.get("n_simulations")
    if n is None or (sim < 0).any():  # ids below 0 are lost values of a damaged store
        return False
    # During an extension, an archive is longer than its attributes say.
    return sim.size < n or not np.array_equal(sim[:n], np.arange(n))


def described(sim: np.ndarray, attrs: Mapping[str, Any]) -> str:
    """Describe a selection in words."""
    return (
        f"a selection of {sim.size:,} of the {attrs['n_simulations']:,} simulations of campaign "
        f"{attrs['campaign']!r}, not a sealed archive"
    )


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


def _complete(ds: xr.Dataset) -> xr.Dataset:
    """Dataset with all dims, small variables in memory, and without the encoding of its old store."""
    if missing := [name for name in ("sim", "source", "status") if name not in ds.variables]:
        raise ValueError(f"expected simulations with {', '.join(missing)}, received {list(ds.variables)}")
    if "region" not in ds.dims:
        expanded = ds["source"].expand_dims("region")
        ds = ds.drop_vars("region", errors="ignore").assign(source=expanded)
    if "sim" not in ds.dims:  # a single simulation: its parameters are scalars
        single = [name for name in ds.coords if name != "sim" and ds[name].ndim == 0]
        ds = ds.reset_coords(single).expand_dims("sim").set_coords(single)
    if ds.sizes["sim"] == 0:
        raise ValueError("expected at least one simulation, received none")
    source = ds["source"].transpose("sim", "region", "time").variable
    complete = ds.drop_vars("source").compute().assign(source=source).drop_encoding()
    complete.encoding = {}
    return complete


def _write_netcdf(ds: xr.Dataset, target: Path) -> None:
    unfinished = target.with_name(target.name + ".partial")
    compressed = {"zlib": True, "complevel": 1, "shuffle": True}
    try:
        ds.to_netcdf(unfinished, engine="h5netcdf", encoding={"source": compressed})
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _write_zarr(ds: xr.Dataset, target: UPath) -> None:
    n_bytes = 4 * ds["source"].sizes["region"] * ds["source"].sizes["time"]
    n = ds.sizes["sim"]
    chunk = max(1, min(n, int(_CHUNK // n_bytes)))
    shard = chunk * max(1, min(-(-n // chunk), int(_SHARD // (chunk * n_bytes))))
    inner = ds["source"].shape[1:]
    local = isinstance(target, Path)
    unfinished = target.with_name(target.name + ".partial") if local else target
    encoding: dict[str, dict[str, Any]] = {
        "source": {
            "chunks": (chunk, *inner), "shards": (shard, *inner), "compressors": SOURCE_CODECS,
            "fill_value": np.float32("inf"), "write_empty_chunks": True,
        }
    }  # fmt: skip
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ZarrUserWarning)
            ds.assign(source=ds["source"].chunk({"sim": shard})).to_zarr(
                str(unfinished), mode="w", zarr_format=3, encoding=encoding, consolidated=True
            )
        sizes = {"shard_size": shard, "chunk_size": chunk}
        manifest = _manifest(ds, target) | sizes | {"files": checksums(unfinished)}
        if local:
            unfinished.rename(target)
        if "specification" in ds.attrs:
            write_atomically(manifest_path(target), json.dumps(manifest, indent=1).encode())
    finally:
        if local:
            shutil.rmtree(str(unfinished), ignore_errors=True)


def _manifest(ds: xr.Dataset, target: UPath) -> dict[str, Any]:
    attrs = ds.attrs
    if "specification" not in attrs:
        return {}
    return {
        "format": FORMAT,
        "selection": True,
        "campaign": attrs["campaign"],
        "store": target.name,
        "config_hash": attrs["config_hash"],
        "specification": json.loads(attrs["specification"]),
        "n_simulations": ds.sizes["sim"],
        "n_regions": ds.sizes["region"],
        "n_times": ds.sizes["time"],
        "counts": count_statuses(ds["status"].values),
        "created": {"git_commit": attrs["git_commit"], "versions": json.loads(attrs["versions"])},
        "sealed": {},
    }


def _select(ds: xr.Dataset, query: str) -> xr.Dataset:
    try:
        return ds.query(sim=query)
    except Exception as error:
        names = ", ".join(str(name) for name in ds.variables if ds[name].dims == ("sim",))
        raise ValueError(
            f"query {query!r}: {error}; expected an expression such as 'A_e > 4 and status == 0' over {names}"
        ) from error


def _ranges(ds: xr.Dataset) -> str:
    """Ranges of the parameters that vary, for the message about an empty selection."""
    varied = [name for name in ds.attrs.get("varied_names", []) if name in ds]
    return "there are " + ", ".join(f"{n} {ds[n].values.min():g} to {ds[n].values.max():g}" for n in varied)
