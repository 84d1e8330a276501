"""Error against cost: what a digit costs with each tool and scheme.

    python benchmarks/accuracy.py [--quick] [--core 1] [--figure docs/science/figures/error-against-cost.svg]

Two problems, the model's usual parameters, from rest: the limit cycle at a constant background of 180/s over
2 s, and the paper's response to one pulse, from 0.2 s before it to 1 s after. The error is the largest
difference of y1 - y2 from a reference at every second millisecond, as a fraction of the reference's range.
The cost is CPU time on one core, per simulated second and simulation, of the tool's best way to simulate
many columns with every step kept: one measurement for a scheme, divided by the step. Errors of the peers
are those of their double precision; where their timed runs are in single precision, that is in their favour.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from table import Table, number, times

FIGURE = Path(__file__).parents[1] / "docs" / "science" / "figures" / "error-against-cost.svg"
#: s.
STEPS = (2e-3, 1e-3, 0.5e-3, 0.25e-3, 0.1e-3, 0.05e-3)
DURATION, GRID = 2.0, 2e-3
#: The error that tools are compared at.
TARGET = 1e-3
#: All of jrflow's solvers, and those that it takes by itself in single precision, which it takes by itself.
OURS = (
    *(f"jrflow {s} float64" for s in ("euler", "heun", "rk4", "exp-ab2", "exp-ab3", "exp-ab4", "strang")),
    "jrflow exp-ab4 float32",
    "jrflow strang float32",
)


@dataclass(frozen=True)
class Problem:
    """Background and pulse, 1/s; begin and end of the pulse, and when errors begin to count, s."""

    background: float
    pulse: float = 0.0
    on: float = 1.0
    off: float = 1.05
    since: float = 0.0

    def stimulus(self, dt: float) -> np.ndarray | None:
        """Input rate in every step."""
        if not self.pulse:
            return None
        u = np.zeros(round(DURATION / dt))
        u[round(self.on / dt) : round(self.off / dt)] = self.pulse
        return u

    def error(self, source: np.ndarray, reference: np.ndarray) -> float:
        """Largest difference on the common grid since errors count, as a fraction of the range."""
        stride = round(len(source) / len(reference))
        counts = slice(round(self.since / GRID), None)
        x, y = source[::stride][counts], reference[counts]
        return float(abs(x - y).max() / np.ptp(y))


PROBLEMS = {"limit cycle": Problem(180.0), "evoked response": Problem(0.0, pulse=60.0, since=0.8)}


@dataclass
class Series:
    """One tool with one scheme.

    Attributes
    ----------
    rate
        Node-steps per second.
    errors
        By problem, an error for each step; none where the tool cannot do the problem.
    """

    name: str
    rate: float
    errors: dict[str, list[float]] = field(default_factory=dict)

    def costs(self, n: int) -> list[float]:
        """Seconds per simulated second and simulation with each of the first n steps."""
        return [1 / (dt * self.rate) for dt in STEPS[:n]]

    def cost_at(self, problem: str, target: float = TARGET) -> float:
        """Cost of an error, interpolated between steps in logarithms; infinite if it is not reached.

        If the largest step is more exact than asked for, it is that step's.
        """
        errors = self.errors.get(problem, [])
        points = list(zip(self.costs(len(errors)), errors, strict=True))
        if points and points[0][1] <= target:
            return points[0][0]
        for (cost, error), (next_cost, next_error) in pairwise(points):
            if next_error <= target:
                part = np.log(error / target) / np.log(error / next_error)
                return float(cost * (next_cost / cost) ** part)
        return np.inf


def reference(problem: Problem) -> np.ndarray:
    """SciPy's DOP853 to 12 digits, piece by piece between the stimulus' edges, on the common grid."""
    from peers import DEFAULTS, GAINS
    from scipy.integrate import solve_ivp

    p = DEFAULTS
    a, b, C = p["b_e"], p["b_i"], p["C"]

    def rate(v: float) -> float:
        return p["v_max"] / (1 + np.exp(p["r"] * (p["v_0"] - v)))

    def slope(t: float, z: np.ndarray, u: float) -> list[float]:
        y0, y1, y2, v0, v1, v2 = z
        pyramidal, excitatory, inhibitory = (gain * u for gain in GAINS)
        excitatory += problem.background + p["a_2"] * C * rate(p["a_1"] * C * y0)
        inhibitory += p["a_4"] * C * rate(p["a_3"] * C * y0)
        pyramidal += rate(y1 - y2)
        return [
            v0,
            v1,
            v2,
            p["A_e"] * a * pyramidal - 2 * a * v0 - a**2 * y0,
            p["A_e"] * a * excitatory - 2 * a * v1 - a**2 * y1,
            p["A_i"] * b * inhibitory - 2 * b * v2 - b**2 * y2,
        ]

    grid = GRID * np.arange(round(DURATION / GRID))
    source, z = np.zeros(len(grid)), np.zeros(6)
    for begin, end, u in (
        (0.0, problem.on, 0.0),
        (problem.on, problem.off, problem.pulse),
        (problem.off, DURATION, 0.0),
    ):
        here = (grid > begin - GRID / 2) & (grid < end - GRID / 2)
        moments = np.clip(np.append(grid[here], end), begin, end)
        solved = solve_ivp(slope, (begin, end), z, "DOP853", moments, args=(u,), rtol=1e-12, atol=1e-12)
        source[here], z = (solved.y[1] - solved.y[2])[:-1], solved.y[:, -1]
    return source


def ours(problem: Problem, dt: float, solver: str, precision: str) -> np.ndarray:
    """jrflow's source on the common grid; of an evoked response from the beginning of its epoch."""
    import jrflow

    protocol: jrflow.EvokedProtocol | jrflow.RestProtocol
    if problem.pulse:
        # Of two trials the first makes a complete epoch, so that there is no mean.
        protocol = jrflow.EvokedProtocol(n_trials=2, stim_rate=problem.pulse, background=problem.background)
    else:
        protocol = jrflow.RestProtocol(duration=DURATION, transient=0.0, background=problem.background)
    ds = jrflow.simulate(protocol=protocol, solver=solver, dt=dt, sfreq=1 / GRID, precision=precision)
    n_before = round(problem.since / GRID)
    whole = np.concatenate([np.zeros(n_before), ds["source"].values[0, 0]])
    return whole[: round(DURATION / GRID)]


def theirs(problem: Problem, dt: float, name: str, scheme: str) -> np.ndarray:
    """A peer's source at each of its steps."""
    from peers import DEFAULTS, load

    n_steps = round(DURATION / dt)
    return load(name).trajectory(DEFAULTS, problem.background, problem.stimulus(dt), dt, n_steps, scheme)


def errors(
    simulate: Callable[[Problem, float], np.ndarray], references: Mapping[str, np.ndarray], n: int
) -> dict[str, list[float]]:
    """Errors with the first n steps, for each problem that the tool can do."""
    from peers import attempt

    found = {}
    for name, problem in PROBLEMS.items():
        sources, _ = attempt(lambda: [simulate(problem, dt) for dt in STEPS[:n]])  # noqa: B023
        if sources is not None:
            found[name] = [problem.error(source, references[name]) for source in sources]
    return found


def series(quick: bool) -> tuple[list[Series], str]:
    """Rates, measured in turns, and errors of all tools and schemes; and remarks on the peers."""
    from cases.uncoupled import N_SIMS, peer_case
    from ours import kept
    from rivals import candidates, remarks
    from turns import in_turns

    runs = {name: kept(*name.split()[1:], N_SIMS, 500 if quick else 2000) for name in OURS}
    peers, missing = candidates(peer_case)
    measured = in_turns({**runs, **peers}, 3 if quick else 9)
    references = {name: reference(problem) for name, problem in PROBLEMS.items()}
    n = 4 if quick else len(STEPS)
    made = []
    for name in (*runs, *peers):
        if name in runs:
            _, solver, precision = name.split()
            simulate = partial(ours, solver=solver, precision=precision)
        else:
            peer, scheme = name.split()
            simulate = partial(theirs, name=peer, scheme=scheme)
        made.append(Series(name, measured[name].rate, errors(simulate, references, n)))
    return made, remarks(peers, missing, "uncoupled", "trajectory")


def tables(made: Sequence[Series]) -> str:
    """Errors by problem, and at which cost they fall below the target."""
    text = []
    for problem in PROBLEMS:
        steps = [f"{1e3 * dt:g} ms" for dt in STEPS[: max(len(s.errors.get(problem, [])) for s in made)]]
        table = Table(f"Errors: {problem}", "n-s/s", *steps, f"cost at {TARGET:g}")
        for s in made:
            if found := s.errors.get(problem):
                cost = s.cost_at(problem)
                reached = f"{1e6 * cost:.2f} us/s" if np.isfinite(cost) else "-"
                table.add(s.name, number(s.rate), *(f"{e:.0e}" for e in found), reached)
        text.append(str(table))
        text.append(verdict(made, problem))
    return "\n".join(text)


def verdict(made: Sequence[Series], problem: str) -> str:
    """The cheapest way to the target in jrflow beside the cheapest elsewhere."""
    ranked = sorted(made, key=lambda s: s.cost_at(problem))
    mine = [s for s in ranked if s.name.startswith("jrflow")]
    others = [s for s in ranked if s not in mine]
    if not others:
        return "  no peer to compare with"
    ratio = others[0].cost_at(problem) / mine[0].cost_at(problem)
    return f"  at {TARGET:g}: {mine[0].name} is {times(ratio)} cheaper than {others[0].name}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="shorter, and larger steps alone")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="to be pinned to")
    parser.add_argument("--figure", type=Path, default=FIGURE, help="where it goes")
    arguments = parser.parse_args(argv)
    os.sched_setaffinity(0, {arguments.core})
    warnings.filterwarnings("ignore", module="tvb")  # of an optional package
    made, remarks = series(arguments.quick)
    print(tables(made))
    print(remarks)
    from error_figure import draw

    arguments.figure.parent.mkdir(parents=True, exist_ok=True)
    draw(made, list(PROBLEMS), TARGET, arguments.figure)
    print(f"\n{arguments.figure}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
