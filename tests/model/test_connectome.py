"""Connectomes: what drives what, delays in steps, TVB's zips, and a brain made up."""

import copy
import pickle
import warnings
from dataclasses import FrozenInstanceError
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from jrflow.model.connectome import Connectome
from jrflow.model.plausible import PlausibilityWarning

# Region 0 receives from 1 and 2, region 1 from 2 only, region 2 from 0 only.
WEIGHTS = np.array([[0.0, 2.0, 1.0], [0.0, 0.0, 4.0], [3.0, 0.0, 0.0]])
LENGTHS = np.array([[0.0, 10.0, 25.0], [99.0, 0.0, 35.0], [42.6, 7.0, 0.0]])
CENTRES = np.array([[-30.5, 0.0, 1e1], [30.5, 0.0, 10.0], [0.0, -40.0, 20.0]])
NAMES = ("left", "right", "back")
BRAIN = Connectome(WEIGHTS, LENGTHS, NAMES, CENTRES)
CENTRE_LINES = "left -30.5 0 1e1\nright 30.5 0 10\nback 0 -40.0 20\n"


def test_labelled_matrices_are_aligned() -> None:
    """Rows and columns in other orders, in pandas and in xarray."""
    order = [2, 0, 1]
    moved = [NAMES[k] for k in order]
    weights = pd.DataFrame(WEIGHTS, NAMES, NAMES)
    lengths = pd.DataFrame(LENGTHS, NAMES, NAMES).loc[moved]
    centres = pd.DataFrame(CENTRES, NAMES, list("xyz")).loc[moved]
    assert Connectome(weights[moved], lengths, centres=centres).digest == BRAIN.digest
    np.testing.assert_array_equal(Connectome(weights, lengths, centres=centres).centres, CENTRES)
    array = xr.DataArray(WEIGHTS, dims=("to", "from"), coords={"to": list(NAMES), "from": list(NAMES)})
    assert Connectome(array.sel({"from": moved}), LENGTHS).digest == BRAIN.digest
    assert Connectome(array.sel({"from": moved, "to": moved}), lengths, NAMES).digest == BRAIN.digest
    assert Connectome(pd.DataFrame(WEIGHTS)).names == ("region-0", "region-1", "region-2")
    for bad in ({"names": ["a", "b", "c"]}, {"tract_lengths": lengths.rename(index={"back": "front"})}):
        with pytest.raises(ValueError, match="labels are not the names"):
            Connectome(weights, **bad)


def test_it_holds_read_only_copies_in_double_precision() -> None:
    mine = WEIGHTS.astype(np.float32)
    brain = Connectome(mine, LENGTHS.tolist(), centres=CENTRES)
    mine[0, 1] = 77
    np.testing.assert_array_equal(brain.weights, WEIGHTS)
    for array in (brain.weights, brain.tract_lengths, brain.centres):
        assert array.dtype == np.float64
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1.0
    with pytest.raises(FrozenInstanceError):
        brain.names = NAMES


@pytest.mark.parametrize("travel", [copy.deepcopy, lambda brain: pickle.loads(pickle.dumps(brain))])
def test_it_travels_to_workers_as_it_is(travel) -> None:
    there = travel(BRAIN)
    assert (there.digest, there.names) == (BRAIN.digest, NAMES)
    np.testing.assert_array_equal(there.centres, CENTRES)
    assert not there.weights.flags.writeable


def test_names_sort_in_the_order_of_the_regions() -> None:
    names = Connectome(np.zeros((101, 101))).names
    assert names[:2] == ("region-000", "region-001")
    assert list(names) == sorted(names)
    assert Connectome([[0.0]]).names == ("region-0",)


def test_size_and_density() -> None:
    assert (BRAIN.n_regions, BRAIN.density) == (3, 4 / 9)
    assert Connectome([[0.0, -1.0], [0.0, 0.0]]).density == 1 / 4, "negative weights are links"
    assert repr(BRAIN) == f"Connectome(3 regions, density 0.44, sha256 {BRAIN.digest[:12]})"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": np.ones((2, 3))}, r"weights: .*one row and one column a region.*\(2, 3\)"),
        ({"weights": 1.0}, r"weights: .*shape \(\)"),
        ({"weights": np.zeros((0, 0))}, r"weights: .*\(0, 0\)"),
        ({"weights": [[0, 1], [2]]}, "weights: expected rows of numbers, all of one length"),
        ({"weights": [[0.0, np.nan], [1.0, 0.0]]}, r"weights: expected finite.*nan at \[0, 1\]"),
        ({"tract_lengths": np.ones((2, 2))}, r"tract_lengths: .*\(3, 3\).*\(2, 2\)"),
        ({"tract_lengths": LENGTHS - 7.5}, r"tract_lengths: .*at least 0.*-7.5 at \[0, 0\]"),
        ({"tract_lengths": np.where(LENGTHS == 7, np.inf, LENGTHS)}, r"tract_lengths: .*inf at \[2, 1\]"),
        ({"centres": CENTRES[:2]}, r"centres: .*\(3, 3\).*\(2, 3\)"),
        ({"centres": CENTRES * np.nan}, r"centres: .*nan at \[0, 0\]"),
        ({"names": ["a", "b"]}, "names: .*3 regions, received 2"),
        ({"names": "abc"}, "names: .*3 regions, received 1"),
        ({"names": ["a", "b", "a"]}, "names: .*no two alike, received 'a'"),
        ({"names": ["a", "b", ""]}, "names: .*none empty.*received ''"),
        ({"names": ["a", "b", 3]}, "names: expected strings.*received 3"),
    ],
)
def test_what_cannot_be_a_connectome_is_refused(arguments, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Connectome(**{"weights": WEIGHTS} | arguments)


@pytest.mark.parametrize(
    ("speed", "dt", "expected"),
    [
        (5.0, 1e-3, [[0, 2, 5], [0, 0, 7], [9, 0, 0]]),  # 42.6 mm at 5 m/s: 8.52 ms
        (5.0, 1e-4, [[0, 20, 50], [0, 0, 70], [85, 0, 0]]),
        (10.0, 1e-3, [[0, 1, 2], [0, 0, 4], [4, 0, 0]]),  # of 2.5 and 3.5 steps, the even neighbours
        (np.inf, 1e-3, np.zeros((3, 3))),
    ],
)
def test_delays_are_whole_steps_of_linked_regions(speed: float, dt: float, expected) -> None:
    """The tracts of 99 and 7 mm link nothing."""
    delays = BRAIN.delays(speed, dt)
    assert delays.dtype == np.int64
    np.testing.assert_array_equal(delays, expected)


@pytest.mark.parametrize(
    ("speed", "dt", "message"),
    [
        *((speed, 1e-3, r"expected speed \(m/s\)") for speed in (0.0, -3.0, np.nan)),
        *((3.0, dt, r"dt \(s\) above 0") for dt in (0.0, -1e-3, np.nan, np.inf)),
        (1e-9, 1e-3, r"expected m/s, received 1e-09: 42\.6 mm"),
    ],
)
def test_impossible_delays_are_refused(speed: float, dt: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BRAIN.delays(speed, dt)


def test_a_finite_speed_needs_tract_lengths() -> None:
    np.testing.assert_array_equal(Connectome(WEIGHTS).delays(np.inf, 1e-3), np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"a connectome with tract_lengths, received 5\.0 m/s"):
        Connectome(WEIGHTS).delays(5.0, 1e-3)


def test_normalised() -> None:
    by_max = BRAIN.normalised("max")
    np.testing.assert_array_equal(by_max.weights, WEIGHTS / 4)
    np.testing.assert_array_equal(by_max.tract_lengths, LENGTHS)
    np.testing.assert_array_equal(by_max.centres, CENTRES)
    assert by_max.names == NAMES
    received = BRAIN.normalised("in-strength").weights
    np.testing.assert_allclose(received, [[0, 2 / 3, 1 / 3], [0, 0, 1], [1, 0, 0]], rtol=1e-15)
    for how in ("max", "in-strength"):  # zeros and signs are left alone
        signed = Connectome([[0.0, -4.0], [0.0, 0.0]]).normalised(how)
        np.testing.assert_array_equal(signed.weights, [[0, -1], [0, 0]])
        np.testing.assert_array_equal(Connectome([[0.0]]).normalised(how).weights, [[0]])
    with pytest.raises(ValueError, match="'sum': expected one of max, in-strength"):
        BRAIN.normalised("sum")


def test_the_digest_is_that_of_what_a_simulation_depends_on() -> None:
    same = Connectome(np.where(WEIGHTS == 0, -0.0, WEIGHTS), LENGTHS, NAMES)
    assert same.digest == BRAIN.digest, "neither the sign of a zero nor the centres count"
    changed = [(WEIGHTS.T, LENGTHS), (WEIGHTS, LENGTHS.T), (WEIGHTS, None), (WEIGHTS, LENGTHS + 1e-9)]
    digests = {Connectome(*arrays, NAMES).digest for arrays in changed}
    digests |= {BRAIN.digest, Connectome(WEIGHTS, LENGTHS, NAMES[::-1]).digest}
    assert len(digests) == 6


@pytest.mark.parametrize(
    ("lengths", "centres", "words"),
    [
        (LENGTHS * 1e-3, None, "mm.* in m?"),
        (LENGTHS * 1e3, None, "in um"),
        (LENGTHS * 1e-3, CENTRES * 1e-3, "in m?"),
        (LENGTHS, CENTRES * 1e-3, "different units"),
        (LENGTHS / 8, CENTRES, "different units"),
    ],
)
def test_lengths_in_another_unit_are_noticed(lengths, centres, words: str) -> None:
    with pytest.warns(PlausibilityWarning, match=f"tract_lengths.*{words}"):
        Connectome(WEIGHTS, lengths, centres=centres)


def test_plausible_lengths_are_accepted_in_silence() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in (2, 7, 66):
            brain = Connectome.synthetic(n).normalised("max")
            pickle.loads(pickle.dumps(brain))
        Connectome(np.zeros((2, 2)), np.zeros((2, 2)))
        Connectome([[0.0]], [[0.0]])


def real(n: int) -> Path:
    pytest.importorskip("tvb_data.connectivity", reason="needs the package tvb-data")
    return Path(str(files("tvb_data.connectivity"))) / f"connectivity_{n}.zip"


@pytest.mark.parametrize(
    ("n", "density", "name", "start"),
    [
        (66, 0.316116, "rBSTS", [[0.483056, 0], [0, 0.495056]]),
        (68, 0.269031, "r_lateralorbitofrontal", [[0.049356, 0.006436], [0.006436, 0.015044]]),
        (76, 0.270083, "rA1", [[2, 2], [3, 2]]),
        (96, 0.427409, "RM-TCpol_R", [[3, 3], [3, 3]]),
        (192, 0.095812, "lAD", [[0, 0], [0, 0]]),
    ],
)
def test_tvb_data(n: int, density: float, name: str, start: list[list[float]]) -> None:
    """Starts as the text files print them, densities as tvb-library 2.10 reads them."""
    brain = Connectome.from_tvb_zip(real(n))
    assert (brain.n_regions, brain.names[0]) == (n, name)
    assert brain.density == pytest.approx(density, abs=1e-6)
    np.testing.assert_allclose(brain.weights[:2, :2], start, atol=1e-6)


def distances(brain: Connectome) -> np.ndarray:
    return np.linalg.norm(brain.centres[:, None] - brain.centres, axis=-1)


def law(brain: Connectome) -> list[float]:
    """Decay, spread, tortuosity and preference for mirrored regions, fitted to the links."""
    d = distances(brain)
    linked = (brain.weights > 0) & (d > 0)
    log = np.log(brain.weights, where=linked, out=np.zeros_like(d))
    slope, start = np.polyfit(d[linked], log[linked], 1)
    residual = log - start - slope * d
    mirrored = linked & [[a[1:] == b[1:] for b in brain.names] for a in brain.names]
    tortuosity = (brain.tract_lengths * d)[linked].sum() / (d[linked] ** 2).sum()
    return [-slope, residual[linked].std(), tortuosity, np.exp(residual[mirrored].mean())]


@pytest.mark.parametrize(("n", "fitted"), [(66, [0.035, 1.4, 1.44, 1.4]), (68, [0.049, 2.4, 1.41, 5.0])])
def test_the_numbers_of_the_synthetic_brain_come_from_measured_ones(n: int, fitted: list[float]) -> None:
    np.testing.assert_allclose(law(Connectome.from_tvb_zip(real(n))), fitted, rtol=0.04)


def test_a_synthetic_brain_follows_its_law() -> None:
    laws = np.mean([law(Connectome.synthetic(200, seed)) for seed in range(5)], axis=0)
    np.testing.assert_allclose(laws, [0.04, 1.4, 1.4, 2.5], rtol=0.15)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 66])
def test_a_synthetic_brain_of_any_size(n: int) -> None:
    brain = Connectome.synthetic(n)
    left = (n + 1) // 2
    np.testing.assert_array_equal(brain.weights, brain.weights.T)
    np.testing.assert_array_equal(brain.weights == 0, np.eye(n))
    assert brain.weights.max() == (n > 1)
    np.testing.assert_allclose(brain.tract_lengths, 1.4 * distances(brain), rtol=1e-12)
    assert [name[:2] for name in brain.names] == ["lh"] * left + ["rh"] * (n - left)
    np.testing.assert_array_equal(brain.centres[left:], brain.centres[: n - left] * (-1, 1, 1))
    assert (brain.centres[:left, 0] < -5).all()
    shell = (np.abs(brain.centres) - (5, 0, 0)) / (60, 85, 60)
    np.testing.assert_allclose((shell**2).sum(axis=1), 1)


def test_synthetic_centres_are_spread_evenly() -> None:
    nearest = (distances(Connectome.synthetic(100))[:50, :50] + 1e3 * np.eye(50)).min(axis=1)
    assert nearest.min() > 0.7 * np.median(nearest)
    assert nearest.max() < 1.5 * np.median(nearest)


def test_a_synthetic_brain_depends_on_its_seed_only() -> None:
    assert Connectome.synthetic(5).digest == Connectome.synthetic(np.int64(5), seed=0).digest
    assert not np.allclose(Connectome.synthetic(5).weights, Connectome.synthetic(5, seed=1).weights)


@pytest.mark.parametrize("n", [0, -1, 2.5])
def test_a_brain_without_regions_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match=f"n_regions: expected a whole number of at least 1, received {n}"):
        Connectome.synthetic(n)
