"""Memory for decoded chunks: of bounded size, in one piece, and kept for later as far as there is room."""

from __future__ import annotations

import math

import numpy as np


class ChunkMemory:
    """Places for decoded chunks, the same for the whole life of a reader.

    All are one array, so that simulations are gathered from any number of chunks at once. Pages that were
    never written take no memory.

    Parameters
    ----------
    chunk_shape
        Simulations of a chunk, regions, samples.
    n_lent
        Chunks that are used once, and then overwritten.
    room
        For chunks that are kept, bytes: the first that are read. As many as this are never lost, and none
        of them is decoded again.
    n_chunks
        Chunks that there are.

    Attributes
    ----------
    chunks
        float32, shape (n_places, *chunk_shape).
    """

    def __init__(self, chunk_shape: tuple[int, ...], n_lent: int, room: float, n_chunks: int) -> None:
        n_kept = min(n_chunks, int(room // (4 * math.prod(chunk_shape))))
        self.chunks = np.empty((n_kept + n_lent, *chunk_shape), np.float32)
        self._to_keep, self._to_lend = list(range(n_kept)), list(range(n_kept, n_kept + n_lent))
        self._n_kept, self._kept = n_kept, dict[int, int]()

    @property
    def simulations(self) -> np.ndarray:
        """All places one after the other, shape (n_places * chunk_size, n_regions, n_times)."""
        return self.chunks.reshape(-1, *self.chunks.shape[2:])

    def place(self, chunk: int) -> tuple[int, bool]:
        """Take a place for a chunk; also tell whether it is there already.

        Raises
        ------
        RuntimeError
            If all places are taken.
        """
        if chunk in self._kept:
            return self._kept[chunk], True
        free = self._to_keep or self._to_lend
        if not free:
            raise RuntimeError(
                "an epoch is begun while another one is being read: use its iterator up or close() it first"
            )
        return free.pop(), False

    def keep(self, chunk: int, place: int) -> None:
        """Note that a chunk has been decoded; it stays, if its place is one of those kept."""
        if place < self._n_kept:
            self._kept[chunk] = place

    def give_back(self, chunk: int, place: int) -> None:
        """Free a place, unless its chunk is kept."""
        if place >= self._n_kept:
            self._to_lend.append(place)
        elif self._kept.get(chunk) != place:
            self._to_keep.append(place)
