"""What a sealed archive holds for each simulation besides its source: id, status, parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import zarr

from jrflow.archive.attributes import store_attributes
from jrflow.archive.errors import ArchiveError
from jrflow.archive.manifest import read_manifest
from jrflow.archive.place import place
from jrflow.archive.status import NOT_SIMULATED, OK, count_statuses
from jrflow.config.suggest import did_you_mean
from jrflow.model import MODEL


@dataclass(frozen=True)
class SimulationTable:
    """Small columns of an archive, in memory; row k belongs to row k of ``source``.

    Attributes
    ----------
    names
        Parameters, in the order of the columns of ``parameters``.
    parameters
        In the archive's units, float64, shape (n, n_parameters).
    sim
        Ids, int64, shape (n,).
    usable
        Whether a simulation is to be used, bool, shape (n,).
    """

    names: tuple[str, ...]
    parameters: np.ndarray
    sim: np.ndarray
    usable: np.ndarray

    @classmethod
    def read(
        cls, store: str, names: Sequence[str] | None, simulations: np.ndarray | Sequence[int] | None
    ) -> SimulationTable:
        """Read the parameters named, or all, and find which of the simulations chosen can be used.

        Raises
        ------
        ArchiveError
            If it is not an archive, or not sealed.
        ValueError
            If a name or an id is not in the archive, or no simulation is usable.
        """
        group = _open_sealed(store)
        known = [name for name in MODEL.space if name in group]
        names = tuple(known if names is None else names)
        columns = [_column(group, store, name, known) for name in names]
        sim = _values(group, "sim").astype(np.int64, copy=False)
        parameters = np.column_stack(columns) if columns else np.empty((len(sim), 0))
        return cls(names, parameters, sim, _usable(group, store, sim, simulations))


def _open_sealed(store: str) -> zarr.Group:
    where = place(store)
    store_attributes(where)
    group = zarr.open_group(str(where), mode="r", zarr_format=3)
    if read_manifest(where) is None:
        missing = int((_values(group, "status") == NOT_SIMULATED).sum())
        raise ArchiveError(
            f"{store} is not sealed: {missing} simulations are still to be run; start its campaign again to "
            "finish it"
        )
    return group


def _column(group: zarr.Group, store: str, name: str, known: Sequence[str]) -> np.ndarray:
    if name not in known:
        raise ValueError(f"{store} has no parameter {name!r}{did_you_mean(name, known)}")
    values = _values(group, name)
    if values.ndim > 1:
        raise ValueError(
            f"{name} differs between regions in {store}: expected one value a simulation; name the "
            "parameters that are wanted without it"
        )
    return values.astype(np.float64, copy=False)


def _usable(
    group: zarr.Group, store: str, sim: np.ndarray, simulations: np.ndarray | Sequence[int] | None
) -> np.ndarray:
    status = _values(group, "status")
    usable: np.ndarray = status == OK
    chosen = "simulations"
    if simulations is not None:
        chosen = f"{len(simulations)} simulations chosen"
        unknown = np.setdiff1d(simulations, sim)
        if len(unknown):
            raise ValueError(f"simulations: {store} has none with the ids {_some(unknown)}")
        usable &= np.isin(sim, simulations)
    if not usable.any():
        raise ValueError(
            f"{store}: expected {chosen} with status 0 (ok), found none; in all of it: "
            f"{count_statuses(status)}"
        )
    return usable


def _some(ids: np.ndarray) -> str:
    return ", ".join(map(str, ids[:5].tolist())) + (", ..." if len(ids) > 5 else "")


def _values(group: zarr.Group, name: str) -> np.ndarray:
    # Through the group, so that on an object store no metadata are asked for again.
    array = group[name]
    if not isinstance(array, zarr.Array):
        raise ArchiveError(f"expected an array {name!r} in an archive, found a group")
    return np.asarray(array[:])
