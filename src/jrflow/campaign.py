"""One campaign from its configuration to a sealed archive: design, simulate what is missing, seal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from jrflow.archive.errors import ArchiveError, ShardError
from jrflow.archive.identity import changed_versions, check_belongs, read_specification
from jrflow.archive.layout import ShardLayout, create_store
from jrflow.archive.manifest import Manifest, check_intact, manifest_path, read_manifest, seal
from jrflow.archive.space import check_space, explain_full_disk, free_bytes
from jrflow.archive.writer import pending_shards, read_design, shard_bytes, write_shard
from jrflow.config.config import Config
from jrflow.config.sizes import readable
from jrflow.design import make_design
from jrflow.progress import Progress
from jrflow.provenance import content_hash, git_commit, versions
from jrflow.simulation import COLUMN, simulate
from jrflow.specification import connectome_of, prior_of, simulate_arguments, specify


@dataclass(frozen=True)
class ShardTask:
    """All that a worker is told: which shard of which store. The store holds everything else."""

    store: str
    shard: int


#: Settings of the simulation that stand among a store's attributes; all of them are in its specification.
_SHOWN = ("protocol", "solver", "dt", "sfreq", "precision", "backend", "max_source")

#: Applies a function to every task, in any order, and yields the results as they come.
MapShards = Callable[[Callable[[ShardTask], int], list[ShardTask]], Iterable[int]]


def run_campaign(
    config: Config,
    name: str,
    folder: Path,
    map_shards: MapShards = map,
    progress: TextIO | None = sys.stderr,
) -> Manifest:
    """Design a campaign, simulate the shards that are not done yet, and seal its archive.

    Started again after an interruption it does the rest only; of a sealed archive it only returns the
    manifest. The values depend on neither the workers nor the shards.

    Parameters
    ----------
    config
        The run's configuration.
    name
        Name of the campaign in it.
    folder
        Where <name>.zarr and <name>.json are, or will be.
    map_shards
        Carries out the tasks; by default one after another in this process.
    progress
        Where the plan and the progress are written; None for silence.

    Returns
    -------
    The manifest.

    Raises
    ------
    ValueError
        If there is no such campaign, or its design is impossible.
    ArchiveError
        If a store of another campaign is in the way, a shard fails, or the disk is full.
    """
    specification = specify(config, name)
    store = folder / f"{name}.zarr"
    resumed = store.exists()
    if resumed:
        check_belongs(store, specification)
        manifest = read_manifest(store)
        if manifest is not None:
            check_intact(store)
            return manifest
    else:
        _create(config, specification, store)

    pending = pending_shards(store)
    check_space(store, shard_bytes(store, pending))
    _announce(name, store, pending, resumed, progress)
    started = time.perf_counter()
    n_simulated = _simulate(name, store, pending, map_shards, progress)
    seconds = round(time.perf_counter() - started, 3)
    provenance = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "git_commit": git_commit(),
        "versions": versions(),
        "last_run": {"simulations": n_simulated, "seconds": seconds},
    }
    with explain_full_disk(store, f"sealing campaign {name!r}", lambda: 0):
        manifest = seal(store, provenance)
    _conclude(name, manifest, progress)
    return manifest


def simulate_shard(task: ShardTask) -> int:
    """Simulate and write one shard, on whatever worker; safe to repeat.

    Returns
    -------
    The number of simulations.

    Raises
    ------
    ShardError
        With campaign, shard and simulations, in place of any error.
    DiskFullError
        If the disk is full.
    """
    store = Path(task.store)
    ids = ShardLayout.of_store(store).simulations(task.shard)
    where = f"campaign {store.stem!r}, shard {task.shard} (simulations {ids.start}..{ids.stop - 1})"
    try:
        with explain_full_disk(store, where, lambda: shard_bytes(store, pending_shards(store))):
            _simulate_and_write(store, task.shard)
    except ArchiveError:
        raise
    except Exception as error:
        raise ShardError(f"{where}: {type(error).__name__}: {error}") from error
    return ids.stop - ids.start


def _simulate_and_write(store: Path, shard: int) -> None:
    specification = read_specification(store)
    simulated = simulate(read_design(store, shard), **simulate_arguments(specification), n_threads=1)
    write_shard(store, shard, simulated)


def _create(config: Config, specification: dict[str, Any], store: Path) -> None:
    """Draw the design and create the store with it, if it can fit."""
    name = specification["campaign"]
    design = make_design(config.campaigns[name], prior_of(config, name), specification["seed"])
    connectome, timing = connectome_of(specification), config.simulation.timing
    regions = [COLUMN] if connectome is None else list(connectome.names)
    sizes = config.execution.shard_size, config.execution.chunk_size
    layout = ShardLayout(design.sizes["sim"], len(regions), timing.n_times, *sizes)
    n_bytes = sum(layout.nbytes(shard) for shard in range(layout.n_shards))
    check_space(store, n_bytes)
    store.parent.mkdir(parents=True, exist_ok=True)
    manifest_path(store).unlink(missing_ok=True)  # of a store that was deleted
    with explain_full_disk(store, f"creating campaign {store.stem!r}", lambda: n_bytes):
        attrs = design.attrs | _attributes(specification) | {"n_epochs": timing.n_epochs}
        create_store(store, design, regions, timing.times, layout, attrs)


def _attributes(specification: dict[str, Any]) -> dict[str, Any]:
    """Attributes that make a store explain itself; a worker needs nothing else."""
    simulation = specification["simulation"]
    return {
        "campaign": specification["campaign"],
        **{key: simulation[key] for key in _SHOWN},
        "specification": specification,
        "config_hash": content_hash(specification),
        "git_commit": git_commit(),
        "versions": versions(),
    }


def _announce(name: str, store: Path, pending: list[int], resumed: bool, progress: TextIO | None) -> None:
    """Say what is about to happen, before it does."""
    if progress is None:
        return
    layout = ShardLayout.of_store(store)
    n_bytes, free = readable(shard_bytes(store, pending)), readable(free_bytes(store))
    if resumed:
        done = layout.n_shards - len(pending)
        print(f"{name}: going on; shards done: {done} of {layout.n_shards}", file=progress)
        for change in changed_versions(store, versions()):
            print(f"{name}: note: {change} since it was begun; last digits may differ", file=progress)
    print(
        f"{name}: simulations: {layout.n_simulations}, shards: {layout.n_shards}, files: up to "
        f"{layout.n_files}; shards to simulate: {len(pending)}, up to {n_bytes} (free: {free}), in {store}",
        file=progress,
        flush=True,
    )


def _conclude(name: str, manifest: Manifest, progress: TextIO | None) -> None:
    """Say how many simulations settled before the last trial, and when others failed."""
    if progress is None:
        return
    steady = manifest["steady_state"]
    if steady is not None and steady["fraction"] is not None:
        n_trials = manifest["specification"]["simulation"]["protocol"]["n_trials"]
        print(
            f"{name}: settled before the last trial: {steady['settled']} simulations "
            f"({steady['fraction']:.1%}); median of trials: {steady['median_trials']:g} of {n_trials}",
            file=progress,
        )
    for meaning, failed in manifest["failures"].items():
        print(
            f"{name}: failed ({meaning}): {failed['simulations']} simulations, at steps "
            f"{failed['first_step']} to {failed['last_step']}",
            file=progress,
        )


def _simulate(
    name: str, store: Path, pending: list[int], map_shards: MapShards, progress: TextIO | None
) -> int:
    """Simulate the pending shards; return the number of simulations."""
    if not pending:
        return 0
    layout = ShardLayout.of_store(store)
    sizes = [layout.simulations(shard) for shard in pending]
    total = sum(ids.stop - ids.start for ids in sizes)
    tasks = [ShardTask(str(store.absolute()), shard) for shard in pending]
    with Progress(name, total, progress) as bar:
        for n_simulations in map_shards(simulate_shard, tasks):
            bar.advance(n_simulations)
    return total
