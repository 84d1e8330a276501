"""Decoding chunks in threads, ahead of their use."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jrflow.archive.chunks import ChunkReader
from jrflow.archive.errors import ArchiveError
from jrflow.archive.memory import ChunkMemory
from jrflow.archive.order import Piece


class _Loading(NamedTuple):
    """A chunk on its way: where to, which of its simulations are wanted; no future if it is there already."""

    chunk: int
    place: int
    rows: np.ndarray
    future: Future[None] | None


@dataclass(frozen=True)
class Loader:
    """Brings chunks into memory.

    Attributes
    ----------
    store
        Name of the archive, for messages.
    reader, memory
        Where chunks come from and go to.
    usable
        Which simulations are wanted, bool, shape (n,).
    """

    store: str
    reader: ChunkReader
    memory: ChunkMemory
    usable: np.ndarray

    def load(
        self, mixtures: Sequence[Sequence[Piece]], ahead: int, n_threads: int
    ) -> Generator[tuple[np.ndarray, np.ndarray]]:
        """Load one mixture after the other, some ahead; when the generator is closed, its threads end.

        Yields
        ------
        For each mixture the rows of ``memory.simulations`` to take, valid until the next one is asked for,
        and the places of these simulations in the archive.

        Raises
        ------
        ArchiveError
            If a chunk cannot be read; it is named.
        """
        loading: deque[list[_Loading]] = deque()
        pool = ThreadPoolExecutor(n_threads, "jrflow-batches")
        try:
            for number in range(len(mixtures) + ahead):
                if number < len(mixtures):
                    loading.append([])
                    for piece in mixtures[number]:
                        loading[-1].append(self._begin(piece, pool))
                if number >= ahead:
                    rows, positions = zip(*map(self._finish, loading[0]), strict=True)
                    yield np.concatenate(rows), np.concatenate(positions)
                    self._give_back(loading.popleft())
        finally:
            pool.shutdown(cancel_futures=True)
            for mixture in loading:
                self._give_back(mixture)

    def _begin(self, piece: Piece, pool: ThreadPoolExecutor) -> _Loading:
        place, there = self.memory.place(piece.chunk)
        start = piece.chunk * self.reader.chunk_size
        usable = self.usable[start : start + self.reader.chunk_size]
        rows = np.flatnonzero(usable)[piece.first : piece.stop]
        future = None if there else pool.submit(self._decode, piece.chunk, place, rows)
        return _Loading(piece.chunk, place, rows, future)

    def _decode(self, chunk: int, place: int, rows: np.ndarray) -> None:
        out = self.memory.chunks[place]
        try:
            self.reader.read(chunk, out)
            # What was never written is NaN for zarr, and no error.
            if not np.isfinite(out[rows, 0, 0]).all():
                raise ValueError("simulations with status 0 (ok) are not finite")
        except Exception as error:
            start = chunk * len(out)
            raise ArchiveError(
                f"{self.store}: chunk {chunk} of source (rows {start} to {start + len(out) - 1}) cannot be "
                f"read: {error}; jrflow.archive.damaged_files lists what is damaged"
            ) from error

    def _finish(self, loading: _Loading) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the memory where the simulations of a chunk are, and their places in the archive."""
        if loading.future is not None:
            loading.future.result()
            self.memory.keep(loading.chunk, loading.place)
        size = self.reader.chunk_size
        return loading.place * size + loading.rows, loading.chunk * size + loading.rows

    def _give_back(self, mixture: Sequence[_Loading]) -> None:
        for loading in mixture:
            self.memory.give_back(loading.chunk, loading.place)
