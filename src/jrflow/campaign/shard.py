"""Task of a worker: simulate one shard of a store and write it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TextIO

import numpy as np
import xarray as xr

from jrflow.archive.errors import ArchiveError, ShardError
from jrflow.archive.paths import explain_full_disk
from jrflow.archive.shards import Stored, pending_shards, read_design, read_shard, remove_shard, write_shard
from jrflow.archive.store import Archive, opened
from jrflow.archive.vocabulary import NOT_SIMULATED
from jrflow.progress import Progress
from jrflow.simulation import simulate
from jrflow.specification import Specification

_DIMS = {"source": ("sim", "region", "time")}


@dataclass(frozen=True)
class ShardTask:
    """Message to a worker: a store and a shard. The store contains all other information."""

    store: str
    shard: int


#: Function that applies a function to every task, in any order, and yields the results as they arrive.
MapShards = Callable[[Callable[[ShardTask], int], list[ShardTask]], Iterable[int]]


def simulate_shard(task: ShardTask) -> int:
    """Simulate and write the missing simulations of one shard, on any worker; safe to repeat.

    Returns
    -------
    int
        The number of simulations in the shard.

    Raises
    ------
    ShardError
        If anything fails; the message names campaign, shard and simulations.
    DiskFullError
        If the disk is full.
    """
    archive = opened(task.store)
    ids = archive.layout.simulations(task.shard)
    where = f"campaign {archive.path.stem!r}, shard {task.shard} (simulations {ids.start}..{ids.stop - 1})"
    try:
        with explain_full_disk(archive.path, where, lambda: archive.layout.n_bytes(pending_shards(archive))):
            _complete(archive, task.shard, ids)
    except ArchiveError:
        raise
    except Exception as error:
        raise ShardError(f"{where}: {type(error).__name__}: {error}") from error
    return ids.stop - ids.start


def simulate_shards(
    archive: Archive, shards: list[int], map_shards: MapShards, name: str, progress: TextIO | None
) -> int:
    """Simulate the missing simulations of some shards by ``map_shards``, and show the progress.

    Returns
    -------
    int
        The number of simulations in these shards.
    """
    total = archive.layout.total(shards)
    if shards:
        tasks = [ShardTask(str(archive.path), shard) for shard in shards]
        with Progress(name, total, progress) as bar:
            for n_simulations in map_shards(simulate_shard, tasks):
                bar.advance(n_simulations)
    return total


def simulate_design(specification: Specification, design: xr.Dataset) -> xr.Dataset:
    """Simulate some rows of a campaign's design on one core; the result of a row depends on this row only."""
    return simulate(design, **specification.simulate_arguments(), n_threads=1)


def _complete(archive: Archive, shard: int, ids: slice) -> None:
    """Simulate the missing simulations of a shard: none, all, or those that an extension has added."""
    stored = _stored(archive, shard)
    missing = np.ones(ids.stop - ids.start, bool) if stored is None else stored["status"] == NOT_SIMULATED
    if not missing.any():
        return
    design = read_design(archive, ids)
    simulated = simulate_design(archive.specification, design.isel(sim=missing))
    if stored is not None:
        for name, values in stored.items():
            values[missing] = simulated[name].values
        simulated = design.assign({name: (_DIMS.get(name, "sim"), v) for name, v in stored.items()})
    write_shard(archive, shard, simulated)


def _stored(archive: Archive, shard: int) -> Stored | None:
    """Stored values of a shard; None if there are none. A shard that cannot be read is removed."""
    try:
        return read_shard(archive, shard)
    except (FileNotFoundError, ValueError, RuntimeError):
        # Zarr reads a file before it replaces it, which would fail for a damaged file.
        remove_shard(archive, shard)
        return None
