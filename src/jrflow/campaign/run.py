"""Running a campaign, or one block of it: prepare the store, simulate what is missing, seal."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import Any, TextIO

from upath import UPath

from jrflow.archive.errors import ArchiveError
from jrflow.archive.integrity import damaged_shards
from jrflow.archive.layout import ShardLayout
from jrflow.archive.lock import claim_shards, claim_store
from jrflow.archive.manifest import Manifest, check_intact, read_manifest, seal
from jrflow.archive.place import AnyPath, is_local, place
from jrflow.archive.space import check_space, explain_full_disk
from jrflow.archive.writer import pending_shards, shard_bytes
from jrflow.campaign.plan import announce, conclude
from jrflow.campaign.shard import MapShards, simulate_shards
from jrflow.campaign.store import is_prepared, prepare_store
from jrflow.config.config import Config
from jrflow.planning.feasibility import check_simulations
from jrflow.provenance import git_commit, versions
from jrflow.specification import Specification

#: A store is created in seconds; so long may another process take for it, s.
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
        How long to wait while another process is at work on the same simulations, s; then what it left is
        done.

    Returns
    -------
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
    finished = _finished(config, specification, store)
    if finished is not None:
        return finished
    with claim_shards(store, wait=wait, progress=progress):
        # Whoever held it may have finished it.
        finished = _finished(config, specification, store)
        if finished is not None:
            return finished
        state = prepare_store(config, specification, store)
        started = time.perf_counter()
        n_simulated = _simulate(config, store, None, state, map_shards, progress)
        seconds = round(time.perf_counter() - started, 3)
        with explain_full_disk(store, f"sealing campaign {name!r}"):
            manifest = seal(store, sealed_by({"simulations": n_simulated, "seconds": seconds}))
    conclude(name, manifest, progress)
    return manifest


def design_campaign(
    config: Config, name: str, folder: AnyPath, progress: TextIO | None = None, wait: float = 0.0
) -> UPath:
    """Create the store of a campaign with its whole design, or make it as long as it should be; no more.

    Parameters as for ``run_campaign``.

    Returns
    -------
    The store. Raises as ``run_campaign``.
    """
    specification = Specification.of(config, name)
    check_simulations(config, name)
    store = _store(folder, name)
    if not is_prepared(config, specification, store):
        # Several jobs may come to create it; it is made longer only where nobody is at work on it.
        there, told = store.exists(), progress if wait else None
        new = claim_store(store, max(wait, _PATIENCE), told)
        with claim_shards(store, None, wait, told) if there else new:
            prepare_store(config, specification, store)
    return store


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

    The last word, sealing, has ``run_campaign``, when all blocks are done.

    Parameters
    ----------
    config, name, folder, map_shards, progress, wait
        As for ``run_campaign``.
    block
        Number of the block, from 1, and number of blocks.

    Returns
    -------
    The number of simulations that were missing. Raises as ``run_campaign``.
    """
    number, n_blocks = block
    if not 1 <= number <= n_blocks:
        raise ValueError(f"block: expected K/N with 1 <= K <= N, received {number}/{n_blocks}")
    store = design_campaign(config, name, folder, progress, wait)
    n_shards = ShardLayout.of_store(store).n_shards
    shards = range((number - 1) * n_shards // n_blocks, number * n_shards // n_blocks)
    if read_manifest(store) is not None or not shards:
        return 0
    with claim_shards(store, shards, wait, progress):
        if read_manifest(store) is not None:  # whoever held it did all the rest
            return 0
        return _simulate(config, store, shards, "found", map_shards, progress)


def sealed_by(last_run: dict[str, Any]) -> dict[str, Any]:
    """Who seals an archive: time, commit, versions, and what was done."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"time": now, "git_commit": git_commit(), "versions": versions(), "last_run": last_run}


def finished_campaign(config: Config, name: str, folder: AnyPath) -> Manifest | None:
    """Manifest of a campaign that is complete; None if there is something to do; raises as the others."""
    return _finished(config, Specification.of(config, name), _store(folder, name))


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


def _finished(config: Config, specification: Specification, store: UPath) -> Manifest | None:
    """Manifest of a campaign that is complete; None if there is something to do.

    Raises
    ------
    ArchiveError
        If another campaign is in the way, or files are damaged.
    """
    if not is_prepared(config, specification, store):
        return None
    manifest = read_manifest(store)
    if manifest is not None:
        check_intact(store)
    return manifest


def _simulate(
    config: Config,
    store: UPath,
    block: range | None,
    state: str,
    map_shards: MapShards,
    progress: TextIO | None,
) -> int:
    """Simulate the shards of a block, or all, that are not done; return the number of simulations."""
    shards = range(ShardLayout.of_store(store).n_shards) if block is None else block
    # A block looks at its own shards only: with all shards, the work of all jobs would grow with the square.
    pending = set(pending_shards(store, block))
    # Whatever was done before may have suffered since; what is done now is looked at when it is sealed.
    damaged = damaged_shards(store, (shard for shard in shards if shard not in pending))
    todo = [shard for shard in shards if shard in pending or shard in damaged]
    check_space(store, shard_bytes(store, todo))
    announce(config, store, len(shards), todo, damaged, state, progress)
    return simulate_shards(store, todo, map_shards, store.stem, progress)
