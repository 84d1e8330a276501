"""Two cores against one: whole calls of jrflow, wall time."""

from __future__ import annotations

import time

from ours import Ours, averaged, brain, kept, network
from table import Table, number, times
from turns import in_turns


def run(quick: bool) -> None:
    """Print wall-clock node-steps per second with one thread and with two."""
    steps = 200 if quick else 1000
    cases: dict[str, Ours] = {
        "columns, evoked, float32": averaged("exp-ab4", "float32", 4096, 6 if quick else 60),
        "columns, evoked, float64": averaged("exp-ab4", "float64", 4096, 6 if quick else 60),
        "columns, every step kept": kept("exp-ab4", "float32", 4096, steps),
        "84 regions, noise": network(brain(84), 128, steps, noise_sd=100.0),
        "400 regions, noise": network(brain(400), 128, steps // 4, noise_sd=100.0),
        "84 regions, noise, delays": network(brain(84), 128, steps, noise_sd=100.0, speed=3.0),
    }
    threads = {
        f"{name}: {n}": Ours(case.parameters, {**case.options, "n_threads": n}, case.node_steps)
        for name, case in cases.items()
        for n in (1, 2)
    }
    measured = in_turns(threads, 3 if quick else 9, time.perf_counter)
    table = Table("Whole calls, wall time (node-steps/s)", "1 thread", "2 threads", "gain")
    for name in cases:
        one, two = (measured[f"{name}: {n}"].rate for n in (1, 2))
        table.add(name, number(one), number(two), times(two / one))
    print(table)
