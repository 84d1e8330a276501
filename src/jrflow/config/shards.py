"""How large a campaign's shards and chunks are, and whether a worker can hold one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from jrflow.config.fault import Fault, Key
from jrflow.config.sizes import readable

if TYPE_CHECKING:
    from jrflow.config.config import Config

#: A worker holds a shard's sources as they are simulated, and once more, partly compressed, when it writes
#: them: 1.8 times their size was measured, and 0.3 GB besides for Python and its packages.
_COPIES = 2
_BESIDES = 400e6
#: Largest chunk that the compressor takes.
_LARGEST_CHUNK = 2**31 - 1
#: Sizes that are chosen, bytes before compression: a chunk is what reading one simulation costs; shards are
#: few enough for any quota of files, and small enough to be done again when a worker is lost.
_CHUNK = 1.5e6
_SHARD = (20e6, 2.0**27)
#: Settings that decide about shards.
_CONCERNED: tuple[Key, ...] = (
    *(("execution", name) for name in ("shard_size", "chunk_size", "memory_per_worker")),
    *(("simulation", name) for name in ("protocol", "sfreq", "precision", "connectome")),
)
#: Shards that a campaign has at least, where none becomes too small by it: work for so many workers.
_PARTS = 8


def shard_sizes(config: Config, name: str, n_regions: int) -> tuple[int, int]:
    """Simulations per shard and per chunk of a campaign: those configured, or else chosen by their size."""
    execution, n_bytes = config.execution, simulation_bytes(config, n_regions)
    chunk = execution.chunk_size or _power_of_two(_CHUNK / n_bytes)
    if execution.shard_size:
        fitting = min(chunk, execution.shard_size)
        return execution.shard_size, execution.chunk_size or math.gcd(execution.shard_size, fitting)
    smallest, largest = (size / n_bytes for size in _SHARD)
    largest = min(largest, _simulations_in_memory(config, n_regions))
    wanted = max(config.n_simulations(name) / _PARTS, smallest)
    shard = _power_of_two(min(wanted, largest))
    if execution.chunk_size:
        return max(1, shard // chunk) * chunk, chunk
    return shard, min(shard, chunk)


def shard_count(config: Config, name: str, n_regions: int) -> int:
    """Number of shards of a campaign."""
    return math.ceil(config.n_simulations(name) / shard_sizes(config, name, n_regions)[0])


def worker_bytes(config: Config, name: str, n_regions: int) -> float:
    """Memory that one worker needs to simulate and write one shard of a campaign, bytes."""
    n_sims = min(shard_sizes(config, name, n_regions)[0], config.n_simulations(name))
    return _COPIES * n_sims * simulation_bytes(config, n_regions) * _itemsize(config) / 4 + _BESIDES


def simulation_bytes(config: Config, n_regions: int) -> int:
    """Size of one simulation's sources in the archive, which keeps float32."""
    return 4 * n_regions * config.simulation.timing.n_times


def shard_faults(config: Config, n_regions: int) -> Iterator[Fault]:
    """Find shards or chunks that are too large, and say which sizes would do.

    Parameters
    ----------
    config
        The run's configuration.
    n_regions
        Regions of its connectome, or 1.
    """
    largest = max(config.campaigns, key=config.n_simulations, default=None)
    if largest is None:
        return
    shard, chunk = shard_sizes(config, largest, n_regions)
    n_sims, n_bytes = min(shard, config.n_simulations(largest)), simulation_bytes(config, n_regions)
    needed = worker_bytes(config, largest, n_regions)
    of_what = f"simulations of {n_regions:,} regions and {config.simulation.timing.n_times:,} samples"
    if needed > config.execution.memory_bytes:
        yield Fault(
            ("execution", "shard_size"),
            f"a worker on {n_sims:,} {of_what} needs {readable(needed)}, more than memory_per_worker "
            f"({config.execution.memory_per_worker}); {_smaller(config, n_regions)}give workers more memory",
            _CONCERNED,
        )
    elif n_bytes * chunk > _LARGEST_CHUNK:
        yield Fault(
            ("execution", "chunk_size"),
            f"{chunk:,} {of_what} take {readable(n_bytes * chunk)}, but at most {readable(_LARGEST_CHUNK)} "
            f"can be compressed at once; set chunk_size to {_power_of_two(_CHUNK / n_bytes)}",
            _CONCERNED,
        )


def _smaller(config: Config, n_regions: int) -> str:
    """Sizes that would fit, as the beginning of an advice; empty where not even one simulation does."""
    fits = _simulations_in_memory(config, n_regions)
    if fits < 1:
        return ""
    shard = _power_of_two(fits)
    chunk = min(shard, _power_of_two(_CHUNK / simulation_bytes(config, n_regions)))
    return f"set shard_size to {shard} and chunk_size to {chunk}, or "


def _simulations_in_memory(config: Config, n_regions: int) -> float:
    """How many simulations a worker can hold at once while it simulates and writes them."""
    room = (config.execution.memory_bytes - _BESIDES) / _COPIES
    return room / (simulation_bytes(config, n_regions) * _itemsize(config) / 4)


def _itemsize(config: Config) -> int:
    return 8 if config.simulation.precision == "float64" else 4


def _power_of_two(limit: float) -> int:
    """Largest power of two up to a limit, at least 1."""
    return 1 << (max(1, int(limit)).bit_length() - 1)
