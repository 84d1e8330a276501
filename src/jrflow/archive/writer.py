"""Reading a shard's design from a store and writing its simulations, whole and in order."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import numpy as np
import xarray as xr
import zarr
from upath import UPath

from jrflow.archive.layout import OUTCOMES, ShardLayout
from jrflow.archive.place import UNREADABLE, files, open_array
from jrflow.archive.shards import StoredShards, shard_files
from jrflow.archive.status import NOT_SIMULATED
from jrflow.model import MODEL


def pending_shards(store: UPath, shards: range | None = None) -> list[int]:
    """Find the shards that are still to be simulated.

    A shard is done when its file is there and none of its simulations has the status 'not yet
    simulated': the status is written after the source, so it never speaks of data that is not there.

    Parameters
    ----------
    store
        The store.
    shards
        Shards to look at; by default all. No file of another shard is touched, so that many jobs, each with
        its own shards, take the time of one look at the whole.

    Returns
    -------
    list of int
        Numbers of the shards, in order.
    """
    layout = ShardLayout.of_store(store)
    if shards is None:
        shards = range(layout.n_shards)
        there = {name for name, _ in files(store / "source")}
    else:
        there = {f"c/{k}/0/0" for k in shards if (store / shard_files(k)[0]).exists()}
    if not shards:
        return []
    first = layout.simulations(shards[0]).start
    pending = read_status(store, shards) == NOT_SIMULATED

    def is_pending(shard: int) -> bool:
        ids = layout.simulations(shard)
        return bool(pending[ids.start - first : ids.stop - first].any()) or f"c/{shard}/0/0" not in there

    return [shard for shard in shards if is_pending(shard)]


def read_status(store: UPath, shards: range | None = None) -> np.ndarray:
    """Read the status of every simulation of some adjacent shards; by default of all.

    Returns
    -------
    numpy.ndarray
        int8, shape (n,); a status that cannot be read is 'not yet simulated'.
    """
    stored, layout = open_array(store, "status"), ShardLayout.of_store(store)
    parts = [layout.simulations(k) for k in (range(layout.n_shards) if shards is None else shards)]
    start, stop = parts[0].start, parts[-1].stop
    try:
        return np.asarray(stored[start:stop])
    except UNREADABLE:
        status = np.full(stop - start, NOT_SIMULATED, np.int8)
        for ids in parts:
            with suppress(*UNREADABLE):
                status[ids.start - start : ids.stop - start] = np.asarray(stored[ids])
        return status


def shard_bytes(store: UPath, shards: Iterable[int]) -> int:
    """Size of some shards of a store before compression, bytes."""
    layout = ShardLayout.of_store(store)
    return layout.total(shards) * layout.simulation_bytes


def read_design(store: UPath, ids: slice) -> xr.Dataset:
    """Parameters of some simulations, over ``sim`` (and ``region``), read from the store's coordinates."""
    group = zarr.open_group(str(store), mode="r", zarr_format=3)
    # G and speed are there in a network only.
    names = [name for name in ("sim", *MODEL.space) if name in group]
    columns = {name: np.asarray(open_array(store, name)[ids]) for name in names}
    variables = {name: (("sim", "region")[: values.ndim], values) for name, values in columns.items()}
    return xr.Dataset(variables).set_coords("sim")


def read_shard(store: UPath, shard: int) -> dict[str, np.ndarray]:
    """Read what is stored of a shard; raises as ``StoredShards.open`` and ``StoredShards.read``."""
    return StoredShards.open(store).read(shard)


def write_shard(store: UPath, shard: int, simulated: xr.Dataset) -> None:
    """Write all simulations of one shard: first the source, last the status that declares it done.

    Parameters
    ----------
    store
        The store.
    shard
        Number of the shard.
    simulated
        ``source`` (sim, region, time), ``n_trials``, ``failed_step`` and ``status`` (sim) of exactly the
        shard's simulations.

    Raises
    ------
    ValueError
        If the simulations are not those of the shard, or one of them has not been simulated.
    """
    layout = ShardLayout.of_store(store)
    ids = layout.simulations(shard)
    _check_aligned(simulated, ids, layout)
    # Without this a chunk of nothing but NaN would not be written, and could not be told from a loss.
    with zarr.config.set({"array.write_empty_chunks": True}):
        source = open_array(store, "source", "r+")
    source[ids] = simulated["source"].values.astype(np.float32, copy=False)
    # What is nothing but the fill value, such as the steps of failures where there were none, takes no file.
    for name in OUTCOMES:
        open_array(store, name, "r+")[ids] = simulated[name].values


def remove_shard(store: UPath, shard: int) -> None:
    """Remove what is there of a shard, first the status: it is then still to be simulated."""
    for name in reversed(shard_files(shard)):
        (store / name).unlink(missing_ok=True)


def _check_aligned(simulated: xr.Dataset, ids: slice, layout: ShardLayout) -> None:
    expected_shape = (ids.stop - ids.start, layout.n_regions, layout.n_times)
    if simulated["source"].shape != expected_shape:
        raise ValueError(f"expected source of shape {expected_shape}, received {simulated['source'].shape}")
    if not np.array_equal(simulated["sim"].values, np.arange(ids.start, ids.stop)):
        raise ValueError(
            f"expected exactly the simulations {ids.start}..{ids.stop - 1} in order: a shard is written "
            "whole, by one task; give write_shard what simulate returned for read_design of the same shard"
        )
    if (simulated["status"].values == NOT_SIMULATED).any():
        raise ValueError(f"status {NOT_SIMULATED} ('not yet simulated') cannot be written to a shard")
