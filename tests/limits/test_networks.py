"""Limits of networks: those of columns where regions are not coupled, and what electrodes make of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import jrflow
from jrflow.config.priors import IndependentPrior
from jrflow.config.simulation import SimulationConfig
from jrflow.design import Prior
from jrflow.limits.fisher import posterior_covariance
from jrflow.limits.jacobian import source_jacobian
from jrflow.observe.epoch import Epoch
from jrflow.observe.noise import EvokedNoise
from jrflow.observe.observation import Observation
from jrflow.observe.window import Window

PROTOCOL = jrflow.EvokedProtocol(n_trials=20, isi=0.5, tmin=-0.1, tmax=0.45, transient=0.2)
HALF = {"kind": "relative-uniform", "half_width": 0.3}
REGIONAL = {name: HALF | {"regions": "independent"} for name in ("A_e", "b_i")}
LONELY = jrflow.Connectome(np.zeros((2, 2)), names=["a", "b"])
BRAIN = jrflow.Connectome.synthetic(4).normalised("in-strength")


def limits(parameters: dict[str, Any], connectome: jrflow.Connectome, **options: Any) -> xr.Dataset:
    return jrflow.network_limits(parameters, connectome, protocol=PROTOCOL, **options)


def test_regions_that_are_not_coupled_have_the_limits_of_columns() -> None:
    found = limits(REGIONAL, LONELY, n_draws=3, snr_db=(10.0, 30.0), sfreq=200.0)
    assert found["variable"].values.tolist() == ["A_e[a]", "A_e[b]", "b_i[a]", "b_i[b]"]
    assert found["parameter"].values.tolist() == ["A_e", "A_e", "b_i", "b_i"]
    assert found["region"].values.tolist() == ["a", "b", "a", "b"]

    simulation = SimulationConfig(protocol=PROTOCOL)
    timing = simulation.timing
    column = Prior.of(
        IndependentPrior.model_validate(
            {"kind": "independent", "parameters": dict.fromkeys(("A_e", "b_i"), HALF)}
        ),
        "unit-consistent",
    )
    regional = np.random.default_rng(0).random((3, 4))  # as the prior draws them
    draws = column.ppf(regional.reshape(3, 2, 2).transpose(0, 2, 1).reshape(6, 2))
    jacobian, kept = source_jacobian(column, draws, simulation, 1e-5)
    assert kept.all()
    source = jrflow.simulate(
        dict(zip(column.names, draws.T, strict=True)), protocol=PROTOCOL, precision="float64"
    )
    clean = (
        source["source"].values[:, 0]
        - source["source"].sel(time=slice(None, 0)).values[:, 0].mean(-1)[:, None]
    )
    signal = np.median(np.sqrt((clean.reshape(3, 2, -1) ** 2).mean(axis=(1, 2))))
    epoch = Epoch(timing.times, timing.period, window=Window.of(timing.times, 200.0, 0.0))
    noise = EvokedNoise(np.eye(2), timing.n_epochs, timing.times, timing.period)
    observation = Observation.of_sources(epoch, noise, 1.0)
    for k, snr in enumerate((10.0, 30.0)):
        sd = signal / 10 ** (snr / 20)
        whitened = observation.whiten(observation.clean(jacobian[:, :, None])) / sd
        variance = np.einsum("npp->np", posterior_covariance(np.swapaxes(whitened, 1, 2)))
        expected = 1 - variance.reshape(3, 2, 2).mean(axis=0).T.ravel()
        np.testing.assert_allclose(found["r2_limit"][k], expected, rtol=1e-5, atol=1e-6)
    assert 0.1 < float(found["r2_limit"][0].min()) < float(found["r2_limit"][1].min()) < 1


def test_electrodes_see_the_projection_of_the_sources() -> None:
    """The information of channels, computed from responses at channels and their full covariance."""
    lead_field = jrflow.lead_field("biosemi16", parcels=4)
    brain = jrflow.Connectome.synthetic(4, names=lead_field["region"].values.tolist()).normalised(
        "in-strength"
    )
    shared = {"A_e": HALF, "G": {"low": 5.0, "high": 15.0}}
    found = limits(shared, brain, lead_field=lead_field, n_draws=1, snr_db=(5.0,), sfreq=100.0)
    assert found["region"].values.tolist() == ["", ""]

    prior = Prior.of(
        IndependentPrior.model_validate({"kind": "independent", "parameters": shared}),
        "unit-consistent",
        {"G": 1.0},
    )
    (point,) = prior.sample(1, 0)

    def eeg(values: np.ndarray) -> np.ndarray:
        ds = jrflow.simulate(
            dict(zip(prior.names, values, strict=True)),
            connectome=brain,
            protocol=PROTOCOL,
            precision="float64",
            steady_state_tolerance=1e-10,
        )
        channels = lead_field.values @ ds["source"].values[0]
        return channels - channels[:, ds["time"].values <= 0].mean(axis=1, keepdims=True)

    here = eeg(point)
    sd = np.sqrt((here**2).mean()) / 10 ** (5 / 20)
    step = 1e-4 * point
    slopes = [
        (eeg(point + d) - eeg(point - d)) / (2 * d.sum()) * s
        for d, s in zip(np.diag(step), prior.sd, strict=True)
    ]
    times = SimulationConfig(protocol=PROTOCOL).timing.times
    n_blocks, start = 44, int((times <= 0).sum())
    blocks = np.kron(np.eye(n_blocks), np.full((1, 10), 0.1))
    averaged = [one[:, start : start + 10 * n_blocks] @ blocks.T for one in slopes]
    # White noise whose epochs of 551 samples overlap every 500; its baseline is subtracted.
    raw = np.eye(len(times))
    for i in range(len(times) - 500):
        raw[i, i + 500] = raw[i + 500, i] = 1 - 1 / SimulationConfig(protocol=PROTOCOL).timing.n_epochs
    correct = np.eye(len(times)) - (times <= 0) / (times <= 0).sum()
    temporal = correct @ raw @ correct.T
    temporal = blocks @ temporal[start : start + 10 * n_blocks, start : start + 10 * n_blocks] @ blocks.T
    white = np.eye(16) - 1 / 16
    covariance = np.kron(white / white[0, 0], temporal) * sd**2
    J = np.stack([one.ravel() for one in averaged])
    information = J @ np.linalg.pinv(covariance, rcond=1e-9, hermitian=True) @ J.T
    expected = 1 - np.diagonal(np.linalg.inv(information + np.eye(2)))
    np.testing.assert_allclose(found["r2_limit"][0], expected, rtol=1e-3)
    np.testing.assert_allclose(found["information"][0], np.linalg.eigvalsh(information)[::-1], rtol=1e-3)


def test_regions_without_a_stimulus_tell_less() -> None:
    parameters = {"A_e": HALF | {"regions": "independent"}}
    protocol = jrflow.EvokedProtocol(
        n_trials=20, isi=0.5, tmin=-0.1, tmax=0.45, transient=0.2, stim_regions=BRAIN.names[:1]
    )
    found = jrflow.network_limits(
        parameters, BRAIN, protocol=protocol, coupling={"G": 10.0}, snr_db=(20.0,), n_draws=2
    )
    limit = found["r2_limit"].values[0]
    assert limit[0] > limit[1:].max() + 0.1


def test_brains_that_do_not_settle_are_counted_and_left_out() -> None:
    """Some columns with this input oscillate by themselves."""
    oscillating = jrflow.EvokedProtocol(
        n_trials=20, isi=0.5, tmin=-0.1, tmax=0.45, transient=0.2, background=180.0, stim_rate=1
    )
    parameters = {"C": {"low": 40.0, "high": 160.0}}
    found = jrflow.network_limits(parameters, BRAIN, protocol=oscillating, n_draws=8, snr_db=(20.0,))
    assert found.attrs["n_unsettled"] > 0
    assert found.attrs["n_draws"] + found.attrs["n_unsettled"] + found.attrs["n_failed"] == 8
    with pytest.raises(ValueError, match=r"none of 3 draws has a response that repeats: 0 failed, 3 did"):
        jrflow.network_limits({"C": {"low": 130.0, "high": 140.0}}, BRAIN, protocol=oscillating, n_draws=3)


@pytest.mark.parametrize(
    ("parameters", "options", "message"),
    [
        ({"A_q": HALF}, {}, "A_q"),
        ({"A_e": {"low": 3, "high": 2}}, {}, "low"),
        ({"A_e": HALF}, {"n_draws": 0}, "n_draws: expected a whole number of at least 1"),
        (
            {"A_e": HALF},
            {"lead_field": jrflow.lead_field("biosemi16")},
            "expected the 4 regions of the connect",
        ),
    ],
)
def test_impossible_requests_are_refused(parameters: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        limits(parameters, BRAIN, **options)
