"""Simulating and writing: a whole campaign, the kernel alone, the archive alone, and one netCDF file each."""

from __future__ import annotations

import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import xarray as xr
from table import Table
from turns import Measured, in_turns

import jrflow
from cases.campaigns import NAME, size_on_disk, write_config
from jrflow.archive.layout import ShardLayout
from jrflow.archive.shards import write_shard
from jrflow.archive.store import Archive, opened
from jrflow.campaign.run import design_campaign, run_campaign
from jrflow.cluster.dask import map_over_workers
from jrflow.config.config import Config
from jrflow.config.priors import RelativeUniformPrior
from jrflow.design.priors import Prior
from jrflow.simulation import COLUMN

PRIOR = Prior.of(RelativeUniformPrior(kind="relative-uniform", half_width=0.5), "unit-consistent")
KERNEL, CAMPAIGN = "kernel alone", "campaign, workers started"
#: What is written without simulating, and one file a simulation, by the engine of xarray.
CONTENTS = ("responses", "zeros", "random bits")
ENGINES = {"netCDF-4 (h5netcdf)": "h5netcdf", "netCDF-3 (scipy)": "scipy"}


@cache
def _drawn(n: int, seed: int) -> dict[str, np.ndarray]:
    return dict(zip(PRIOR.names, PRIOR.sample(n, seed).T, strict=True))


def _simulate(sizes: tuple[int, int]) -> int:
    """Simulate a shard on one core and forget it."""
    n, shard = sizes
    jrflow.simulate(_drawn(n, shard), n_threads=1)
    return n


@cache
def _content(kind: str, n: int) -> xr.Dataset:
    ds = jrflow.simulate(_drawn(n, 0), n_threads=1)
    if kind == "zeros":
        ds["source"][:] = 0
    elif kind == "random bits":
        bits = np.random.default_rng(0).integers(0, 2**32, ds["source"].shape, np.uint32)
        ds["source"].values = bits.view(np.float32)
    return ds


def _write(store: str, kind: str, shard: int) -> int:
    """Write a shard that has been made before."""
    archive = opened(store)
    ids = archive.layout.simulations(shard)
    ds = _content(kind, archive.layout.shard_size).isel(sim=slice(ids.stop - ids.start))
    write_shard(archive, shard, ds.assign_coords(sim=np.arange(ids.start, ids.stop)))
    return ids.stop - ids.start


def _write_files(folder: str, engine: str, ids: range) -> int:
    """Write one netCDF file a simulation: source and time, the parameters as attributes.

    As variables of their own they would make netCDF-4 several times slower.
    """
    ds = _content("responses", 256)
    source, columns = ds["source"].values[:, 0], {name: ds[name].values for name in PRIOR.names}
    for k in ids:
        parameters = {name: float(column[k % 256]) for name, column in columns.items()}
        one = xr.Dataset({"source": ("time", source[k % 256])}, {"time": ds["time"]}, {"sim": k} | parameters)
        one.to_netcdf(f"{folder}/{k}.nc", engine=engine)
    return len(ids)


@dataclass
class Campaign:
    """Whole campaigns as ``jrflow campaign`` runs them, each in a folder of its own."""

    config: Config
    root: Path
    seconds: dict[str, list[float]] = field(default_factory=dict)
    store: Path = Path()

    def run(self) -> int:
        folder = Path(tempfile.mkdtemp(dir=self.root, prefix="campaign-"))
        self.store = folder / f"{NAME}.zarr"
        begin = time.perf_counter()
        with map_over_workers(self.config.execution, None) as map_shards:
            # So that starting the workers and loading what has been compiled is told apart.
            list(map_shards(_simulate, [(64, 0)] * 2 * self.config.execution.n_cores))
            ready, mapped = time.perf_counter(), []

            def timed(function: Callable, tasks: list) -> Iterable[int]:
                mapped.append(time.perf_counter())
                yield from map_shards(function, tasks)
                mapped.append(time.perf_counter())

            run_campaign(self.config, NAME, folder, timed, io.StringIO())
            done = time.perf_counter()
        parts = {
            "starting and stopping the workers": ready - begin + time.perf_counter() - done,
            "creating the store, trial run": mapped[0] - ready,
            "simulating and writing": mapped[1] - mapped[0],
            "sealing": done - mapped[1],
        }
        for name, seconds in parts.items():
            self.seconds.setdefault(name, []).append(seconds)
        return self.config.n_simulations(NAME)

    def parts(self) -> dict[str, float]:
        """Medians over all runs but the one that warms up."""
        return {name: statistics.median(seconds[1:]) for name, seconds in self.seconds.items()}


def run(root: Path, n: int, n_files: int, workers: int, repeats: int) -> None:
    """Print the rates of all ways, and what a campaign's time goes into."""
    config = jrflow.load_config(write_config(root / "writing", "column", n, workers))
    campaign = Campaign(config, root / "writing")
    stores = {kind: design_campaign(config, NAME, root / "writing" / kind) for kind in CONTENTS}
    layout = Archive.open(stores["zeros"]).layout
    shards = range(layout.n_shards)
    sizes = [(ids.stop - ids.start, shard) for shard in shards for ids in [layout.simulations(shard)]]
    folders: dict[str, Path] = {}
    # Of Dask's environment workers take one BLAS thread; these processes, too.
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:

        def on_cores(function: Callable, tasks: Iterable) -> int:
            return sum(pool.map(function, tasks))

        def files(engine: str) -> int:
            folder = folders[engine] = Path(tempfile.mkdtemp(dir=root, prefix=engine))
            parts = [range(k, n_files, 4 * workers) for k in range(4 * workers)]
            return on_cores(partial(_write_files, str(folder), engine), parts)

        ways = {KERNEL: lambda: on_cores(_simulate, sizes), CAMPAIGN: campaign.run}
        for kind, store in stores.items():
            ways[f"write_shard, {kind}"] = partial(on_cores, partial(_write, str(store), kind), shards)
        for name, engine in ENGINES.items():
            ways[name] = partial(files, engine)
        measured = in_turns(ways, repeats, time.perf_counter, turn=0)
    on_disk = {f"write_shard, {kind}": size_on_disk(Path(str(store))) for kind, store in stores.items()}
    on_disk |= {CAMPAIGN: size_on_disk(campaign.store)}
    on_disk |= {name: size_on_disk(folders[engine]) for name, engine in ENGINES.items()}
    parts = campaign.parts()
    print(_rates(layout, measured, parts, on_disk, workers))
    print(_breakdown(n, measured, parts, workers))


def _rates(
    layout: ShardLayout,
    measured: dict[str, Measured],
    parts: dict[str, float],
    on_disk: dict[str, tuple[int, int]],
    workers: int,
) -> Table:
    n = layout.n_simulations
    rates = {name: each.rate for name, each in measured.items()}
    started = sum(parts.values()) - parts["starting and stopping the workers"]
    rates |= {
        CAMPAIGN: n / parts["simulating and writing"],
        "campaign, sealed": n / started,
        "campaign, all": n / sum(parts.values()),
    }
    return _table(layout, rates, measured, on_disk, workers)


def _table(
    layout: ShardLayout,
    rates: dict[str, float],
    measured: dict[str, Measured],
    on_disk: dict[str, tuple[int, int]],
    workers: int,
) -> Table:
    raw = 4 * layout.n_times
    table = Table(
        f"{layout.n_simulations:,} simulations of one {COLUMN}, {layout.n_times} samples, in shards of "
        f"{layout.shard_size:,}; {workers} processes",
        "simulations/s", "MB/s of float32", "of the kernel's", "files per million", "bytes/simulation",
    )  # fmt: skip
    for name, rate in rates.items():
        n_files, n_bytes = on_disk.get(name, (0, 0))
        per = measured[name].node_steps if name in measured else 1
        cells = [f"{1e6 * n_files / per:,.0f}", f"{n_bytes / per:,.0f}"] if n_files else ["", ""]
        table.add(name, f"{rate:,.0f}", f"{raw * rate / 1e6:,.1f}", f"{rate / rates[KERNEL]:.3g}", *cells)
    return table


def _breakdown(n: int, measured: dict[str, Measured], parts: dict[str, float], workers: int) -> Table:
    """What one simulation takes of all cores together, us; what has one core leaves the others idle."""
    us = {name: 1e6 * workers / measured[name].rate for name in (KERNEL, "write_shard, responses")}
    whole = {name: 1e6 * workers * seconds / n for name, seconds in parts.items()}
    table = Table(f"Where a campaign's time goes, of {workers} cores, us a simulation", "us", "s in all")
    for name, value in whole.items():
        table.add(name, f"{value:.1f}", f"{parts[name]:.2f}")
        if name == "simulating and writing":
            rest = value - sum(us.values())
            table.add("  the kernel alone takes", f"{us[KERNEL]:.1f}", "")
            table.add("  write_shard alone takes", f"{us['write_shard, responses']:.1f}", "")
            table.add("  reading the design, Dask, waiting for the last shard", f"{rest:.1f}", "")
    return table
