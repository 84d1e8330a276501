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
from jrflow.archive.space import check_space, explain_full_disk, free_bytes, readable
from jrflow.archive.writer import pending_shards, read_design, shard_bytes, write_shard
from jrflow.config.config import Config
from jrflow.config.simulation import SimulationConfig
from jrflow.config.suggest import did_you_mean
from jrflow.design import Prior, make_design
from jrflow.model.parameters import preset
from jrflow.model.timing import Timing
from jrflow.progress import Progress
from jrflow.provenance import campaign_seed, content_hash, git_commit, versions
from jrflow.simulation import COLUMN, simulate


@dataclass(frozen=True)
class ShardTask:
    """All that a worker is told: which shard of which store. The store holds everything else."""

    store: str
    shard: int


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
        return seal(store, provenance)


def specify(config: Config, name: str) -> dict[str, Any]:
    """Everything that the simulations of a campaign depend on, resolved, as JSON.

    Raises
    ------
    ValueError
        If there is no such campaign.
    """
    if name not in config.campaigns:
        raise ValueError(f"unknown campaign {name!r}{did_you_mean(name, config.campaigns)}")
    campaign = config.campaigns[name]
    simulation = config.simulation.model_dump(mode="json")
    if simulation["solver"] == "preset":
        simulation["solver"] = preset(campaign.preset).solver
    seed = campaign_seed(config.run.seed, name) if campaign.seed is None else campaign.seed
    return {
        "campaign": name,
        "design": campaign.design,
        "n": campaign.n,
        "preset": campaign.preset,
        "seed": seed,
        "prior": Prior.of(config.priors[campaign.prior], campaign.preset).describe(),
        "simulation": simulation,
    }


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
    settings = SimulationConfig.model_validate(specification["simulation"])
    simulated = simulate(
        read_design(store, shard),
        preset=specification["preset"],
        protocol=settings.protocol,
        solver=settings.solver,
        dt=settings.dt,
        sfreq=settings.sfreq,
        seed=specification["seed"],
        precision=settings.precision,
        max_source=settings.max_source,
        n_threads=1,
    )
    write_shard(store, shard, simulated)


def _create(config: Config, specification: dict[str, Any], store: Path) -> None:
    """Draw the design and create the store with it, if it can fit."""
    campaign = config.campaigns[specification["campaign"]]
    prior = Prior.of(config.priors[campaign.prior], campaign.preset)
    design = make_design(campaign, prior, specification["seed"])
    simulation = specification["simulation"]
    timing = Timing.of(config.simulation.protocol, simulation["dt"], simulation["sfreq"])
    execution = config.execution
    layout = ShardLayout(design.sizes["sim"], 1, timing.n_times, execution.shard_size, execution.chunk_size)
    n_bytes = sum(layout.nbytes(shard) for shard in range(layout.n_shards))
    check_space(store, n_bytes)
    store.parent.mkdir(parents=True, exist_ok=True)
    manifest_path(store).unlink(missing_ok=True)  # of a store that was deleted
    with explain_full_disk(store, f"creating campaign {store.stem!r}", lambda: n_bytes):
        attrs = design.attrs | _attributes(specification) | {"n_epochs": timing.n_epochs}
        create_store(store, design, [COLUMN], timing.times, layout, attrs)


def _attributes(specification: dict[str, Any]) -> dict[str, Any]:
    """Attributes that make a store explain itself; a worker needs nothing else."""
    simulation = specification["simulation"]
    return {
        "campaign": specification["campaign"],
        **{key: simulation[key] for key in ("protocol", "solver", "dt", "sfreq", "precision", "max_source")},
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
        f"{name}: simulations: {layout.n_simulations}, shards: {layout.n_shards}, files: {layout.n_files}; "
        f"shards to simulate: {len(pending)}, up to {n_bytes} (free: {free}), in {store}",
        file=progress,
        flush=True,
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
