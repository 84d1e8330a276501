"""Schemes under noise: strong and weak orders on nested grids that share one Brownian path."""

from functools import cache

import numpy as np
import pytest
from numba import njit

from jrflow.model import MODEL, solvers
from jrflow.model.equations import (
    N_COLUMN,
    N_STATE,
    activation,
    column,
    external,
    feedback,
    read_column,
    read_state,
    write_state,
)
from jrflow.model.protocol import RestProtocol
from jrflow.model.solvers import SOLVERS
from jrflow.simulation import simulate

#: Standard deviation of the white noise, 1/s sqrt(s): 60 /s held for a millisecond.
SIGMA = 60.0 * np.sqrt(1e-3)
DURATION, COARSEST, BACKGROUND = 0.256, 4e-3, 220.0


@njit(error_model="numpy")
def final_sources(code, n_stages, P, n_rows, fluctuations):
    """y1 - y2 at the end of each path, by the solvers' own stages; fluctuations (n_paths, n_steps), 1/s."""
    ends = np.empty(len(fluctuations))
    for path in range(len(fluctuations)):
        Y = np.zeros(n_rows)
        s, c = read_state(Y, 0, 1), read_column(P, 0, 1)
        write_state(
            Y,
            0,
            1,
            solvers.start(code, s, feedback(s, c, c.pyr * activation(s, c), 0.0), P, N_COLUMN, 1, Y, N_STATE),
        )
        for z in fluctuations[path]:
            for number in range(n_stages):
                s = read_state(Y, 0, 1)
                f = feedback(s, c, c.pyr * activation(s, c), 0.0)
                s = solvers.stage(
                    code, number, True, s, c, f, external(c, 0.0), z, P, N_COLUMN, 1, Y, N_STATE
                )
                write_state(Y, 0, 1, s)
        ends[path] = Y[1] - Y[2]
    return ends


def run(name: str, dt: float, fluctuations: np.ndarray) -> np.ndarray:
    p = {k: np.full((1, 1), v) for k, v in MODEL.presets["unit-consistent"].defaults.items()} | {
        "G": np.ones((1, 1))
    }
    solver = SOLVERS[name]
    rows = (*column(p, (0.0, 0.0, 0.0), np.zeros(1), BACKGROUND), *solver.coefficients(p, dt))
    P = np.array([float(np.asarray(row).item()) for row in rows])
    return final_sources(solver.code, solver.n_stages, P, solver.n_rows, fluctuations)


@cache
def brownian(n_paths: int, halvings: int) -> np.ndarray:
    """Mean of the noise over each step of the finest grid, 1/s, shape (n_paths, n_steps)."""
    n_steps = round(DURATION / COARSEST) * 2**halvings
    dt = DURATION / n_steps
    return np.random.default_rng(1).standard_normal((n_paths, n_steps)) * SIGMA / np.sqrt(dt)


def on_coarser_grid(fine: np.ndarray, factor: int) -> np.ndarray:
    """The same path: what a coarse step sees is the mean of its fine steps."""
    return fine.reshape(len(fine), -1, factor).mean(axis=2)


def order(errors: list[float]) -> float:
    return float(-np.polyfit(np.arange(len(errors)), np.log2(errors), 1)[0])


@pytest.mark.parametrize("name", ["euler", "heun", "strang", "exp-ab4"])
def test_strong_order(name: str) -> None:
    """Root mean square distance to the solution on a much finer grid: order 1, for the noise is additive.

    At coarse steps the deterministic part of the error still shows, of the scheme's own order.
    """
    halvings, finest = 11, 8
    fine = brownian(100, halvings)
    exact = run("heun", COARSEST / 2**halvings, fine)
    errors = []
    for k in range(3, finest):
        ends = run(name, COARSEST / 2**k, on_coarser_grid(fine, 2 ** (halvings - k)))
        errors.append(float(np.sqrt(np.mean((ends - exact) ** 2))))
    assert order(errors) == pytest.approx(1.0, abs=0.15), errors


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected"), [("euler", 1.0), ("heun", 2.0), ("strang", 2.0), ("exp-ab2", 2.0)]
)
def test_weak_order(name: str, expected: float) -> None:
    """Bias of the source's mean square at the end; the common path takes the noise out of the comparison."""
    fine, exact = weak_reference()
    steps = (1, 2, 3, 4) if expected == 2 else (3, 4, 5)
    errors = [abs(bias(name, k, fine, exact)) for k in steps]
    assert order(errors) == pytest.approx(expected, abs=0.15), errors


@pytest.mark.slow
def test_the_default_has_the_smallest_bias_at_one_millisecond() -> None:
    """Extrapolating the feedback pays under noise, too: that is why it is the default there."""
    fine, exact = weak_reference()
    default = abs(bias("exp-ab4", 2, fine, exact))
    assert default < 0.05 * min(abs(bias(name, 2, fine, exact)) for name in ("heun", "strang", "exp-ab2"))


@cache
def weak_reference() -> tuple[np.ndarray, np.ndarray]:
    fine = brownian(20_000, 6)
    return fine, run("heun", COARSEST / 2**6, fine)


def bias(name: str, halvings: int, fine: np.ndarray, exact: np.ndarray) -> float:
    ends = run(name, COARSEST / 2**halvings, on_coarser_grid(fine, 2 ** (6 - halvings)))
    return float(np.mean(ends**2 - exact**2))


def test_the_default_keeps_the_statistics_of_a_recording() -> None:
    """At 1 ms the standard deviation is that at 0.1 ms, to the error of sampling; Euler's is far off."""
    protocol = RestProtocol(duration=8.0, transient=1.0, background=220.0, noise_sd=60.0)

    def sd(seed: int, **options: object) -> float:
        ds = simulate({"A_e": np.full(64, 3.25)}, protocol=protocol, seed=seed, **options)
        return float(ds.source.std("time").mean())

    fine = sd(1, dt=1e-4, solver="heun")
    assert sd(0) == pytest.approx(fine, rel=0.02)
    assert sd(0, solver="strang") == pytest.approx(fine, rel=0.02)
    assert sd(0, solver="euler") > 1.5 * fine
