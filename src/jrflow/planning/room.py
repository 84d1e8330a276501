"""Whether memory and disk suffice for what a configuration asks for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from jrflow.archive.paths import BEST_COMPRESSION, free_bytes, place
from jrflow.config.config import Config
from jrflow.config.connectome import SyntheticConnectome
from jrflow.config.fault import Fault, Key
from jrflow.config.shards import shard_count, simulation_bytes
from jrflow.config.sizes import readable

#: A design is drawn and labelled in memory: columns of float64 and their copies while it is written.
_DESIGN_COPIES = 3
#: Matrices of region x region that exist at once when a connectome is made.
_CONNECTOME_COPIES = 6


def memory_faults(config: Config, names: Iterable[str]) -> Iterator[Fault]:
    """Find designs and connectomes that do not fit into this machine's memory."""
    memory = machine_bytes()
    connectome = config.simulation.connectome
    if isinstance(connectome, SyntheticConnectome):
        needed = _CONNECTOME_COPIES * 8.0 * connectome.n_regions**2
        if needed > memory:
            key: Key = ("simulation", "connectome", "n_regions")
            yield Fault(key, _too_large(f"a connectome of {connectome.n_regions:,} regions", needed, memory))
    for name in names:
        campaign, n = config.campaigns[name], config.n_simulations(name)
        n_varied = len(config.priors[campaign.prior].parameters)
        needed = _DESIGN_COPIES * 8.0 * n * (n_varied + 1)
        if needed > memory:
            what = f"the parameters of {n:.3g} simulations"
            key = ("campaigns", name, "n")
            yield Fault(key, _too_large(what, needed, memory), (key, ("priors", campaign.prior)))


def disk_faults(config: Config, n_regions: int) -> Iterator[Fault]:
    """Find that the archives of a run do not fit on the disk of its results, even at the best compression."""
    needed = sum(_missing_bytes(config, name, n_regions) for name in config.campaigns) / BEST_COMPRESSION
    try:
        free = free_bytes(place(str(config.folder.absolute())))
    except (OSError, ValueError, StopIteration):
        return
    if needed > free:
        largest = max(config.campaigns, key=lambda name: _missing_bytes(config, name, n_regions))
        key: Key = ("campaigns", largest, "n")
        yield Fault(
            key,
            f"the archives of this run need at least {readable(needed)} after compression, {readable(free)} "
            f"are free in {config.run.results!r}; simulate fewer, free some space, or set run.results to "
            "another disk",
            (("campaigns",), ("priors",), *(("simulation", one) for one in ("protocol", "sfreq"))),
        )


def machine_bytes() -> float:
    """Memory of this machine, bytes."""
    return float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")


def _missing_bytes(config: Config, name: str, n_regions: int) -> float:
    """Size of what a campaign still has to simulate, before compression, bytes."""
    folder = config.folder / "archives"
    if (folder / f"{name}.json").exists():
        return 0.0
    n_bytes = float(config.n_simulations(name)) * simulation_bytes(config, n_regions)
    shards = folder / f"{name}.zarr" / "source" / "c"
    there = sum(1 for _ in shards.iterdir()) if shards.is_dir() else 0
    return n_bytes * max(0.0, 1 - there / shard_count(config, name, n_regions))


def _too_large(what: str, needed: float, memory: float) -> str:
    return f"{what} need {readable(needed)} of memory, this machine has {readable(memory)}; choose fewer"
