from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import pytest
import xarray as xr

import jrflow
from jrflow.config.eeg import AdHocNoise, CovarianceNoise
from jrflow.model.protocol import EvokedProtocol
from jrflow.model.timing import Timing
from jrflow.observe import projection
from jrflow.observe.evoked import on_model_grid, projected, read_evokeds, source_estimate, to_evoked
from jrflow.observe.noise import noise_level, spatial_filter
from jrflow.observe.projection import baseline_correct, reference_rms, to_eeg


def wave(times: np.ndarray) -> np.ndarray:
    """A smooth response, next to nothing above 20 Hz, mV."""
    return np.exp(-0.5 * ((times - 0.15) / 0.03) ** 2) - 0.5 * np.exp(-0.5 * ((times - 0.3) / 0.04) ** 2)


@pytest.fixture(scope="module")
def ds(slow_timing: Timing) -> xr.Dataset:
    scale = np.array([1.0, 2.0, np.nan])
    return xr.Dataset(
        {"source": (("sim", "region", "time"), scale[:, None, None] * (wave(slow_timing.times) + 5.0))},
        coords={"sim": [10, 20, 30], "region": ["column"], "time": slow_timing.times, "A_e": ("sim", scale)},
    )


def measured(lead_field: xr.DataArray, sfreq: float, tmin: float, tmax: float) -> mne.EvokedArray:
    """What a recording of ``wave`` would hold: other rate, other channel order, one channel more."""
    names = [*lead_field["channel"].values[::-1], "EXTRA"]
    times = np.arange(round(tmin * sfreq), round(tmax * sfreq) + 1) / sfreq
    gain = np.append(lead_field.values[::-1, 0], 7.0)
    data = 1e-6 * (np.outer(gain, wave(times)) + 3.0)
    info = mne.create_info(names, sfreq, "eeg")
    return mne.EvokedArray(data, info, tmin=times[0], nave=6, comment="measured", verbose="error")


def test_eeg_keeps_labels_and_precision(ds: xr.Dataset, lead_field: xr.DataArray) -> None:
    eeg = to_eeg(ds["source"].astype(np.float32), lead_field)
    assert eeg.dtype == np.float32
    assert eeg.sizes == {"sim": 3, "channel": 64, "time": 121}
    assert eeg["A_e"].dims == ("sim",)
    expected = lead_field.sel(channel="FC3").item() * baseline_correct(ds["source"].values[1, 0], ds.time)
    np.testing.assert_allclose(eeg.sel(sim=20, channel="FC3"), expected, atol=1e-5)


def test_rest_has_no_baseline(ds: xr.Dataset, lead_field: xr.DataArray) -> None:
    rest = ds["source"].assign_coords(time=ds["time"] + 1.0)
    assert to_eeg(rest, lead_field, baseline=False).sel(sim=10, channel="FC3").mean() > 5
    with pytest.raises(ValueError, match=r"expected a baseline .* times from 0\.8 s"):
        to_eeg(rest, lead_field)


def test_regions_are_matched_by_name(ds: xr.Dataset, lead_field: xr.DataArray) -> None:
    two = xr.concat([ds["source"], 2 * ds["source"].assign_coords(region=["other"])], "region")
    both = xr.concat([3 * lead_field.assign_coords(region=["other"]), lead_field], "region")
    np.testing.assert_allclose(to_eeg(two, both)[0], 7 * to_eeg(ds["source"], lead_field)[0], atol=1e-9)
    with pytest.raises(ValueError, match=r"source has column, other, the lead field column"):
        to_eeg(two, lead_field)


def test_reference_is_the_median_size_of_finite_responses(ds: xr.Dataset, lead_field: xr.DataArray) -> None:
    eeg = to_eeg(ds["source"], lead_field).isel(sim=[0, 1])
    by_hand = np.median(np.sqrt((eeg**2).mean(["channel", "time"])))
    assert reference_rms(ds["source"], lead_field) == pytest.approx(by_hand)
    with pytest.raises(ValueError, match="no simulation has a finite source"):
        reference_rms(ds["source"].isel(sim=[2]), lead_field)


def test_of_a_large_campaign_an_even_sample_is_enough(
    ds: xr.Dataset, lead_field: xr.DataArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sizes grow along the campaign, as in a sweep: the first part alone would be wrong."""
    one, sizes = ds["source"].isel(sim=[0]), np.linspace(1, 3, 5000)
    source = one.isel(sim=np.zeros(5000, int)) * xr.DataArray(sizes, dims="sim")
    whole = reference_rms(source, lead_field)
    read: list[int] = []
    values = xr.DataArray.values

    def counted(array: xr.DataArray) -> np.ndarray:
        read.extend([array.sizes["sim"]] if "sim" in array.dims else [])
        return values.__get__(array)

    monkeypatch.setattr(projection, "_ENOUGH", 1024)
    monkeypatch.setattr(xr.DataArray, "values", property(counted))
    assert reference_rms(source, lead_field) == pytest.approx(whole, rel=0.03)
    assert read == [256] * 4


def test_evoked_is_mne_s(ds: xr.Dataset, lead_field: xr.DataArray, slow_timing: Timing) -> None:
    evoked = to_evoked(ds, sim=20, lead_field=lead_field)
    assert evoked.tmin == pytest.approx(-0.2)
    assert evoked.info["sfreq"] == pytest.approx(100.0)
    assert evoked.baseline == (-0.2, 0.0)
    assert evoked.get_channel_types(unique=True) == ["eeg"]
    np.testing.assert_allclose(evoked.data * 1e6, to_eeg(ds["source"], lead_field).sel(sim=20), atol=1e-9)
    noise = noise_level(AdHocNoise(kind="ad-hoc", factor=1.0), lead_field, slow_timing)
    noisy = [to_evoked(ds, sim=s, lead_field=lead_field, noise=noise, seed=seed) for s, seed in
             ((20, 0), (20, 0), (20, 1), (10, 0))]  # fmt: skip
    assert noisy[0].nave == 59
    np.testing.assert_array_equal(noisy[0].data, noisy[1].data)
    added = [n.data - to_evoked(ds, sim=s, lead_field=lead_field).data for n, s in
             zip(noisy, (20, 20, 20, 10), strict=True)]  # fmt: skip
    assert abs(np.corrcoef(added[0].ravel(), added[2].ravel())[0, 1]) < 0.1
    assert abs(np.corrcoef(added[0].ravel(), added[3].ravel())[0, 1]) < 0.1


def test_unusable_simulations_are_refused(ds: xr.Dataset, lead_field: xr.DataArray) -> None:
    with pytest.raises(ValueError, match="no simulation with id 11: there are 3, from 10 to 30"):
        to_evoked(ds, sim=11, lead_field=lead_field)
    with pytest.raises(ValueError, match="simulation 30 is not finite"):
        to_evoked(ds, sim=30, lead_field=lead_field)


def test_noise_of_another_protocol_is_refused(ds: xr.Dataset, lead_field: xr.DataArray) -> None:
    other = Timing.of(EvokedProtocol(tmax=0.5), 1e-2, 100.0)
    noise = noise_level(AdHocNoise(kind="ad-hoc", factor=1.0), lead_field, other)
    with pytest.raises(ValueError, match=r"64 channels and 71 times.*64 channels and 121 times"):
        to_evoked(ds, sim=10, lead_field=lead_field, noise=noise)


@pytest.mark.parametrize("sfreq", [250.0, 600.614990234375, 1000.0, 5000.0])
def test_measured_response_comes_to_the_model_s_times(lead_field: xr.DataArray, sfreq: float) -> None:
    times = Timing.of(EvokedProtocol(), 1e-3, 1000.0).times
    eeg = on_model_grid(measured(lead_field, sfreq, -0.3, 0.5), lead_field, times)
    assert list(eeg["channel"].values) == list(lead_field["channel"].values)
    assert eeg["time"][0] == times[0]
    assert eeg["time"][-1] == pytest.approx(0.5, abs=0.5001 / sfreq)
    assert set(eeg["time"].values) <= set(times)
    expected = lead_field.values * baseline_correct(wave(eeg["time"].values), eeg["time"].values)
    np.testing.assert_allclose(eeg, expected, atol=1e-3 * expected.max())


def test_measured_response_becomes_a_source(lead_field: xr.DataArray, slow_timing: Timing) -> None:
    noise = noise_level(AdHocNoise(kind="ad-hoc", factor=1.0), lead_field, slow_timing)
    weights, _ = spatial_filter(lead_field, noise)
    eeg = on_model_grid(measured(lead_field, 1000.0, -0.2, 1.0), lead_field, slow_timing.times)
    source = source_estimate(eeg, weights)
    assert source.attrs["units"] == "mV"
    assert source.attrs["n_averages"] == 6
    expected = baseline_correct(wave(slow_timing.times), slow_timing.times)
    np.testing.assert_allclose(source, expected, atol=2e-3)


def test_frequencies_that_the_model_cannot_hold_are_removed(lead_field: xr.DataArray) -> None:
    evoked = measured(lead_field, 1000.0, -0.2, 1.0)
    buzz = 1e-6 * np.outer(np.append(lead_field.values[::-1, 0], 0), np.sin(2 * np.pi * 95 * evoked.times))
    times = np.arange(-20, 101) / 100
    clean = on_model_grid(evoked, lead_field, times)
    evoked.data += buzz
    noisy = on_model_grid(evoked, lead_field, times)
    # At 100 Hz, 95 Hz would pass for 5 Hz, of full size.
    np.testing.assert_allclose(noisy[:, 20:-20], clean[:, 20:-20], atol=0.03 * lead_field.max().item())


def test_responses_without_common_times_are_refused(lead_field: xr.DataArray) -> None:
    late = measured(lead_field, 1000.0, 0.1, 0.5)
    with pytest.raises(ValueError, match=r"covers 0\.100\.\.0\.500 s.*expected both a baseline"):
        on_model_grid(late, lead_field, np.arange(-200, 1001) / 1000)


def test_bad_channels_of_a_measured_response_are_missing(lead_field: xr.DataArray) -> None:
    evoked = measured(lead_field, 1000.0, -0.2, 1.0)
    evoked.info["bads"] = ["Cz"]
    with pytest.raises(ValueError, match=r"'measured'.*Missing: Cz\. Not in the lead field: EXTRA"):
        on_model_grid(evoked, lead_field, np.arange(-200, 1001) / 1000)


def test_recorded_responses_are_read(recording: Path) -> None:
    (evoked,) = read_evokeds(recording)
    assert evoked.comment == "standard"
    assert evoked.nave == 12
    assert len(evoked.ch_names) == 30


def test_unreadable_responses_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such file: .*none-ave\.fif' \(evoked responses"):
        read_evokeds(tmp_path / "none-ave.fif")
    info = mne.create_info(["A"], 100.0, "eeg")
    mne.io.RawArray(np.zeros((1, 200)), info, verbose="error").save(tmp_path / "x_raw.fif", verbose="error")
    with pytest.raises(ValueError, match=r"expected evoked responses \(\.fif\), found raw"):
        read_evokeds(tmp_path / "x_raw.fif")
    (tmp_path / "text-ave.fif").write_text("not a recording")
    with pytest.raises(ValueError, match=r"expected evoked responses \(\.fif\), found unknown"):
        read_evokeds(tmp_path / "text-ave.fif")
    eog = mne.EvokedArray(np.zeros((1, 10)), mne.create_info(["E"], 100.0, "eog"), comment="blink")
    eog.save(tmp_path / "eog-ave.fif", verbose="error")
    with pytest.raises(ValueError, match="'blink' has no good EEG channel"):
        read_evokeds(tmp_path / "eog-ave.fif")


def test_real_responses_become_sources(real_evoked: Path, real_covariance: Path) -> None:
    lead_field = jrflow.lead_field(recording=real_evoked)
    timing = Timing.of(EvokedProtocol(), 1e-3, 1000.0)
    config = CovarianceNoise(kind="covariance", path=str(real_covariance))
    noise = noise_level(config, lead_field, timing)
    evokeds = read_evokeds(real_evoked)
    assert [e.nave for e in evokeds] == [3, 6, 6, 6]
    for evoked in evokeds:
        weights, sd = spatial_filter(lead_field, noise.averaged(evoked.nave))
        source = source_estimate(on_model_grid(evoked, lead_field, timing.times), weights)
        assert source.sizes == {"time": 701}
        baseline_sd = float(source.sel(time=slice(None, 0)).std())
        # The noise of the recording is of the size that its covariance says.
        assert 0.2 < baseline_sd / sd < 3


def test_projections_of_a_response_apply_to_lead_field_and_noise(lead_field: xr.DataArray) -> None:
    """A response of the source, projected by MNE, is that of the projected lead field."""
    times = np.arange(-200, 1001) / 1000
    evoked = measured(lead_field, 1000.0, -0.2, 1.0).pick(list(lead_field["channel"].values[::-1]))
    vector = np.random.default_rng(0).standard_normal(len(evoked.ch_names))
    data = {
        "col_names": evoked.ch_names, "row_names": None, "nrow": 1, "ncol": len(vector),
        "data": (vector / np.linalg.norm(vector))[None],
    }  # fmt: skip
    evoked.add_proj(mne.Projection(data=data, desc="EOG", kind=1, active=False), verbose="error")
    evoked.apply_proj(verbose="error")
    white = noise_level(
        AdHocNoise(kind="ad-hoc", factor=1), lead_field, Timing.of(EvokedProtocol(), 1e-3, 1000.0)
    )
    gain, noise = projected(evoked, lead_field, white)
    assert noise.rank == white.rank - 1 == len(vector) - 2
    eeg = on_model_grid(evoked, lead_field, times)
    course = baseline_correct(wave(times), times)
    np.testing.assert_allclose(eeg, gain.values * course, atol=1e-3 * float(abs(gain).max()))
    weights, _ = spatial_filter(gain, noise)
    np.testing.assert_allclose(weights @ eeg.values, course, atol=1e-4)
    # Without the projection the course comes out too small.
    blind, _ = spatial_filter(lead_field, white)
    assert abs(blind @ eeg.values - course).max() > 1e-3


@pytest.mark.parametrize("reference", ["average", ["Cz"], ["P9", "P10"]])
def test_any_reference_gives_the_same_response(lead_field: xr.DataArray, reference: str | list[str]) -> None:
    times = np.arange(-200, 1001) / 1000
    evoked = measured(lead_field, 1000.0, -0.2, 1.0)
    expected = on_model_grid(evoked, lead_field, times)
    evoked.set_eeg_reference(reference, projection=False, verbose="error")
    np.testing.assert_allclose(on_model_grid(evoked, lead_field, times), expected, atol=1e-6)


def test_standard_errors_are_no_responses(recording: Path, tmp_path: Path) -> None:
    (average,) = mne.read_evokeds(recording, verbose="error")
    error = average.copy()
    error.kind = "standard_error"
    mne.write_evokeds(tmp_path / "both-ave.fif", [error, average, error], verbose="error")
    assert [evoked.kind for evoked in read_evokeds(tmp_path / "both-ave.fif")] == ["average"]
