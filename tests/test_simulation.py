"""The door between arrays and labels."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import jrflow
from jrflow.model import MODEL
from jrflow.model.protocol import EvokedProtocol, RestProtocol
from jrflow.simulation import simulate

BRAIN = jrflow.Connectome.synthetic(3, seed=1)
SHORT = EvokedProtocol(n_trials=3, isi=0.5, tmin=-0.1, tmax=0.4, transient=0.1)


def prior(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {k: MODEL.mass[k].default * rng.uniform(0.5, 1.5, n) for k in MODEL.inferred}


def test_layout_and_units() -> None:
    ds = simulate({"A_e": [3.0, 4.0]}, protocol=SHORT)
    assert ds.source.dims == ("sim", "region", "time")
    assert ds.source.dtype == np.float32
    assert ds.source.attrs["units"] == "mV"
    assert ds.sim.dtype == np.int64
    assert ds.status.dtype == np.int8
    assert ds.status.values.tolist() == [0, 0]
    assert ds.time.values[0] == -0.1
    assert ds.sel(time=0.0).source.shape == (2, 1)
    assert ds.region.values.tolist() == ["column"]
    for name in ("failed_step", "n_trials"):
        assert ds[name].dims == ("sim",)
        assert ds[name].dtype == np.int32
        assert ds[name].attrs["long_name"]
    assert ds.failed_step.values.tolist() == [-1, -1]
    assert not {"G", "speed"} & set(ds.variables)
    for name, parameter in MODEL.mass.items():
        assert ds[name].attrs["units"] == parameter.unit
    np.testing.assert_array_equal(ds.A_e, [3.0, 4.0])
    np.testing.assert_array_equal(ds.A_i, [22.0, 22.0])


def test_layout_of_a_network() -> None:
    gains = np.array([[3.0, 3.5, 4.0], [3.2, 3.3, 3.4]])
    given = {"A_e": gains, "C": [130.0, 140.0], "G": [1.0, 20.0]}
    ds = simulate(given, connectome=BRAIN, protocol=SHORT)
    assert ds.source.sizes == {"sim": 2, "region": 3, "time": 501}
    assert ds.region.values.tolist() == list(BRAIN.names)
    assert ds.A_e.dims == ("sim", "region")
    np.testing.assert_array_equal(ds.A_e, gains)
    for name, values, unit in (("C", [130, 140], "1"), ("G", [1, 20], "1"), ("speed", [np.inf] * 2, "m/s")):
        assert ds[name].dims == ("sim",)
        assert name in ds.coords
        assert ds[name].attrs["units"] == unit
        np.testing.assert_array_equal(ds[name], values)
    assert ds.query(sim="G > 2 and status == 0").sim.values.tolist() == [1]
    xr.testing.assert_identical(simulate(ds.reset_coords(), connectome=BRAIN, protocol=SHORT), ds)
    swapped = ds[["A_e", "C", "G"]].transpose("region", "sim")
    np.testing.assert_array_equal(simulate(swapped, connectome=BRAIN, protocol=SHORT).source, ds.source)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_batch_size_threads_and_order_change_no_bit(precision: str) -> None:
    p = prior(75)
    whole = simulate(p, protocol=SHORT, precision=precision, n_threads=2).source.values
    for part in (slice(0, 1), slice(40, 75), slice(74, None, -1)):
        again = simulate({k: v[part] for k, v in p.items()}, protocol=SHORT, precision=precision, n_threads=1)
        np.testing.assert_array_equal(again.source.values, whole[part])


def test_single_precision_agrees_with_double() -> None:
    single, double = (
        simulate(prior(256), protocol=SHORT, precision=p).source.values for p in ("float32", "float64")
    )
    relative = np.abs(single - double).max(axis=(1, 2)) / np.ptp(double, axis=(1, 2))
    assert np.median(relative) < 1e-5


def test_tables_and_datasets_are_taken_too() -> None:
    p = prior(5)
    expected = simulate(p, protocol=SHORT)
    frame = pd.DataFrame(p)
    xr.testing.assert_identical(simulate(frame, protocol=SHORT), expected)
    xr.testing.assert_identical(simulate(frame.rename_axis("sim").to_xarray(), protocol=SHORT), expected)
    xr.testing.assert_identical(simulate(expected.reset_coords(), protocol=SHORT), expected)


def test_diverging_simulations_carry_a_status() -> None:
    """Euler is unstable for b dt > 2; such a simulation is reported, not dropped or repaired."""
    ds = simulate({"b_e": [100.0, 2500.0, 120.0]}, solver="euler", protocol=SHORT)
    assert ds.status.values.tolist() == [0, 2, 0]
    assert not np.isfinite(ds.source.values[1]).all()
    beyond = simulate({"A_i": [22.0, 90.0]}, protocol=SHORT, max_source=100.0)
    assert beyond.status.values.tolist() == [0, 3]
    assert np.isfinite(beyond.source.values).all()


def test_the_step_of_a_failure_is_that_of_the_trace() -> None:
    """At rest, without a transient and one sample a step, the failure can be seen in the recording."""
    protocol = RestProtocol(duration=0.4, transient=0.0, background=200.0)
    whole = simulate({"A_i": [22.0, 30.0]}, protocol=protocol)
    limit = float(np.abs(whole.source).max()) / 2
    bounded = simulate({"A_i": [22.0, 30.0]}, protocol=protocol, max_source=limit)
    beyond = np.abs(whole.source.values[:, 0]) > limit
    assert beyond.any()
    expected = np.where(beyond.any(axis=1), beyond.argmax(axis=1), -1)
    np.testing.assert_array_equal(bounded.failed_step, expected)
    np.testing.assert_array_equal(bounded.status, np.where(expected >= 0, 3, 0))
    np.testing.assert_array_equal(bounded.source, whole.source)
    diverged = simulate({"b_e": [100.0, 2500.0]}, solver="euler", protocol=SHORT)
    assert diverged.failed_step.values[0] == -1
    assert 0 < diverged.failed_step.values[1] < 1100


def test_trials_are_counted() -> None:
    protocol = EvokedProtocol(n_trials=9, isi=0.5, tmin=-0.1, tmax=0.4, transient=0.1)
    settled = simulate(prior(16), protocol=protocol).n_trials
    assert ((settled >= 2) & (settled < 9)).all()
    assert (simulate(prior(16), protocol=protocol, steady_state_tolerance=None).n_trials == 9).all()
    assert (simulate(protocol=RestProtocol(duration=0.1)).n_trials == 0).all()


@pytest.mark.parametrize("noise_sd", [0.0, 20.0])
def test_the_solver_is_the_preset_s(noise_sd: float) -> None:
    protocol = RestProtocol(duration=0.1, noise_sd=noise_sd)
    assert simulate(protocol=protocol).attrs["solver"] == "exp-ab4"
    assert simulate(preset="as-published", protocol=protocol).attrs["solver"] == "euler"


def test_longer_runs_begin_alike() -> None:
    short = simulate(protocol=RestProtocol(duration=0.5, noise_sd=20.0), seed=5).source.values
    long = simulate(protocol=RestProtocol(duration=1.0, noise_sd=20.0), seed=5).source.values
    np.testing.assert_array_equal(long[..., :500], short)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"A_ee": 3.0}, "unknown parameter 'A_ee'; did you mean 'A_e'"),
        ({"A_e": [3.0, np.nan]}, "finite values above 0 mV, received nan at position 1"),
        ({"b_i": -1.0}, "finite values above 0 1/s, received -1.0 at position 0"),
        ({"A_e": [1.0, 2.0], "C": [1.0, 2.0, 3.0]}, "differ in their number of simulations"),
        ({"A_e": np.ones((2, 2))}, "received shape"),
        ({"A_e": ["large"]}, "expected real numbers"),
        ({"A_e": []}, "one value per simulation"),
    ],
)
def test_impossible_parameters_are_named(given: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulate(given, protocol=SHORT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "published"}, "unknown preset 'published': expected one of unit-consistent"),
        ({"backend": "tpu"}, "unknown backend 'tpu'"),
        ({"precision": "float16"}, "unknown precision"),
        ({"seed": -1}, "seed: expected a whole number from 0 to 18446744073709551615, received -1"),
        ({"solver": "rk45"}, "unknown solver 'rk45': expected one of euler, heun, rk4"),
        (
            {"steady_state_tolerance": 1.0},
            r"steady_state_tolerance: expected a number in \[0, 1\), or None, received 1.0",
        ),
        ({"protocol": EvokedProtocol(stim_regions=("lh-0",))}, "no region 'lh-0'; there are 1: column"),
        ({"protocol": EvokedProtocol(stim_regions=("V1",)), "connectome": BRAIN}, "there are 3: lh-0, lh-1"),
    ],
)
def test_impossible_settings_are_named(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulate(**changes)


def test_protocols_refuse_nonsense() -> None:
    with pytest.raises(ValueError, match="pulses would overlap"):
        EvokedProtocol(isi=0.2, stim_duration=0.3)
    with pytest.raises(ValueError, match="n_trials"):
        EvokedProtocol(n_trials=0)


def test_public_names_resolve() -> None:
    for name in jrflow.__all__:
        assert getattr(jrflow, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'simulated'"):
        jrflow.simulated  # noqa: B018
    assert set(MODEL.presets) == {"unit-consistent", "as-published", "jansen-rit-1995"}


_NETWORK = """
import hashlib
import jrflow

brain = jrflow.Connectome.synthetic(200).normalised("in-strength")
protocol = jrflow.EvokedProtocol(n_trials=2, background=90.0)
ds = jrflow.simulate({"G": [float(k) for k in range(16)]}, connectome=brain, protocol=protocol)
print(hashlib.sha256(ds["source"].values.tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_a_network_is_the_same_however_many_threads_its_matrix_library_would_take() -> None:
    """A process of its own for each: the library that numba multiplies by is loaded late."""
    digests = {
        subprocess.run(
            [sys.executable, "-c", _NETWORK],
            env=os.environ | {"OPENBLAS_NUM_THREADS": n, "OMP_NUM_THREADS": n},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for n in ("1", "4")
    }
    assert len(digests) == 1
