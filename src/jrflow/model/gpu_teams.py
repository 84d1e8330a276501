"""Networks on a GPU: their connections as the device reads them, and simulations seated in teams.

Simulations of a team share their delays. The delays of each speed that a chunk has are laid out once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from jrflow.model.connectome import Connectome
from jrflow.model.coupling import Coupling
from jrflow.model.gpu_coupling import TEAM, Layout
from jrflow.model.gpu_networks import Scheme, runner
from jrflow.model.gpu_run import Run
from jrflow.model.problem import Problem

#: Shared memory that a block has without asking for more, bytes; the system takes some of it.
_SHARED = 47 * 1024
#: Below this density lists of connections beat rows of zeros: a list's entry is one more load.
_SPARSE_BELOW = 0.5


@dataclass(frozen=True)
class Teams:
    """Simulations whose networks are computed in one way.

    Attributes
    ----------
    delayed
        Whether rates arrive with delays.
    longest
        Delay, in steps.
    sender, weight
        Of a region's c-th connection, shape (n_connections, n_regions); connections that a region does
        not have come last, with weight 0.
    n_links
        Connections of each region.
    """

    problem: Problem
    n_coefficients: int
    delayed: bool
    longest: int
    sender: np.ndarray
    weight: np.ndarray
    n_links: np.ndarray

    @classmethod
    def of(cls, problem: Problem, n_coefficients: int) -> Iterator[tuple[Teams, np.ndarray]]:
        """Sort simulations (indices) by the way their network is computed, then by speed.

        Raises
        ------
        ValueError
            If the solver cannot be used with the delays.
        """
        network = problem.connectome
        assert network is not None
        there = network.weights != 0
        n_links = there.sum(axis=1)
        # Connections first, each region's in the order of their senders.
        sender = np.argsort(~there, axis=1, kind="stable")[:, : n_links.max(initial=0)]
        weight = np.ascontiguousarray(np.take_along_axis(network.weights, sender, axis=1).T)
        sender = np.ascontiguousarray(sender.T)
        ways: dict[bool, list[tuple[float, int]]] = {False: [], True: []}
        for speed in np.unique(problem.speed):
            delay = network.delays(float(speed), problem.timing.dt)[there] if there.any() else np.zeros(0)
            longest = int(delay.max(initial=0))
            ways[_is_delayed(delay, problem)].append((float(speed), longest))
        for delayed, speeds in ways.items():
            if speeds:
                members = np.flatnonzero(np.isin(problem.speed, [speed for speed, _ in speeds]))
                members = members[np.argsort(problem.speed[members], kind="stable")]
                longest = max(longest for _, longest in speeds)
                yield cls(problem, n_coefficients, delayed, longest, sender, weight, n_links), members

    @property
    def network(self) -> Connectome:
        """The network that all have."""
        assert self.problem.connectome is not None
        return self.problem.connectome

    @property
    def n_regions(self) -> int:
        """Size of the network."""
        return len(self.n_links)

    @property
    def n_slots(self) -> int:
        """Slots of a history: a power of two, so that a bit mask finds the place in the ring."""
        return 1 << int(self.longest).bit_length()

    @property
    def dense(self) -> bool:
        """Whether all pairs are computed, connected or not."""
        return not self.delayed and self.n_links.mean() >= _SPARSE_BELOW * self.n_regions

    def bytes_each(self, numbers_per_node: int) -> int:
        """Memory of one simulation on the device, at most."""
        numbers = numbers_per_node + self.n_coefficients + 1 + (TEAM * self.n_slots)
        places = self.sender.size if self.delayed and len(np.unique(self.problem.speed)) > 1 else 0
        return self.n_regions * self.problem.dtype.itemsize * numbers + 4 * places + 64

    def launch(self, run: Run, members: np.ndarray, coefficients: np.ndarray) -> None:
        """Integrate some simulations (indices)."""
        problem, n_nodes = self.problem, len(members) * self.n_regions
        layout = Layout.of(self.n_regions)
        rates = TEAM * self.n_regions * problem.dtype.itemsize
        partial = rates * layout.parts if layout.parts > 1 else 0
        in_shared = not self.delayed and rates + partial <= _SHARED
        kernel = runner(self._scheme(len(coefficients), in_shared), layout, problem.dtype)
        seats, group, place = self._seats(members)
        sums, trace, failed_step, n_trials = run.recordings(len(members), n_nodes)
        spread = coefficients.shape[2] > 1
        history = 0 if in_shared else len(group) * TEAM * self.n_regions * self.n_slots
        weight = self.network.weights.T if self.dense else self.weight
        arguments = (
            run.filled("P", coefficients), np.uint32(coefficients[0].size), np.int32(spread),
            run.filled("seats", seats), run.filled("group", group),
            run.sims(members), run.stimulus, run.samples, run.times, sums, trace,
            run.array("extremes", 3 * n_nodes if problem.steady else 0, problem.dtype), failed_step, n_trials,
            run.array("history", history, problem.dtype), run.filled("weight", weight.astype(problem.dtype)),
            run.filled("place", place), run.filled("n_links", self.n_links.astype(np.int32)),
            np.uint32(self.sender.size if len(place) > 1 else 0), np.uint32(self.n_slots - 1),
            *run.steps, *run.forces,
        )  # fmt: skip
        shape = (layout.width, layout.parts)
        shared = (rates if in_shared else 0) + partial
        run.launch(kernel, (len(group), shape, 0, shared), arguments)
        run.collect(members, sums, failed_step, n_trials)

    def _scheme(self, n_coefficients: int, in_shared: bool) -> Scheme:
        problem, solver = self.problem, self.problem.solver
        return Scheme(
            solver.code, solver.n_stages, solver.n_rows, n_coefficients, problem.noisy,
            problem.timed, problem.steady, bool(self.n_links.any()), self.dense, self.delayed, in_shared,
        )  # fmt: skip

    def _seats(self, members: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Seat the simulations of a chunk, sorted by speed, in teams of one speed.

        Returns
        -------
        Simulation of the chunk on each seat, ~simulation where a seat is only filled, int32; the speed's
        number of each team, int32; places of the connections by speed's number, int32.
        """
        speeds, number = np.unique(self.problem.speed[members], return_inverse=True)
        if not self.delayed:
            speeds, number = speeds[:1], np.zeros_like(number)
        seats, group = [], []
        for k in range(len(speeds)):
            sims = np.flatnonzero(number == k)
            filling = np.full(-len(sims) % TEAM, ~sims[-1])
            seats.append(np.concatenate([sims, filling]))
            group.append(np.full(len(seats[-1]) // TEAM, k))
        place = np.stack([self._place(float(speed)) for speed in speeds])
        return np.concatenate(seats).astype(np.int32), np.concatenate(group).astype(np.int32), place

    def _place(self, speed: float) -> np.ndarray:
        """Where a connection's rates lie in its sender's ring, without the time; shape of ``sender``."""
        if not self.delayed:
            return self.sender.astype(np.int32)
        delays = self.network.delays(speed, self.problem.timing.dt)
        delay = np.take_along_axis(delays, self.sender.T, axis=1).T
        return (self.sender * self.n_slots + -delay % self.n_slots).astype(np.int32)


def _is_delayed(delay: np.ndarray, problem: Problem) -> bool:
    """Whether the delays matter; a ValueError if the solver cannot be used with them."""
    if not delay.any():
        return False
    # The CPU's rule, asked about the smallest network with these extremes.
    extremes = np.array([[delay.min(), delay.max()], [0, 0]])
    Coupling.of(np.array([[1.0, 1.0], [0.0, 0.0]]), extremes, problem.solver.n_stages, problem.dtype)
    return True
