"""Whether a shard of the campaigns fits a worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from jrflow.config.fault import Fault
from jrflow.config.sizes import readable

if TYPE_CHECKING:
    from jrflow.config.config import Config

#: A worker holds a shard's sources as they are simulated, and once more, partly compressed, when it writes
#: them: 1.8 times their size was measured, and 0.3 GB besides for Python and its packages.
_COPIES = 2
_BESIDES = 400e6
#: Largest chunk that the compressor takes.
_LARGEST_CHUNK = 2**31 - 1
#: Size of a chunk that is suggested: it is what reading one simulation costs.
_GOOD_CHUNK = 16e6


def shard_faults(config: Config, n_regions: int) -> Iterator[Fault]:
    """Find shards or chunks that are too large, and say which sizes would do.

    Parameters
    ----------
    config
        The run's configuration.
    n_regions
        Regions of its connectome, or 1.
    """
    execution, n_times = config.execution, config.simulation.timing.n_times
    values = n_regions * n_times
    size = values * (8 if config.simulation.precision == "float64" else 4)
    n_sims = min(execution.shard_size, max(config.n_simulations(name) for name in config.campaigns))
    needed, given = _COPIES * n_sims * size + _BESIDES, execution.memory_bytes
    of_what = f"simulations of {n_regions:,} regions and {n_times:,} samples"
    shard = _power_of_two((given - _BESIDES) / (_COPIES * size))
    chunk = min(shard, _power_of_two(_GOOD_CHUNK / (4 * values)))
    if needed > given:
        fits = _COPIES * shard * size + _BESIDES <= given
        smaller = f"set shard_size to {shard} and chunk_size to {chunk}, or " if fits else ""
        yield Fault(
            ("execution", "shard_size"),
            f"a worker on {n_sims:,} {of_what} needs {readable(needed)}, more than memory_per_worker "
            f"({execution.memory_per_worker}); {smaller}give workers more memory",
        )
    elif 4 * values * execution.chunk_size > _LARGEST_CHUNK:
        yield Fault(
            ("execution", "chunk_size"),
            f"{execution.chunk_size:,} {of_what} take {readable(4 * values * execution.chunk_size)}, but "
            f"at most {readable(_LARGEST_CHUNK)} can be compressed at once; set chunk_size to {chunk}",
        )


def _power_of_two(limit: float) -> int:
    """Largest power of two up to a limit, at least 1."""
    return 1 << (max(1, int(limit)).bit_length() - 1)
