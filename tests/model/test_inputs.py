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

REST = RestProtocol(duration=0.2, transient=0.05, background=120.0, noise_sd=30.0)
EVOKED = EvokedProtocol(
    n_trials=6, isi=0.3, tmin=-0.05, tmax=0.25, transient=0.05, stim_duration=0.0503
)  # fmt: skip
FIELDS = {"p": "background", "p_sd": "noise_sd", "stim_rate": "stim_rate"}
LONELY = Connectome(np.zeros((3, 3)))
BRAIN = Connectome.synthetic(3, seed=3).normalised("in-strength")


@pytest.mark.parametrize(
    ("name", "protocol", "values"),
    [
        ("p", REST, [60.0, 120.0, 0.0]),
        ("p", EVOKED, [60.0, 0.0]),
        ("p_sd", REST, [30.0, 3.0, 60.0]),
        ("stim_rate", EVOKED, [60.0, 20.0, 0.0]),
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


@pytest.mark.parametrize("name", ["p", "stim_rate"])
def test_every_region_has_its_own(name: str) -> None:
    """Regions that are not connected are columns."""
    values = np.array([[20.0, 60.0, 90.0], [0.0, 10.0, 100.0]])
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
