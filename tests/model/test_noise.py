"""Counter-based noise: known answers, distribution, independence of everything but its key."""

import numpy as np
import pytest
import xarray as xr
from numba import njit
from scipy import stats
from scipy.signal import welch

from jrflow.model import noise
from jrflow.model.lanes import LANES
from jrflow.model.protocol import RestProtocol
from jrflow.simulation import simulate


@njit
def philox_words(counter, key):
    return noise.philox(counter[0], counter[1], counter[2], counter[3], key[0], key[1])


@njit
def draw(distribution, scale, seed, sim_ids, n_quads):
    out = np.zeros((n_quads * noise.QUAD, LANES))
    for k in range(n_quads):
        noise.draw_quad(out[4 * k : 4 * k + 4], distribution, scale, seed, sim_ids, 4 * k)
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
    [(noise.NORMAL, stats.norm(0, 2)), (noise.UNIFORM, stats.uniform(-2 * 3**0.5, 4 * 3**0.5))],
)
def test_distribution_and_independence(distribution: int, law) -> None:
    z = draw(distribution, 2.0, np.uint64(7), np.arange(LANES, dtype=np.uint64), 2500)
    assert stats.kstest(z.ravel(), law.cdf).pvalue > 1e-3
    n = z.size
    assert abs(z.mean()) < 4 * 2 / np.sqrt(n)
    assert z.var() == pytest.approx(4.0, rel=4 * np.sqrt(2 / n))
    unit = (z - z.mean()) / z.std()
    for lag in (1, 2, 4):
        assert abs(np.mean(unit[lag:] * unit[:-lag])) < 4 / np.sqrt(n)
    lanes = np.corrcoef(z.T)[np.triu_indices(LANES, 1)]
    assert np.abs(lanes).max() < 5 / np.sqrt(len(z))


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
