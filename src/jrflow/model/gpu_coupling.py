"""What the regions of a network send to one another on a GPU, and how a network is divided over a block.

A block is a team of four simulations, a thread one region of one of them. To receive, a thread does not
sum up all connections for its own simulation: it takes every ``parts``-th one for all four, so that a
weight that has been loaded serves four products. The four simulations' rates stand side by side and are
one load; the parts' sums are then added.

Networks that are too large for that give a thread several such *nodes*; their state then lives in local
memory, which the first-level cache holds. How a network is divided depends on its size alone, never on
the batch: a simulation's bits do not depend on its company.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from jrflow.model.gpu_device import fresh, load4, on_device

#: Simulations of a team.
TEAM = 4
#: Threads of a block at most: with that many, a thread has 128 registers.
MOST_THREADS = 512
#: Registers of a multiprocessor, and those that a thread needs to keep its state in them.
_REGISTERS, _NEEDED = 65536, {"float32": 88, "float64": 168}


class Layout(NamedTuple):
    """How a network is divided over a block: known when the kernel is compiled.

    A thread has the regions ``column``, ``column + width``, ... of the simulations ``part``,
    ``part + parts``, ... of its team: ``n_nodes`` nodes, ``per_region`` of each region.
    """

    n_regions: int
    width: int
    parts: int
    per_region: int
    n_nodes: int

    @classmethod
    def of(cls, n_regions: int) -> Layout:
        """Choose it for a number of regions."""
        width = min(n_regions, MOST_THREADS)
        parts = next(n for n in (4, 2, 1) if n * width <= MOST_THREADS or n == 1)
        return cls(n_regions, width, parts, TEAM // parts, -(-n_regions // width) * (TEAM // parts))

    def bounds(self, dtype: np.dtype) -> tuple[int, int]:
        """Threads of a block, and blocks for a multiprocessor: one computes while another waits."""
        warps = -(-self.width * self.parts // 32)
        return self.width * self.parts, max(1, _REGISTERS // (32 * warps * _NEEDED[dtype.name]))


class Block(NamedTuple):
    """What a thread of a block works with.

    Attributes
    ----------
    column, part
        The thread's place in its block.
    size
        Numbers of a node in ``Y``.
    C, Y
        Coefficients of the thread's nodes, (n_nodes * n_coefficients,); their state and the solver's
        memory, then their rate and what they receive, (n_nodes * size,).
    flags
        Of a node: first failed step or -1, trials until settled or 0, simulation, whether it records.
    H, h_at
        Everybody's rates: ring of slots by region, simulations of a team innermost; and where it begins.
    partial, partial_at
        Sums of the parts, (parts, TEAM, n_regions), and where they begin.
    zero, inf
        In the kernel's precision.
    """

    column: Any
    part: Any
    size: int
    C: np.ndarray
    Y: np.ndarray
    flags: np.ndarray
    H: np.ndarray
    h_at: Any
    partial: np.ndarray
    partial_at: Any
    zero: float
    inf: float


class Wires(NamedTuple):
    """Connections, receiver innermost: the c-th one of region i is at [c * n_regions + i].

    ``place`` is sender * n_slots - delay, the delay within the sender's ring of ``mask + 1`` slots; those
    of the team's speed begin at ``place_at``. In a ``dense`` network the c-th sender is region c.
    """

    weight: np.ndarray
    place: np.ndarray
    place_at: Any
    n_links: np.ndarray
    mask: Any


class Node(NamedTuple):
    """One region of one simulation of a team.

    ``lives`` unless it only fills up a row of threads, and then ``records`` unless its simulation only
    fills up a team. ``at`` is sim * n_regions + region.
    """

    region: Any
    member: Any
    sim: Any
    at: Any
    lives: Any
    records: Any


@on_device
def node_of(layout, b, k):  # type: ignore[no-untyped-def]
    """The thread's k-th node."""
    region = np.uint32(b.column + np.uint32((k // layout.per_region) * layout.width))
    member = np.uint32(b.part + np.uint32((k % layout.per_region) * layout.parts))
    sim = np.uint64(np.uint32(b.flags[4 * k + 2]))
    lives = region < layout.n_regions
    at = sim * np.uint64(layout.n_regions) + np.uint64(region)
    return Node(region, member, sim, at, lives, lives and b.flags[4 * k + 3] != 0)


@on_device
def seated(seats, seat):  # type: ignore[no-untyped-def]
    """The simulation on a seat of a team, and whether it records: one that fills up is stored as ~sim."""
    sim = seats[np.uint64(seat)]
    return np.int32(max(sim, ~sim)), np.int32(sim >= 0)


@on_device
def gather(dense, layout, b, wires, slot):  # type: ignore[no-untyped-def]
    """Sum this thread's part of what its regions receive at ``slot``, for the whole team."""
    n = np.uint64(layout.n_regions)
    for turn in range(layout.n_nodes // layout.per_region):
        region = np.uint64(b.column + np.uint32(turn * layout.width))
        if region < n:
            a0 = a1 = a2 = a3 = b.zero
            n_links = np.uint32(layout.n_regions if dense else wires.n_links[region])
            for c in range(fresh(np.uint64(b.part)), np.uint64(n_links), np.uint64(layout.parts)):
                link = c * n + region
                sender = np.uint32(c)
                if not dense:
                    place = np.uint32(wires.place[wires.place_at + link])
                    sender = np.uint32((place & ~wires.mask) | ((place + slot) & wires.mask))
                w = wires.weight[link]
                h0, h1, h2, h3 = load4(b.H, b.h_at + np.uint64(TEAM) * np.uint64(sender))
                a0 += w * h0
                a1 += w * h1
                a2 += w * h2
                a3 += w * h3
            if layout.parts == 1:
                at = turn * TEAM * b.size + b.size - 1
                b.Y[at], b.Y[at + b.size], b.Y[at + 2 * b.size], b.Y[at + 3 * b.size] = a0, a1, a2, a3
            else:
                to = b.partial_at + np.uint64(TEAM) * np.uint64(b.part) * n + region
                b.partial[to], b.partial[to + n], b.partial[to + n + n], b.partial[to + n + n + n] = (
                    a0,
                    a1,
                    a2,
                    a3,
                )


@on_device
def receive(layout, b):  # type: ignore[no-untyped-def]
    """Add the parts for each of the thread's nodes."""
    if layout.parts > 1:
        for k in range(layout.n_nodes):
            node = node_of(layout, b, k)
            if node.lives:
                received = b.zero
                for part in range(layout.parts):
                    row = np.uint64(part * TEAM) + np.uint64(node.member)
                    received += b.partial[
                        b.partial_at + row * np.uint64(layout.n_regions) + np.uint64(node.region)
                    ]
                b.Y[k * b.size + b.size - 1] = received


@on_device
def send(layout, b, mask, slot):  # type: ignore[no-untyped-def]
    """Write the nodes' rates where the others find them."""
    for k in range(layout.n_nodes):
        node = node_of(layout, b, k)
        if node.lives:
            sender = np.uint64(node.region) * (np.uint64(mask) + np.uint64(1)) + np.uint64(slot & mask)
            b.H[b.h_at + np.uint64(TEAM) * sender + np.uint64(node.member)] = b.Y[k * b.size + b.size - 2]
