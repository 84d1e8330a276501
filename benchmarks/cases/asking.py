"""Opening an archive, asking it for simulations, and loading some: in a fresh process, and once more."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr
from table import Table

QUERIES = {
    "column": "A_e > 4 and b_i < 40 and status == 0",
    "network": "A_e > 3.5 and b_i < 45 and status == 0",
}
#: Sources loaded, evenly spread over those found.
_LOADED = 100
#: How often the fresh process asks again.
_WARM = 5


def _open_archive(store: str) -> xr.Dataset:
    import jrflow

    return jrflow.open_archive(store)


#: The last one leaves Dask out: all is read by zarr when it is needed.
_WAYS: dict[str, Callable[[str], xr.Dataset]] = {
    "open_archive": _open_archive,
    "xr.open_zarr": xr.open_zarr,
    "xr.open_zarr, chunks=None": lambda store: xr.open_zarr(store, chunks=None),
}


def run(case: str, store: Path, repeats: int) -> Table:
    """Time each way in as many fresh processes, taking turns."""
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in _WAYS}
    for _ in range(repeats):
        for way, measured in runs.items():
            measured.append(_fresh(way, store, QUERIES[case]))
    found = runs["open_archive"][0]["found"]
    table = Table(
        f"{case}: seconds to find {found:,} simulations ({QUERIES[case]}) and load {_LOADED} of them; MB",
        "open", "query", "both", "load", "both, warm", "load, warm", "peak, found", "peak, loaded",
    )  # fmt: skip
    for way, measured in runs.items():
        of = {key: statistics.median(each[key] for each in measured) for key in measured[0]}
        seconds = (of["open"], of["query"], of["open"] + of["query"], of["load"], of["warm"], of["warm load"])
        peaks = (of["peak, found"] / 1e6, of["peak, loaded"] / 1e6)
        table.add(way, *(f"{value:.3f}" for value in seconds), *(f"{value:.0f}" for value in peaks))
    return table


def _fresh(way: str, store: Path, query: str) -> dict[str, float]:
    command = [sys.executable, "-m", "cases.asking", way, str(store), query]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def _peak() -> int:
    """Largest resident memory of this process so far, bytes.

    Not ``resource.getrusage``: its figure is that of the process that started this one, if that was larger.
    """
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def ask(way: str, store: str, query: str) -> dict[str, float]:
    """What one process takes for it; only Python, NumPy and xarray are imported before."""
    clock, moments = time.perf_counter, [time.perf_counter()]
    ds = _WAYS[way](store)
    moments.append(clock())
    found = ds.query(sim=query)
    moments.append(clock())
    peak_found = _peak()
    _load(found)
    moments.append(clock())
    of = dict(zip(("open", "query", "load"), np.diff(moments).tolist(), strict=True))
    of |= {"found": found.sizes["sim"], "peak, found": peak_found, "peak, loaded": _peak()}
    again = []
    for _ in range(_WARM):
        begin = clock()
        found = _WAYS[way](store).query(sim=query)
        asked = clock()
        _load(found)
        again.append((asked - begin, clock() - asked))
    of["warm"], of["warm load"] = (statistics.median(column) for column in zip(*again, strict=True))
    return of


def _load(found: xr.Dataset) -> None:
    n = found.sizes["sim"]
    found["source"].isel(sim=np.linspace(0, n - 1, min(n, _LOADED)).astype(int)).load()


if __name__ == "__main__":
    print(json.dumps(ask(*sys.argv[1:])))
