from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from jrflow.config.eeg import AdHocNoise
from jrflow.model.timing import Timing
from jrflow.observe import sensors
from jrflow.observe.noise import EvokedNoise, noise_level
from jrflow.observe.projection import baseline_correct, to_eeg

IDS = np.array([5, 0, 2**40 + 5, 17])


def source_of(n: int, noise: EvokedNoise, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(8).standard_normal((n, len(noise.times))).astype(dtype)


@pytest.fixture(scope="module")
def noise(lead_field: xr.DataArray, slow_timing: Timing) -> EvokedNoise:
    return noise_level(AdHocNoise(kind="ad-hoc", factor=1.0), lead_field, slow_timing)


@pytest.fixture(scope="module")
def gain(lead_field: xr.DataArray) -> np.ndarray:
    values: np.ndarray = lead_field.values[:, 0]
    return values


@pytest.fixture(scope="module")
def normals() -> np.ndarray:
    """Streams of 100 simulations, shape (100, blocks, 2, LANES): a pair stands in the same lane."""
    states = sensors.noise_states(np.uint64(3), np.arange(100, dtype=np.uint64))
    rows = np.empty((100, 50_048), np.float32)
    for row, state in zip(rows, states, strict=True):
        sensors._fill(row, state)
    return rows.reshape(100, -1, 2, sensors.LANES).astype(float)


def test_words_are_those_of_sfc32() -> None:
    """Against the generator's definition, in Python's integers."""
    state = np.random.default_rng(0).integers(0, 2**32, 4)
    ours = tuple(np.uint32(x) for x in state)
    a, b, c, counter = (int(x) for x in state)
    for _ in range(200):
        word, *rest = sensors._next_word(*ours)
        ours = tuple(np.uint32(x) for x in rest)
        expected = (a + b + counter) % 2**32
        a, b, counter = b ^ (b >> 9), (c + (c << 3)) % 2**32, (counter + 1) % 2**32
        c = (((c << 21) | (c >> 11)) + expected) % 2**32
        assert int(word) == expected
    assert [int(x) for x in ours] == [a, b, c, counter]


def test_first_states_are_all_different() -> None:
    sims = np.concatenate([np.arange(2000), 2**32 * np.arange(1, 2000)]).astype(np.uint64)
    states = [sensors.noise_states(np.uint64(seed), sims) for seed in (0, 1, 2**32)]
    lanes = np.concatenate(states).reshape(-1, 4, sensors.LANES).transpose(0, 2, 1).reshape(-1, 4)
    assert len(np.unique(lanes, axis=0)) == len(lanes)
    assert lanes.mean() == pytest.approx(2**31, rel=0.005)


def test_normals_are_normal(normals: np.ndarray) -> None:
    drawn = normals.ravel()
    n = len(drawn)
    assert abs(drawn.mean()) < 4 / np.sqrt(n)
    assert abs(drawn.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs(stats.skew(drawn)) < 4 * np.sqrt(6 / n)
    assert abs(stats.kurtosis(drawn)) < 4 * np.sqrt(24 / n)
    assert stats.kstest(drawn[:: n // 1_000_000], "norm").pvalue > 1e-3
    for z in (3.0, 4.0, 4.5):
        expected = 2 * n * stats.norm.sf(z)
        assert abs((abs(drawn) > z).sum() - expected) < 4 * np.sqrt(expected)


@pytest.mark.parametrize("power", [1, 2])
def test_normals_are_independent(normals: np.ndarray, power: int) -> None:
    """Of their pair, their neighbours in lane and time, and of other simulations; also in size."""
    x = normals**power
    x = (x - x.mean()) / x.std()
    pairs = {
        "pair": (x[:, :, 0], x[:, :, 1]),
        "lane": (x[..., 1:], x[..., :-1]),
        "next": (x[:, 1:], x[:, :-1]),
        "next but one": (x[:, 2:], x[:, :-2]),
        "crossed": (x[:, 1:, 0], x[:, :-1, 1]),
        "simulation": (x[1:], x[:-1]),
    }
    for name, (one, other) in pairs.items():
        assert abs((one * other).mean()) < 4.5 / np.sqrt(one.size), name


@pytest.mark.parametrize("referenced", [False, True])
@pytest.mark.parametrize("period", [3, 4, 7, 20])
def test_colouring_is_that_of_numpy(period: int, referenced: bool) -> None:
    """The same normals, overlapped, corrected and re-referenced step by step."""
    times, channels = np.arange(-3, 8) / 10, np.eye(5) - (0.2 if referenced else 0)
    noise = EvokedNoise(4 * channels, 6, times, period)
    states = sensors.noise_states(np.uint64(1), IDS[:1].astype(np.uint64))
    white = np.empty((5, 2 * sensors.LANES))
    for row in white:
        sensors._fill(row, states[0])
    mixing = np.linalg.cholesky(noise._epoch_correlation())
    padded = np.zeros((5, len(mixing) * period))
    padded[:, : len(times)] = white[:, : len(times)]
    chunks = padded.reshape(5, len(mixing), period)
    overlapped = (mixing @ chunks).reshape(5, -1)[:, : len(times)]
    expected = 2 * channels @ baseline_correct(overlapped, times)
    drawn = noise.observe(np.zeros((1, len(times))), np.zeros(5), IDS[:1], 1)[0]
    np.testing.assert_allclose(drawn, expected, atol=1e-13)


def test_covariance_of_what_is_observed() -> None:
    """Alike channels in single precision, epochs up to three deep."""
    noise = EvokedNoise(2 * (np.eye(3) - 1 / 3), 4, np.arange(-2, 7) / 10, 3)
    silence = np.zeros((40_000, 9), np.float32)
    drawn = noise.observe(silence, np.zeros(3), np.arange(40_000), 0).reshape(40_000, -1)
    expected = np.kron(noise.covariance, noise.temporal_covariance())
    found = drawn.T.astype(float) @ drawn / len(drawn)
    spread = np.sqrt((expected**2 + np.outer(np.diag(expected), np.diag(expected))) / len(drawn))
    assert abs(found - expected).max() < 4.5 * spread.max()
    assert abs(drawn.mean(axis=0)).max() < 4.5 * np.sqrt(np.diag(expected).max() / len(drawn))


def test_without_noise_it_is_the_projection(
    lead_field: xr.DataArray, noise: EvokedNoise, gain: np.ndarray
) -> None:
    source = source_of(4, noise)
    silent = replace(noise, covariance=0 * noise.covariance)
    dims = xr.DataArray(source[:, np.newaxis], dims=("sim", "region", "time"))
    labelled = dims.assign_coords(region=lead_field["region"].values, time=noise.times)
    expected = to_eeg(labelled, lead_field)
    assert expected.dtype == np.float32
    np.testing.assert_allclose(
        silent.observe(source, gain, IDS, 0), expected, atol=2e-6 * abs(expected).max()
    )


def test_noise_follows_simulation_and_seed_alone(noise: EvokedNoise, gain: np.ndarray) -> None:
    source = source_of(4, noise)
    together = noise.observe(source, gain, IDS, 7)
    for k in (3, 0, 2):
        alone = noise.observe(source[k : k + 1], gain, IDS[k : k + 1], 7)
        np.testing.assert_array_equal(alone[0], together[k])
    clean = gain[:, np.newaxis] * baseline_correct(source, noise.times)[:, np.newaxis]
    draws = np.concatenate([together, noise.observe(source, gain, IDS, 0)]) - np.concatenate([clean, clean])
    correlation = np.corrcoef(draws.reshape(8, -1))
    assert abs(correlation[np.triu_indices(8, 1)]).max() < 0.1  # 63 channels x 100 samples


def test_precisions_share_one_draw(noise: EvokedNoise, gain: np.ndarray) -> None:
    single, double = (noise.observe(source_of(4, noise, t), gain, IDS, 7) for t in ("float32", "float64"))
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(single, double, atol=1e-5 * abs(double).max())
    baseline = noise.times <= 0
    for evoked, rounding in ((single, 1e-6), (double, 1e-14)):
        assert abs(evoked[..., baseline].mean(axis=-1)).max() < rounding * abs(evoked).max()
        assert abs(evoked.mean(axis=1)).max() < rounding * abs(evoked).max()


def test_nothing_spills_to_other_simulations(noise: EvokedNoise, gain: np.ndarray) -> None:
    source = source_of(4, noise)
    broken = source.copy()
    broken[1] = np.nan
    expected, found = (noise.observe(s, gain, IDS, 7) for s in (source, broken))
    assert np.isnan(found[1]).all()
    np.testing.assert_array_equal(np.delete(found, 1, 0), np.delete(expected, 1, 0))


@pytest.mark.parametrize("correlated", [False, True])
def test_memory_that_is_given_is_used(noise: EvokedNoise, gain: np.ndarray, correlated: bool) -> None:
    if correlated:
        scale = np.linspace(0.5, 1, len(gain))
        noise = replace(noise, covariance=scale[:, np.newaxis] * noise.covariance * scale)
    out = np.full((4, len(gain), len(noise.times)), np.nan, np.float32)
    written = noise.observe(source_of(4, noise), gain, IDS, 7, out)
    assert written is out
    np.testing.assert_array_equal(out, noise.observe(source_of(4, noise), gain, IDS, 7))
    for wrong in (out[:3], out.astype(float), np.asfortranarray(out)):
        with pytest.raises(
            ValueError, match=r"out must be C-contiguous, float32 and of shape \(4, 64, 121\)"
        ):
            noise.observe(source_of(4, noise), gain, IDS, 7, wrong)


def test_what_does_not_fit_is_refused(noise: EvokedNoise, gain: np.ndarray) -> None:
    source = source_of(4, noise)
    for wrong in (
        (source[:, :-1], gain, IDS),
        (source, gain[1:], IDS),
        (source, gain, IDS[1:]),
        (source.astype(int), gain, IDS),
    ):
        with pytest.raises(ValueError, match="the noise is for 64 channels and 121 times; received"):
            noise.observe(*wrong, 0)
