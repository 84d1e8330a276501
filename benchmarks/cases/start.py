"""The first call of a fresh process: with nothing compiled, and with numba's cache on disk."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from table import Table

#: What the process calls, by name.
CALLS = {
    "one evoked response": "jrflow.simulate()",
    "a network": "jrflow.simulate(connectome=brain)",
    "a network, noise, delays": "jrflow.simulate({'speed': 3.0}, connectome=brain, protocol=noisy)",
}
_CODE = """
import time
begin = time.perf_counter()
import jrflow
imported = time.perf_counter()
{setup}
ready = time.perf_counter()
{call}
first = time.perf_counter()
{call}
print(imported - begin, first - ready, time.perf_counter() - first)
"""
_SETUP = """
from jrflow.model.connectome import Connectome
brain = Connectome.synthetic(10)
noisy = jrflow.RestProtocol(duration=0.1, transient=0.0, noise_sd=100.0)
"""


def run(quick: bool) -> None:
    """Print the seconds of import, first and second call, and of the whole process."""
    columns = ("import", "first call", "second call", "whole process", "its CPU time")
    table = Table("The first call of a fresh process, wall time (s)", *columns)
    for name, call in CALLS.items():
        with tempfile.TemporaryDirectory() as cache:
            table.add(f"{name}, compiled", *_cells([_fresh(call, cache)]))
            warm = [_fresh(call, cache) for _ in range(2 if quick else 7)]
            table.add(f"{name}, from the cache", *_cells(warm))
    print(table)


def _fresh(call: str, cache: str) -> list[float]:
    """Seconds of import, first and second call in a new process, of the whole of it, and of its CPU time."""
    code = _CODE.format(setup="" if call == "jrflow.simulate()" else _SETUP, call=call)
    begin, begin_cpu = time.perf_counter(), _cpu_of_children()
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"NUMBA_CACHE_DIR": cache},
        capture_output=True,
        text=True,
        check=True,
    )
    whole = time.perf_counter() - begin
    return [*map(float, done.stdout.split()), whole, _cpu_of_children() - begin_cpu]


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cells(runs: list[list[float]]) -> list[str]:
    return [f"{statistics.median(column):.3f}" for column in zip(*runs, strict=True)]
