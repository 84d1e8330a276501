"""Summary of a campaign: expected size and time before it runs, and results afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

from jrflow.archive.layout import stored_bytes
from jrflow.archive.manifest import Manifest
from jrflow.archive.paths import free_bytes, free_files, is_local
from jrflow.archive.shards import read_design
from jrflow.archive.store import Archive
from jrflow.campaign.shard import simulate_design
from jrflow.config.config import Config
from jrflow.config.sizes import duration, readable
from jrflow.model.protocol import EvokedProtocol
from jrflow.planning.cost import trial_simulations
from jrflow.specification import Specification

#: Size from which the summary reminds of quotas, bytes.
_MANY_FILES, _MANY_BYTES = 1000, 10e9


@dataclass(frozen=True)
class Estimate:
    """Estimate from a trial run: seconds on one core and bytes on the disk of one simulation."""

    seconds: float
    n_bytes: float


def announce(
    config: Config,
    archive: Archive,
    n_shards: int,
    todo: list[int],
    damaged: list[int],
    state: str,
    progress: TextIO | None,
) -> None:
    """Write what will be simulated, and the expected time and space.

    Parameters
    ----------
    config
        The run's configuration.
    archive
        The campaign's archive.
    n_shards
        Number of shards of the campaign, or of the block.
    todo, damaged
        Shards that will be simulated, and those of them that exist but cannot be read.
    state
        'created', 'found' or 'extended'.
    progress
        Where the summary is written; None for no output.
    """
    if progress is None:
        return

    def say(text: str) -> None:
        print(f"{archive.path.stem}: {text}", file=progress, flush=True)

    layout, done = archive.layout, n_shards - len(todo)
    if state == "extended" or done:
        going = "extended" if state == "extended" else "going on"
        say(f"{going}; shards done: {done} of {n_shards}")
        for change in archive.changed_versions():
            say(f"note: {change} since the campaign was started; last digits may differ")
    if damaged:
        say(f"shards that cannot be read and will be simulated again: {', '.join(map(str, damaged))}")
    n_bytes = layout.n_bytes(todo)
    say(
        f"simulations: {layout.n_simulations}, shards: {layout.n_shards}, files: up to {layout.n_files}; "
        f"shards to simulate: {len(todo)}, up to {readable(n_bytes)}{_free(archive)}, in {archive.path}"
    )
    n_simulations = layout.total(todo)
    estimate = _trial(archive, todo[0], n_simulations) if todo else None
    if estimate is not None:
        cores = config.execution.n_cores
        seconds = n_simulations * estimate.seconds / cores
        say(
            f"estimated from a trial: {duration(seconds)} on {cores} core{'s' if cores > 1 else ''}, "
            f"{readable(n_simulations * estimate.n_bytes)} after compression"
        )
    for line in _quotas(archive, n_bytes):
        say(line)


def conclude(specification: Specification, manifest: Manifest, progress: TextIO | None) -> None:
    """Write how many simulations settled before the last trial, and at which steps others failed."""
    if progress is None:
        return
    name, protocol = specification.campaign, specification.simulation.protocol
    steady = manifest.steady_state
    if isinstance(protocol, EvokedProtocol) and steady is not None and steady.fraction is not None:
        print(
            f"{name}: settled before the last trial: {steady.settled} simulations "
            f"({steady.fraction:.1%}); median of trials: {steady.median_trials:g} of "
            f"{protocol.n_trials}",
            file=progress,
        )
    for meaning, failed in manifest.failures.items():
        print(
            f"{name}: failed ({meaning}): {failed.simulations} simulations, at steps "
            f"{failed.first_step} to {failed.last_step}",
            file=progress,
        )


def _trial(archive: Archive, shard: int, n_simulations: int) -> Estimate | None:
    """Simulate and compress some simulations of a shard; None if this takes as long as the campaign."""
    layout, ids = archive.layout, archive.layout.simulations(shard)
    n = trial_simulations(layout.n_regions, n_simulations)
    if n == 0 or ids.stop - ids.start < n:
        return None
    specification, design = archive.specification, read_design(archive, slice(ids.start, ids.start + n))
    simulate_design(specification, design)  # compiles the kernel, or loads it from the cache
    begin = time.perf_counter()
    source = simulate_design(specification, design)["source"].values
    n_bytes = stored_bytes(source, layout.chunk_size)
    return Estimate((time.perf_counter() - begin) / n, n_bytes / n)


def _free(archive: Archive) -> str:
    return f" (free: {readable(free_bytes(archive.path))})" if is_local(archive.path) else ""


def _quotas(archive: Archive, n_bytes: int) -> Iterator[str]:
    """Quotas that may be exhausted in addition to the space on the disk."""
    layout, free = archive.layout, free_files(archive.path) if is_local(archive.path) else None
    if free is not None and free < 2 * layout.n_files:
        yield f"warning: {free} files are left on this file system; raise execution.shard_size for fewer"
    if layout.n_files > _MANY_FILES:
        yield f"note: {layout.n_files} files; raise execution.shard_size for fewer"
    if layout.n_files > _MANY_FILES or n_bytes > _MANY_BYTES:
        yield "note: home and project folders often have quotas that the free space does not show: quota -s"
