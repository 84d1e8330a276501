"""Recording on a GPU: where each sample is stored, and how sums are copied to the host.

The rules are those of ``recording``. Which epochs a sample belongs to is the same for all simulations, so
it is looked up in tables instead of being divided out at every step. Arrays have simulations (in networks,
simulations and regions) innermost; below the rows that count, each has one more for the samples that
count for nothing, so that every sample is handled alike.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from jrflow.model.gpu_device import SIMULATED, cuda, kernel, on_device
from jrflow.model.recording import Schedule

#: Side of the tiles in which an array is transposed, and rows of threads for a tile.
TILE, _ROWS = (8, 8) if SIMULATED else (32, 8)


def samples_table(schedule: Schedule, n_samples: int) -> np.ndarray:
    """Where a sample goes.

    Returns
    -------
    Columns: row in the sum of epochs for the newest epoch; row in the trace of one period; the trial that
    begins with this sample, else -1; older epochs that hold this sample, too, each ``period`` rows further
    on, or -1 where epoch 0 begins the row. int32, shape (n_samples, 4).
    """
    t, sample = schedule, np.arange(n_samples)
    since, phase = sample - t.first, sample - t.onset
    newest = np.minimum(since // t.period, t.n_epochs - 1)
    row = since - newest * t.period
    held = (since >= 0) & (row < t.n_times)
    older = np.minimum(newest, (t.n_times - 1 - row) // t.period)
    columns = (
        np.where(held, row, t.n_times),
        np.where(phase >= 0, phase % t.period, t.period),
        np.where((phase >= 0) & (phase % t.period == 0), phase // t.period, -1),
        np.where(held & (newest > 0), older, -1),
    )
    return np.ascontiguousarray(np.stack(columns, axis=1), np.int32)


def times_table(schedule: Schedule) -> np.ndarray:
    """Where the samples of an epoch lie in a period.

    Returns
    -------
    Columns: row in the trace of one period; epochs that have got this sample at the onset of trial 0
    (negative: how many onsets later the first one gets it). int32, shape (n_times, 2).
    """
    t = schedule
    since_onset = t.first + np.arange(t.n_times) - t.onset
    return np.stack([since_onset % t.period, -(since_onset // t.period)], axis=1).astype(np.int32)


@on_device
def add_remaining(sums, trace, times, n, at, settled, n_epochs):  # type: ignore[no-untyped-def]
    """Add the epochs that are not simulated, once a simulation has settled with the onset of a trial."""
    for time in range(np.uint64(times.shape[0])):
        n_done = max(0, settled + times[time, 1])
        if n_done < n_epochs:
            rest = sums.dtype.type(n_epochs - n_done) * trace[np.uint64(times[time, 0]) * n + at]
            sums[time * n + at] = rest if n_done == 0 else sums[time * n + at] + rest


@cache
def mean_transposed(dtype: np.dtype) -> Any:
    """Kernel (sums, out, n_times, n_nodes, n_epochs): mean over epochs, in (n_nodes, n_times)."""
    real, width = dtype.type, TILE + 1  # beyond the tile: its columns then lie in different banks

    def run(sums, out, n_times, n_nodes, n_epochs):  # type: ignore[no-untyped-def]
        tile = cuda.shared.array((TILE, width), real)
        column, first = cuda.threadIdx.x, cuda.threadIdx.y
        node, time = cuda.blockIdx.x * TILE, cuda.blockIdx.y * TILE
        for row in range(first, TILE, _ROWS):
            if time + row < n_times and node + column < n_nodes:
                tile[row, column] = sums[np.int64(time + row) * n_nodes + node + column]
        cuda.syncthreads()
        for row in range(first, TILE, _ROWS):
            if node + row < n_nodes and time + column < n_times:
                out[np.int64(node + row) * n_times + time + column] = tile[column, row] / n_epochs

    return kernel(run, exact=True)


def transposition(n_times: int, n_nodes: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Shape of its launch: blocks, threads."""
    return (-(-n_nodes // TILE), -(-n_times // TILE)), (TILE, _ROWS)
