"""jrflow as a candidate beside the peers: the whole call, and of it the time in the compiled loop."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from peers import BACKGROUND, spread

import jrflow
from jrflow.model import batch
from jrflow.model.connectome import Connectome

#: Strength of the networks: what a region receives, as a multiple of the mean rate of the others.
STRENGTH = 10.0


@dataclass
class Ours:
    """A call of ``jrflow.simulate``; called, it returns its node-steps.

    Attributes
    ----------
    in_loop
        Seconds of CPU that each call spent in the compiled time loop, all blocks together; 0 with threads.
    """

    parameters: Mapping[str, Any]
    options: dict[str, Any]
    node_steps: int
    in_loop: list[float] = field(default_factory=list)

    def __call__(self) -> int:
        with self._stopwatch():
            jrflow.simulate(self.parameters, steady_state_tolerance=None, **self.options)
        return self.node_steps

    @property
    def loop_rate(self) -> float:
        """Node-steps per second of the loop, median; the first call's is left out."""
        return self.node_steps / statistics.median(self.in_loop[1:])

    @contextmanager
    def _stopwatch(self) -> Iterator[None]:
        module: Any = batch
        runner = module.block_runner
        self.in_loop.append(0.0)

        def watched(*kind: Any) -> Callable[..., int]:
            run = runner(*kind)

            def timed(*arguments: Any) -> int:
                begin = time.process_time()
                n_steps = run(*arguments)
                self.in_loop[-1] += time.process_time() - begin
                return n_steps

            return timed

        module.block_runner = watched
        try:
            yield
        finally:
            module.block_runner = runner


def kept(solver: str, precision: str, n_sims: int, n_steps: int, every: int = 1) -> Ours:
    """Columns alone at rest, each step kept, which is what the peers do, or one of several."""
    protocol = jrflow.RestProtocol(duration=n_steps * 1e-3, transient=0.0, background=BACKGROUND)
    options = {
        "protocol": protocol,
        "solver": solver,
        "precision": precision,
        "sfreq": 1000 / every,
        "n_threads": 1,
    }
    return Ours(spread(n_sims), options, n_sims * n_steps)


def averaged(solver: str, precision: str, n_sims: int, n_trials: int) -> Ours:
    """Columns alone under the paper's pulses, averaged over the trials on the way."""
    protocol = jrflow.EvokedProtocol(n_trials=n_trials)
    options = {"protocol": protocol, "solver": solver, "precision": precision, "n_threads": 1}
    return Ours(spread(n_sims), options, n_sims * (1000 * n_trials + 1))


def network(
    connectome: Connectome,
    n_sims: int,
    n_steps: int,
    *,
    noise_sd: float,
    precision: str = "float32",
    speed: float = np.inf,
    **options: Any,
) -> Ours:
    """A network at rest, every step of every region kept."""
    protocol = jrflow.RestProtocol(
        duration=n_steps * 1e-3, transient=0.0, background=BACKGROUND, noise_sd=noise_sd
    )
    own = {"protocol": protocol, "connectome": connectome, "solver": "strang", "precision": precision}
    own["n_threads"] = 1
    parameters = spread(n_sims) | {"speed": np.full(n_sims, speed)}
    return Ours(parameters, own | options, n_sims * connectome.n_regions * n_steps)


def brain(n_regions: int) -> Connectome:
    """The network of all candidates: everyone is linked with everyone, and receives ``STRENGTH`` in sum."""
    made = Connectome.synthetic(n_regions).normalised("in-strength")
    return Connectome(STRENGTH * made.weights, made.tract_lengths)
