"""Parameter values as they are given: checked, completed by a preset's defaults, one for each column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from jrflow.config.suggest import did_you_mean
from jrflow.model.parameters import ALL_PARAMETERS, NETWORK_PARAMETERS, PARAMETERS, Preset

Parameters = Mapping[str, Any] | pd.DataFrame | xr.Dataset

#: Variables of an archive that are no parameters.
_OTHERS = ("sim", "region", "time", "source", "status", "failed_step", "n_trials", "varied")


@dataclass(frozen=True)
class Values:
    """Complete parameter values of a batch.

    Attributes
    ----------
    columns
        Every column parameter, float64, shape (n_sims, n_regions), or (n_sims, 1) where regions are alike.
    network
        G and speed, float64, shape (n_sims,).
    sim_ids
        Simulation ids, int64, shape (n_sims,).
    """

    columns: dict[str, np.ndarray]
    network: dict[str, np.ndarray]
    sim_ids: np.ndarray

    @classmethod
    def complete(cls, parameters: Parameters | None, chosen: Preset, n_regions: int | None) -> Values:
        """Check the parameters given and fill in the preset's defaults.

        Parameters
        ----------
        parameters
            Name to a number, to values of shape (n_sims,), or, in a network, (n_sims, n_regions).
        chosen
            Defaults of what is missing.
        n_regions
            Regions of the network; None for a column alone.

        Raises
        ------
        ValueError
            For an unknown name, a wrong shape, or a non-finite or impossible value.
        """
        given = {str(k): np.asarray(v) for k, v in _variables(parameters).items()}
        for name, value in given.items():
            _check(name, value, n_regions)
        lengths = {name: len(v) for name, v in given.items() if v.ndim > 0}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"parameters differ in their number of simulations: {lengths}")
        n_sims = next(iter(lengths.values()), 1)
        columns = {
            name: _spread(given.get(name, default), n_sims) for name, default in chosen.defaults.items()
        }
        network = {
            name: _spread(given.get(name, p.default), n_sims)[:, 0] for name, p in NETWORK_PARAMETERS.items()
        }
        return cls(columns, network, _sim_ids(parameters, n_sims))


def parameter_attrs(name: str) -> dict[str, str]:
    """Attributes of a parameter's coordinate."""
    return {"units": ALL_PARAMETERS[name].unit, "long_name": ALL_PARAMETERS[name].long_name}


def _spread(value: np.ndarray | float, n_sims: int) -> np.ndarray:
    """Values for every simulation, shape (n_sims, 1) or (n_sims, n_regions)."""
    values = np.asarray(value, np.float64)
    if values.ndim < 2:
        values = values.reshape(-1, 1)
    return np.broadcast_to(values, (n_sims, values.shape[1]))


def _variables(parameters: Parameters | None) -> Mapping[Any, Any]:
    if parameters is None:
        return {}
    if isinstance(parameters, xr.Dataset):
        order = [dim for dim in ("sim", "region") if dim in parameters.dims]
        return {
            name: parameters[name].transpose(*(d for d in order if d in parameters[name].dims)).values
            for name in parameters.variables
            if name not in _OTHERS
        }
    if isinstance(parameters, pd.DataFrame):
        return {name: parameters[name].to_numpy() for name in parameters.columns}
    return parameters


def _check(name: str, value: np.ndarray, n_regions: int | None) -> None:
    if name not in ALL_PARAMETERS:
        raise ValueError(f"unknown parameter {name!r}{did_you_mean(name, ALL_PARAMETERS)}")
    if name in NETWORK_PARAMETERS and n_regions is None:
        raise ValueError(f"parameter {name!r} belongs to a network: give a connectome, or leave it out")
    _check_shape(name, value, n_regions)
    if not np.issubdtype(value.dtype, np.number) or np.iscomplexobj(value):
        raise ValueError(f"parameter {name!r}: expected real numbers, received {value.dtype}")
    possible = np.isfinite(value) & (value > 0)
    expected = f"finite values above 0 {ALL_PARAMETERS[name].unit}"
    if name == "speed":
        possible, expected = value > 0, "values above 0 m/s (infinite for no delays)"
    elif name == "G":
        possible, expected = np.isfinite(value) & (value >= 0), "finite values, 0 or greater"
    if not possible.all():
        where = tuple(int(k) for k in np.argwhere(~np.atleast_1d(possible))[0])
        place = where[0] if len(where) == 1 else where
        raise ValueError(
            f"parameter {name!r}: expected {expected}, received {np.atleast_1d(value)[where]} at position "
            f"{place} ({(~possible).sum()} such values)"
        )


def _check_shape(name: str, value: np.ndarray, n_regions: int | None) -> None:
    per_region = name in PARAMETERS and n_regions is not None
    if value.size == 0 or value.ndim > (2 if per_region else 1):
        expected = "a number or one value per simulation"
        if per_region:
            expected += f", or shape (n_sims, {n_regions}) for values per region"
        raise ValueError(f"parameter {name!r}: expected {expected}, received shape {value.shape}")
    if value.ndim == 2 and value.shape[1] != n_regions:
        raise ValueError(
            f"parameter {name!r}: expected {n_regions} regions, as the connectome has, received shape "
            f"{value.shape}"
        )


def _sim_ids(parameters: Parameters | None, n_sims: int) -> np.ndarray:
    if isinstance(parameters, xr.Dataset) and "sim" in parameters.coords:
        ids = parameters["sim"].values
    elif isinstance(parameters, pd.DataFrame) and parameters.index.name == "sim":
        ids = parameters.index.to_numpy()
    else:
        return np.arange(n_sims, dtype=np.int64)
    if np.any(ids < 0) or len(np.unique(ids)) != len(ids):
        raise ValueError("simulation ids must be distinct and 0 or greater")
    return ids.astype(np.int64)
