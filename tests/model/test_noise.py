"""Counter-based noise: known answers, distribution, independence of everything but its key."""

import numpy as np
import pytest
import xarray as xr
from numba import njit
from scipy import stats
from scipy.signal import welch

from jrflow.model import noise
from jrflow.model.philox import philox
from jrflow.model.protocol import RestProtocol
from jrflow.simulation import simulate

LANES = 32


@njit
def philox_words(counter, key):
    return philox(counter[0], counter[1], counter[2], counter[3], key[0], key[1])


@njit
def draw(distribution, seed, sim_ids, stream, n_quads):
    """Shape (steps, sims): what the kernel draws, one number a step."""
    out = np.zeros((n_quads * noise.QUAD, len(sim_ids)), np.float32)
    for k in range(n_quads):
        for lane in range(len(sim_ids)):
            z0, z1, z2, z3 = noise.quad(distribution, seed, sim_ids[lane], stream, k)
            out[4 * k, lane], out[4 * k + 1, lane] = z0, z1
            out[4 * k + 2, lane], out[4 * k + 3, lane] = z2, z3
    return out


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_philox_known_answers(counter: list[int], key: list[int], expected: list[int]) -> None:
    """Vectors of the Random123 distribution."""
    words = philox_words(np.array(counter, np.uint64), np.array(key, np.uint64))
    assert [int(w) for w in words] == expected


@pytest.mark.parametrize(
    ("distribution", "law"),
    [(noise.NORMAL, stats.norm()), (noise.UNIFORM, stats.uniform(-(3**0.5), 2 * 3**0.5))],
)
def test_distribution_and_independence(distribution: int, law) -> None:
    """Kolmogorov-Smirnov, moments, and correlations over time (and its squares), lanes and streams."""
    ids = np.arange(LANES, dtype=np.uint64)
    z = draw(distribution, np.uint64(7), ids, 0, 2500).astype(float)
    assert stats.kstest(z.ravel(), law.cdf).pvalue > 1e-3
    n = z.size
    assert abs(z.mean()) < 4 / np.sqrt(n)
    assert z.var() == pytest.approx(1.0, rel=4 * np.sqrt(2 / n))
    assert abs(stats.skew(z.ravel())) < 4 * np.sqrt(6 / n)
    kurtosis = 0.0 if distribution == noise.NORMAL else -1.2
    assert stats.kurtosis(z.ravel()) == pytest.approx(kurtosis, abs=4 * np.sqrt(24 / n))
    for lag in (1, 2, 3, 4, 5, 8):
        assert abs(np.mean(z[lag:] * z[:-lag])) < 4 / np.sqrt(n)
        squares = z**2 - 1
        assert abs(np.mean(squares[lag:] * squares[:-lag])) < 4 * squares.var() / np.sqrt(n)
    lanes = np.corrcoef(z.T)[np.triu_indices(LANES, 1)]
    assert np.abs(lanes).max() < 5 / np.sqrt(len(z))
    other = draw(distribution, np.uint64(7), ids, 1, 2500).astype(float)
    assert abs(np.mean(z * other)) < 4 / np.sqrt(n)


@pytest.mark.slow
def test_tails_of_the_normals() -> None:
    """Ten million: as many beyond 3, 4 and 5 standard deviations as there should be."""
    z = draw(noise.NORMAL, np.uint64(3), np.arange(LANES, dtype=np.uint64), 0, 80_000)
    for beyond in (3.0, 4.0, 5.0):
        expected = z.size * 2 * stats.norm.sf(beyond)
        assert abs(int((np.abs(z) > beyond).sum()) - expected) < 5 * np.sqrt(expected)
    assert np.abs(z).max() < 6.67


def test_the_logarithm_and_the_circle_are_accurate() -> None:
    """Against double precision, word by word, the ends of the range included."""
    rng = np.random.default_rng(0)
    words = np.concatenate([[0, 1, 2, 2**32 - 1, 2**31], rng.integers(0, 2**32, 20_000)]).astype(np.uint64)

    @njit
    def pairs(a, b):
        out = np.zeros((len(a), 2))
        for k in range(len(a)):
            out[k] = noise.normal_pair(a[k], b[k])
        return out

    x, y = pairs(words, words[::-1].copy()).T
    exact = np.sqrt(-2 * np.log(np.minimum((words + 0.5) / 2**32, 1.0)))
    np.testing.assert_allclose(np.hypot(x, y), exact, rtol=2e-6, atol=4e-4)


NOISY = RestProtocol(duration=0.4, transient=0.1, background=220.0, noise_sd=57.7)


def test_noise_depends_on_seed_and_simulation_only() -> None:
    many = simulate({"A_e": np.full(70, 3.25)}, protocol=NOISY, seed=3)
    few = simulate(
        xr.Dataset({"A_e": ("sim", [3.25, 3.25])}, {"sim": [69, 4]}), protocol=NOISY, seed=3, n_threads=1
    )
    np.testing.assert_array_equal(few.source.values, many.source.sel(sim=[69, 4]).values)
    other = simulate({"A_e": np.full(70, 3.25)}, protocol=NOISY, seed=4)
    assert not np.array_equal(other.source.values, many.source.values)
    assert len(np.unique(many.source.values[:, 0, -1])) == 70


def test_noise_keeps_its_spectral_density_when_the_step_changes() -> None:
    """Below the sigmoid's influence the source is linear: its variance must not depend on dt."""
    linear = {"v_max": np.full(200, 1e-9)}
    protocol = RestProtocol(duration=2.0, transient=0.5, background=220.0, noise_sd=60.0)
    sds = [
        float(simulate(linear, protocol=protocol, dt=dt, solver="exp-ab4").source.std("time").mean())
        for dt in (1e-3, 2.5e-4)
    ]
    assert sds[1] == pytest.approx(sds[0], rel=0.03)


def test_1995_preset_gives_alpha_rhythm() -> None:
    """Input drawn uniformly from 120..320 /s every millisecond: a spectral peak in 8..12 Hz."""
    protocol = RestProtocol(
        duration=16.0, transient=2.0, background=220.0, noise_sd=200 / 12**0.5, noise_distribution="uniform"
    )
    ds = simulate({"A_e": np.full(16, 3.25)}, preset="jansen-rit-1995", protocol=protocol)
    frequencies, power = welch(ds.source.values[:, 0], fs=1000.0, nperseg=4000)
    band = (frequencies > 1) & (frequencies < 45)
    peak = frequencies[band][power.mean(axis=0)[band].argmax()]
    assert 8 <= peak <= 12
    amplitude = np.ptp(ds.source.values, axis=-1)
    assert np.all((amplitude > 5) & (amplitude < 30))
