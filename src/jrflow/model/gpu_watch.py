"""What a GPU thread records of the regions it computes: sums over epochs, the last period, failures.

The rules are those of ``recording``; what belongs together over the regions of a simulation is put
together once a period, in memory that the block shares.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from jrflow.model.equations import Y1_ROW, Y2_ROW
from jrflow.model.gpu_coupling import TEAM, node_of, seated
from jrflow.model.gpu_device import fresh, on_device
from jrflow.model.gpu_recording import add_remaining


class Record(NamedTuple):
    """What is recorded, nodes innermost; ``extremes``: change, low and high of a period."""

    sums: np.ndarray
    trace: np.ndarray
    extremes: np.ndarray
    n_trials: np.ndarray
    n_nodes: Any


class Watch(NamedTuple):
    """A thread's notes on its nodes.

    ``extremes``: change, low and high; ``seen``: the source, and the sum and the trace that it is added to
    and compared with.
    """

    extremes: np.ndarray
    seen: np.ndarray


@on_device
def forget(layout, b, w, record, times, period):  # type: ignore[no-untyped-def]
    """Nothing is recorded yet."""
    for k in range(layout.n_nodes):
        b.flags[4 * k], b.flags[4 * k + 1] = -1, 0
        w.extremes[3 * k], w.extremes[3 * k + 1], w.extremes[3 * k + 2] = b.zero, b.zero, b.zero
        node = node_of(layout, b, k)
        if node.records:
            for row in range(np.uint64(period), np.uint64(times.shape[0])):  # epoch 0 begins the others
                record.sums[row * record.n_nodes + node.at] = b.zero


@on_device
def see(steady, layout, b, w, record, row, phase, older, limit, step):  # type: ignore[no-untyped-def]
    """Note the present source, and ask for the numbers that it will be added to and compared with.

    They are on their way while the step is computed.
    """
    for k in range(layout.n_nodes):
        node = node_of(layout, b, k)
        if node.records:
            x = b.Y[k * b.size + Y1_ROW] - b.Y[k * b.size + Y2_ROW]
            if not abs(x) <= limit and b.flags[4 * k] < 0:
                b.flags[4 * k] = np.int32(step)
            w.seen[3 * k] = x
            here = np.uint64(np.uint32(row)) * record.n_nodes + node.at
            w.seen[3 * k + 1] = record.sums[here] if older >= 0 else b.zero
            if steady:
                w.seen[3 * k + 2] = record.trace[np.uint64(np.uint32(phase)) * record.n_nodes + node.at]


@on_device
def keep(steady, layout, b, w, record, row, phase, older, period):  # type: ignore[no-untyped-def]
    """Add what was seen to the epochs that hold it, and compare it with the period before."""
    for k in range(layout.n_nodes):
        node = node_of(layout, b, k)
        if node.records:
            x = w.seen[3 * k]
            if b.flags[4 * k + 1] == 0:
                here = np.uint64(np.uint32(row)) * record.n_nodes + node.at
                record.sums[here] = w.seen[3 * k + 1] + x
                for _ in range(older):
                    here += fresh(record.n_nodes) * np.uint64(period)
                    record.sums[here] += x
            if steady:
                record.trace[np.uint64(np.uint32(phase)) * record.n_nodes + node.at] = x
                difference, change = abs(x - w.seen[3 * k + 2]), w.extremes[3 * k]
                w.extremes[3 * k] = change if difference <= change else difference  # a NaN stays
                w.extremes[3 * k + 1] = min(w.extremes[3 * k + 1], x)
                w.extremes[3 * k + 2] = max(w.extremes[3 * k + 2], x)


@on_device
def report(layout, b, w, record):  # type: ignore[no-untyped-def]
    """At a trial's onset: show the nodes' extremes to the block, and begin new ones."""
    for k in range(layout.n_nodes):
        node = node_of(layout, b, k)
        if node.records:
            at = fresh(node.at)
            for m in range(3):
                record.extremes[np.uint64(m) * record.n_nodes + at] = w.extremes[3 * k + m]
        w.extremes[3 * k], w.extremes[3 * k + 1], w.extremes[3 * k + 2] = b.zero, b.inf, -b.inf


@on_device
def judge(layout, b, record, trial, tolerance):  # type: ignore[no-untyped-def]
    """Which simulations have settled: over their regions, their last two periods were alike."""
    n = fresh(record.n_nodes)
    for k in range(layout.per_region):
        node = node_of(layout, b, k)
        if b.column == 0 and node.records and trial >= 2 and record.n_trials[fresh(node.sim)] == 0:
            change, low, high = b.zero, b.inf, -b.inf
            for region in range(np.uint64(layout.n_regions)):
                at = fresh(node.at) + region
                one = record.extremes[at]
                change = one if one > change or one != one else change  # a NaN stays
                low, high = min(low, record.extremes[n + at]), max(high, record.extremes[n + n + at])
            if change <= tolerance * (high - low):
                record.n_trials[node.sim] = trial


@on_device
def take_over(layout, b, record, times, n_epochs, seats, first_seat):  # type: ignore[no-untyped-def]
    """Finish the nodes of the simulations that settled just now; how many simulations go on?"""
    for k in range(layout.n_nodes):
        node = node_of(layout, b, k)
        if node.records and b.flags[4 * k + 1] == 0:
            settled = record.n_trials[fresh(node.sim)]
            b.flags[4 * k + 1] = settled
            if settled > 0:
                add_remaining(
                    record.sums, record.trace, times, fresh(record.n_nodes), fresh(node.at), settled, n_epochs
                )
    n_live = 0
    for member in range(TEAM):
        sim, _ = seated(seats, fresh(np.uint64(first_seat + member)))
        if record.n_trials[np.uint64(sim)] == 0:
            n_live += 1
    return n_live
