"""Trials that repeat are not simulated: the result is that of all, and what does not settle falls back."""

import numpy as np
import pytest

from jrflow.model import MODEL
from jrflow.model.connectome import Connectome
from jrflow.model.protocol import EvokedProtocol, RestProtocol
from jrflow.simulation import simulate

SHORT = EvokedProtocol(n_trials=12, isi=0.5, tmin=-0.1, tmax=0.5, transient=0.3)


def prior(n: int, preset: str = "unit-consistent", seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {k: MODEL.presets[preset].defaults[k] * rng.uniform(0.5, 1.5, n) for k in MODEL.inferred}


@pytest.mark.parametrize("preset", ["unit-consistent", "as-published"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_equals_the_full_run_over_the_prior(preset: str, precision: str) -> None:
    """To the tolerance of 1e-5 of a response's range; almost all settle, after a few of the 60 trials."""
    p = prior(512, preset)
    stopped = simulate(p, preset=preset, precision=precision)
    full = simulate(p, preset=preset, precision=precision, steady_state_tolerance=None)
    error = np.abs(stopped.source - full.source).max(["region", "time"])
    scale = full.source.max(["region", "time"]) - full.source.min(["region", "time"])
    assert float((error / scale).max()) < 1e-5
    assert float((stopped.n_trials < 60).mean()) > 0.99
    assert int(stopped.n_trials.median()) <= 3
    assert (full.n_trials == 60).all()


def test_a_tighter_tolerance_is_met() -> None:
    p = prior(128)
    full = simulate(p, precision="float64", steady_state_tolerance=None)
    stopped = simulate(p, precision="float64", steady_state_tolerance=1e-10)
    scale = float(np.ptp(full.source.values, axis=-1).min())
    assert float(np.abs(stopped.source - full.source).max()) < 1e-9 * scale
    assert float((stopped.n_trials < 60).mean()) > 0.98


def test_a_limit_cycle_never_settles() -> None:
    """A column that oscillates by itself, out of step with the stimulus: all trials, to the bit."""
    cycling = EvokedProtocol(
        n_trials=12, isi=0.5, tmin=-0.1, tmax=0.5, transient=0.3, background=180.0, stim_rate=1
    )
    stopped = simulate(protocol=cycling)
    full = simulate(protocol=cycling, steady_state_tolerance=None)
    assert np.ptp(full.source.values) > 1
    assert stopped.n_trials.item() == 12
    np.testing.assert_array_equal(stopped.source.values, full.source.values)


def test_process_noise_never_settles() -> None:
    noisy = EvokedProtocol(
        n_trials=12, isi=0.5, tmin=-0.1, tmax=0.5, transient=0.3, background=120.0, noise_sd=10.0
    )
    ds = simulate(prior(3), protocol=noisy)
    assert (ds.n_trials == 12).all()
    quiet = simulate(
        prior(3), protocol=EvokedProtocol(n_trials=12, isi=0.5, tmin=-0.1, tmax=0.5, background=120.0)
    )
    assert float(np.abs(ds.source.values - quiet.source.values).max()) > 1e-3


@pytest.mark.parametrize("speed", [np.inf, 6.0])
def test_a_network_settles_in_all_of_its_history(speed: float) -> None:
    brain = Connectome.synthetic(5).normalised("in-strength")
    protocol = EvokedProtocol(
        n_trials=12, isi=0.5, tmin=-0.1, tmax=0.5, transient=0.3, stim_regions=("lh-0", "rh-1")
    )
    options = {"connectome": brain, "protocol": protocol, "precision": "float64"}
    p = {name: v[:, None] * np.linspace(0.9, 1.1, 5) for name, v in prior(20).items()} | {
        "G": 5.0,
        "speed": speed,
    }
    stopped, full = simulate(p, **options), simulate(p, **options, steady_state_tolerance=None)
    assert (stopped.n_trials < 12).mean() > 0.9
    assert float(np.abs(stopped.source - full.source).max()) < 1e-5 * float(np.ptp(full.source.values))


def test_what_is_added_depends_on_the_lane_alone() -> None:
    """Beside lanes that go on, after others that were sieved out, in any company: the same bits."""
    p = prior(150, seed=4)
    p["b_i"] = np.where(np.arange(150) % 7 == 0, 4.0, p["b_i"])  # slow to settle
    whole = simulate(p, protocol=SHORT)
    assert len(np.unique(whole.n_trials)) > 3
    for part in (slice(0, 1), slice(60, 67), slice(140, 150)):
        alone = simulate({k: v[part] for k, v in p.items()}, protocol=SHORT)
        np.testing.assert_array_equal(alone.source.values, whole.source.values[part])
        np.testing.assert_array_equal(alone.n_trials.values, whole.n_trials.values[part])


def test_a_failure_is_not_a_steady_state() -> None:
    """Unstable under Euler (b dt > 2): a status and the step where it left the range, among healthy lanes."""
    p = {"b_e": np.array([100.0, 2500.0, 100.0]), "A_e": np.array([3.25, 3.25, 4.0])}
    ds = simulate(p, protocol=SHORT, solver="euler", max_source=1e3)
    assert ds.status.values.tolist() == [0, 2, 0]
    assert ds.failed_step.values[[0, 2]].tolist() == [-1, -1]
    assert 0 < ds.failed_step.values[1] < 1000
    assert np.isfinite(ds.source.values[[0, 2]]).all()
    healthy = simulate({k: v[[0, 2]] for k, v in p.items()}, protocol=SHORT, solver="euler", max_source=1e3)
    np.testing.assert_array_equal(healthy.source.values, ds.source.values[[0, 2]])


def test_the_step_of_a_failure_is_the_first_out_of_range() -> None:
    rest = RestProtocol(duration=1.0, transient=0.0, background=180.0)
    trace = simulate(protocol=rest, precision="float64").source.values[0, 0]
    limit = 0.9 * trace.max()
    ds = simulate(protocol=rest, precision="float64", max_source=limit)
    assert ds.status.item() == 3
    assert ds.failed_step.item() == np.flatnonzero(np.abs(trace) > limit)[0]
    np.testing.assert_array_equal(ds.source.values[0, 0], trace)  # nothing is dropped or replaced
    every_second = simulate(protocol=rest, precision="float64", max_source=limit, sfreq=500.0)
    assert every_second.failed_step.item() == 2 * np.flatnonzero(np.abs(trace[::2]) > limit)[0]


@pytest.mark.parametrize("tolerance", [-1e-6, 1.0, np.nan])
def test_an_impossible_tolerance_is_refused(tolerance: float) -> None:
    with pytest.raises(ValueError, match="steady_state_tolerance"):
        simulate(steady_state_tolerance=tolerance)
