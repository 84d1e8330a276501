"""What the regions of a network send to one another: the hot spot of whole-brain simulation.

received_i(t) = sum_j w_ij rate_j(t - tau_ij), for all lanes of a block at once, in one of four ways:

- dense, no delays: one matrix product a stage (BLAS);
- sparse, no delays: for each region, the regions that send to it;
- with delays: for each region, the senders' histories. No delay is shorter than some steps, so what
  arrives during these steps is known before they are taken: it is gathered for all of them at once. A
  sender's history is contiguous in time, so what one connection brings is one contiguous stretch of
  memory, long enough for full vectors, instead of a row here and there at every step;
- with delays that differ between the lanes: likewise, with a history for each lane, and shorter stretches.

The sums run over the senders in one order, four at a time, so the last two ways agree to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

NONE, DENSE, SPARSE, DELAYED, APART = 0, 1, 2, 3, 4

#: Below this density a sparse product beats BLAS (measured at 84 to 1000 regions).
_SPARSE_BELOW = 0.2
#: Steps gathered at once: more fills the registers and the first-level cache without further gain.
_MOST_STEPS = 16
#: Steps that are one vector where lanes have delays of their own.
STRETCH = 4


class Links(NamedTuple):
    """Connections by receiving region: those of region i are first[i]:first[i+1].

    ``dense`` is the weight matrix in the kernel's precision. A region's history has ``n_slots`` slots, one a
    step. It is no ring: it is written on, and when it is full, the last ``n_kept`` slots move to its begin.
    So what a connection brings from time ``slot`` on always begins at slot ``place + slot`` of all
    histories, with ``place = sender * n_slots - delay``, shape (n_connections, 1), or a column for each lane
    where lanes have delays of their own. ``width`` slots are gathered at once.
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
        return cls(NONE, Links(np.zeros((0, 0), dtype), empty, empty[:, None], np.zeros(0, dtype), 1, 1, 1))

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
        dtype
            Precision of the integration.

        Raises
        ------
        ValueError
            If the solver cannot be used with these delays.
        """
        there, first, sender = _connections(weights)
        mode, delay = mode_of(weights, delays), delays[there]
        n_slots, n_kept, width = 1, 1, 1
        if mode == DELAYED:
            width = _ahead(int(delay.min()), n_stages) + n_stages - 1
            n_slots, n_kept = _slots(int(delay.max()))
        links = Links(
            np.array(weights, dtype, order="C"), first, (sender * n_slots - delay)[:, None],
            weights[there].astype(dtype), n_slots, n_kept, width,
        )  # fmt: skip
        return cls(mode, links)

    @classmethod
    def apart(cls, weights: np.ndarray, delays: np.ndarray, n_stages: int, dtype: np.dtype) -> Coupling:
        """Delays of their own for every lane, shape (lanes, n_regions, n_regions); see :meth:`of`."""
        there, first, sender = _connections(weights)
        delay = delays[:, there].T
        width = _ahead(int(delay.min()), n_stages) + n_stages - 1
        if width >= STRETCH and n_stages == 1:
            width -= width % STRETCH
        n_slots, n_kept = _slots(int(delay.max()))
        place = (sender[:, None] * len(delays) + np.arange(len(delays))) * n_slots - delay
        nothing = np.zeros((0, 0), dtype)
        return cls(APART, Links(nothing, first, place, weights[there].astype(dtype), n_slots, n_kept, width))


def mode_of(weights: np.ndarray, delays: np.ndarray) -> int:
    """How a network of these weights and delays is computed."""
    there = weights != 0
    if not there.any():
        return NONE
    if delays[there].any():
        return DELAYED
    return SPARSE if there.mean() < _SPARSE_BELOW else DENSE


def _connections(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where there are connections; the first one of each receiver; the sender of each."""
    there = weights != 0
    receiver, sender = np.nonzero(there)
    first = np.concatenate([[0], np.cumsum(np.bincount(receiver, minlength=len(weights)))])
    return there, first, sender


def _slots(longest: int) -> tuple[int, int]:
    """Slots of a history, and those kept when it is full, for the longest delay."""
    n_kept = longest + 1
    return n_kept + max(_MOST_STEPS, n_kept), n_kept


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
