"""Node-steps per second on a GPU, beside what the card can do at most and beside this machine's CPU.

    python benchmarks/gpu.py [--quick]

*kernel* is the time that the device is busy with the loop over steps, *call* all of ``jrflow.simulate``:
coefficients, transfers, labels. Medians of the repeats after one call that compiles.

The limits, from the card's own figures: a sigmoid is two operations of the special function units, of which
a multiprocessor has 16; a connection of a network is one fused multiply-add, of which it does 128; a sample
that is kept is written to memory, and one that is averaged read as well. The CPU computes the same problem
with fewer simulations, on all cores.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ours import brain
from peers import BACKGROUND, spread
from table import Table, number, times

import jrflow
from jrflow.model import kernel_gpu
from jrflow.model.backend import BackendError
from jrflow.model.connectome import Connectome
from jrflow.model.timing import Timing

#: Evaluations of the sigmoid, each a power and a reciprocal.
SIGMOIDS = 3
#: Per multiprocessor and clock: special functions, fused multiply-adds in float32.
SPECIAL, FUSED = 16, 128


@dataclass(frozen=True)
class Card:
    """What the device says of itself."""

    name: str
    multiprocessors: int
    clock: float  # Hz
    bandwidth: float  # bytes/s

    @classmethod
    def present(cls) -> Card:
        from numba import cuda

        device = cuda.get_current_device()
        name = device.name.decode() if isinstance(device.name, bytes) else device.name
        # Memory transfers twice a clock.
        bandwidth = 2e3 * device.MEMORY_CLOCK_RATE * device.GLOBAL_MEMORY_BUS_WIDTH / 8
        return cls(name, device.MULTIPROCESSOR_COUNT, 1e3 * device.CLOCK_RATE, bandwidth)

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.multiprocessors} multiprocessors at up to {self.clock / 1e9:.2f} GHz, "
            f"{self.bandwidth / 1e12:.2f} TB/s"
        )


@dataclass(frozen=True)
class Case:
    """A batch and what one of its node-steps takes of the card."""

    parameters: dict[str, float]
    options: dict[str, Any]
    n_sims: int
    n_regions: int
    n_steps: int
    special: float
    connections: int
    memory: float  # bytes

    @property
    def node_steps(self) -> int:
        return self.n_sims * self.n_regions * self.n_steps

    def limits(self, card: Card) -> dict[str, float]:
        """Node-steps per second if nothing else took time."""
        per_clock = card.multiprocessors * card.clock
        found = {
            "special functions": SPECIAL * per_clock / self.special,
            "memory": card.bandwidth / self.memory,
        }
        if self.connections:
            found["multiply-adds"] = FUSED * per_clock / self.connections
        return found

    def run(self, backend: str, n_sims: int) -> None:
        parameters = spread(n_sims) | self.parameters
        jrflow.simulate(parameters, backend=backend, steady_state_tolerance=None, seed=1, **self.options)


def columns(solver: str, n_sims: int, noise_sd: float, n_steps: int) -> Case:
    """Columns at rest, every step kept."""
    protocol = jrflow.RestProtocol(
        duration=n_steps * 1e-3, transient=0.0, background=BACKGROUND, noise_sd=noise_sd
    )
    special = 2 * SIGMOIDS + (0.5 if noise_sd else 0)  # two normals share a square root
    return Case({}, {"protocol": protocol, "solver": solver}, n_sims, 1, n_steps, special, 0, 4)


def evoked(solver: str, n_sims: int, n_trials: int) -> Case:
    """Columns under the paper's pulses, averaged on the device: a sum is read and written."""
    options: dict[str, Any] = {"protocol": jrflow.EvokedProtocol(n_trials=n_trials), "solver": solver}
    n_steps = Timing.of(options["protocol"], 1e-3, 1000.0).n_steps
    return Case({}, options, n_sims, 1, n_steps, 2 * SIGMOIDS, 0, 8)


def network(connectome: Connectome, solver: str, n_sims: int, n_steps: int, speed: float) -> Case:
    """A network at rest with noise, every step of every region kept."""
    protocol = jrflow.RestProtocol(
        duration=n_steps * 1e-3, transient=0.0, background=BACKGROUND, noise_sd=30.0
    )
    n = connectome.n_regions
    options = {"protocol": protocol, "solver": solver, "connectome": connectome}
    return Case({"speed": speed}, options, n_sims, n, n_steps, 2 * SIGMOIDS + 0.5, n, 4)


def on_gpu(case: Case, repeats: int) -> tuple[float, float]:
    """Node-steps per second of the kernel and of the call."""
    kernel, call = [], []
    for _ in range(repeats + 1):
        seconds: list[float] = []
        integrate: Callable[..., Any] = kernel_gpu.integrate
        kernel_gpu.integrate = lambda problem, s=seconds, f=integrate: f(problem, s)
        begin = time.perf_counter()
        try:
            case.run("cuda", case.n_sims)
        finally:
            kernel_gpu.integrate = integrate
        call.append(time.perf_counter() - begin)
        kernel.append(sum(seconds))
    return case.node_steps / statistics.median(kernel[1:]), case.node_steps / statistics.median(call[1:])


def on_cpu(case: Case, n_sims: int) -> float:
    """Node-steps per second of the call, the second one."""
    case.run("cpu", n_sims)
    begin = time.perf_counter()
    case.run("cpu", n_sims)
    return n_sims * case.n_regions * case.n_steps / (time.perf_counter() - begin)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller and shorter: to see that it runs")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args(argv)
    try:
        kernel_gpu.require_gpu()
    except BackendError as error:
        print(f"benchmarks/gpu.py: {error}")
        return 1
    card, cores, few = Card.present(), len(os.sched_getaffinity(0)), 10 if arguments.quick else 1
    print(f"{card}; CPU: {cores} cores; float32", flush=True)
    cases: dict[str, Case] = {}
    for n in (10**4, 10**5, 10**6):
        cases[f"{n:.0e} columns, exp-ab4"] = columns("exp-ab4", n // few, 0.0, 1000)
        cases[f"{n:.0e} columns, strang, noise"] = columns("strang", n // few, 30.0, 1000)
        cases[f"{n:.0e} columns, exp-ab4, averaged"] = evoked("exp-ab4", n // few, 11)
    for n_regions, many in ((84, 2048), (400, 1024), (1000, 256)):
        made = brain(n_regions)
        for solver in ("exp-ab4", "strang"):
            for n_sims in (32, many):
                for speed, how in ((np.inf, ""), (5.0, ", delays")):
                    name = f"{n_regions} regions, {n_sims} networks, {solver}{how}"
                    cases[name] = network(made, solver, max(8, n_sims // few), 1000 // few, speed)
    heads = ("kernel", "call", "special functions", "nearest limit", "kernel / CPU", "call / CPU")
    table = Table("node-steps/s, fractions of the card's limits, and times the CPU", *heads)
    for name, case in cases.items():
        kernel, call = on_gpu(case, arguments.repeats)
        cpu = on_cpu(case, min(case.n_sims, cores * (256 if case.n_regions == 1 else 32)))
        limits = case.limits(card)
        nearest = min(limits, key=lambda limit: limits[limit])
        fraction = f"{kernel / limits['special functions']:.0%}"
        cells = (
            fraction,
            f"{kernel / limits[nearest]:.0%} of {nearest}",
            times(kernel / cpu),
            times(call / cpu),
        )
        table.add(name, number(kernel), number(call), *cells)
        print(f"{name}: {number(kernel)}", flush=True)
    print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
