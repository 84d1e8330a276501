"""In which order an epoch reads the chunks of an archive, and which process reads what."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Piece(NamedTuple):
    """What is taken of a chunk: its usable simulations from the ``first`` to before the ``stop``-th."""

    chunk: int
    first: int
    stop: int


def mixtures(
    usable: np.ndarray, chunk_size: int, n_chunks: int, part: slice, key: tuple[int, ...]
) -> list[list[Piece]]:
    """Draw an order of the chunks and divide a part of it evenly into what is permuted together.

    Parameters
    ----------
    usable
        Which simulations are to be read, bool, shape (n,).
    chunk_size
        Simulations in a chunk.
    n_chunks
        Most chunks that are permuted together.
    part
        Which of the usable simulations, counted in the order that is drawn: those of one process. A chunk
        in which a part begins or ends is read for both.
    key
        Of the random order, not negative; the same for all parts.
    """
    counts = np.add.reduceat(usable, np.arange(0, len(usable), chunk_size), dtype=np.int64)
    chunks = np.random.default_rng(key).permutation(len(counts))
    ends = np.cumsum(counts[chunks])
    starts = ends - counts[chunks]
    first, stop = np.maximum(part.start, starts) - starts, np.minimum(part.stop, ends) - starts
    ours = np.flatnonzero(first < stop)
    return [
        [Piece(int(chunks[k]), int(first[k]), int(stop[k])) for k in members]
        for members in np.array_split(ours, -(-len(ours) // n_chunks))
    ]
