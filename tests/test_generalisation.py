"""Conditions of benchmarks/generalisation.py are what their names say; its page says what its table says."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from jrflow.observe.noise import EvokedNoise, spatial_filter

ROOT = Path(__file__).parents[1]
N_CHANNELS, PERIOD = 6, 60


@pytest.fixture(scope="module")
def made() -> Any:
    return runpy.run_path(str(ROOT / "benchmarks/conditions.py"), run_name="conditions")


@pytest.fixture(scope="module")
def noise() -> EvokedNoise:
    """Of five epochs of 80 samples that overlap by 20."""
    covariance = 0.3 * (np.eye(N_CHANNELS) - 1 / N_CHANNELS)
    return EvokedNoise(covariance, 5, np.arange(-16, 64) * 1e-3, PERIOD)


@pytest.fixture(scope="module")
def lead_field() -> xr.DataArray:
    gain = np.random.default_rng(0).standard_normal((N_CHANNELS, 1))
    coords = {"channel": [f"E{i}" for i in range(N_CHANNELS)], "region": ["column"]}
    return xr.DataArray(gain - gain.mean(), coords, ("channel", "region"))


@pytest.fixture(scope="module")
def silent(noise: EvokedNoise) -> Any:
    """Simulations in which nothing happens."""
    n = 1500
    part = type("Part", (), {"sim": np.arange(n), "targets": np.zeros((n, 1))})
    return type("Simulations", (), {"part": part, "source": np.zeros((n, len(noise.times)), np.float32)})


def test_noise_that_does_not_correlate_is_white(made: Any, noise: EvokedNoise) -> None:
    np.testing.assert_allclose(
        made["coloured"](noise, np.ones(1)), noise.temporal_covariance(), rtol=0, atol=1e-12
    )


def test_coloured_noise_is_that_of_averaged_epochs(made: Any, noise: EvokedNoise) -> None:
    """Simulated raw, cut into overlapping epochs, averaged and baseline-corrected."""
    phi, rng, n = 0.9, np.random.default_rng(1), 20_000
    raw = np.empty((n, 4 * PERIOD + 80))
    raw[:, 0] = rng.standard_normal(n)
    for t in range(1, raw.shape[1]):
        raw[:, t] = phi * raw[:, t - 1] + np.sqrt(1 - phi**2) * rng.standard_normal(n)
    average = np.mean([raw[:, k * PERIOD : k * PERIOD + 80] for k in range(5)], axis=0)
    average -= average[:, noise.times <= 0].mean(axis=1, keepdims=True)
    expected = made["coloured"](noise, phi ** np.arange(400)) / 5
    np.testing.assert_allclose(np.cov(average, rowvar=False), expected, atol=0.05 * expected.max())


def test_recorded_noise_has_the_covariances_asked_for(
    made: Any, noise: EvokedNoise, lead_field: xr.DataArray, silent: Any
) -> None:
    temporal = made["coloured"](noise, 0.9 ** np.arange(400))
    eeg = made["recorded"](silent, lead_field, noise, 0, temporal).eeg
    over_channels = np.einsum("nct,ndt->cd", eeg, eeg) / len(eeg) / np.trace(temporal)
    over_time = np.einsum("nct,ncu->tu", eeg, eeg) / len(eeg) / np.trace(noise.covariance)
    np.testing.assert_allclose(over_channels, noise.covariance, atol=0.03)
    np.testing.assert_allclose(over_time, temporal, atol=0.08 * temporal.max())


def test_a_standard_deviation_told_wrongly_is_wrong_by_that_factor(
    made: Any, noise: EvokedNoise, lead_field: xr.DataArray, silent: Any
) -> None:
    honest = made["recorded"](silent, lead_field, noise, 0)
    for factor in (0.5, 2.0):
        wrong = made["told"](honest, factor)
        assert wrong.eeg is honest.eeg
        (ours, sd), (theirs, claimed) = (spatial_filter(lead_field, r.noise) for r in (honest, wrong))
        np.testing.assert_allclose(ours, theirs)
        assert claimed == pytest.approx(factor * sd)


@pytest.mark.parametrize("colour", ["autoregressive", "pink"])
def test_autocorrelations_fall_from_one(made: Any, colour: str) -> None:
    correlation = made[colour](1000.0)
    assert correlation[0] == pytest.approx(1)
    assert (np.diff(correlation[:20]) < 0).all()
    assert made["autoregressive"](1000.0)[20] == pytest.approx(np.exp(-1))


def test_the_page_names_what_goes_wrong_unnoticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    page = runpy.run_path(str(ROOT / "benchmarks/results_generalisation.py"), run_name="page")
    row = {
        "estimator": "mlp", "n": 9, "no_answer": 0.0, "in_range": True, "r2_A_e": 0.5, "r2_b_e": 0.9,
        "r2_mean": 0.8, "coverage_90": 0.9, "bias": 0.0, "misfit": 1.0, "best_fit": 1.0, "flagged": 0.05,
        "explained": 1.0, "by_model": 1.0,
    }  # fmt: skip
    wrong = {"coverage_90": 0.4, "r2_mean": -1.0}
    table = pd.DataFrame(
        [
            row | {"condition": "20 dB"},
            row | wrong | {"condition": "seen", "flagged": 0.9, "by_model": 0.0},
            row | wrong | {"condition": "unseen"},
            {"condition": "impossible", "message": "no, because"},
        ]
    )
    text = page["generalisation"](table)
    assert text.startswith("## Out of the range it was trained in\n")
    assert "| 20 dB | 0.80 | 0.90 | 1 |" in text
    assert "Under 2 of 3 conditions" in text
    assert "no warning for most: unseen.\n" in text
    assert "- impossible: “no, because”" in text
