"""Parameters by their labels: simulation ids, names of regions, units.

- The index of a pandas Series or DataFrame, and the coordinate ``sim`` of a DataArray or Dataset, are the
  simulation ids. An index may be called ``sim`` or have no name; it must hold distinct whole numbers of at
  least 0. ``reset_index(drop=True)`` counts simulations from 0 instead.
- Values with labels are aligned by them: all must have the same ids, in any order. The order of the first one
  is kept.
- Values without labels (lists, arrays) are taken in order, so they can join labelled ones only where all of
  these have one order.
- The coordinate ``region`` is aligned with the names of the connectome's regions.
- A unit that comes with the values (``attrs["units"]``) must be the parameter's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from jrflow.config.suggest import did_you_mean
from jrflow.model import MODEL
from jrflow.model.arguments import ArgumentTypeError, described
from jrflow.values.units import require_unit

Parameters = Mapping[str, Any] | pd.DataFrame | xr.Dataset

#: Variables of an archive that are no parameters.
_OTHERS = ("sim", "region", "time", "source", "status", "failed_step", "n_trials", "varied", "campaign_key")


def labelled(
    parameters: Parameters | None, regions: Sequence[str] | None
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Plain arrays in one order, and the simulation ids that they carry.

    Returns
    -------
    Arrays by parameter, shape (), (n_sims,) or (n_sims, n_regions), and ids, int64, shape (n_sims,); None
    where nothing carries ids.

    Raises
    ------
    ValueError
        If ids are no distinct whole numbers of at least 0, labels disagree, or a unit is another one.
    """
    arrays: dict[str, np.ndarray] = {}
    ids = _own_ids(parameters)
    for name, value in _variables(parameters).items():
        _require_known(name)
        require_unit(name, value)
        arrays[name], own = _plain(name, value, regions)
        if own is not None:
            ids[name] = own
    return _aligned(arrays, ids)


def _own_ids(parameters: Parameters | None) -> dict[str, np.ndarray]:
    """Ids of a table as a whole, which may hold no column."""
    if isinstance(parameters, pd.DataFrame):
        return {"index": _ids_of_index(parameters.index, "the table's index")}
    if isinstance(parameters, xr.Dataset) and "sim" in parameters.coords:
        return {"sim": _ids_of_coordinate(parameters, "the coordinate 'sim'")}
    return {}


def _require_known(name: Any) -> None:
    if name == "sim":
        raise ValueError(
            "simulation ids are labels, not a parameter: give them as the index of a DataFrame "
            "(frame.set_index('sim')) or as the coordinate 'sim' of a Dataset"
        )
    if not isinstance(name, str) or name not in MODEL.simulated:
        raise ValueError(f"unknown parameter {name!r}{did_you_mean(str(name), MODEL.simulated)}")


def _variables(parameters: Parameters | None) -> dict[Any, Any]:
    """Values by name, each with its own labels."""
    if parameters is None:
        return {}
    if isinstance(parameters, xr.Dataset):
        return {name: parameters[name] for name in parameters.variables if name not in _OTHERS}
    if isinstance(parameters, pd.DataFrame):
        if not parameters.columns.is_unique:
            twice = parameters.columns[parameters.columns.duplicated()][0]
            raise ValueError(f"parameters: expected one column for each parameter, received two of {twice!r}")
        units = parameters.attrs.get("units")
        columns = {name: parameters[name] for name in parameters.columns if name not in _OTHERS[1:]}
        for name, column in columns.items():
            column.attrs = {"units": units[name]} if isinstance(units, Mapping) and name in units else {}
        return columns
    if isinstance(parameters, Mapping):
        return dict(parameters)
    raise ArgumentTypeError(
        "parameters: expected a mapping of names to values, a DataFrame or a Dataset, received "
        f"{described(parameters)}; write {{{next(iter(MODEL.simulated))!r}: [3.0, 4.0]}}"
    )


def _plain(name: str, value: Any, regions: Sequence[str] | None) -> tuple[np.ndarray, np.ndarray | None]:
    """An array in the order (sim, region), and the ids of its simulations."""
    if isinstance(value, pd.Series):
        return _array(name, value.to_numpy()), _ids_of_index(value.index, f"parameter {name!r}")
    if isinstance(value, pd.DataFrame):
        raise ArgumentTypeError(
            f"parameter {name!r}: expected one value per simulation, received a DataFrame"
        )
    if isinstance(value, xr.DataArray):
        return _from_dataarray(name, value, regions)
    return _array(name, value), None


def _array(name: str, value: Any) -> np.ndarray:
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.getmaskarray(value).any():
            raise ValueError(
                f"parameter {name!r}: expected a value for each simulation, received masked ones"
            )
        value = value.data
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"parameter {name!r}: expected numbers, all rows of one length; received {described(value)}"
        ) from error
    return array


def _from_dataarray(
    name: str, value: xr.DataArray, regions: Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray | None]:
    if unknown := set(value.dims) - {"sim", "region"}:
        raise ValueError(
            f"parameter {name!r}: expected dims 'sim' and 'region', received {sorted(map(str, unknown))}"
        )
    if "region" in value.dims and regions is not None and "region" in value.coords:
        value = _of_regions(name, value, list(regions))
    order = [dim for dim in ("sim", "region") if dim in value.dims]
    array = _array(name, value.transpose(*order).values)
    if "region" in value.dims and "sim" not in value.dims:
        array = array[np.newaxis]  # one simulation
    if "sim" not in value.coords:
        return array, None
    return array, _ids_of_coordinate(value, f"parameter {name!r}")


def _ids_of_coordinate(labelled: xr.DataArray | xr.Dataset, where: str) -> np.ndarray:
    """Ids of simulations, or the one id that a selection leaves as a scalar coordinate."""
    if "sim" in labelled.indexes:
        return _ids_of_index(labelled.indexes["sim"], where)
    return _ids_of_index(pd.Index(labelled.coords["sim"].values.reshape(-1), name="sim"), where)


def _of_regions(name: str, value: xr.DataArray, regions: list[str]) -> xr.DataArray:
    """Bring values into the order of the connectome's regions."""
    given = [str(region) for region in value["region"].values]
    if sorted(given) != sorted(regions):
        odd = [one for one in given if one not in regions] or [one for one in regions if one not in given]
        raise ValueError(
            f"parameter {name!r}: its regions are not those of the connectome: {odd[0]!r} is only in one of "
            f"them ({len(given)} and {len(regions)} regions)"
        )
    return value.isel(region=[given.index(region) for region in regions])


def _ids_of_index(index: pd.Index, where: str) -> np.ndarray:
    """Simulation ids, int64."""
    remedy = "use whole numbers, or reset_index(drop=True) to count from 0"
    if index.nlevels > 1 or index.name not in (None, "sim"):
        raise ValueError(
            f"{where}: expected an index of simulation ids, called 'sim' or nothing, received the index "
            f"{list(index.names)}; rename it to 'sim', or {remedy.partition('or ')[2]}"
        )
    values = index.to_numpy()
    whole = values.dtype.kind in "iu" or (
        values.dtype.kind == "f" and bool(np.all(np.isfinite(values) & (values == np.floor(values))))
    )
    if not whole:
        raise ValueError(
            f"{where}: simulation ids: expected whole numbers, received {values[:3].tolist()} of type "
            f"{values.dtype}; {remedy}"
        )
    if len(values) and (values.min() < 0 or values.max() >= 2**63):
        raise ValueError(
            f"{where}: simulation ids must be 0 or greater and below 2**63, received {values.min()} to "
            f"{values.max()}; {remedy}"
        )
    if not index.is_unique:
        raise ValueError(f"{where}: simulation ids must be distinct, received {index[index.duplicated()][0]} "
                         f"twice; {remedy}")  # fmt: skip
    return values.astype(np.int64)


def _aligned(
    arrays: dict[str, np.ndarray], ids: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Bring labelled values into the order of the first of them."""
    if not ids:
        return arrays, None
    first, wanted = next(iter(ids.items()))
    moved = False
    for name, own in ids.items():
        if len(own) != len(wanted) or not np.array_equal(np.sort(own), np.sort(wanted)):
            odd = np.setxor1d(own, wanted)
            raise ValueError(
                f"parameters {first!r} and {name!r} are labelled with different simulation ids: {odd[0]} is "
                "only in one of them; select the same simulations, or give arrays without labels"
            )
        if not np.array_equal(own, wanted):
            moved = True
            if name in arrays:
                arrays[name] = arrays[name][pd.Index(own).get_indexer(pd.Index(wanted))]
    bare = [name for name, value in arrays.items() if name not in ids and value.ndim and len(value) > 1]
    if moved and bare:
        raise ValueError(
            f"parameter {bare[0]!r} has no simulation ids, and those of the others are in different orders: "
            "label it, too, or bring the others into one order"
        )
    return arrays, wanted
