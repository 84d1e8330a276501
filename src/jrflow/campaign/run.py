"""Run a campaign, or one block of it: prepare the store, simulate missing shards, seal the archive."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from upath import UPath

from jrflow.archive.errors import ArchiveError
from jrflow.archive.lock import claim_shards, claim_store
from jrflow.archive.manifest import Manifest, check_intact, manifest_of
from jrflow.archive.paths import AnyPath, check_space, explain_full_disk, is_local, place
from jrflow.archive.seal import seal, sealed_by
from jrflow.archive.shards import damaged_shards, pending_shards
from jrflow.archive.store import Archive
from jrflow.campaign.extend import State, find_archive, prepare_archive
from jrflow.campaign.plan import announce, conclude
from jrflow.campaign.shard import MapShards, simulate_shards
from jrflow.config.config import Config
from jrflow.planning.feasibility import check_simulations
from jrflow.specification import Specification

#: Longest time to wait while another process creates the store, s; this takes seconds.
_PATIENCE = 300.0


def run_campaign(
    config: Config,
    name: str,
    folder: AnyPath,
    map_shards: MapShards = map,
    progress: TextIO | None = sys.stderr,
    wait: float = 0.0,
) -> Manifest:
    """Design a campaign, simulate the missing shards, and seal the archive.

    After an interruption, only the missing shards are simulated. If the archive is sealed already, only the
    manifest is returned. The values depend neither on the workers nor on the shards. If the campaign's ``n``
    is larger than before, the archive is extended; existing simulations stay.

    Parameters
    ----------
    config
        The run's configuration.
    name
        Name of the campaign in the configuration.
    folder
        Folder of <name>.zarr and <name>.json: a path, or the URL of an object store.
    map_shards
        Function that runs the tasks; by default one after another in this process.
    progress
        Where the plan and the progress are written; None for no output.
    wait
        How long to wait while another process works on the same simulations, s. After it has ended, the
        missing shards are simulated.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    ValueError
        If the configuration has no such campaign, or its design is impossible.
    CampaignBusyError
        If another process is working on the same campaign.
    ArchiveError
        If a store of another campaign has this name, a shard fails, or the disk is full.
    """
    specification = Specification.of(config, name)
    check_simulations(config, name)
    store = _store(folder, name)
    finished = _finished(specification, store)
    if finished is not None:
        return finished
    with claim_shards(store, wait=wait, progress=progress):
        # The process that held the lock may have finished the campaign.
        finished = _finished(specification, store)
        if finished is not None:
            return finished
        archive, state = prepare_archive(config, specification, store)
        started = time.perf_counter()
        n_simulated = _simulate(config, archive, None, state, map_shards, progress)
        seconds = round(time.perf_counter() - started, 3)
        with explain_full_disk(store, f"sealing campaign {name!r}"):
            manifest = seal(archive, sealed_by({"simulations": n_simulated, "seconds": seconds}))
    conclude(specification, manifest, progress)
    return manifest


def design_campaign(
    config: Config, name: str, folder: AnyPath, progress: TextIO | None = None, wait: float = 0.0
) -> UPath:
    """Create the store of a campaign with its whole design, or extend it, without simulating.

    Parameters and errors are those of ``run_campaign``.

    Returns
    -------
    upath.UPath
        The store.
    """
    return _designed(config, name, folder, progress, wait).path


def run_block(
    config: Config,
    name: str,
    folder: AnyPath,
    block: tuple[int, int],
    map_shards: MapShards = map,
    progress: TextIO | None = sys.stderr,
    wait: float = 0.0,
) -> int:
    """Simulate one of several equal blocks of a campaign, so that several jobs or machines can share it.

    When all blocks are done, ``run_campaign`` seals the archive. Errors are those of ``run_campaign``.

    Parameters
    ----------
    config, name, folder, map_shards, progress, wait
        As for ``run_campaign``.
    block
        Number of the block, from 1, and number of blocks.

    Returns
    -------
    int
        The number of simulations that were missing.
    """
    number, n_blocks = block
    if not 1 <= number <= n_blocks:
        raise ValueError(f"block: expected K/N with 1 <= K <= N, received {number}/{n_blocks}")
    archive = _designed(config, name, folder, progress, wait)
    n_shards = archive.layout.n_shards
    shards = range((number - 1) * n_shards // n_blocks, number * n_shards // n_blocks)
    if manifest_of(archive) is not None or not shards:
        return 0
    with claim_shards(archive.path, shards, wait, progress):
        archive = Archive.open(archive.path)  # the process that held the lock may have extended it
        if manifest_of(archive) is not None:  # or simulated the rest
            return 0
        return _simulate(config, archive, shards, "found", map_shards, progress)


def finished_campaign(config: Config, name: str, folder: AnyPath) -> Manifest | None:
    """Manifest of a complete campaign, otherwise None; errors are those of ``run_campaign``."""
    return _finished(Specification.of(config, name), _store(folder, name))


def _store(folder: AnyPath, name: str) -> UPath:
    """Path of a campaign's store; the folder is created if necessary.

    Raises
    ------
    ArchiveError
        If the folder is a file.
    """
    where = place(folder)
    for path in (where, *where.parents) if is_local(where) else ():
        if path.exists() and not path.is_dir():
            raise ArchiveError(
                f"{where}: expected a folder for archives, but {path} is a file; choose another"
            )
    return place(where / f"{name}.zarr")


def _designed(config: Config, name: str, folder: AnyPath, progress: TextIO | None, wait: float) -> Archive:
    """Open the archive of a campaign with its whole design; parameters and errors as ``design_campaign``."""
    specification = Specification.of(config, name)
    check_simulations(config, name)
    store = _store(folder, name)
    archive = find_archive(specification, store)
    if archive is not None:
        return archive
    # Several jobs may create the store at once; it is extended only if no process works on it.
    there, shown = store.exists(), progress if wait else None
    new = claim_store(store, max(wait, _PATIENCE), shown)
    with claim_shards(store, None, wait, shown) if there else new:
        return prepare_archive(config, specification, store)[0]


def _finished(specification: Specification, store: UPath) -> Manifest | None:
    """Manifest of a complete campaign; None if simulations are missing.

    Raises
    ------
    ArchiveError
        If the store belongs to another campaign, or files are damaged.
    """
    archive = find_archive(specification, store)
    manifest = None if archive is None else manifest_of(archive)
    if manifest is not None:
        check_intact(store, manifest)
    return manifest


def _simulate(
    config: Config,
    archive: Archive,
    block: range | None,
    state: State,
    map_shards: MapShards,
    progress: TextIO | None,
) -> int:
    """Simulate the missing shards of a block, or of the campaign; return the number of simulations."""
    shards = range(archive.layout.n_shards) if block is None else block
    # A block reads the status of its own shards only: otherwise, work would grow with the square of blocks.
    pending = set(pending_shards(archive, block))
    # Shards of earlier runs may be damaged by now; shards of this run are checked when the archive is sealed.
    damaged = damaged_shards(archive, (shard for shard in shards if shard not in pending))
    todo = [shard for shard in shards if shard in pending or shard in damaged]
    check_space(archive.path, archive.layout.n_bytes(todo))
    announce(config, archive, len(shards), todo, damaged, state, progress)
    return simulate_shards(archive, todo, map_shards, archive.path.stem, progress)
