"""Memory that a run takes, estimated before anything is allocated."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jrflow.model.problem import Problem

#: Simulations of a block at most.
_LANES = 64
_GIB = 2.0**30
#: A run of this size fits anywhere: to ask the system would take longer than many runs, bytes.
_SMALL = 2.0**28


def bytes_needed(problem: Problem) -> float:
    """Bytes of results, stimulus, coefficients and one block's record: a lower estimate."""
    n_sims, n_regions = len(problem.sim_ids), len(problem.stimulated)
    t, size = problem.timing, problem.dtype.itemsize
    results = float(n_sims) * n_regions * t.n_times * size
    lanes = min(_LANES, max(n_sims, 16))
    record = float(lanes) * n_regions * (t.n_times + (t.period if problem.steady else 0)) * size
    stimulus = float(t.n_steps) * 4 * (8 + size)
    return results + record + stimulus


def bytes_free() -> float:
    """Memory that this process may still take; infinite where the system does not say."""
    free = [np.inf]
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable"):
            free.append(float(line.split()[1]) * 1024)
    limit, used = (_lines(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    if limit and used and limit[0].strip().isdigit():
        free.append(float(limit[0]) - _unreclaimable(float(used[0])))
    return min(free)


def require_memory(problem: Problem) -> None:
    """Refuse a run that cannot fit, before memory is allocated.

    Raises
    ------
    ValueError
        If the run needs more memory than is free; the message says how much, and what takes it.
    """
    needed = bytes_needed(problem)
    if needed > _SMALL and needed > (free := bytes_free()):
        n_sims, n_regions = len(problem.sim_ids), len(problem.stimulated)
        raise ValueError(
            f"{n_sims} simulations of {n_regions} regions and {problem.timing.n_times} samples "
            f"({problem.timing.n_steps} steps) need {needed / _GIB:.3g} GiB of memory, but "
            f"{free / _GIB:.3g} GiB are free: simulate fewer at once, record at a lower sfreq or "
            "a shorter time (times are in seconds), or run a campaign, which writes to disk"
        )


def _unreclaimable(used: float) -> float:
    """Memory in use that the system cannot take back: without its file cache."""
    cache = [line for line in _lines("/sys/fs/cgroup/memory.stat") if line.startswith("file ")]
    return used - (float(cache[0].split()[1]) if cache else 0.0)


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="ascii").splitlines()
    except OSError:
        return []
