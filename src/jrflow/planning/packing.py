"""Resources to request, from expected seconds and bytes, and the number of shards in a job."""

from __future__ import annotations

import math

from jrflow.config.config import Config
from jrflow.config.shards import shard_count
from jrflow.planning.cost import block_timer

#: Time asked for over the time expected: other processors, slow disks, priors that oscillate.
SAFETY = 3.0
#: Memory asked for over the memory expected: formulas of memory miss by less.
MEMORY_SAFETY = 1.5
#: Besides: a slow file system's imports, and compiling where nothing is in numba's cache yet, s.
ALLOWANCE_S = 180.0
#: The next attempt asks for so many times more time and memory.
_MORE_TIME, _MORE_MEMORY = 2.0, 1.5


def fitting_shards_per_block(
    config: Config,
    name: str,
    n_regions: int,
    n_cores: int,
    shortest_s: float,
    longest_s: float,
    most_jobs: int,
) -> int:
    """Choose how many shards of a campaign one job simulates.

    The smallest number that keeps all three bounds, for short jobs begin soon and lose little when they
    fail. Where they contradict each other, the number of jobs wins over the longest time (a scheduler
    refuses jobs beyond it, while a job that was ended goes on where it stopped), and that over the shortest
    (a short job only wastes its start).

    Parameters
    ----------
    config, name, n_regions
        As for ``jrflow.planning.cost.simulation_seconds``.
    n_cores
        Cores of a job.
    shortest_s, longest_s
        Expected time of a job, s.
    most_jobs
        Largest number of jobs, at least 1.

    Returns
    -------
    Shards of a job: all of the campaign, or a multiple of ``n_cores``, so that no core waits in a job that is
    full. The workflow gives all jobs of a campaign the same number, or one less.
    """
    n_shards = shard_count(config, name, n_regions)
    seconds = block_timer(config, name, n_regions, n_cores)

    def excess(n_rounds: int) -> tuple[float, float, float, int]:
        n_jobs = math.ceil(n_shards / min(n_shards, n_rounds * n_cores))
        largest, smallest = math.ceil(n_shards / n_jobs), n_shards // n_jobs
        too_many = max(0, n_jobs - most_jobs)
        return (
            too_many,
            max(0.0, seconds(largest) - longest_s),
            max(0.0, shortest_s - seconds(smallest)),
            n_rounds,
        )

    n_rounds = min(range(1, math.ceil(n_shards / n_cores) + 1), key=excess)
    return min(n_shards, n_rounds * n_cores)


def requested_minutes(seconds: float, attempt: int) -> int:
    """Minutes to ask a scheduler for: safe, with an allowance for the start, doubled at each attempt.

    Parameters
    ----------
    seconds
        Expected time, s.
    attempt
        1 for the first, as Snakemake counts.
    """
    return math.ceil((SAFETY * seconds + ALLOWANCE_S) / 60 * _MORE_TIME ** (attempt - 1))


def requested_mb(n_bytes: float, attempt: int) -> int:
    """Memory to ask a scheduler for, MB (10**6 bytes): safe, and half as much again at each attempt."""
    return math.ceil(MEMORY_SAFETY * n_bytes / 1e6 * _MORE_MEMORY ** (attempt - 1))
