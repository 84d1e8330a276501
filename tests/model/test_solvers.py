"""Solvers converge to an independent solution with their order."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from jrflow.model import MODEL
from jrflow.model.protocol import EvokedProtocol, RestProtocol
from jrflow.model.solvers import SOLVERS, solver
from jrflow.model.timing import Timing
from jrflow.simulation import simulate

P = dict(MODEL.presets["unit-consistent"].defaults)


def rhs(t: float, y: np.ndarray, u: float, p: float) -> np.ndarray:
    """The equations of the science page, written independently of the kernel."""

    def S(v: float) -> float:
        return P["v_max"] / (1 + np.exp(P["r"] * (P["v_0"] - v)))

    A, a, B, b = P["A_e"], P["b_e"], P["A_i"], P["b_i"]
    C1, C2, C3, C4 = (P["C"] * P[f"a_{k}"] for k in (1, 2, 3, 4))
    drive = (
        A * a * (S(y[1] - y[2]) + 0.56 * u),
        A * a * (p + u + C2 * S(C1 * y[0])),
        B * b * (u + C4 * S(C3 * y[0])),
    )
    rate = (a, a, b)
    accelerations = [drive[i] - 2 * rate[i] * y[3 + i] - rate[i] ** 2 * y[i] for i in range(3)]
    return np.concatenate([y[3:], accelerations])


def reference(pieces: list[tuple[float, float]], background: float, times: np.ndarray) -> np.ndarray:
    """y1 - y2 at ``times`` for a stimulus given as (duration, u) pieces, to 1e-12."""
    y, start, out = np.zeros(6), 0.0, np.empty(len(times))
    for duration, u in pieces:
        solution = solve_ivp(
            rhs, (0, duration), y, "DOP853", rtol=1e-12, atol=1e-13, args=(u, background),
            dense_output=True, max_step=5e-3,
        ).sol  # fmt: skip
        inside = (times >= start - 1e-12) & (times <= start + duration + 1e-12)
        if inside.any():
            state = solution(times[inside] - start)
            out[inside] = state[1] - state[2]
        y, start = solution(duration), start + duration
    return out


def order(errors: list[float]) -> float:
    """Slope of log error over log step, steps halved each time."""
    return float(-np.polyfit(np.arange(len(errors)), np.log2(errors), 1)[0])


#: Steps at which a scheme is in its asymptotic regime, and above rounding: 2 ms / 2**k.
EVOKED_STEPS = {"euler": (3, 7), "exp-ab4": (4, 7), "rk4": (2, 6)}
REST_STEPS = {"euler": (6, 10), "exp-ab4": (2, 6), "rk4": (1, 5)}


def errors_of(name: str, protocol, exact: np.ndarray, halvings: tuple[int, int]) -> list[float]:
    """Largest error of the source in float64 at steps of 2 ms / 2**k."""
    errors = []
    for k in range(*halvings):
        ds = simulate(
            solver=name, dt=2e-3 / 2**k, sfreq=500.0, precision="float64", protocol=protocol,
            steady_state_tolerance=None,
        )  # fmt: skip
        errors.append(float(np.abs(ds.source.values[0, 0, : len(exact)] - exact).max()))
    return errors


def pulses(rate: float, duration: float) -> tuple[EvokedProtocol, np.ndarray]:
    """Three pulses, and the mean of their epochs, exactly."""
    protocol = EvokedProtocol(
        n_trials=3, isi=0.4, stim_rate=rate, stim_duration=duration, tmin=-0.1, tmax=0.29, transient=0.4
    )
    pieces = [(0.5, 0.0)] + 3 * [(duration, rate), (0.4 - duration, 0.0)]
    grid = np.arange(195) / 500.0
    exact = np.mean([reference(pieces, 0.0, start + grid) for start in (0.4, 0.8, 1.2)], axis=0)
    return protocol, exact


@pytest.mark.parametrize("name", list(SOLVERS))
def test_order_on_the_evoked_response(name: str) -> None:
    """Edges on the grid cost no order, though the feedback has a kink there.

    For a scheme whose step sums the feedback with constant weights, the error of a kink on the grid has the
    factor B_3(0) = 0 (Euler and Maclaurin), so that it is of the fourth order.
    """
    protocol, exact = pulses(60.0, 0.05)
    errors = errors_of(name, protocol, exact, EVOKED_STEPS.get(name, (3, 7)))
    assert order(errors) == pytest.approx(SOLVERS[name].order, abs=0.15), errors


@pytest.mark.parametrize("name", list(SOLVERS))
def test_order_with_constant_input(name: str) -> None:
    """A column driven into its limit cycle (p = 180 /s), over half a second."""
    protocol = RestProtocol(duration=0.5, transient=0.0, background=180.0)
    exact = reference([(0.5, 0.0)], 180.0, np.arange(250) / 500.0)
    errors = errors_of(name, protocol, exact, REST_STEPS.get(name, (3, 7)))
    assert order(errors) == pytest.approx(SOLVERS[name].order, abs=0.15), errors


@pytest.mark.parametrize(
    ("name", "expected"),
    [("euler", 1), ("heun", 2), ("rk4", 2), ("strang", 2), ("exp-ab2", 2), ("exp-ab3", 3)],
)
def test_order_with_an_edge_inside_a_step(name: str, expected: int) -> None:
    """A pulse that ends a third into a step: only the fourth-order one-step scheme falls, to order 2."""
    protocol, exact = pulses(20.0, 0.05 + 1e-3 / 3)
    errors = errors_of(name, protocol, exact, (3, 7))
    assert order(errors) == pytest.approx(expected, abs=0.15), errors


def test_adams_bashforth_4_with_an_edge_inside_a_step() -> None:
    """B_3(1/3) is not zero: third order in theory, but of so small a share that the fourth is seen."""
    protocol, exact = pulses(20.0, 0.05 + 1e-3 / 3)
    errors = errors_of("exp-ab4", protocol, exact, (3, 8))
    assert order(errors) == pytest.approx(4, abs=0.15), errors
    assert errors[-1] < 1e-9


def test_the_default_is_exact_enough_at_one_millisecond() -> None:
    protocol = EvokedProtocol(n_trials=3)
    coarse = simulate(precision="float64", protocol=protocol).source
    fine = simulate(precision="float64", protocol=protocol, dt=1e-4).source
    assert float(abs(coarse - fine).max() / (fine.max() - fine.min())) < 5e-4


def test_resting_state_is_an_equilibrium_of_the_equations() -> None:
    ds = simulate(precision="float64", protocol=RestProtocol(duration=1.0, transient=5.0, background=0.0))
    trace = ds.source.values[0, 0]
    assert np.ptp(trace) < 1e-10


def test_unknown_solver_is_named() -> None:
    with pytest.raises(ValueError, match="unknown solver 'rk5': expected one of euler, heun, rk4, exp-ab2"):
        solver("rk5")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dt": 3e-4}, "sampling interval 1/sfreq"),
        ({"sfreq": 300.0}, "sampling interval 1/sfreq"),
        ({"sfreq": 1e-300}, "isi .* must be at least the sampling interval"),
        ({"protocol": EvokedProtocol(n_trials=2, isi=0.3)}, "no epoch is complete"),
    ],
)
def test_durations_off_the_grid_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulate(**changes)


@pytest.mark.parametrize("dt", [1e-3, 5e-4])
@pytest.mark.parametrize("duration", [0.05, 0.0504])
def test_stimulus_and_epochs_scale_with_the_step(dt: float, duration: float) -> None:
    """The dose of a pulse is that of the protocol, wherever it ends; and so are its first moments."""
    protocol = EvokedProtocol(stim_duration=duration)
    timing = Timing.of(protocol, dt, 1000.0)
    assert timing.n_epochs == 59
    mean = timing.stimulus(protocol)
    assert not mean[:, 1:].any()
    onset = round(1 / dt)
    assert mean[onset : onset + 200, 0].sum() * dt == pytest.approx(60 * duration, rel=1e-9)
    cubic = timing.stimulus(protocol, n_moments=4)
    powers = np.arange(4)
    moments = cubic @ (1 / (1 + powers[:, None] + powers))  # of s/dt, within each step
    on = np.clip((duration - dt * np.arange(100)) / dt, 0, 1)
    expected = 60 * on[:, None] ** (powers + 1) / (powers + 1)
    np.testing.assert_allclose(moments[onset : onset + 100], expected, atol=1e-9)
