"""Filters, baselines and rates of recordings: one period the short way, against MNE's long way."""

from __future__ import annotations

import mne
import numpy as np
import pytest
import xarray as xr
import yaml

from jrflow.config.eeg import ProcessingConfig
from jrflow.observe.evoked import on_model_grid, recorded_as
from jrflow.observe.noise import EvokedNoise
from jrflow.observe.processing import Processing, rate_of
from jrflow.observe.projection import baseline_correct

SFREQ, PERIOD, N_TRIALS = 200.0, 160, 300
TIMES = np.arange(-20, 121) / SFREQ
FILTERS = [(None, 30.0), (None, 20.0), (1.0, None), (0.5, 40.0)]


def averaged(raw: np.ndarray, processing: Processing) -> np.ndarray:
    """Filter continuous data (n, n_samples), cut it into epochs and average them, all but the outer ones."""
    data = mne.filter.filter_data(raw, SFREQ, processing.highpass, processing.lowpass, verbose="error")
    starts = PERIOD * np.arange(10, N_TRIALS - 10)
    mean = data[:, starts[:, None] + np.arange(len(TIMES))].mean(axis=1)
    return processing.correct(mean, TIMES)


@pytest.mark.parametrize("cuts", FILTERS)
@pytest.mark.parametrize("baseline", [(None, 0.0), (-0.05, 0.0)])
def test_filtering_one_period_is_filtering_the_recording(
    cuts: tuple[float | None, float | None], baseline: tuple[float | None, float]
) -> None:
    processing = Processing(*cuts, baseline)
    period = np.cumsum(np.random.default_rng(0).standard_normal((3, PERIOD)), axis=1)
    period -= np.linspace(0, 1, PERIOD) * (period[:, -1:] - period[:, :1])
    expected = averaged(np.tile(period, N_TRIALS), processing)
    whole = np.arange(-20, 140) / SFREQ
    found = processing.filtered(period, whole, PERIOD)[:, : len(TIMES)]
    np.testing.assert_allclose(processing.correct(found, TIMES), expected, atol=2e-3 * abs(period).max())


def test_a_straight_line_stands_for_what_is_not_simulated() -> None:
    processing = Processing(lowpass=30.0)
    times = np.arange(-20, 140) / SFREQ
    period = np.exp(-0.5 * ((times[None] - 0.15) / 0.05) ** 2)
    expected = averaged(np.tile(period, N_TRIALS), processing)
    found = processing.apply(period[:, : len(TIMES)], TIMES, PERIOD)
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("cuts", FILTERS)
def test_covariance_of_filtered_noise_is_that_of_mne(cuts: tuple[float | None, float | None]) -> None:
    processing = Processing(*cuts)
    raw = np.random.default_rng(1).standard_normal((400, PERIOD * N_TRIALS // 10))
    data = mne.filter.filter_data(raw, SFREQ, *cuts, verbose="error")
    starts = PERIOD * np.arange(5, N_TRIALS // 10 - 5)
    epochs = processing.correct(data[:, starts[:, None] + np.arange(len(TIMES))], TIMES)
    drawn = epochs.reshape(-1, len(TIMES))[::2]
    found = drawn.T @ drawn / len(drawn)
    noise = EvokedNoise(np.eye(2), 1, TIMES, len(TIMES), processing)
    # Unit variance is that of a filtered sample.
    expected = noise.temporal_covariance() * processing.passed(SFREQ)
    spread = np.sqrt((expected**2 + np.outer(np.diag(expected), np.diag(expected))) / len(drawn) * 4)
    assert abs((found - expected) / spread.max()).max() < 6
    np.testing.assert_allclose(np.diag(found).mean(), np.diag(expected).mean(), rtol=0.03)
    sampled = noise.sample(300, np.random.default_rng(2))
    assert sampled.var() == pytest.approx(np.diag(noise.temporal_covariance()).mean(), rel=0.1)


def test_epochs_that_overlap_share_filtered_noise() -> None:
    noise = EvokedNoise(np.eye(2), 50, TIMES, 100, Processing(lowpass=30.0))
    covariance = noise.temporal_covariance()
    correlation = covariance[25, 125] / np.sqrt(covariance[25, 25] * covariance[125, 125])
    assert 0.8 < correlation < 1
    assert abs(covariance[25, 75]) < 0.3


@pytest.mark.parametrize("lowpass", [500.0, 499.0, 499.99999999999955, 480.0, None])
def test_the_anti_alias_filter_of_the_sampling_is_no_filter(lowpass: float | None) -> None:
    times = np.arange(-200, 1001) / 1000
    assert rate_of(times) == 1000
    processing = Processing(lowpass=lowpass, sfreq=1000.0000001)
    assert processing.is_plain(times)
    assert processing.limited(rate_of(times)) is None


@pytest.mark.parametrize("lowpass", [500.0, 499.0])
def test_a_response_at_the_models_rate_is_not_filtered(lowpass: float) -> None:
    times = np.arange(-200, 1001) / 1000
    data = np.random.default_rng(0).standard_normal((4, len(times))) * 1e-6
    info = mne.create_info(4, 1000.0, "eeg")
    with info._unlock():
        info["lowpass"] = lowpass
    evoked = mne.EvokedArray(data, info, tmin=-0.2, verbose="error")
    lead_field = xr.DataArray(
        np.ones((4, 1)), dims=("channel", "region"), coords={"channel": info["ch_names"], "region": ["a"]}
    )
    found = on_model_grid(evoked, lead_field, times)
    expected = baseline_correct(1e6 * (data - data.mean(axis=0)), times)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("sfreq", [250.0, 500.0, 1000.0, 2000.0, 5000.0])
def test_the_same_noise_is_as_large_as_assumed_at_any_rate(sfreq: float) -> None:
    """White noise of unit variance at the recording's samples, brought to the model's 500 Hz."""
    times = np.arange(-100, 251) / 500
    own = np.arange(round(-0.25 * sfreq), round(0.55 * sfreq) + 1) / sfreq
    rng, ratios = np.random.default_rng(3), []
    info = mne.create_info(5, sfreq, "eeg")
    lead_field = xr.DataArray(
        np.ones((5, 1)), dims=("channel", "region"), coords={"channel": info["ch_names"], "region": ["a"]}
    )
    for _ in range(30):
        data = 1e-6 * rng.standard_normal((5, len(own)))
        evoked = mne.EvokedArray(data, info, tmin=own[0], verbose="error")
        processing = recorded_as(evoked, (None, 0.0))
        eeg = on_model_grid(evoked, lead_field, times, processing)
        noise = EvokedNoise(np.eye(5) - 0.2, 1, times, len(times), processing)
        before = times <= 0
        expected = np.diag(noise.temporal_covariance())[before].mean() * 0.8
        ratios.append(float((eeg.values[:, before] ** 2).mean()) / expected)
    assert np.mean(ratios) == pytest.approx(1, abs=0.08)


def test_a_response_declares_what_was_done() -> None:
    info = mne.create_info(2, 600.614990234375, "eeg")
    with info._unlock():
        info["highpass"], info["lowpass"] = 0.1, 40.0
    evoked = mne.EvokedArray(np.zeros((2, 300)), info, tmin=-0.2, baseline=None, verbose="error")
    assert recorded_as(evoked, (None, 0.0)) == Processing(0.1, 40.0, (None, 0.0), 600.614990234375)
    assert recorded_as(evoked, None).baseline is None


@pytest.mark.parametrize(
    "processing",
    [
        Processing(),
        Processing(lowpass=30.0),
        Processing(0.1, 30.0, (-0.05, 0.0)),
        Processing(1.0, None, None),
    ],
)
def test_the_lines_for_a_configuration_ask_for_it(processing: Processing) -> None:
    lines = yaml.safe_load(processing.as_yaml())
    assert Processing.of(ProcessingConfig.model_validate(lines["eeg"]["processing"])) == processing


def test_a_baseline_outside_the_response_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"baseline of -0\.3 s to -0\.2 s, received times of -0\.1 to 0\.6"):
        Processing(baseline=(-0.3, -0.2)).correct(np.zeros((1, len(TIMES))), TIMES)


def test_a_highpass_above_what_the_rate_holds_is_an_error() -> None:
    with pytest.raises(ValueError, match="high-pass frequency below"):
        Processing(highpass=120.0).apply(np.zeros((1, len(TIMES))), TIMES, PERIOD)
