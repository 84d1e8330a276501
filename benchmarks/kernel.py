"""Node-steps per second of the kernel on one core, beside a transcription of the paper's loop.

    python benchmarks/kernel.py [--n-sims 512] [--repeats 5]

One node-step is one time step of one column. Compilation is left out; medians over the repeats, taken in
turns so that a slow moment of the machine hits all candidates alike.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np

from jrflow.model.kernel_cpu import integrate
from jrflow.model.parameters import INFERRED, PRESETS
from jrflow.model.protocol import EvokedProtocol
from jrflow.model.solvers import SOLVERS
from jrflow.model.timing import Timing

PROTOCOL = EvokedProtocol(n_trials=12)
TIMING = Timing.of(PROTOCOL, 1e-3, 1000.0)


def draw(n_sims: int) -> dict[str, np.ndarray]:
    """Parameters within 50 % of their defaults."""
    rng = np.random.default_rng(0)
    values = {name: np.full(n_sims, default) for name, default in PRESETS["unit-consistent"].defaults.items()}
    return values | {name: values[name] * rng.uniform(0.5, 1.5, n_sims) for name in INFERRED}


def kernel(solver: str, precision: str, parameters: dict[str, np.ndarray]) -> Callable[[], int]:
    """One call of jrflow's kernel in one thread; returns its node-steps."""
    n_sims = len(parameters["A_e"])

    def run() -> int:
        integrate(
            parameters,
            np.arange(n_sims),
            PROTOCOL,
            TIMING,
            SOLVERS[solver],
            np.dtype(precision),
            0,
            n_threads=1,
        )
        return n_sims * TIMING.n_steps

    return run


def published_loop(parameters: dict[str, np.ndarray], n_steps: int = 5000) -> Callable[[], int]:
    """The paper's loop: forward Euler, one simulation, scalar NumPy arithmetic in double precision."""
    p = {name: float(values[0]) for name, values in parameters.items()}
    u = TIMING.stimulus(PROTOCOL)

    def rate(v: float) -> float:
        return p["v_max"] / (1 + np.exp(p["r"] * (p["v_0"] - v)))

    def run() -> int:
        y = np.zeros((6, n_steps))
        A, B, a, b, C, dt = p["A_e"], p["A_i"], p["b_e"], p["b_i"], p["C"], TIMING.dt
        for k in range(1, n_steps):
            y0, y1, y2, v0, v1, v2 = y[:, k - 1]
            y[0, k], y[1, k], y[2, k] = y0 + dt * v0, y1 + dt * v1, y2 + dt * v2
            y[3, k] = v0 + dt * (A * a * (0.56 * u[k - 1] + rate(y1 - y2)) - 2 * a * v0 - a**2 * y0)
            excitation = u[k - 1] + p["a_2"] * C * rate(p["a_1"] * C * y0)
            y[4, k] = v1 + dt * (A * a * excitation - 2 * a * v1 - a**2 * y1)
            inhibition = u[k - 1] + p["a_4"] * C * rate(p["a_3"] * C * y0)
            y[5, k] = v2 + dt * (B * b * inhibition - 2 * b * v2 - b**2 * y2)
        return n_steps

    return run


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-sims", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args(argv)
    parameters = draw(arguments.n_sims)
    candidates = {"the paper's loop, float64": published_loop(parameters)} | {
        f"jrflow {solver}, {precision}": kernel(solver, precision, parameters)
        for solver in SOLVERS
        for precision in ("float32", "float64")
    }
    for run in candidates.values():
        run()
    rates: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(arguments.repeats):
        for name, run in candidates.items():
            start = time.perf_counter()
            node_steps = run()
            rates[name].append(node_steps / (time.perf_counter() - start))
    slowest = statistics.median(rates["the paper's loop, float64"])
    print(f"{'':28}  node-steps/s    times the paper's loop")
    for name, values in rates.items():
        print(f"{name:28}  {statistics.median(values):12.3g}  {statistics.median(values) / slowest:12.0f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
