"""What is kept of a run, sample by sample: sums over epochs, the last period, the first failure.

Epochs are summed on the fly. Without process noise the trials of an evoked run converge to one another:
when the trace of one period between onsets repeats that of the period before, within a tolerance, the
rest is known. A lane's remaining epochs are then added from its last period, and a block whose lanes have
all settled stops. What a lane has added depends on that lane alone, never on how long the block went on.
The traces of a whole period are compared, not the states at its ends, so that a network with delays has
settled in all of its history.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jrflow.model.equations import Y1_ROW, Y2_ROW
from jrflow.model.lanes import PAD, compiled_entry, inlined, room, vectorise_fully
from jrflow.model.timing import Timing


class Schedule(NamedTuple):
    """Whole numbers of ``Timing`` that a kernel needs; ``onset`` is the sample of the first stimulus."""

    stride: int
    first: int
    onset: int
    period: int
    n_epochs: int
    n_times: int

    @classmethod
    def of(cls, timing: Timing) -> Schedule:
        """Take them from a timing."""
        onset = timing.first_sample + timing.n_baseline - 1
        return cls(timing.stride, timing.first_sample, onset, timing.period, timing.n_epochs, timing.n_times)


class Record(NamedTuple):
    """What one block of lanes has recorded; times and regions outside, lanes inside.

    Attributes
    ----------
    sums
        Sum over epochs of y1 - y2, shape (n_times, n_regions, lanes).
    trace
        y1 - y2 over the last period, shape (period, n_regions, lanes).
    change, low, high
        Largest difference from the period before; extremes of this period. Shape (lanes,).
    n_trials
        Trials simulated until the lane settled, 0 as long as it has not. Shape (lanes,).
    failed_step
        First step at which the source was not finite or out of range, -1 if none. Shape (lanes,).
    """

    sums: np.ndarray
    trace: np.ndarray
    change: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n_trials: np.ndarray
    failed_step: np.ndarray

    @classmethod
    def empty(cls, schedule: Schedule, n_regions: int, lanes: int, dtype: np.dtype, steady: bool) -> Record:
        """Nothing recorded yet; no room for a trace unless ``steady`` states are looked for."""
        period = schedule.period if steady else 0
        return cls(
            room(schedule.n_times, n_regions, lanes, dtype=dtype),
            room(period, n_regions, lanes, dtype=dtype),
            room(lanes, dtype=dtype),
            room(lanes, dtype=dtype),
            room(lanes, dtype=dtype),
            np.zeros(lanes, np.int32),
            np.full(lanes, -1, np.int32),
        )

    def clear(self) -> None:
        """Forget everything, for the next block of lanes."""
        for recorded in self:
            recorded[...] = 0
        self.failed_step[:] = -1


@inlined
def observe(r, t, Y, lanes, sample, steady, limit):  # type: ignore[no-untyped-def]
    """Take note of the present source.

    A lane whose source is out of the limit for the first time, or no number, keeps the step. With
    ``steady`` the source is compared with that one period ago, and kept. Every epoch that holds this
    sample gets it; epochs may overlap.
    """
    since = sample - t.first
    newest = min(since // t.period, t.n_epochs - 1)
    oldest = max(0, (since - t.n_times + t.period) // t.period)
    for region in range(Y.shape[0]):
        y1 = Y[region, Y1_ROW * (lanes + PAD) : Y1_ROW * (lanes + PAD) + lanes]
        y2 = Y[region, Y2_ROW * (lanes + PAD) : Y2_ROW * (lanes + PAD) + lanes]
        _watch(r, y1, y2, lanes, limit, np.int32(sample * t.stride))
        if steady and sample >= t.onset:
            _follow(r, y1, y2, r.trace[(sample - t.onset) % t.period, region], lanes)
        if since >= 0:
            for epoch in range(oldest, newest + 1):
                _add(r, y1, y2, r.sums[since - epoch * t.period, region], lanes, steady)


@inlined
def _watch(r, y1, y2, lanes, limit, step):  # type: ignore[no-untyped-def]
    vectorise_fully()
    for lane in range(lanes):
        fine = abs(y1[lane] - y2[lane]) <= limit
        failed = r.failed_step[lane]
        r.failed_step[lane] = failed if fine | (failed >= 0) else step


@inlined
def _follow(r, y1, y2, trace, lanes):  # type: ignore[no-untyped-def]
    vectorise_fully()
    for lane in range(lanes):
        x = y1[lane] - y2[lane]
        difference, change = abs(x - trace[lane]), r.change[lane]
        r.change[lane] = change if (difference <= change) | (change != change) else difference  # a NaN stays
        r.low[lane] = min(r.low[lane], x)
        r.high[lane] = max(r.high[lane], x)
        trace[lane] = x


@inlined
def _add(r, y1, y2, total, lanes, steady):  # type: ignore[no-untyped-def]
    vectorise_fully()
    for lane in range(lanes):
        added = total[lane] + (y1[lane] - y2[lane])
        total[lane] = total[lane] if steady and r.n_trials[lane] != 0 else added


@inlined
def settle(r, t, lanes, sample, tolerance):  # type: ignore[no-untyped-def]
    """At a trial's onset: finish the lanes whose last two periods were alike; how many go on?"""
    trial = (sample - t.onset) // t.period
    n_live = 0
    n_new = 0
    for lane in range(lanes):
        if r.n_trials[lane] == 0:
            if trial >= 2 and r.change[lane] <= tolerance * (r.high[lane] - r.low[lane]):
                r.n_trials[lane] = -trial  # settled just now
                n_new += 1
            else:
                n_live += 1
        r.change[lane], r.low[lane], r.high[lane] = 0, np.inf, -np.inf
    if n_new > 0:
        _add_remaining(r, t, lanes, sample)
    return n_live


@inlined
def _add_remaining(r, t, lanes, sample):  # type: ignore[no-untyped-def]
    """Add the epochs that are not simulated to the lanes that settled just now."""
    vectorise_fully()
    for time in range(t.n_times):
        n_done = max(0, -((t.first + time - sample) // t.period))
        n_left = max(0, t.n_epochs - n_done)
        phase = (t.first + time - t.onset) % t.period
        for region in range(r.sums.shape[1]):
            total, trace = r.sums[time, region], r.trace[phase, region]
            for lane in range(lanes):
                if r.n_trials[lane] < 0:
                    total[lane] += n_left * trace[lane]
    for lane in range(lanes):
        r.n_trials[lane] = abs(r.n_trials[lane])


#: Times that are turned over at once: with all lanes they fit the first-level cache.
_TILE = 64


@compiled_entry
def deliver(sums, n_epochs, source, block):  # type: ignore[no-untyped-def]
    """Write the means over epochs of a block's lanes to the places of its simulations.

    From (n_times, n_regions, lanes) to (n_sims, n_regions, n_times): tile by tile, or every number would be
    fetched from memory anew. Copies of one simulation write the same values to the same place.
    """
    n_times, n_regions, lanes = sums.shape
    for region in range(n_regions):
        for tile in range((n_times + _TILE - 1) // _TILE):
            start, end = tile * _TILE, min((tile + 1) * _TILE, n_times)
            for lane in range(lanes):
                row = source[block[lane], region]
                for time in range(start, end):
                    row[time] = sums[time, region, lane] / n_epochs
