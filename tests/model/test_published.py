"""The preset 'as-published' computes what the paper's public code computes."""

import mne
import numpy as np
import pytest

from jrflow.model import MODEL
from jrflow.model.protocol import EvokedProtocol
from jrflow.model.timing import Timing
from jrflow.simulation import simulate

PAPER = EvokedProtocol()


def published_source(
    p: dict[str, float], stimulus: np.ndarray, dt: float, gains: tuple[float, float, float]
) -> np.ndarray:
    """Forward Euler in volts with r = 0.56 and v_max = 0.05, as the paper's public code does; mV.

    ``stimulus`` is the input rate at every step, 1/s; the contact counts a_k are multiplied by C.
    """
    A, B, a, b = p["A_e"] * 1e-3, p["A_i"] * 1e-3, p["b_e"], p["b_i"]
    C1, C2, C3, C4 = (p[f"a_{k}"] * p["C"] for k in (1, 2, 3, 4))
    v0, v_max, r = p["v_0"] * 1e-3, 0.05, 0.56

    def S(v: float) -> float:
        return v_max / (1 + np.exp(r * (v0 - v)))

    y = np.zeros(6)
    source = np.empty(len(stimulus))
    for k, u in enumerate(stimulus):
        source[k] = y[1] - y[2]
        y = y + dt * np.array(
            [
                y[3],
                y[4],
                y[5],
                A * a * (gains[0] * u + S(y[1] - y[2])) - 2 * a * y[3] - a**2 * y[0],
                A * a * (gains[1] * u + C2 * S(C1 * y[0])) - 2 * a * y[4] - a**2 * y[1],
                B * b * (gains[2] * u + C4 * S(C3 * y[0])) - 2 * b * y[5] - b**2 * y[2],
            ]
        )
    return source * 1e3


def paper_stimulus(dt: float, n_trials: int) -> np.ndarray:
    """Pulses of 60 /s for 50 ms, the first at 1 s, one a second."""
    steps = round((1 + n_trials) / dt)
    seconds = np.arange(steps) * dt
    on = (seconds % 1.0 < 0.05 - 1e-9) & (seconds > 0.999)
    return 60.0 * on


@pytest.mark.parametrize("seed", [0, 1])
def test_euler_equals_a_plain_transcription(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = dict(MODEL.presets["as-published"].defaults)
    p |= {name: p[name] * rng.uniform(0.5, 1.5) for name in MODEL.inferred}
    n_trials = 6
    trace = published_source(p, paper_stimulus(1e-3, n_trials), 1e-3, PAPER.gains)
    onsets = 1000 + 1000 * np.arange(n_trials - 1)
    expected = np.mean([trace[k - 200 : k + 1001] for k in onsets], axis=0)

    ds = simulate(
        p, preset="as-published", protocol=EvokedProtocol(n_trials=n_trials), precision="float64",
        steady_state_tolerance=None,
    )  # fmt: skip

    assert ds.attrs["solver"] == "euler"
    error = np.abs(ds.source.values[0, 0] - expected).max()
    assert error <= 1e-12 * np.abs(expected).max()


def test_the_epochs_are_those_that_mne_averages() -> None:
    timing = Timing.of(PAPER, 1e-3, 1000.0)
    n_samples = round(PAPER.duration * 1000)
    raw = mne.io.RawArray(
        np.arange(n_samples, dtype=float)[None], mne.create_info(1, 1000.0), verbose="error"
    )
    onsets = np.arange(1000, n_samples, 1000)
    events = np.column_stack([onsets, np.zeros_like(onsets), np.ones_like(onsets)])
    epochs = mne.Epochs(raw, events, tmin=-0.2, tmax=1.0, baseline=None, preload=True, verbose="error")

    assert n_samples == 61_000
    assert timing.n_epochs == len(epochs) == 59
    np.testing.assert_allclose(timing.times, epochs.times, atol=1e-12)
    first = epochs.get_data(copy=False)[:, 0, 0]
    np.testing.assert_array_equal(first, timing.first_sample + timing.period * np.arange(59))
    np.testing.assert_array_equal(np.flatnonzero(timing.stimulus(PAPER)[:, 0])[:50], np.arange(1000, 1050))


def test_loops_carry_nothing_as_published_and_much_with_consistent_units() -> None:
    def effect(preset: str, name: str) -> float:
        default = MODEL.presets[preset].defaults[name]
        values = {name: default * np.array([1.0, 0.5, 1.5])}
        source = simulate(values, preset=preset, protocol=EvokedProtocol(n_trials=10)).source.values[:, 0]
        source = source - source[:, :201].mean(axis=1, keepdims=True)
        return float(np.abs(source[1:] - source[0]).max() / np.abs(source[0]).max())

    for name in ("C", "a_1", "a_2", "a_3", "a_4"):
        assert effect("as-published", name) < 1e-4
    assert effect("unit-consistent", "a_4") > 0.3
