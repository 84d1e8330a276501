"""The short way (average the source, project, add averaged noise) against MNE's long way."""

from __future__ import annotations

import mne
import numpy as np
import pytest
import xarray as xr

from jrflow.config.eeg import AdHocNoise, MontageHead, SourceConfig
from jrflow.model.protocol import EvokedProtocol
from jrflow.model.timing import Timing
from jrflow.observe.channels import electrode_positions, montage_info
from jrflow.observe.cortex import fit_sphere, fsaverage_patch, place_in_head
from jrflow.observe.evoked import to_evoked
from jrflow.observe.head import lead_field as make_lead_field, patch_forward
from jrflow.observe.noise import EvokedNoise, noise_level
from jrflow.observe.projection import to_eeg

# Whether MNE's noise is drawn before or after the reference makes no difference to white noise.
pytestmark = pytest.mark.filterwarnings("ignore:No average EEG reference")

PROTOCOL = EvokedProtocol()
SFREQ = 100.0
SOURCE = SourceConfig(extent=4.0)
REPEATS = 150


@pytest.fixture(scope="module")
def timing() -> Timing:
    return Timing.of(PROTOCOL, 1 / SFREQ, SFREQ)


def mne_average(raw: mne.io.BaseRaw, timing: Timing) -> mne.Evoked:
    """Average reference, epochs around every pulse, baseline, average: the paper's order."""
    raw.set_eeg_reference("average", projection=False, verbose="error")
    onsets = timing.first_sample + timing.n_baseline - 1 + timing.period * np.arange(PROTOCOL.n_trials)
    events = np.column_stack([onsets, np.zeros_like(onsets), np.ones_like(onsets)])
    epochs = mne.Epochs(
        raw, events, tmin=PROTOCOL.tmin, tmax=PROTOCOL.tmax, baseline=(None, 0), preload=True, verbose="error"
    )
    return epochs.average()


def raw_source(timing: Timing) -> np.ndarray:
    """A source that differs from trial to trial, mV."""
    rng = np.random.default_rng(5)
    n_samples = round(PROTOCOL.duration * SFREQ)
    return np.convolve(rng.standard_normal(n_samples), np.hanning(20), mode="same")


def averaged(trace: np.ndarray, timing: Timing) -> xr.Dataset:
    starts = timing.first_sample + timing.period * np.arange(timing.n_epochs)
    mean = trace[starts[:, np.newaxis] + np.arange(timing.n_times)].mean(axis=0)
    return xr.Dataset(
        {"source": (("sim", "region", "time"), mean[np.newaxis, np.newaxis])},
        coords={"sim": [3], "region": ["column"], "time": timing.times},
        attrs={"n_epochs": timing.n_epochs},
    )


def test_noise_free_response_equals_mne(timing: Timing) -> None:
    info = montage_info("biosemi64")
    with info._unlock():
        info["sfreq"] = SFREQ
    sphere = fit_sphere(electrode_positions(info))
    forward = patch_forward(info, place_in_head(fsaverage_patch(SOURCE), *sphere), *sphere)
    trace = raw_source(timing)
    moment = np.tile(trace * SOURCE.moment * 1e-9 / forward["nsource"], (forward["nsource"], 1))
    estimate = mne.VolSourceEstimate(moment, [forward["src"][0]["vertno"]], tmin=0, tstep=1 / SFREQ)
    raw = mne.simulation.simulate_raw(info, estimate, forward=forward, verbose="error")
    expected = mne_average(raw, timing)

    lead_field = make_lead_field(MontageHead(), SOURCE)
    evoked = to_evoked(averaged(trace, timing), sim=3, lead_field=lead_field)
    np.testing.assert_allclose(evoked.data, expected.data, atol=1e-6 * abs(expected.data).max(), rtol=0)
    np.testing.assert_allclose(evoked.times, expected.times, atol=1e-12)
    assert evoked.nave == expected.nave == 59
    assert evoked.info["sfreq"] == expected.info["sfreq"]
    assert evoked.ch_names == expected.ch_names


@pytest.fixture(scope="module")
def noise(few_channels: xr.DataArray, timing: Timing) -> EvokedNoise:
    return noise_level(AdHocNoise(kind="ad-hoc", factor=0.5), few_channels, timing)


@pytest.fixture(scope="module")
def mne_noise(few_channels: xr.DataArray, timing: Timing) -> np.ndarray:
    """Averages of MNE's raw noise, uV, shape (REPEATS, n_channels, n_times)."""
    names = list(few_channels["channel"].values)
    info = mne.create_info(names, SFREQ, "eeg")
    cov = mne.make_ad_hoc_cov(info, verbose="error")
    cov["data"] *= 0.5
    silence = np.zeros((len(names), round(PROTOCOL.duration * SFREQ)))
    rng = np.random.default_rng(11)
    averages = []
    for _ in range(REPEATS):
        raw = mne.io.RawArray(silence.copy(), info, verbose="error")
        mne.simulation.add_noise(raw, cov, random_state=rng, verbose="error")
        averages.append(mne_average(raw, timing).data * 1e6)
    return np.array(averages)


def test_noise_sd_equals_mne(noise: EvokedNoise, mne_noise: np.ndarray) -> None:
    sd = np.sqrt(np.diag(noise.covariance)[:, np.newaxis] * np.diag(noise.temporal_covariance()))
    # About 100 independent samples for each of 150 repeats and 7 independent channels: 0.3 %.
    assert np.sqrt((mne_noise**2).mean()) == pytest.approx(np.sqrt((sd**2).mean()), rel=0.015)
    ratio = mne_noise.var(axis=(0, 1)) / (sd**2).mean(axis=0)
    assert abs(ratio - 1).max() < 5 * np.sqrt(2 / (REPEATS * 7))


def test_noise_covariance_over_channels_equals_mne(noise: EvokedNoise, mne_noise: np.ndarray) -> None:
    after = mne_noise[:, :, 30:90]
    found = np.einsum("nct,ndt->cd", after, after) / (REPEATS * after.shape[-1])
    level = np.diag(noise.temporal_covariance())[30:90].mean()
    # The baseline's mean is common to all samples of an average, so one average is about 60/4 draws.
    np.testing.assert_allclose(found, noise.covariance * level, atol=0.06 * found.max())


def test_noise_covariance_over_time_equals_mne(noise: EvokedNoise, mne_noise: np.ndarray) -> None:
    unit = mne_noise / np.sqrt(np.diag(noise.covariance))[:, np.newaxis]
    n_draws = REPEATS * 7  # one of the eight channels follows from the others
    found = np.einsum("nct,ncu->tu", unit, unit) / (REPEATS * 8)
    expected = noise.temporal_covariance()
    spread = np.sqrt((expected**2 + np.outer(np.diag(expected), np.diag(expected))) / n_draws)
    deviation = (found - expected) / np.maximum(spread, 1e-12)
    upper = deviation[np.triu_indices_from(deviation)]
    assert abs(deviation).max() < 6
    assert 0.9 < upper.std() < 1.1


def test_baseline_repeats_in_the_last_fifth(noise: EvokedNoise, mne_noise: np.ndarray) -> None:
    baseline, last = mne_noise[..., :21], mne_noise[..., 100:]
    centred = [x - x.mean(axis=-1, keepdims=True) for x in (baseline, last)]
    correlation = np.corrcoef(centred[0].ravel(), centred[1].ravel())[0, 1]
    assert correlation == pytest.approx(58 / 59, abs=0.002)
    drawn = noise.sample(200, np.random.default_rng(0))
    centred = [x - x.mean(axis=-1, keepdims=True) for x in (drawn[..., :21], drawn[..., 100:])]
    assert np.corrcoef(centred[0].ravel(), centred[1].ravel())[0, 1] == pytest.approx(58 / 59, abs=0.002)


def test_projection_of_an_average_is_the_average_of_projections(
    timing: Timing, lead_field: xr.DataArray
) -> None:
    ds = averaged(raw_source(timing), timing)
    eeg = to_eeg(ds["source"], lead_field)
    assert eeg.dims == ("sim", "channel", "time")
    assert eeg.attrs["units"] == "uV"
    assert abs(eeg.sel(time=slice(None, 0)).mean("time")).max() < 1e-12
    assert abs(eeg.mean("channel")).max() < 1e-12
