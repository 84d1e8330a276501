"""The shards of an archive: which are done, reading them, and writing them whole and in order."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import xarray as xr

from jrflow.archive.chunks import ShardFiles
from jrflow.archive.layout import OUTCOMES, ShardLayout
from jrflow.archive.paths import UNREADABLE, files
from jrflow.archive.store import Archive
from jrflow.archive.vocabulary import NON_FINITE, NOT_SIMULATED, OUT_OF_RANGE
from jrflow.model import MODEL

#: Source and outcomes of some simulations, by their names.
Stored = dict[str, np.ndarray]


def shard_files(shard: int) -> tuple[str, ...]:
    """Names of a shard's files, in the order of writing; all but source and status may be absent."""
    return f"source/c/{shard}/0/0", *(f"{name}/c/{shard}" for name in OUTCOMES)


def shard_of(name: str) -> int | None:
    """Number of the shard that a file of a store belongs to, by its name; None if it belongs to none."""
    variable, _, chunk = name.partition("/c/")
    return int(chunk.split("/")[0]) if chunk and variable in ("source", *OUTCOMES) else None


def pending_shards(archive: Archive, shards: range | None = None) -> list[int]:
    """Find the shards that are still to be simulated.

    A shard is done when its file is there and none of its simulations has the status 'not yet
    simulated': the status is written after the source, so it never speaks of data that is not there.

    Parameters
    ----------
    archive
        The archive.
    shards
        Shards to look at; by default all. No file of another shard is touched, so that many jobs, each with
        its own shards, take the time of one look at the whole.

    Returns
    -------
    list of int
        Numbers of the shards, in order.
    """
    layout = archive.layout
    if shards is None:
        shards = range(layout.n_shards)
        there = {name for name, _ in files(archive.path / "source")}
    else:
        there = {f"c/{k}/0/0" for k in shards if (archive.path / shard_files(k)[0]).exists()}
    if not shards:
        return []
    first = layout.simulations(shards[0]).start
    pending = read_status(archive, shards) == NOT_SIMULATED

    def is_pending(shard: int) -> bool:
        ids = layout.simulations(shard)
        return bool(pending[ids.start - first : ids.stop - first].any()) or f"c/{shard}/0/0" not in there

    return [shard for shard in shards if is_pending(shard)]


def read_status(archive: Archive, shards: range | None = None) -> np.ndarray:
    """Read the status of every simulation of some adjacent shards; by default of all.

    Returns
    -------
    numpy.ndarray
        int8, shape (n,); a status that cannot be read is 'not yet simulated'.
    """
    stored, layout = archive.array("status"), archive.layout
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


def read_design(archive: Archive, ids: slice) -> xr.Dataset:
    """Parameters of some simulations, over ``sim`` (and ``region``), read from the store's coordinates."""
    # G and speed are there in a network only.
    names = [name for name in ("sim", *MODEL.space) if archive.has(name)]
    columns = {name: np.asarray(archive.array(name)[ids]) for name in names}
    variables = {name: (("sim", "region")[: values.ndim], values) for name, values in columns.items()}
    return xr.Dataset(variables).set_coords("sim")


def read_shard(archive: Archive, shard: int) -> Stored:
    """Read source and outcomes of a shard.

    Raises
    ------
    ArchiveError
        If an array is missing, or its metadata are damaged.
    ValueError, RuntimeError, OSError
        If a file is damaged or lost: the checksum of every chunk is compared.
    """
    source = archive.path / shard_files(shard)[0]
    if not source.exists() or source.stat().st_size == 0:  # for Zarr both are nothing but fill values
        raise FileNotFoundError(f"{archive.path}: no source of shard {shard}")
    ids = archive.layout.simulations(shard)
    outcomes = _read_outcomes(archive, ids)
    _check_outcomes(archive, shard, outcomes)
    return {"source": np.asarray(archive.array("source")[ids])} | outcomes


def write_shard(archive: Archive, shard: int, simulated: xr.Dataset) -> None:
    """Write all simulations of one shard: first the source, last the status that declares it done.

    Parameters
    ----------
    archive
        The archive.
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
    ids = archive.layout.simulations(shard)
    _check_aligned(simulated, ids, archive.layout)
    archive.array("source", "r+")[ids] = simulated["source"].values.astype(np.float32, copy=False)
    for name in OUTCOMES:
        archive.array(name, "r+")[ids] = simulated[name].values


def remove_shard(archive: Archive, shard: int) -> None:
    """Remove what is there of a shard, first the status: it is then still to be simulated."""
    for name in reversed(shard_files(shard)):
        (archive.path / name).unlink(missing_ok=True)


def damaged_shards(archive: Archive, shards: Iterable[int]) -> list[int]:
    """Find shards that were written but cannot be read; every checksum in them is compared."""
    return damage_and_outcomes(archive, shards)[0]


def damage_and_outcomes(archive: Archive, shards: Iterable[int]) -> tuple[list[int], Stored]:
    """Find damaged shards as ``damaged_shards``, and return the outcomes that were read for it.

    One thread for each core decodes. Outcomes are read at once; of the source, no shard is held in memory as
    a whole.

    Returns
    -------
    damaged
        Numbers of the shards, in order.
    outcomes
        From the first simulation of the first shard to the last of the last; empty where one is damaged.
    """
    wanted = sorted(shards)
    if not wanted:
        return [], {}
    layout, reader = archive.layout, ShardFiles.of(archive.array("source"))
    first = layout.simulations(wanted[0]).start
    outcomes: Stored = {}
    with suppress(*UNREADABLE):
        outcomes = _read_outcomes(archive, slice(first, layout.simulations(wanted[-1]).stop))

    def is_damaged(shard: int) -> bool:
        ids = layout.simulations(shard)
        try:
            if reader is None:
                read_shard(archive, shard)
                return False
            own = {name: values[ids.start - first : ids.stop - first] for name, values in outcomes.items()}
            _check_outcomes(archive, shard, own or _read_outcomes(archive, ids))
            # Chunk by chunk into one place: a third of the time, and no memory for a whole shard.
            out = np.empty(archive.array("source").chunks, np.float32)
            for chunk in range(ids.start // reader.chunk_size, -(-ids.stop // reader.chunk_size)):
                reader.read(chunk, out)
        except UNREADABLE:
            return True
        return False

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        damaged = list(pool.map(is_damaged, wanted))
    return [shard for shard, bad in zip(wanted, damaged, strict=True) if bad], outcomes


def _read_outcomes(archive: Archive, ids: slice) -> Stored:
    return {name: np.asarray(archive.array(name)[ids]) for name in OUTCOMES}


def _check_outcomes(archive: Archive, shard: int, stored: Stored) -> None:
    """Raise a ``ValueError`` where a file is lost, for which Zarr answers with the fill value."""
    failed = np.isin(stored["status"], (NON_FINITE, OUT_OF_RANGE))
    if (failed & (stored["failed_step"] < 0)).any():
        raise ValueError(f"{archive.path}: shard {shard} has lost the steps of its failures")
    evoked = archive.specification.simulation.protocol.kind == "evoked"
    if evoked and (stored["n_trials"][stored["status"] != NOT_SIMULATED] == 0).any():
        raise ValueError(f"{archive.path}: shard {shard} has lost its numbers of trials")


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
