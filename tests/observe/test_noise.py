from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import pytest
import xarray as xr

import jrflow
from jrflow.config.eeg import AdHocNoise, CovarianceNoise, SnrNoise
from jrflow.model.protocol import EvokedProtocol
from jrflow.model.timing import Timing
from jrflow.observe.noise import EvokedNoise, measured_covariance, noise_level, spatial_filter
from jrflow.observe.processing import Processing
from jrflow.observe.projection import baseline_correct


def covariance_file(path: Path, names: list[str], n_samples: int = 1000, **changed: list[str]) -> np.ndarray:
    """A correlated noise covariance, V^2, as MNE stores it."""
    mixing = np.random.default_rng(2).standard_normal((len(names), len(names)))
    data = 1e-12 * mixing @ mixing.T
    cov = mne.Covariance(data, names, changed.get("bads", []), [], nfree=n_samples)
    cov.save(path, verbose="error")
    return data


def centred(covariance: np.ndarray) -> np.ndarray:
    reference = np.eye(len(covariance)) - 1 / len(covariance)
    return reference @ covariance @ reference


@pytest.fixture
def cov_path(few_channels: xr.DataArray, tmp_path: Path) -> Path:
    path = tmp_path / "noise-cov.fif"
    names = [str(name) for name in few_channels["channel"].values]
    covariance_file(path, [*names[::-1], "extra"], n_samples=0)
    return path


def test_ad_hoc_noise_is_mne_times_the_factor(lead_field: xr.DataArray, slow_timing: Timing) -> None:
    noise = noise_level(AdHocNoise(kind="ad-hoc", factor=0.1), lead_field, slow_timing)
    info = mne.create_info(list(lead_field["channel"].values), 1000.0, "eeg")
    theirs = np.diag(mne.make_ad_hoc_cov(info, verbose="error").data) * 1e12
    np.testing.assert_allclose(noise.covariance, centred(theirs) * 0.1 / 59, atol=1e-15)
    assert noise.n_averages == 59


@pytest.mark.parametrize("snr_db", [-20.0, 0.0, 20.0])
def test_stated_snr_is_met(lead_field: xr.DataArray, slow_timing: Timing, snr_db: float) -> None:
    noise = noise_level(SnrNoise(kind="snr", snr_db=snr_db), lead_field, slow_timing, reference_rms=3.0)
    assert noise.snr_db(3.0) == pytest.approx(snr_db)
    # The definition: 20 log10 of the clean response's size over one channel's noise before the baseline.
    drawn = noise.sample(60, np.random.default_rng(0))
    sd = np.sqrt((drawn**2).mean() / np.diag(noise.temporal_covariance()).mean())
    assert 20 * np.log10(3.0 / sd) == pytest.approx(snr_db, abs=0.1)


@pytest.mark.parametrize("reference", [None, 0.0, np.nan])
def test_snr_needs_a_reference(
    lead_field: xr.DataArray, slow_timing: Timing, reference: float | None
) -> None:
    with pytest.raises(ValueError, match="needs the size of the clean evoked response"):
        noise_level(SnrNoise(kind="snr", snr_db=0.0), lead_field, slow_timing, reference)


def test_temporal_covariance_is_that_of_overlapping_epochs() -> None:
    """Every period, epochs that overlap up to three deep, against the averaging matrix itself."""
    for period in (3, 4, 7, 20):
        n_epochs, times = 5, np.arange(-3, 8) / 10
        averaging = np.zeros((len(times), period * n_epochs + len(times)))
        for k in range(n_epochs):
            averaging[:, k * period : k * period + len(times)] += np.eye(len(times))
        averaging = baseline_correct(averaging.T / n_epochs, times).T
        noise = EvokedNoise(np.eye(2), n_epochs, times, period)
        np.testing.assert_allclose(
            noise.temporal_covariance(), averaging @ averaging.T * n_epochs, atol=1e-12
        )


def test_samples_have_the_stated_covariance() -> None:
    covariance = centred(np.diag([1.0, 2.0, 3.0]))
    noise = EvokedNoise(covariance, 4, np.arange(-2, 7) / 10, 3)
    drawn = noise.sample(40_000, np.random.default_rng(1)).reshape(40_000, -1)
    expected = np.kron(covariance, noise.temporal_covariance())
    np.testing.assert_allclose(np.cov(drawn.T), expected, atol=0.08)
    assert abs(drawn.mean(axis=0)).max() < 0.05


def test_samples_follow_the_generator(lead_field: xr.DataArray, slow_timing: Timing) -> None:
    noise = noise_level(AdHocNoise(kind="ad-hoc", factor=1), lead_field, slow_timing)
    one, same, other = (noise.sample(2, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert one.shape == (2, 64, slow_timing.n_times)
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_paper_protocol_correlates_by_58_of_59() -> None:
    timing = Timing.of(EvokedProtocol(), 1e-3, 1000.0)
    noise = EvokedNoise(np.eye(2), timing.n_epochs, timing.times, timing.period)
    raw = noise._epoch_correlation()
    np.testing.assert_allclose(raw, [[1, 58 / 59], [58 / 59, 1]])
    assert noise.temporal_covariance().shape == (1201, 1201)


def test_own_number_of_averages(few_channels: xr.DataArray, cov_path: Path, slow_timing: Timing) -> None:
    def level(n: int | None) -> EvokedNoise:
        config = CovarianceNoise(kind="covariance", path=str(cov_path), n_averages=n)
        return noise_level(config, few_channels, slow_timing)

    np.testing.assert_allclose(level(6).covariance, level(None).covariance * 59 / 6)
    independent = level(6).temporal_covariance()
    assert abs(independent[0, 100] - independent[0, 60]) < 1e-12  # no sample shared with the baseline
    assert level(None).temporal_covariance()[0, 100] > 0.9
    np.testing.assert_allclose(level(None).averaged(6).covariance, level(6).covariance)
    with pytest.raises(ValueError, match="at least 1, received 0"):
        level(6).averaged(0)


def test_measured_covariance_follows_the_channels(few_channels: xr.DataArray, tmp_path: Path) -> None:
    names = [str(name) for name in few_channels["channel"].values]
    shuffled = [*names[3:], "other", *names[:3]]
    data = covariance_file(tmp_path / "a-cov.fif", shuffled, n_samples=0)
    rows = [shuffled.index(name) for name in names]
    found = measured_covariance(tmp_path / "a-cov.fif", few_channels)
    np.testing.assert_allclose(found, centred(data[np.ix_(rows, rows)]) * 1e12, rtol=1e-6, atol=1e-9)


def test_shrinkage_vanishes_with_samples_and_lifts_lost_dimensions(
    few_channels: xr.DataArray, tmp_path: Path
) -> None:
    names = [str(name) for name in few_channels["channel"].values]
    found = {}
    for n_samples in (20, 10**9):
        path = tmp_path / f"{n_samples}-cov.fif"
        exact = centred(covariance_file(path, names, n_samples)) * 1e12
        found[n_samples] = measured_covariance(path, few_channels)
        assert np.trace(found[n_samples]) == pytest.approx(np.trace(exact))
    np.testing.assert_allclose(found[10**9], exact, rtol=1e-5, atol=1e-6)
    smallest = {n: np.linalg.eigvalsh(c)[1] for n, c in found.items()}
    assert smallest[20] > 2 * smallest[10**9]


def test_shrinkage_is_nearer_to_the_truth(few_channels: xr.DataArray, tmp_path: Path) -> None:
    names = [str(name) for name in few_channels["channel"].values]
    rng = np.random.default_rng(4)
    truth = centred(np.diag(np.linspace(1, 2, 8)))
    errors = []
    for _ in range(20):
        drawn = rng.multivariate_normal(np.zeros(8), np.diag(np.linspace(1, 2, 8)), 15)
        sample = drawn.T @ drawn / 15
        mne.Covariance(sample * 1e-12, names, [], [], nfree=15).save(
            tmp_path / "s-cov.fif", overwrite=True, verbose="error"
        )
        shrunk = measured_covariance(tmp_path / "s-cov.fif", few_channels)
        errors.append([np.linalg.norm(shrunk - truth), np.linalg.norm(centred(sample) - truth)])
    assert np.mean(errors, axis=0) @ [1, -0.7] < 0


def test_wrong_channels_are_named(few_channels: xr.DataArray, tmp_path: Path) -> None:
    names = [str(name) for name in few_channels["channel"].values]
    covariance_file(tmp_path / "b-cov.fif", ["EEG 001", *names[1:]])
    with pytest.raises(
        ValueError, match=rf"b-cov\.fif.*Missing: {names[0]}\. Not in the lead field: EEG 001"
    ):
        measured_covariance(tmp_path / "b-cov.fif", few_channels)
    covariance_file(tmp_path / "c-cov.fif", names, bads=[names[2]])
    with pytest.raises(ValueError, match=rf"Missing: {names[2]}\."):
        measured_covariance(tmp_path / "c-cov.fif", few_channels)


def test_unreadable_covariances_are_named(
    few_channels: xr.DataArray, tmp_path: Path, recording: Path
) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such file: .*none-cov\.fif' \(a noise covariance"):
        measured_covariance(tmp_path / "none-cov.fif", few_channels)
    with pytest.raises(ValueError, match=r"expected a noise covariance .* found evoked"):
        measured_covariance(recording, few_channels)


def test_spatial_filter_is_unbiased_and_states_its_sd(
    few_channels: xr.DataArray, cov_path: Path, slow_timing: Timing
) -> None:
    config = CovarianceNoise(kind="covariance", path=str(cov_path))
    noise = noise_level(config, few_channels, slow_timing)
    weights, sd = spatial_filter(few_channels, noise)
    assert weights @ few_channels.values[:, 0] == pytest.approx(1)
    estimates = np.einsum("c,nct->nt", weights, noise.sample(4000, np.random.default_rng(3)))
    expected = sd**2 * noise.temporal_covariance()
    np.testing.assert_allclose(estimates.var(axis=0), np.diag(expected), rtol=0.15)
    assert estimates.var() == pytest.approx(np.trace(expected) / len(expected), rel=0.02)


def test_spatial_filter_beats_every_other_unbiased_one(few_channels: xr.DataArray, cov_path: Path) -> None:
    covariance = measured_covariance(cov_path, few_channels)
    noise = EvokedNoise(covariance, 1, np.array([0.0]), 1)
    weights, sd = spatial_filter(few_channels, noise)
    gain = few_channels.values[:, 0]
    assert sd**2 == pytest.approx(weights @ covariance @ weights)
    for other in np.random.default_rng(0).standard_normal((50, len(gain))):
        other = weights + 0.1 * abs(weights).max() * (other - gain * (other @ gain) / (gain @ gain))
        assert other @ gain == pytest.approx(1)
        assert other @ covariance @ other > sd**2


def test_projection_is_sufficient(few_channels: xr.DataArray, cov_path: Path) -> None:
    """Likelihood ratios of sources given all channels equal those given the one projected course."""
    timing = Timing.of(EvokedProtocol(n_trials=5, isi=0.5, tmin=-0.2, tmax=0.6), 0.05, 20.0)
    noise = noise_level(CovarianceNoise(kind="covariance", path=str(cov_path)), few_channels, timing)
    weights, sd = spatial_filter(few_channels, noise)
    gain, temporal = few_channels.values[:, 0], noise.temporal_covariance()
    rng = np.random.default_rng(7)
    first, second = baseline_correct(rng.standard_normal((2, timing.n_times)), timing.times)
    data = np.outer(gain, first) + noise.sample(1, rng)[0]

    def log_likelihood(residual: np.ndarray, covariance: np.ndarray) -> float:
        inverse = np.linalg.pinv(covariance, rcond=1e-10, hermitian=True)
        return float(-0.5 * residual.ravel() @ inverse @ residual.ravel())

    full, projected = (
        [log_likelihood(observed - np.multiply.outer(scale, s), covariance) for s in (first, second)]
        for observed, scale, covariance in (
            (data, gain, np.kron(noise.covariance, temporal)),
            (weights @ data, np.array(1.0), sd**2 * temporal),
        )
    )
    assert full[0] - full[1] == pytest.approx(projected[0] - projected[1], rel=1e-8)
    assert abs(projected[0] - projected[1]) > 0.1  # the two sources can be told apart at all


def test_several_regions_are_refused(few_channels: xr.DataArray, slow_timing: Timing) -> None:
    two = xr.concat([few_channels, few_channels.assign_coords(region=["other"])], "region")
    noise = noise_level(AdHocNoise(kind="ad-hoc", factor=1), two, slow_timing)
    with pytest.raises(ValueError, match="expected a lead field of one region, received 2"):
        spatial_filter(two, noise)


def test_real_covariance(real_evoked: Path, real_covariance: Path, slow_timing: Timing) -> None:
    lead_field = jrflow.lead_field(recording=real_evoked)
    config = CovarianceNoise(kind="covariance", path=str(real_covariance), n_averages=1)
    noise = noise_level(config, lead_field, slow_timing)
    assert noise.sd == pytest.approx(4.8, abs=1.0)
    weights, sd = spatial_filter(lead_field, noise)
    white, _ = spatial_filter(lead_field, EvokedNoise(np.eye(60), 1, noise.times, noise.period))
    assert weights @ lead_field.values[:, 0] == pytest.approx(1)
    assert sd**2 <= white @ noise.covariance @ white  # knowing the correlations can only help
    assert 0.1 < sd < 10


def test_dimensions_without_noise_stay_without(few_channels: xr.DataArray, tmp_path: Path) -> None:
    """After removal of components, few samples must not make noise where the data have none."""
    names = [str(name) for name in few_channels["channel"].values]
    rng = np.random.default_rng(5)
    kept = np.linalg.qr(rng.standard_normal((8, 8)))[0][:, :5]
    data = 1e-12 * kept @ np.diag(np.linspace(1, 3, 5)) @ kept.T
    mne.Covariance(data, names, [], [], nfree=30).save(tmp_path / "ica-cov.fif", verbose="error")
    covariance = measured_covariance(tmp_path / "ica-cov.fif", few_channels)
    assert EvokedNoise(covariance, 1, np.array([0.0]), 1).rank == 5


def test_ad_hoc_noise_is_that_before_the_filter(few_channels: xr.DataArray) -> None:
    timing = Timing.of(EvokedProtocol(), 1e-3, 1000.0)
    config, low = AdHocNoise(kind="ad-hoc", factor=1), Processing(lowpass=30.0)
    raw, filtered = (noise_level(config, few_channels, timing, None, one) for one in (None, low))
    # Half the width of the transition band from 30 to 37.5 Hz is passed, too.
    assert (filtered.sd / raw.sd) ** 2 == pytest.approx(33.75 / 500, rel=0.05)
