"""Shuffled mini-batches of an archive beside a memory-mapped array, plain xarray and plain zarr.

    python benchmarks/reading.py [--n-sims 65536] [--batch-size 256] [--repeats 7] [--threads 2]

Evoked responses of 1,201 samples are simulated over a prior of +-50 % and stored three times: as an archive
is, as an archive with LZ4 in place of its codec, and as a .npy file of raw float32. All is in the page cache
when the clock starts: what is compared is what reading costs besides the disk, and the memory-mapped array
does nothing but copy. From a cold disk it has to fetch three times the bytes, one page fault after the other.

Each way reads a whole epoch in its turn, xarray only two batches; medians of samples per second of wall time,
and CPU time of all threads. Wall time wants a quiet machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # read when NumPy is imported

import numpy as np
import xarray as xr
import zarr
from table import Table
from zarr.codecs import BloscCodec

import jrflow
from jrflow.archive.batches import Batches
from jrflow.archive.layout import ShardLayout
from jrflow.archive.manifest import seal
from jrflow.archive.template import create_store
from jrflow.archive.writer import write_shard
from jrflow.config.priors import RelativeUniformPrior
from jrflow.design.priors import Prior

PRIOR = Prior.of(RelativeUniformPrior(kind="relative-uniform"), "unit-consistent")
SHARD_SIZE, CHUNK_SIZE = 4096, 256
LZ4 = BloscCodec(cname="lz4", clevel=5, shuffle="shuffle", typesize=4)
#: What a seal needs to know of a campaign.
ATTRS = {
    "campaign": "reading", "config_hash": "none", "git_commit": "none", "versions": {},
    "specification": {"simulation": {"protocol": {"kind": "evoked", "n_trials": 60}}},
}  # fmt: skip


@dataclass
class Way:
    """One way to read: called with the number of the epoch, it returns how many simulations it read."""

    read: Callable[[int], int]
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def take_turn(self, epoch: int) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        n = self.read(epoch)
        self.wall.append((time.perf_counter() - wall) / n)
        self.cpu.append((time.process_time() - cpu) / n)


def store_archive(path: Path, simulated: xr.Dataset, compressor: BloscCodec | None = None) -> None:
    """A sealed archive; with a compressor in place of its own, if one is given."""
    n_sims, n_regions, n_times = simulated["source"].shape
    layout = ShardLayout(n_sims, n_regions, n_times, SHARD_SIZE, CHUNK_SIZE)
    design = xr.Dataset({name: simulated[name].variable for name in PRIOR.names}, {"sim": simulated["sim"]})
    create_store(path, design, ["column"], simulated["time"].values, layout, ATTRS)
    if compressor is not None:
        own = zarr.open_array(path / "source", mode="r")
        zarr.create_array(
            str(path), name="source", shape=own.shape, chunks=own.chunks, shards=own.shards, dtype=own.dtype,
            compressors=compressor, fill_value=own.fill_value, attributes=own.attrs.asdict(),
            dimension_names=("sim", "region", "time"), overwrite=True,
        )  # fmt: skip
    for shard in range(layout.n_shards):
        write_shard(path, shard, simulated.isel(sim=layout.simulations(shard)))
    seal(path, {})


def of_batches(batches: Batches) -> Way:
    return Way(lambda epoch: sum(len(sim) for _, _, sim in batches.epoch(epoch)))


def of_map(path: Path, parameters: np.ndarray, batch_size: int) -> Way:
    """Random rows of a memory-mapped array."""
    mapped = np.load(path, mmap_mode="r")

    def read(epoch: int) -> int:
        order = np.random.default_rng(epoch).permutation(len(mapped))
        for k in range(0, len(order), batch_size):
            at = order[k : k + batch_size]
            _ = np.asarray(mapped[at]), parameters[at]
        return len(mapped)

    return Way(read)


def of_xarray(path: Path, batch_size: int, n_batches: int = 2) -> Way:
    """Random rows of what ``xr.open_zarr`` gives, read by zarr itself: with Dask it is slower still."""
    source = xr.open_zarr(path, chunks=None)["source"]

    def read(epoch: int) -> int:
        order = np.random.default_rng(epoch).permutation(source.sizes["sim"])
        for k in range(n_batches):
            source.isel(sim=order[k * batch_size : (k + 1) * batch_size]).load()
        return n_batches * batch_size

    return Way(read)


def of_zarr(path: Path, size: int) -> Way:
    """One slice after the other, in order, by zarr."""
    source = zarr.open_array(path / "source", mode="r")

    def read(_: int) -> int:
        for k in range(0, source.shape[0], size):
            _ = source[k : k + size]
        return source.shape[0]

    return Way(read)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-sims", type=int, default=65536)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, help="that read and decode; one a core by default")
    arguments = parser.parse_args(argv)
    load = os.getloadavg()[0]
    drawn = dict(zip(PRIOR.names, PRIOR.sample(arguments.n_sims, 0).T, strict=True))
    simulated = jrflow.simulate(drawn)
    with tempfile.TemporaryDirectory() as folder:
        own, lz4, raw = Path(folder, "own.zarr"), Path(folder, "lz4.zarr"), Path(folder, "raw.npy")
        store_archive(own, simulated)
        store_archive(lz4, simulated, LZ4)
        np.save(raw, simulated["source"].values)
        parameters = np.column_stack([drawn[name] for name in PRIOR.names])
        n_bytes = raw.stat().st_size
        del simulated

        def batches(path: Path, cache_bytes: float = 0) -> Way:
            options = {"seed": 0, "n_threads": arguments.threads, "cache_bytes": cache_bytes}
            return of_batches(Batches(path, arguments.batch_size, **options))

        ways = {
            "memory-mapped .npy": of_map(raw, parameters, arguments.batch_size),
            "Batches, nothing cached": batches(own),
            "Batches, nothing cached, LZ4": batches(lz4),
            "Batches, half of it cached": batches(own, n_bytes / 2),
            "Batches, all cached": batches(own, 1.1 * n_bytes),
            "xr.open_zarr, random rows": of_xarray(own, arguments.batch_size),
            "zarr, in order, by chunks": of_zarr(own, CHUNK_SIZE),
            "zarr, in order, by shards": of_zarr(own, SHARD_SIZE),
        }
        for epoch in range(arguments.repeats + 1):
            for way in ways.values():
                way.take_turn(epoch)
    title = (
        f"{arguments.n_sims:,} simulations, {n_bytes / 1e6:,.0f} MB, batches of {arguments.batch_size}; "
        f"{len(os.sched_getaffinity(0))} cores, load {load:.1f} at the beginning; page cache warm"
    )
    table = Table(title, "samples/s", "of the map's", "CPU us/sample", "of the map's CPU")
    walls, cpus = (
        {name: statistics.median(getattr(way, what)[1:]) for name, way in ways.items()}
        for what in ("wall", "cpu")
    )
    reference = next(iter(ways))
    for name in ways:
        table.add(
            name, f"{1 / walls[name]:,.0f}", f"{walls[reference] / walls[name]:.3g}",
            f"{1e6 * cpus[name]:.3g}", f"{cpus[name] / cpus[reference]:.3g} x",
        )  # fmt: skip
    print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
