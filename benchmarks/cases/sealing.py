"""What an archive costs by the number of its shards, of its bytes, and of its simulations.

CPU time of all threads, which leaves out most of what others do on the machine: on a local disk with
everything in the page cache it is the wall time of one core.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from table import Table
from upath import UPath

from cases.campaigns import size_on_disk
from cases.watching import peak_of
from jrflow.archive import open_archive
from jrflow.archive.layout import stored_bytes
from jrflow.archive.manifest import damaged_files, manifest_path
from jrflow.archive.paths import place
from jrflow.archive.seal import seal
from jrflow.archive.shards import pending_shards, write_shard
from jrflow.archive.store import Archive
from jrflow.campaign.run import design_campaign
from jrflow.campaign.shard import simulate_design
from jrflow.config import Config
from jrflow.config.shards import shard_sizes
from jrflow.config.sizes import readable
from jrflow.specification import Specification

#: Simulations of a shard whose size does not matter; 121 samples each.
_SHARD = 4
#: Two shards as they are chosen for 200 regions, whose bytes are what matters; and designs of so many.
_LARGE, _DESIGNS = 2, (100_000, 1_000_000)
#: What Python reports of its own file operations; asking for a file's state is not among them.
_EVENTS = ("open", "os.mkdir", "os.rename", "os.remove")


def run(folder: Path, shards: tuple[int, ...], repeats: int) -> Iterator[Table]:
    """Archives of tiny shards, of large ones, and designs without simulations."""
    table = Table(
        f"By shards, of {_SHARD} simulations of 484 bytes each; CPU time",
        "files", "write, ms a shard", "what is done?, s", "seal, s", "manifest", "open, s", "verify, s",
    )  # fmt: skip
    for n in shards:
        table.add(f"{n:,} shards", *_shards(folder / str(n), n, repeats))
    yield table
    yield _operations(folder / "operations")
    yield _bytes(folder / "bytes", repeats)
    yield _designs(folder)
    yield _compression()


def _shards(folder: Path, n: int, repeats: int) -> list[str]:
    store = design_campaign(_config(n * _SHARD, shard_size=_SHARD, sfreq=100.0), "train", place(folder))
    writing = _seconds(lambda: _fill(store, n, _SHARD, (1, 121)), 1)
    looking = _seconds(lambda: pending_shards(Archive.open(store)), repeats)
    sealing = _seconds(lambda: seal(Archive.open(store), {}), repeats)
    opening = _seconds(lambda: open_archive(store), repeats)
    verifying = _seconds(lambda: damaged_files(store), repeats)
    n_files, manifest = size_on_disk(Path(str(store)))[0], manifest_path(store).stat().st_size
    shutil.rmtree(folder)
    seconds = [f"{value:.2f}" for value in (opening, verifying)]
    return [
        f"{n_files:,}", f"{1e3 * writing / n:.1f}", f"{looking:.2f}", f"{sealing:.2f}", readable(manifest),
        *seconds,
    ]  # fmt: skip


def _operations(folder: Path) -> Table:
    """File operations, counted where Python makes them."""
    n = 64
    store = design_campaign(_config(n * _SHARD, shard_size=_SHARD, sfreq=100.0), "train", place(folder))
    steps: dict[str, Callable[[], Any]] = {
        "write": lambda: _fill(store, n, _SHARD, (1, 121)),
        "look what is done": lambda: pending_shards(Archive.open(store)),
        "seal": lambda: seal(Archive.open(store), {}),
        "open": lambda: open_archive(store),
        "is it intact?": lambda: damaged_files(store, contents=False),
        "verify": lambda: damaged_files(store),
    }
    table = Table("File operations a shard", *_EVENTS)
    for name, step in steps.items():
        with _counting() as counts:
            step()
        table.add(name, *(f"{counts[event] / n:.2f}" for event in _EVENTS))
    shutil.rmtree(folder)
    return table


def _bytes(folder: Path, repeats: int) -> Table:
    """Large shards of noise, of which hardly anything is saved: all bytes are written, read and summed."""
    n_regions, n_times, size = 200, 1201, 128
    connectome = {"kind": "synthetic", "n_regions": n_regions, "normalise": "in-strength"}
    config = _config(_LARGE * size, shard_size=size, connectome=connectome)
    store = design_campaign(config, "train", place(folder))
    raw = 4 * _LARGE * size * n_regions * n_times
    writing = _seconds(lambda: _fill(store, _LARGE, size, (n_regions, n_times)), 1)
    steps = {"seal": lambda: seal(Archive.open(store), {}), "verify": lambda: damaged_files(store)}
    stored = size_on_disk(Path(str(store)))[1]
    title = f"By bytes: {readable(raw)} of float32 in {_LARGE} shards, {readable(stored)} stored; CPU time"
    table = Table(title, "s", "ns a byte")
    taken = {"write": writing} | {name: _seconds(step, repeats) for name, step in steps.items()}
    for name, seconds in taken.items():
        table.add(name, f"{seconds:.2f}", f"{1e9 * seconds / raw:.2f}")
    shutil.rmtree(folder)
    return table


def _designs(folder: Path) -> Table:
    """Designs of networks: what their creation, the check by whoever goes on, and reading them take."""
    columns = ("create, s", "peak, MB", "bytes", "variables", "read, s")
    table = Table("By simulations: designs of networks, in a process of its own; CPU time", *columns)
    for n in _DESIGNS:
        where = folder / f"design-{n}"
        seconds, peak = peak_of(_design, n, str(where))
        store = place(where / "train.zarr")
        variables = set(_open(store).variables) - {"region", "time"}
        reading = _seconds(lambda store=store: _open(store).load(), 1)
        table.add(
            f"{n:,} simulations", f"{seconds:.1f}", f"{peak / 1e6:.0f}", readable(size_on_disk(where)[1]),
            str(len(variables)), f"{reading:.2f}",
        )  # fmt: skip
        shutil.rmtree(where)
    return table


def _compression() -> Table:
    """Evoked responses of columns, and of networks whose regions differ by what they receive."""
    table = Table("Evoked responses", "float32, kB", "stored, kB", "ratio", "CPU ms")
    network = {"kind": "synthetic", "n_regions": 200, "normalise": "in-strength", "G": 10.0}
    # Where all regions receive the same, all do the same, which compresses a hundredfold.
    some = {"kind": "evoked", "stim_regions": ["lh-12", "rh-12"]}
    cases: dict[str, tuple[int, dict[str, Any]]] = {
        "columns": (4096, {}),
        "networks of 200, two regions stimulated": (32, {"connectome": network, "protocol": some}),
    }
    for name, (n, simulation) in cases.items():
        for sfreq in (1000.0, 100.0):
            config = _config(n, sfreq=sfreq, **simulation)
            raw, stored, ms = _stored(config, n, 200 if "connectome" in simulation else 1)
            cells = (f"{raw / 1e3:.1f}", f"{stored / 1e3:.1f}", f"{raw / stored:.2f}", f"{ms:.2f}")
            table.add(f"{name}, {sfreq:g} Hz", *cells)
    return table


def _stored(config: Config, n: int, n_regions: int) -> tuple[float, float, float]:
    """Bytes before and after compression, and CPU time in ms, of one simulation."""
    specification = Specification.of(config, "train")
    design = specification.draw()
    source = simulate_design(specification, design)["source"].values
    seconds = _seconds(lambda: simulate_design(specification, design), 1)
    stored = stored_bytes(source, shard_sizes(config, "train", n_regions)[1])
    return source.nbytes / n, stored / n, 1e3 * seconds / n


def _design(n: int, folder: str) -> None:
    # Two regions and few samples: a design is the same, and it must be one that would fit on the disk.
    connectome = {"kind": "synthetic", "n_regions": 2, "normalise": "in-strength"}
    design_campaign(_config(n, connectome=connectome, sfreq=10.0), "train", place(folder))


def _open(store: UPath) -> xr.Dataset:
    simulated = ["source", "status", "n_trials", "failed_step"]
    return xr.open_zarr(str(store), chunks=None, drop_variables=simulated, consolidated=False)


def _config(n: int, shard_size: int = 0, **simulation: Any) -> Config:
    sizes = {"shard_size": shard_size, "chunk_size": min(shard_size, 4), "memory_per_worker": "8GiB"}
    return Config.model_validate(
        {
            "simulation": {"protocol": {"kind": "evoked"}} | simulation,
            "priors": {"half": {"kind": "relative-uniform", "half_width": 0.2}},
            "campaigns": {"train": {"design": "prior", "n": n, "prior": "half"}},
            "execution": sizes if shard_size else {},
        }
    )


def _fill(store: UPath, n_shards: int, size: int, shape: tuple[int, int]) -> None:
    """Write all shards as if they had been simulated."""
    source = np.random.default_rng(0).standard_normal((size, *shape), dtype=np.float32)
    outcomes = {"n_trials": np.full(size, 2, np.int32), "failed_step": np.full(size, -1, np.int32)}
    outcomes["status"] = np.zeros(size, np.int8)
    variables = {name: ("sim", values) for name, values in outcomes.items()}
    archive = Archive.open(store)
    for shard in range(n_shards):
        sim = np.arange(shard * size, (shard + 1) * size)
        simulated = {"source": (("sim", "region", "time"), source), **variables}
        write_shard(archive, shard, xr.Dataset(simulated, {"sim": sim}))


def _seconds(step: Callable[[], Any], repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        begin = time.process_time()
        step()
        taken.append(time.process_time() - begin)
    return statistics.median(taken)


_counts: Counter[str] | None = None


@contextmanager
def _counting() -> Iterator[Counter[str]]:
    """Count this process's file operations; a hook of Python's stays for good, so it is there once."""
    global _counts
    if _counts is None:
        _counts = Counter()
        sys.addaudithook(lambda event, _: _counts.update([event]) if event in _EVENTS else None)
    _counts.clear()
    yield _counts
