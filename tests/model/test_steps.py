"""Steps that are too long for a scheme, and sources that are too large to believe."""

import numpy as np
import pytest

import jrflow
from jrflow.model import MODEL
from jrflow.model.plausible import PlausibilityWarning
from jrflow.model.solvers import SOLVERS, largest_valid_step

REST = jrflow.RestProtocol(duration=0.05, transient=0.0)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_step_is_valid_up_to_its_bound(solver: str) -> None:
    """Per simulation: status 3 and a warning beyond it, nothing up to it; the others keep their bits."""
    b = 1e3 * largest_valid_step(solver, 1.0)  # at 1 ms
    given = {"b_e": [100.0, b * (1 - 1e-9), b * 1.01]}
    with pytest.warns(PlausibilityWarning, match=rf"{solver}.*1 simulation gets status 3"):
        ds = jrflow.simulate(given, protocol=REST, solver=solver, precision="float64")
    assert ds.status.values.tolist() == [0, 0, 3]
    assert ds.failed_step.values.tolist() == [-1, -1, 0]
    alone = jrflow.simulate({"b_e": given["b_e"][:2]}, protocol=REST, solver=solver, precision="float64")
    np.testing.assert_array_equal(ds.source.values[:2], alone.source.values)
    with pytest.raises(ValueError, match=f"dt: .*{solver}.*b_e"):
        jrflow.simulate({"b_e": b * 1.01}, protocol=REST, solver=solver)


def test_an_infinite_limit_still_notices_what_is_not_finite() -> None:
    with pytest.warns(PlausibilityWarning):
        ds = jrflow.simulate(
            {"A_e": [3.25, 1e200], "C": [135.0, 1e200]}, protocol=REST, max_source=np.inf, solver="euler"
        )
    assert ds.status.values.tolist() == [0, 2]


EVOKED = jrflow.EvokedProtocol(n_trials=3, isi=0.5, tmin=-0.1, tmax=0.4, transient=0.1)


def draws(n: int) -> dict[str, np.ndarray]:
    """The +-50 % prior."""
    rng = np.random.default_rng(1)
    return {name: MODEL.mass[name].default * rng.uniform(0.5, 1.5, n) for name in MODEL.inferred}


def errors(solver: str, dt: float, n: int = 100) -> np.ndarray:
    """Largest difference of each response from that at a tenth of a millisecond, over its range."""
    common = {"protocol": EVOKED, "precision": "float64", "steady_state_tolerance": None}
    fine = jrflow.simulate(draws(n), solver="exp-ab4", dt=1e-4, sfreq=1 / dt, **common)
    coarse = jrflow.simulate(draws(n), solver=solver, dt=dt, sfreq=1 / dt, **common)
    assert (coarse.status == 0).all()
    exact = fine.source.values[:, 0]
    return np.abs(coarse.source.values[:, 0] - exact).max(axis=1) / np.ptp(exact, axis=1)


@pytest.mark.parametrize("solver", SOLVERS)
def test_nine_of_ten_responses_are_within_a_tenth_at_valid_steps(solver: str) -> None:
    """At the longest of these steps that is valid for every draw: b_e reaches 150 /s."""
    dt = max(dt for dt in (2.5e-3, 5e-3) if dt <= largest_valid_step(solver, 150.0))
    assert np.quantile(errors(solver, dt), 0.9) < 0.1


def test_accuracy_at_one_millisecond() -> None:
    """As the page on validity says, over draws of the prior and not for the default parameters alone."""
    received = errors("exp-ab4", 1e-3)
    assert 1e-4 < np.median(received) < 4e-4
    assert received.max() < 5e-3
