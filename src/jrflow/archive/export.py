"""A selection of an archive as one netCDF file, for those who do not read Zarr."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from jrflow.archive.place import AnyPath
from jrflow.archive.query import open_archive


def export_netcdf(path: AnyPath, out: Path, query: str | None = None) -> int:
    """Write a selection of simulations to a netCDF-4 file; chunk by chunk, so that memory holds few of them.

    Parameters
    ----------
    path
        The archive.
    out
        File to write; it appears only when it is complete.
    query
        Expression over parameters and ``status``, such as ``A_e > 4 and status == 0``; by default all.

    Returns
    -------
    The number of simulations written.

    Raises
    ------
    ValueError
        If the query cannot be understood, or selects nothing.
    FileExistsError
        If the file is there already.
    """
    if out.exists():
        raise FileExistsError(f"{out} is there already; remove it, or choose another name")
    everything = open_archive(path)
    ds = everything if query is None else _select(everything, query)
    if ds.sizes["sim"] == 0:
        raise ValueError(f"query {query!r} selects none of the simulations; {_ranges(everything)}")
    for variable in ds.variables.values():
        variable.encoding = {}
    unfinished = out.with_name(out.name + ".partial")
    compressed = {"zlib": True, "complevel": 1, "shuffle": True}
    ds.to_netcdf(unfinished, engine="h5netcdf", encoding={"source": compressed})
    unfinished.replace(out)
    return int(ds.sizes["sim"])


def _select(ds: xr.Dataset, query: str) -> xr.Dataset:
    try:
        return ds.query(sim=query)
    except Exception as error:
        names = ", ".join(str(name) for name in ds.variables if ds[name].dims == ("sim",))
        raise ValueError(
            f"query {query!r}: {error}; expected an expression such as 'A_e > 4 and status == 0' over {names}"
        ) from error


def _ranges(ds: xr.Dataset) -> str:
    """Ranges of the parameters that vary, so that one sees what can be asked for."""
    varied = [name for name in ds.attrs.get("varied_names", []) if name in ds]
    return "there are " + ", ".join(f"{n} {ds[n].values.min():g} to {ds[n].values.max():g}" for n in varied)
