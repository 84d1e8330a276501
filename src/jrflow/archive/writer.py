"""Reading a shard's design from a store and writing its simulations, whole and in order."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import numpy as np
import xarray as xr
import zarr
from upath import UPath

from jrflow.archive.attributes import read_specification
from jrflow.archive.chunks import ThroughZarr, chunk_reader
from jrflow.archive.layout import OUTCOMES, ShardLayout
from jrflow.archive.place import UNREADABLE, files, open_array
from jrflow.archive.status import NON_FINITE, NOT_SIMULATED, OUT_OF_RANGE
from jrflow.model.parameters import ALL_PARAMETERS


def pending_shards(store: UPath) -> list[int]:
    """Shards that are still to be simulated, in order.

    A shard is done when its file is there and none of its simulations has the status 'not yet
    simulated': the status is written after the source, so it never speaks of data that is not there.
    """
    layout = ShardLayout.of_store(store)
    pending = read_status(store) == NOT_SIMULATED
    there = {name for name, _ in files(store / "source")}
    return [
        shard
        for shard in range(layout.n_shards)
        if pending[layout.simulations(shard)].any() or f"c/{shard}/0/0" not in there
    ]


def read_status(store: UPath) -> np.ndarray:
    """Status of every simulation, int8, shape (n,); one that cannot be read says 'not yet simulated'."""
    stored, layout = open_array(store, "status"), ShardLayout.of_store(store)
    try:
        return np.asarray(stored[:])
    except UNREADABLE:
        status = np.full(layout.n_simulations, NOT_SIMULATED, np.int8)
        for ids in map(layout.simulations, range(layout.n_shards)):
            with suppress(*UNREADABLE):
                status[ids] = np.asarray(stored[ids])
        return status


def shard_of(name: str) -> int | None:
    """Number of the shard that a file of a store belongs to, by its name; None if it belongs to none."""
    variable, _, chunk = name.partition("/c/")
    return int(chunk.split("/")[0]) if chunk and variable in ("source", *OUTCOMES) else None


def shard_files(shard: int) -> tuple[str, ...]:
    """Names of a shard's files, in the order of writing; all but source and status may be absent."""
    return f"source/c/{shard}/0/0", *(f"{name}/c/{shard}" for name in OUTCOMES)


def shard_bytes(store: UPath, shards: Iterable[int]) -> int:
    """Size of some shards of a store before compression, bytes."""
    layout = ShardLayout.of_store(store)
    return sum(layout.nbytes(shard) for shard in shards)


def read_design(store: UPath, ids: slice) -> xr.Dataset:
    """Parameters of some simulations, over ``sim``, read from the store's coordinates."""
    group = zarr.open_group(str(store), mode="r", zarr_format=3)
    # G and speed are there in a network only.
    names = [name for name in ("sim", *ALL_PARAMETERS) if name in group]
    columns = {name: ("sim", open_array(store, name)[ids]) for name in names}
    return xr.Dataset(columns).set_coords("sim")


def read_shard(store: UPath, shard: int) -> dict[str, np.ndarray]:
    """What is stored of a shard: source and outcomes, by their names.

    Raises
    ------
    ValueError, RuntimeError, OSError
        If a file is damaged or lost: the checksum of every chunk is compared.
    """
    source = store / shard_files(shard)[0]
    if not source.exists() or source.stat().st_size == 0:  # for Zarr both are nothing but fill values
        raise FileNotFoundError(f"{store}: no source of shard {shard}")
    ids = ShardLayout.of_store(store).simulations(shard)
    return {"source": np.asarray(open_array(store, "source")[ids])} | _read_outcomes(store, shard, ids)


def _read_outcomes(store: UPath, shard: int, ids: slice) -> dict[str, np.ndarray]:
    stored = {name: np.asarray(open_array(store, name)[ids]) for name in OUTCOMES}
    # Where a file is lost, Zarr answers with the fill value.
    failed = np.isin(stored["status"], (NON_FINITE, OUT_OF_RANGE))
    if (failed & (stored["failed_step"] < 0)).any():
        raise ValueError(f"{store}: shard {shard} has lost the steps of its failures")
    evoked = read_specification(store)["simulation"]["protocol"]["kind"] == "evoked"
    if evoked and (stored["n_trials"][stored["status"] != NOT_SIMULATED] == 0).any():
        raise ValueError(f"{store}: shard {shard} has lost its numbers of trials")
    return stored


def is_damaged(store: UPath, shard: int) -> bool:
    """Whether a shard that should be there cannot be read."""
    try:
        source, ids = open_array(store, "source"), ShardLayout.of_store(store).simulations(shard)
        reader = chunk_reader(source)
        if isinstance(reader, ThroughZarr):
            read_shard(store, shard)
        else:
            # Chunk by chunk into one place: a third of the time, and no memory for a whole shard.
            _read_outcomes(store, shard, ids)
            out = np.empty(source.chunks, np.float32)
            for chunk in range(ids.start // reader.chunk_size, -(-ids.stop // reader.chunk_size)):
                reader.read(chunk, out)
    except UNREADABLE:
        return True
    return False


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
