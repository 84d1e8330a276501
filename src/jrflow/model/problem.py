"""The problem to integrate and its solution, as arrays: the same for every processor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from jrflow.model import noise
from jrflow.model.connectome import Connectome
from jrflow.model.equations import column
from jrflow.model.protocol import EvokedProtocol, RestProtocol
from jrflow.model.pulse import Pulses
from jrflow.model.solvers import EXP_AB, Solver
from jrflow.model.timing import Timing


@dataclass(frozen=True)
class Problem:
    """What is integrated, as arrays.

    Attributes
    ----------
    parameters
        Values of every parameter of the mass, in the units of the model's table, shape (n_sims, n_regions) or
        (n_sims, 1).
    sim_ids
        Simulation ids, shape (n_sims,): they key the noise.
    connectome
        None for uncoupled regions.
    inputs
        Values of those parameters of the input that take the place of the protocol's, in their units, shape
        (n_sims, n_regions) or (n_sims, 1).
    G, speed
        Global coupling; conduction speed, m/s, infinite for no delays. Shape (n_sims,).
    stimulated
        1 where a region receives the stimulus, else 0; shape (n_regions,).
    """

    parameters: Mapping[str, np.ndarray]
    inputs: Mapping[str, np.ndarray]
    sim_ids: np.ndarray
    protocol: EvokedProtocol | RestProtocol
    timing: Timing
    solver: Solver
    dtype: np.dtype
    seed: int
    connectome: Connectome | None
    G: np.ndarray
    speed: np.ndarray
    stimulated: np.ndarray
    max_source: float
    steady_tolerance: float | None

    @property
    def noisy(self) -> bool:
        """Whether the background fluctuates, in any simulation."""
        return bool(np.any(self.inputs.get("p_sd", self.protocol.noise_sd)))

    @property
    def timed(self) -> bool:
        """Whether simulations or regions have pulses of their own latency or duration."""
        return "stim_latency" in self.inputs or "stim_duration" in self.inputs

    @property
    def steady(self) -> bool:
        """Whether a periodic steady state is looked for: never where noise rules it out."""
        evoked = isinstance(self.protocol, EvokedProtocol)
        return evoked and not self.noisy and self.steady_tolerance is not None

    def alike(self) -> list[np.ndarray]:
        """Simulations (indices) of which all fluctuate, or none: they are computed in different ways."""
        everyone = np.arange(len(self.sim_ids))
        if "p_sd" not in self.inputs:
            return [everyone]
        noisy = self.inputs["p_sd"].any(axis=1)
        return [part for part in (everyone[noisy], everyone[~noisy]) if len(part)]

    def take(self, members: np.ndarray) -> Problem:
        """The problem of some simulations (indices)."""
        return replace(
            self,
            parameters={name: v[members] for name, v in self.parameters.items()},
            inputs={name: v[members] for name, v in self.inputs.items()},
            sim_ids=self.sim_ids[members],
            G=self.G[members],
            speed=self.speed[members],
        )

    def coefficients(self, members: np.ndarray) -> np.ndarray:
        """Rows of the columns' coefficients, the solver's, and the pulses', of some simulations (indices).

        Returns
        -------
        Shape (n_rows, n_members, n_regions), or (n_rows, n_members, 1) where all regions are alike.
        """
        gains = self.protocol.gains if isinstance(self.protocol, EvokedProtocol) else (0.0, 0.0, 0.0)
        values = {name: v[members] for name, v in self.parameters.items()} | {"G": self.G[members, None]}
        inputs = {name: v[members] for name, v in self.inputs.items()}
        stimulated, background = self.stimulated, inputs.get("p", self.protocol.background)
        if self._unit_stimulus:
            stimulated = stimulated * inputs.get("stim_rate", self.protocol.input_parameters["stim_rate"])
        pulses = self._pulses(inputs)
        timing = () if pulses is None else (pulses.begin, pulses.end)
        with np.errstate(over="ignore"):  # the status tells what is not finite
            shared = column(values, gains, stimulated, background, inputs.get("p_sd", 1.0))
            of_solver = self.solver.coefficients(values, self.timing.dt)
            rows = np.stack(np.broadcast_arrays(*shared, *of_solver, *timing))
        return rows[..., :1] if (rows == rows[..., :1]).all() else rows

    def stimulus(self) -> np.ndarray:
        """Stimulus over each step as a cubic, shape (n_steps, 4); its mean alone for one-step schemes.

        In 1/s; 1 during a pulse where simulations have rates of their own, which are in the coefficients.
        Where they have pulses of their own, too, it is the table of :class:`Pulses`.
        """
        n_moments = 4 if self.solver.code > EXP_AB else 1
        protocol, pulses = self.protocol, self._pulses(self.inputs)
        if pulses is not None:
            return np.ascontiguousarray(pulses.table(self.timing), self.dtype)
        if self._unit_stimulus and isinstance(protocol, EvokedProtocol):
            protocol = replace(protocol, stim_rate=1.0)
        return np.ascontiguousarray(self.timing.stimulus(protocol, n_moments), self.dtype)

    @property
    def _unit_stimulus(self) -> bool:
        """Whether the stimulus has the height 1, and rates are in the coefficients."""
        return "stim_rate" in self.inputs or self.timed

    def _pulses(self, inputs: Mapping[str, np.ndarray]) -> Pulses | None:
        """Pulses of the simulations with these inputs, if they have their own."""
        if not self.timed:
            return None
        latency, duration = (
            inputs.get(name, self.protocol.input_parameters[name])
            for name in ("stim_latency", "stim_duration")
        )
        return Pulses.of(latency, duration, self.timing.dt)

    def noise(self) -> tuple[int, np.generic]:
        """Distribution of the background's fluctuation and its standard deviation over one step, 1/s.

        Where simulations have standard deviations of their own, these are in the coefficients.
        """
        if not self.noisy:
            return noise.NONE, self.dtype.type(0)
        held = 1.0 if "p_sd" in self.inputs else self.protocol.noise_sd
        distribution = noise.NORMAL if self.protocol.noise_distribution == "normal" else noise.UNIFORM
        return distribution, self.dtype.type(held * np.sqrt(1e-3 / self.timing.dt))

    def limits(self) -> np.ndarray:
        """Largest |y1 - y2| before and within the recording, mV: finite, so that infinity is out of range."""
        largest = np.finfo(self.dtype).max
        return np.array([largest, min(self.max_source, float(largest))], self.dtype)


@dataclass(frozen=True)
class Solution:
    """Result of an integration.

    Attributes
    ----------
    source
        Mean over epochs of y1 - y2, mV, shape (n_sims, n_regions, n_times).
    failed_step
        First step at which a source was not finite or out of range, -1 if none; shape (n_sims,).
    n_trials
        Trials simulated before the steady state was reached; 0 where all were. Shape (n_sims,).
    """

    source: np.ndarray
    failed_step: np.ndarray
    n_trials: np.ndarray

    @classmethod
    def empty(cls, problem: Problem) -> Solution:
        """Room for the solution of a problem."""
        n_sims, n_regions = len(problem.sim_ids), len(problem.stimulated)
        return cls(
            np.empty((n_sims, n_regions, problem.timing.n_times), problem.dtype),
            np.empty(n_sims, np.int32),
            np.empty(n_sims, np.int32),
        )
