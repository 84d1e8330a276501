"""Shuffled mini-batches straight from the chunks of an archive, for training on more than memory holds."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

import numpy as np

from jrflow.archive.chunks import chunk_reader
from jrflow.archive.loading import Loader
from jrflow.archive.memory import ChunkMemory
from jrflow.archive.order import mixtures
from jrflow.archive.place import AnyPath, open_array, place
from jrflow.archive.table import SimulationTable

#: Size of what is permuted together unless told otherwise, bytes; but at least so many chunks.
_MIXTURE_BYTES, _FEWEST_CHUNKS = 32e6, 8


class Batch(NamedTuple):
    """Some simulations, in memory of their own.

    Attributes
    ----------
    source
        mV, float32, shape (b, n_regions, n_times).
    parameters
        In the archive's units, float64, shape (b, n_parameters), in the order of ``Batches.names``.
    sim
        Ids, int64, shape (b,).
    """

    source: np.ndarray
    parameters: np.ndarray
    sim: np.ndarray


class Batches:
    """Mini-batches of an archive's usable simulations (status 0), each of them exactly once in an epoch.

    Chunks are drawn in random order, read and decoded by threads ahead of their use, and ``mixed_chunks`` of
    them at a time are permuted together. A batch so comes from that many random places of the archive: where
    in an epoch a simulation comes says nothing about its id, but one in ``mixed_chunks`` of those that it
    shares a batch with lies in the same chunk, where a full shuffle has one in all chunks. That matters only
    where neighbours are alike, and draws from a prior are not.

    Memory holds ids and parameters, ``(1 + ahead) * mixed_chunks`` decoded chunks, and of more chunks as many
    as ``cache_bytes`` allow, whatever the size of the archive; each thread adds one compressed chunk.

    Parameters
    ----------
    store
        <campaign>.zarr, sealed: a path, or the URL of an object store.
    batch_size
        Simulations in a batch; the last one of an epoch may have fewer.
    seed
        Of the order, not negative; with the number of the epoch it determines every batch.
    parameters
        Names of those wanted; by default all that the archive has.
    simulations
        Ids to choose from, such as the training part of a split; by default all. What failed is left out
        all the same.
    mixed_chunks
        Chunks that are permuted together; by default as many as 32 MB hold, but at least 8.
    ahead
        How many times ``mixed_chunks`` are read ahead of their use.
    n_threads
        Threads that read and decode; by default as many as the cores that the process may use.
    cache_bytes
        Room for decoded chunks that stay in memory for later epochs, bytes. Where all fit, only the first
        epoch decodes, and the others read as fast as from an array in memory.
    rank, world_size
        Which of how many processes this is. All take equally many simulations in an epoch, and none the
        same; up to ``world_size - 1`` are left over, others in each epoch.

    Attributes
    ----------
    names
        Names of the parameters.
    n_simulations
        Simulations of this rank in an epoch.

    Raises
    ------
    ArchiveError
        If the store is not an archive or is not sealed; while iterating, if a chunk is damaged.
    ValueError
        If no simulation is usable, or an argument is impossible.

    Examples
    --------
    >>> batches = Batches("train.zarr", 256, seed=0, parameters=["A_e", "b_e"])  # doctest: +SKIP
    >>> for source, parameters, sim in batches.epoch(0):  # doctest: +SKIP
    ...     train_step(source, parameters)
    """

    def __init__(
        self,
        store: AnyPath,
        batch_size: int,
        *,
        seed: int,
        parameters: Sequence[str] | None = None,
        simulations: np.ndarray | Sequence[int] | None = None,
        mixed_chunks: int | None = None,
        ahead: int = 1,
        n_threads: int | None = None,
        cache_bytes: float = 1e9,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.store, self.batch_size, self.seed, self.rank = str(place(store)), batch_size, seed, rank
        self._table = SimulationTable.read(self.store, parameters, simulations)
        self.names = self._table.names
        source = open_array(place(store), "source")
        self._reader = chunk_reader(source)
        shape = (self._reader.chunk_size, *source.shape[1:])
        if mixed_chunks is None:
            mixed_chunks = max(_FEWEST_CHUNKS, int(_MIXTURE_BYTES // (4 * math.prod(shape))))
        self.mixed_chunks, self.ahead = mixed_chunks, ahead
        self.n_threads = len(os.sched_getaffinity(0)) if n_threads is None else n_threads
        self.n_simulations = int(self._table.usable.sum()) // world_size
        self._check(world_size)
        n_chunks = -(-source.shape[0] // shape[0])
        n_lent = min(n_chunks, (1 + ahead) * mixed_chunks)
        self._memory = ChunkMemory(shape, n_lent, cache_bytes, n_chunks)

    def _check(self, world_size: int) -> None:
        for name in ("batch_size", "mixed_chunks", "ahead", "n_threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, received {getattr(self, name)}")
        if not 0 <= self.rank < world_size:
            raise ValueError(f"rank: expected one of 0..{world_size - 1}, received {self.rank}")
        if self.batch_size > self.n_simulations:
            raise ValueError(
                f"batch_size: expected at most the {self.n_simulations} usable simulations that each of "
                f"{world_size} processes has of {self.store}, received {self.batch_size}"
            )

    def __len__(self) -> int:
        """Batches in an epoch, the same for all ranks."""
        return -(-self.n_simulations // self.batch_size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """All batches of one epoch; when the iterator is closed or forgotten, its threads end."""
        part = slice(self.rank * self.n_simulations, (self.rank + 1) * self.n_simulations)
        key = (self.seed, epoch)
        groups = mixtures(self._table.usable, self._reader.chunk_size, self.mixed_chunks, part, key)
        generator = np.random.default_rng((*key, 1 + self.rank))
        remaining, filled = self.n_simulations, 0
        loader = Loader(self.store, self._reader, self._memory, self._table.usable)
        with closing(loader.load(groups, self.ahead, self.n_threads)) as loaded:
            for rows, positions in loaded:
                order, used = generator.permutation(len(rows)), 0
                while used < len(order):
                    if not filled:
                        size = min(self.batch_size, remaining)
                        source = np.empty((size, *self._memory.chunks.shape[2:]), np.float32)
                        at = np.empty(size, np.intp)
                    to = slice(filled, min(size, filled + len(order) - used))
                    now = order[used : used + to.stop - to.start]
                    # With mode 'raise', NumPy would copy everything twice; the indices are valid.
                    np.take(self._memory.simulations, rows[now], 0, source[to], mode="clip")
                    at[to] = positions[now]
                    used, filled = used + len(now), to.stop
                    if filled == size:
                        yield Batch(source, self._table.parameters[at], self._table.sim[at])
                        remaining, filled = remaining - size, 0
