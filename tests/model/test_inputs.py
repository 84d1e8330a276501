"""The input's parameters: for each simulation and region what a protocol gives for all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import jrflow
from jrflow.model import MODEL
from jrflow.model.connectome import Connectome
from jrflow.model.protocol import EvokedProtocol, RestProtocol
from jrflow.model.solvers import SOLVERS

REST = RestProtocol(duration=0.2, transient=0.05, background=120.0, noise_sd=30.0)
EVOKED = EvokedProtocol(
    n_trials=6, isi=0.3, tmin=-0.05, tmax=0.25, transient=0.05, stim_duration=0.0503
)  # fmt: skip
FIELDS = {
    "p": "background", "p_sd": "noise_sd", "stim_rate": "stim_rate", "stim_duration": "stim_duration"
}  # fmt: skip
LONELY = Connectome(np.zeros((3, 3)))
BRAIN = Connectome.synthetic(3, seed=3).normalised("in-strength")


@pytest.mark.parametrize(
    ("name", "protocol", "values"),
    [
        ("p", REST, [60.0, 120.0, 0.0]),
        ("p", EVOKED, [60.0, 0.0]),
        ("p_sd", REST, [30.0, 3.0, 60.0]),
        ("stim_rate", EVOKED, [60.0, 20.0, 0.0]),
        ("stim_duration", EVOKED, [0.0503, 0.02, 0.0]),
    ],
)
def test_one_value_a_simulation_is_what_a_protocol_gives_for_all(
    name: str, protocol: Any, values: list[float]
) -> None:
    options: dict[str, Any] = {"precision": "float64", "seed": 3}
    found = jrflow.simulate({name: values}, protocol=protocol, **options)
    assert found[name].dims == ("sim",)
    assert found[name].attrs == MODEL.space[name].attrs
    np.testing.assert_array_equal(found[name], values)
    for k, value in enumerate(values):
        one = replace(protocol, **{FIELDS[name]: value})
        alone = jrflow.simulate({"C": np.full(len(values), 135.0)}, protocol=one, **options)
        np.testing.assert_allclose(found["source"][k], alone["source"][k], rtol=1e-9, atol=1e-12)
        assert found["n_trials"][k] == alone["n_trials"][k]
        if name == "p":
            np.testing.assert_array_equal(found["source"][k], alone["source"][k])


@pytest.mark.parametrize("solver", sorted(SOLVERS))
def test_a_pulse_that_ends_within_a_step_is_that_of_a_protocol(solver: str) -> None:
    durations = [0.0503, 0.0202, 0.0004]
    found = jrflow.simulate({"stim_duration": durations}, protocol=EVOKED, solver=solver, precision="float64")
    for k, duration in enumerate(durations):
        one = replace(EVOKED, stim_duration=duration)
        alone = jrflow.simulate(protocol=one, solver=solver, precision="float64")
        np.testing.assert_allclose(found["source"][k], alone["source"][0], rtol=1e-9, atol=1e-12)


def test_a_latency_delays_the_response() -> None:
    protocol = EvokedProtocol(n_trials=6)
    delayed = jrflow.simulate({"stim_latency": 0.03}, protocol=protocol)
    assert delayed["stim_latency"].attrs["units"] == "s"
    prompt = jrflow.simulate(protocol=protocol)
    late, early = (ds["source"].sel(time=slice(0, None)).values[0, 0] for ds in (delayed, prompt))
    assert np.ptp(early) > 1
    np.testing.assert_allclose(late[30:], early[:-30], atol=1e-3 * np.ptp(early))


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2), ("exp-ab4", 3)])
def test_pulses_within_steps_keep_the_order_of_a_scheme(solver: str, order: int) -> None:
    """Pulses begin and end at any time; the cubic leaves an error of third order, too small to be seen."""
    protocol = replace(EVOKED, n_trials=2)
    pulses = {"stim_latency": [0.0123, 0.00377, 0.0296], "stim_duration": [0.0207, 0.0311, 0.0004]}

    def error(dt: float) -> float:
        found = jrflow.simulate(pulses, protocol=protocol, solver=solver, dt=dt, precision="float64")
        return float(np.abs(found["source"] - reference["source"]).max())

    reference = jrflow.simulate(pulses, protocol=protocol, solver="rk4", dt=1e-5, precision="float64")
    coarse, fine = error(1e-3), error(2.5e-4)
    assert fine < coarse / 4 ** (order - 0.35), (coarse, fine)
    assert coarse < {"euler": 5.0, "heun": 0.3, "exp-ab4": 0.03}[solver]


@pytest.mark.parametrize("connectome", [None, BRAIN])
def test_a_simulation_does_not_depend_on_the_pulses_of_others(connectome: Connectome | None) -> None:
    """To the bit, also where a pulse of another simulation begins or ends within a step."""
    pulses = {
        "stim_latency": [0.0, 0.0123, 0.05, 0.1], "stim_duration": [0.03, 0.0311, 0.0, 0.0777], "G": 10.0
    }  # fmt: skip
    if connectome is None:
        del pulses["G"]
    mixed = jrflow.simulate(pulses, protocol=EVOKED, connectome=connectome)
    for k in range(4):
        alone = jrflow.simulate(mixed.isel(sim=[k]), protocol=EVOKED, connectome=connectome)
        np.testing.assert_array_equal(alone["source"][0], mixed["source"][k])


@pytest.mark.parametrize("name", ["p", "stim_rate", "stim_latency", "stim_duration"])
def test_every_region_has_its_own(name: str) -> None:
    """Regions that are not connected are columns."""
    values = np.array([[20.0, 60.0, 90.0], [0.0, 10.0, 100.0]])
    if MODEL.space[name].unit == "s":
        values = values / 1013
    network = jrflow.simulate({name: values}, protocol=EVOKED, connectome=LONELY, precision="float64")
    assert network[name].dims == ("sim", "region")
    columns = jrflow.simulate({name: values.ravel()}, protocol=EVOKED, precision="float64")
    expected = columns["source"].values.reshape(network["source"].shape)
    np.testing.assert_allclose(network["source"], expected, rtol=1e-9, atol=1e-12)


def test_a_fluctuation_in_one_region_reaches_the_others_through_the_network() -> None:
    one = {"p_sd": np.array([[50.0, 0.0, 0.0]]), "G": 20.0}
    quiet = jrflow.simulate({"G": 20.0}, protocol=replace(REST, noise_sd=0.0), connectome=BRAIN)
    apart = jrflow.simulate(one | {"G": 0.0}, protocol=REST, connectome=BRAIN)
    coupled = jrflow.simulate(one, protocol=REST, connectome=BRAIN)
    still = jrflow.simulate({"G": 0.0}, protocol=replace(REST, noise_sd=0.0), connectome=BRAIN)
    np.testing.assert_array_equal(apart["source"][0, 1:], still["source"][0, 1:])
    assert (np.abs(apart["source"] - still["source"])[0, 0] > 0.1).any()
    assert (np.abs(coupled["source"] - quiet["source"])[0, 1:] > 1e-3).any(axis=1).all()


def test_a_simulation_does_not_depend_on_whether_others_fluctuate() -> None:
    """Without fluctuation responses settle, and the trials that would follow are not simulated."""
    mixed = jrflow.simulate({"p_sd": [0.0, 40.0, 0.0], "C": [135.0, 100.0, 120.0]}, protocol=EVOKED)
    assert mixed["n_trials"].values[1] == 6
    assert (mixed["n_trials"].values[[0, 2]] < 6).all()
    for k in range(3):
        alone = jrflow.simulate(mixed.isel(sim=[k]), protocol=EVOKED)
        np.testing.assert_array_equal(alone["source"][0], mixed["source"][k])
        assert alone["n_trials"][0] == mixed["n_trials"][k]


@pytest.mark.parametrize(
    ("parameters", "options", "message"),
    [
        ({"p": -1.0}, {}, "parameter 'p': expected finite values, 0 or greater"),
        ({"p_sd": np.nan}, {}, "parameter 'p_sd': expected finite values"),
        ({"stim_rate": 60.0}, {"protocol": REST}, "'stim_rate' belongs to a stimulus"),
        ({"stim_latency": 0.1}, {"protocol": REST}, "'stim_latency' belongs to a stimulus"),
        ({"stim_latency": -0.1}, {}, "parameter 'stim_latency': expected finite values, 0 or greater"),
        ({"stim_latency": [0.0, 0.96]}, {}, r"expected at most isi \(1 s\), received 1.01 s: pulses would"),
        ({"stim_duration": 1.5}, {}, r"expected at most isi \(1 s\), received 1.5 s: pulses would overlap"),
        ({"p": np.ones((2, 2))}, {"connectome": BRAIN}, "expected 3 regions"),
        ({"p": np.ones((2, 2))}, {}, "expected a number or one value per simulation"),
        ({"moment": 13.0}, {}, "unknown parameter 'moment'"),
    ],
)
def test_impossible_inputs_are_errors(
    parameters: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        jrflow.simulate(parameters, **options)
