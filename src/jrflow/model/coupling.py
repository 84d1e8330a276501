"""What the regions of a network send to one another: the hot spot of whole-brain simulation.

received_i(t) = sum_j w_ij rate_j(t - tau_ij), for all lanes of a block at once, in one of three ways:

- dense, no delays: one matrix product a stage (BLAS);
- sparse, no delays: for each region, the regions that send to it;
- with delays: for each region, the senders' histories. No delay is shorter than some steps, so what
  arrives during these steps is known before they are taken: it is gathered for all of them at once. A
  sender's history is contiguous in time, so what one connection brings is one contiguous stretch of
  memory, long enough for full vectors, instead of a row here and there at every step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jrflow.model.lanes import inlined, vectorise_fully

NONE, DENSE, SPARSE, DELAYED = 0, 1, 2, 3

#: Below this density a sparse product beats BLAS (measured at 84 to 1000 regions).
_SPARSE_BELOW = 0.2
#: Steps gathered at once: more fills the registers and the first-level cache without further gain.
_MOST_STEPS = 16


class Links(NamedTuple):
    """Connections by receiving region: those of region i are first[i]:first[i+1].

    ``dense`` is the weight matrix in the kernel's precision. A region's history has ``n_slots`` slots, one a
    step. It is no ring: it is written on, and when it is full, the last ``n_kept`` slots move to its begin.
    So what a connection brings from time ``slot`` on always begins at slot ``place + slot`` of all
    histories, with ``place = sender * n_slots - delay``. ``width`` slots are gathered at once.
    """

    dense: np.ndarray
    first: np.ndarray
    place: np.ndarray
    weight: np.ndarray
    n_slots: int
    n_kept: int
    width: int


@dataclass(frozen=True)
class Coupling:
    """How a network is computed: the kernel's mode, the connections, and steps known in advance."""

    mode: int
    links: Links

    @classmethod
    def none(cls, dtype: np.dtype) -> Coupling:
        """Uncoupled regions."""
        empty = np.zeros(0, np.int64)
        return cls(NONE, Links(np.zeros((0, 0), dtype), empty, empty, np.zeros(0, dtype), 1, 1, 1))

    @classmethod
    def of(cls, weights: np.ndarray, delays: np.ndarray, n_stages: int, dtype: np.dtype) -> Coupling:
        """Choose the way for a weight matrix and its delays.

        Parameters
        ----------
        weights
            Strength from region j to region i at [i, j], shape (n_regions, n_regions).
        delays
            In steps, same shape.
        n_stages
            Of the solver: with two, what arrives at the end of a step is needed as well.

        Raises
        ------
        ValueError
            If the solver cannot be used with these delays.
        """
        there = weights != 0
        if not there.any():
            return cls.none(dtype)
        receiver, sender = np.nonzero(there)
        counts = np.bincount(receiver, minlength=len(weights))
        first = np.concatenate([[0], np.cumsum(counts)])
        delay = delays[there]
        mode, n_slots, n_kept, width = DELAYED, 1, 1, 1
        if not delay.any():
            mode = SPARSE if there.mean() < _SPARSE_BELOW else DENSE
        else:
            width = _ahead(int(delay.min()), n_stages) + n_stages - 1
            n_kept = int(delay.max()) + 1
            n_slots = n_kept + max(_MOST_STEPS, n_kept)
        links = Links(
            np.array(weights, dtype, order="C"), first, sender * n_slots - delay,
            weights[there].astype(dtype), n_slots, n_kept, width,
        )  # fmt: skip
        return cls(mode, links)


def _ahead(shortest: int, n_stages: int) -> int:
    """Steps whose arrivals are known in advance: the shortest delay and the present step."""
    if n_stages > 2:
        raise ValueError(
            f"a solver of {n_stages} stages needs values between the steps of a delayed history; "
            "with delays use exp-ab2 to exp-ab4, strang, heun or euler"
        )
    known = shortest + 2 - n_stages
    if known < 1:
        raise ValueError(
            "heun needs delays of at least one step everywhere, but the shortest is below half a step; "
            "use a smaller dt, or exp-ab2 to exp-ab4, strang or euler"
        )
    return min(known, _MOST_STEPS)


@inlined
def gather(K, H, links, width, slot, lanes):  # type: ignore[no-untyped-def]
    """K[i, 0:width] = sum over senders j of w_ij H[j, slot - delay : slot - delay + width].

    Four connections at a time: each value of K is then loaded and stored once for four products. Indices
    are unsigned: the compiler need not think of those that count from the end.
    """
    vectorise_fully()
    length = width * lanes
    for i in range(K.shape[0]):
        received = K[i]
        begin, end = links.first[i], links.first[i + 1]
        for x in range(length):
            received[x] = 0
        whole = begin + (end - begin) // 4 * 4
        for c in range(begin, whole, 4):
            w0, w1, w2, w3 = links.weight[c], links.weight[c + 1], links.weight[c + 2], links.weight[c + 3]
            h0 = np.uint64((links.place[c] + slot) * lanes)
            h1 = np.uint64((links.place[c + 1] + slot) * lanes)
            h2 = np.uint64((links.place[c + 2] + slot) * lanes)
            h3 = np.uint64((links.place[c + 3] + slot) * lanes)
            for x in range(length):
                u = np.uint64(x)
                received[x] += (w0 * H[h0 + u] + w1 * H[h1 + u]) + (w2 * H[h2 + u] + w3 * H[h3 + u])
        for c in range(whole, end):
            w0, h0 = links.weight[c], np.uint64((links.place[c] + slot) * lanes)
            for x in range(length):
                received[x] += w0 * H[h0 + np.uint64(x)]


@inlined
def product(mode, K, S, links, lanes):  # type: ignore[no-untyped-def]
    """K[i] = sum over senders j of w_ij S[j]: what is received without delay."""
    if mode == DENSE:
        np.dot(links.dense, S, K)
    else:
        gather(K, S.reshape(-1), links, 1, 0, lanes)


@inlined
def remember(H, S, links, slot, lanes):  # type: ignore[no-untyped-def]
    """Write the present rates into the histories; returns the slot, which is another one after a move."""
    vectorise_fully()
    n_slots, n_kept = links.n_slots, links.n_kept
    moved = slot == n_slots
    if moved:
        slot = n_kept - 1
    for i in range(S.shape[0]):
        rates, start = S[i], i * n_slots * lanes
        if moved:
            for x in range((n_kept - 1) * lanes):
                H[start + x] = H[start + (n_slots - n_kept + 1) * lanes + x]
        history = H[start + slot * lanes : start + (slot + 1) * lanes]
        for lane in range(lanes):
            history[lane] = rates[lane]
    return slot
