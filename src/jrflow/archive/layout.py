"""How the simulations of a campaign are divided into shards, and these into chunks.

A shard is what one task writes: one file of ``source``, then one of ``n_trials`` (of evoked responses), one
of ``failed_step`` (where a simulation failed), and last one of ``status``. Nobody else ever writes these
files, so workers need no locks; and a shard whose status says nothing is repeated.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from upath import UPath

from jrflow.archive.place import open_array

#: Bytes a simulation takes besides its source: failed_step, n_trials, status.
_BYTES_BESIDES = 4 + 4 + 1

#: What there is of a simulation besides its source, in the order in which it is written; the status is last.
OUTCOMES = ("n_trials", "failed_step", "status")
#: Most chunks of ``source`` for which all other variables over ``sim`` have the same chunks. Dask needs about
#: 1 ms for each chunk that it reads, so a query of a million simulations in chunks of 256 takes 40 s.
ALIGNED_CHUNKS = 256


@dataclass(frozen=True)
class ShardLayout:
    """How the simulations of a campaign are divided into shards, and these into chunks.

    Attributes
    ----------
    n_simulations, n_regions, n_times
        Shape of ``source``.
    shard_size, chunk_size
        Simulations per shard (unit of writing) and per chunk (unit of reading), of which it is
        a multiple.
    aligned
        Whether all variables over ``sim`` have the chunks of ``source``; None for what suits the size. Then
        plain xarray sees consistent chunks. In a large archive these would make queries slow.
    """

    n_simulations: int
    n_regions: int
    n_times: int
    shard_size: int
    chunk_size: int
    aligned: bool | None = None

    def __post_init__(self) -> None:
        if self.aligned is None:
            n_chunks = -(-self.n_simulations // self.chunk_size)
            object.__setattr__(self, "aligned", n_chunks <= ALIGNED_CHUNKS)  # the class is frozen

    @classmethod
    def of_store(cls, store: UPath) -> ShardLayout:
        """Read the layout of a store that exists; its shards stay as they were created."""
        source = open_array(store, "source")
        n_simulations, n_regions, n_times = source.shape
        shard_size = (source.shards or source.chunks)[0]
        aligned = open_array(store, "sim").chunks[0] == source.chunks[0]
        return cls(n_simulations, n_regions, n_times, shard_size, source.chunks[0], aligned)

    @property
    def n_shards(self) -> int:
        """Number of shards; the last one may be partly filled."""
        return -(-self.n_simulations // self.shard_size)

    @property
    def n_files(self) -> int:
        """Most data files of a full archive; rest has no ``n_trials``, success no ``failed_step``."""
        return 4 * self.n_shards

    def simulations(self, shard: int) -> slice:
        """Ids of the simulations in a shard."""
        start = shard * self.shard_size
        return slice(start, min(start + self.shard_size, self.n_simulations))

    def size(self, shard: int) -> int:
        """Number of simulations in a shard."""
        ids = self.simulations(shard)
        return ids.stop - ids.start

    def total(self, shards: Iterable[int]) -> int:
        """Number of simulations in some shards."""
        return sum(map(self.size, shards))

    @property
    def simulation_bytes(self) -> int:
        """Size of one simulation before compression, bytes."""
        return self.n_regions * self.n_times * 4 + _BYTES_BESIDES
