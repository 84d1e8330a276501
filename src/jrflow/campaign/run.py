"""Running a campaign, or one block of it: prepare the store, simulate what is missing, seal."""

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
    """Design a campaign, simulate the shards that are not done yet, and seal its archive.

    Started again after an interruption it does the rest only; of a sealed archive it only returns the
    manifest. The values depend on neither the workers nor the shards. A campaign whose ``n`` has grown is
    extended: what is there stays.

    Parameters
    ----------
    config
        The run's configuration.
    name
        Name of the campaign in it.
    folder
        Where <name>.zarr and <name>.json are, or will be: a path, or the URL of an object store.
    map_shards
        Carries out the tasks; by default one after another in this process.
    progress
        Where the plan and the progress are written; None for silence.
    wait
        How long to wait while another process works on the same simulations, s. After that process has
        ended, the rest is simulated.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    ValueError
        If there is no such campaign, or its design is impossible.
    CampaignBusyError
        If another process is at work on the same campaign.
    ArchiveError
        If a store of another campaign is in the way, a shard fails, or the disk is full.
    """
    specification = Specification.of(config, name)
    check_simulations(config, name)
    store = _store(folder, name)
    finished = _finished(specification, store)
    if finished is not None:
        return finished
    with claim_shards(store, wait=wait, progress=progress):
        # Whoever held it may have finished it.
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
    """Create the store of a campaign with its whole design, or extend it; simulate nothing.

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
    """Simulate one of several equal parts of a campaign, for one of several jobs or machines.

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
        archive = Archive.open(archive.path)  # whoever held it may have made it longer
        if manifest_of(archive) is not None:  # or did all the rest
            return 0
        return _simulate(config, archive, shards, "found", map_shards, progress)


def finished_campaign(config: Config, name: str, folder: AnyPath) -> Manifest | None:
    """Manifest of a campaign that is complete; else None. Raises as ``run_campaign``."""
    return _finished(Specification.of(config, name), _store(folder, name))


def _store(folder: AnyPath, name: str) -> UPath:
    """Store of a campaign in a folder that exists or can be made.

    Raises
    ------
    ArchiveError
        If a file is in the way.
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
    # Several jobs may come to create it; it is made longer only where nobody is at work on it.
    there, shown = store.exists(), progress if wait else None
    new = claim_store(store, max(wait, _PATIENCE), shown)
    with claim_shards(store, None, wait, shown) if there else new:
        return prepare_archive(config, specification, store)[0]


def _finished(specification: Specification, store: UPath) -> Manifest | None:
    """Manifest of a campaign that is complete; None if simulations are missing.

    Raises
    ------
    ArchiveError
        If another campaign is in the way, or files are damaged.
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
    """Simulate those shards of a block, or of all, that are not done; return the number of simulations."""
    shards = range(archive.layout.n_shards) if block is None else block
    # A block looks at its own shards only: with all shards, the work of all jobs would grow with the square.
    pending = set(pending_shards(archive, block))
    # Whatever was done before may have suffered since; what is done now is looked at when it is sealed.
    damaged = damaged_shards(archive, (shard for shard in shards if shard not in pending))
    todo = [shard for shard in shards if shard in pending or shard in damaged]
    check_space(archive.path, archive.layout.n_bytes(todo))
    announce(config, archive, len(shards), todo, damaged, state, progress)
    return simulate_shards(archive, todo, map_shards, archive.path.stem, progress)
