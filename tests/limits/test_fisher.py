"""Limits: exact where theory is exact, and as measured before where it is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from jrflow.archive.vocabulary import NON_FINITE, OK
from jrflow.config.analysis import LimitsConfig
from jrflow.config.priors import IndependentPrior, RelativeUniformPrior
from jrflow.config.simulation import SimulationConfig
from jrflow.design import Prior
from jrflow.limits import jacobian
from jrflow.limits.factors import Factors
from jrflow.limits.fisher import (
    _share_explained,
    _target_variance,
    posterior_covariance,
    recovery_limits,
)
from jrflow.limits.jacobian import source_jacobian
from jrflow.model.protocol import EvokedProtocol
from jrflow.observe.covariance import whitening
from jrflow.observe.noise import EvokedNoise
from jrflow.observe.projection import baseline_correct, reference_rms
from jrflow.simulation import simulate

SIMULATION = SimulationConfig.model_validate({"protocol": {"kind": "evoked", "n_trials": 5}})
TIMES = SIMULATION.timing.times
LEAD_FIELD = xr.DataArray(np.ones((64, 1)), dims=("channel", "region"), coords={"region": ["column"]})


def white(sd: float) -> EvokedNoise:
    """Noise of ``sd`` uV on each of 64 channels: sd / 8 on the source."""
    return EvokedNoise(sd**2 * np.eye(64), 4, TIMES, SIMULATION.timing.period)


def prior(preset: str = "unit-consistent", **fields: Any) -> Prior:
    return Prior.of(RelativeUniformPrior(kind="relative-uniform", **fields), preset)


def linear_model(bases: dict[str, np.ndarray], status: Any = None) -> Any:
    """Stand-in for the simulator: the sum of parameters times fixed time courses."""

    def linear(parameters: dict[str, np.ndarray], **_: Any) -> xr.Dataset:
        source = sum(np.outer(values, bases[name]) for name, values in parameters.items())
        flags = np.full(len(source), OK) if status is None else status(parameters)
        return xr.Dataset(
            {"source": (("sim", "region", "time"), source[:, None]), "status": ("sim", flags)},
            coords={"time": TIMES},
        )

    return linear


def test_the_derivative_by_a_latency_is_that_by_time_also_at_0() -> None:
    latency = Prior.of(
        IndependentPrior.model_validate(
            {"kind": "independent", "parameters": {"stim_latency": {"low": 0, "high": 0.02}}}
        ),
        "unit-consistent",
    )
    simulation = SimulationConfig.model_validate({"protocol": {"kind": "evoked", "n_trials": 12}})
    slope, kept = source_jacobian(latency, np.array([[0.0], [1e-9], [0.005]]), simulation, 1e-5)
    assert kept.all()
    ds = simulate({"stim_latency": [0.005]}, protocol=simulation.protocol, precision="float64")
    by_time = np.gradient(ds["source"].values[0, 0], ds["time"].values, edge_order=2)
    after = slice(220, None)
    size = np.abs(by_time).max()
    np.testing.assert_allclose(slope[2, 0, after] / latency.sd, -by_time[after], atol=0.02 * size)
    np.testing.assert_allclose(slope[0], slope[1], atol=1e-3 * np.abs(slope[0]).max())
    # The response at 5 ms is that at 0, 5 ms later.
    np.testing.assert_allclose(slope[2, 0, 225:], slope[0, 0, 220:-5], atol=0.02 * size * latency.sd[0])


def test_posterior_is_that_of_a_linear_gaussian_model() -> None:
    rng = np.random.default_rng(0)
    design, root = rng.standard_normal((30, 4)), rng.standard_normal((30, 30))
    noise = root @ root.T
    # Conditioning the joint Gaussian of parameters and data: another way to the same matrix.
    gain = np.linalg.solve(design @ design.T + noise, design)
    exact = np.eye(4) - design.T @ gain
    np.testing.assert_allclose(posterior_covariance(whitening(noise).T @ design), exact, atol=1e-10)


def test_whitening_leaves_out_what_has_no_variance() -> None:
    noise = white(1.0).temporal_covariance()
    whitener = whitening(noise).T
    assert whitener.shape == (len(TIMES) - 1, len(TIMES))  # one direction went with the baseline
    np.testing.assert_allclose(whitener @ noise @ whitener.T, np.eye(len(whitener)), atol=1e-8)


def test_limits_of_a_linear_model_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    after = TIMES > 0.1
    bases = {"A_e": np.sin(40 * TIMES) * after, "A_i": np.cos(7 * TIMES) * after}
    monkeypatch.setattr(jacobian, "simulate", linear_model(bases))
    chosen = prior(parameters=("A_e", "A_i"))
    found = recovery_limits(
        chosen, LEAD_FIELD, {"loud": white(400.0)}, SIMULATION, LimitsConfig(n_draws=3), seed=0
    )
    response = np.column_stack([bases[name] for name in chosen.names]) * chosen.sd
    noise = (400 / 8) ** 2 * white(1.0).temporal_covariance() + 1e-9 * np.eye(len(TIMES))
    exact = np.diag(response.T @ np.linalg.solve(response @ response.T + noise, response))
    assert ((exact > 0.05) & (exact < 0.95)).all()
    np.testing.assert_allclose(found.r2_limit.sel(noise="loud"), exact, rtol=1e-4)
    assert float(found.r2_limit_se.max()) < 1e-6
    assert float(found.sd[0]) == pytest.approx(400 / 8)


def test_products_are_determined_where_their_factors_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    course = np.exp(-TIMES) * (TIMES > 0)

    def product(parameters: dict[str, np.ndarray], **_: Any) -> xr.Dataset:
        return linear_model({"C_1": course})({"C_1": parameters["C"] * parameters["a_1"]})

    monkeypatch.setattr(jacobian, "simulate", product)
    found = recovery_limits(
        prior(parameters=("C", "a_1")), LEAD_FIELD, {"quiet": white(0.01), "deafening": white(1e9)},
        SIMULATION, LimitsConfig(n_draws=200), seed=0,
    ).r2_limit  # fmt: skip
    assert list(found.parameter.values) == ["C", "a_1", "C_1"]
    quiet = found.sel(noise="quiet")
    assert float(quiet.sel(parameter="C_1")) > 0.999
    np.testing.assert_allclose(quiet.sel(parameter=["C", "a_1"]), 0.5, atol=0.1)  # one equation for two
    np.testing.assert_allclose(found.sel(noise="deafening"), 0, atol=1e-6)


@pytest.mark.parametrize(
    ("preset", "published"),
    [
        ("unit-consistent", {"A_e": 0.69, "A_i": 0.99, "b_i": 1.0, "C": 0.66, "a_1": 0.72, "a_4": 0.72}),
        ("as-published", {"A_e": 0.71, "A_i": 0.99, "b_i": 1.0, "C": 0.0, "a_1": 0.0, "a_4": 0.0}),
    ],
)
def test_limits_at_20_db_are_as_measured_before(preset: str, published: dict[str, float]) -> None:
    chosen = prior(preset)
    draws = dict(zip(chosen.names, chosen.sample(300, 1).T, strict=True))
    typical = simulate(draws, preset=preset, protocol=SIMULATION.protocol)
    noise = white(reference_rms(typical["source"], LEAD_FIELD) / 10)
    found = recovery_limits(
        chosen, LEAD_FIELD, {"20 dB": noise}, SIMULATION, LimitsConfig(n_draws=60), seed=2
    ).r2_limit.sel(noise="20 dB")
    for name, value in published.items():
        assert float(found.sel(parameter=name)) == pytest.approx(value, abs=0.08), name
    assert (found.sel(parameter=["C_1", "C_4"]) >= found.sel(parameter="C") - 0.01).all()


def test_failed_draws_are_left_out_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def status(parameters: dict[str, np.ndarray]) -> np.ndarray:
        return np.where(parameters["A_e"] > 3.25, NON_FINITE, OK)

    monkeypatch.setattr(jacobian, "simulate", linear_model({"A_e": TIMES}, status))
    found = recovery_limits(
        prior(parameters=("A_e",)), LEAD_FIELD, {"any": white(1.0)}, SIMULATION, LimitsConfig(n_draws=100), 0
    )
    assert 30 < found.attrs["n_dropped"] < 70
    assert found.attrs["n_dropped"] + found.attrs["n_draws"] == 100


def test_draws_without_a_posterior_are_counted_and_laplaces_limit_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def some(self: Factors, whitened: np.ndarray) -> np.ndarray:
        variance = of_all(self, whitened)
        variance[: n_without[0]] = np.nan
        return variance

    of_all, n_without = Factors.variance, [0]
    monkeypatch.setattr(
        jacobian, "simulate", linear_model({name: TIMES**k for k, name in enumerate(prior().names)})
    )
    monkeypatch.setattr(Factors, "variance", some)
    found = []
    for n in (0, 3, 20):
        n_without[0] = n
        config = LimitsConfig(n_draws=20)
        found.append(
            recovery_limits(prior(), LEAD_FIELD, {"a": white(1.0), "b": white(2.0)}, SIMULATION, config, 0)
        )
    assert [one.attrs["n_impossible"] for one in found] == [0, 6, 40]
    assert (found[0].r2_limit != found[0].r2_laplace).sel(parameter="C").all()
    xr.testing.assert_allclose(found[2].r2_limit, found[2].r2_laplace)


@pytest.mark.parametrize(("tolerance", "expected"), [(1e-5, 1e-10), (1e-12, 1e-12), (0.0, 0.0), (None, None)])
def test_differences_are_not_spoilt_by_trials_that_are_not_simulated(
    tolerance: float | None, expected: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    received = []

    def noted(parameters: dict[str, np.ndarray], **settings: Any) -> xr.Dataset:
        received.append(settings["steady_state_tolerance"])
        return linear_model({"A_e": TIMES})(parameters)

    monkeypatch.setattr(jacobian, "simulate", noted)
    simulation = SIMULATION.model_copy(update={"steady_state_tolerance": tolerance})
    jacobian.source_jacobian(prior(parameters=("A_e",)), np.full((2, 1), 3.0), simulation, relative_step=1e-5)
    assert received == [expected, expected]


def test_no_draw_left_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = linear_model({"A_e": TIMES}, lambda p: np.full(len(p["A_e"]), NON_FINITE))
    monkeypatch.setattr(jacobian, "simulate", failing)
    with pytest.raises(ValueError, match="all 5 draws from the prior failed"):
        jacobian.source_jacobian(
            prior(parameters=("A_e",)), np.full((5, 1), 3.0), SIMULATION, relative_step=1e-5
        )


def test_a_step_that_is_too_coarse_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def rough(parameters: dict[str, np.ndarray], **_: Any) -> xr.Dataset:
        return linear_model({"A_e": TIMES})({"A_e": np.sin(1e4 * parameters["A_e"])})

    monkeypatch.setattr(jacobian, "simulate", rough)
    draws = np.linspace(2, 4, 9)[:, None]
    with pytest.raises(ValueError, match=r"limits.relative_step is 0.001.*A_e by \d+"):
        jacobian.source_jacobian(prior(parameters=("A_e",)), draws, SIMULATION, relative_step=1e-3)


def test_derivatives_of_responses_that_settle_late_do_not_depend_on_the_tolerance() -> None:
    """Skipping trials after the response has settled changes no derivative by more than .1 %."""
    simulation = SIMULATION.model_copy(update={"protocol": EvokedProtocol()})
    chosen = prior()
    draws = chosen.sample(40, 3)
    skipped, _ = jacobian._differences(chosen, draws, simulation, 1e-5)
    everything = simulation.model_copy(update={"steady_state_tolerance": None})
    all_trials, kept = jacobian._differences(chosen, draws, everything, 1e-5)
    assert kept.all()
    all_trials, skipped = (baseline_correct(one, simulation.timing.times) for one in (all_trials, skipped))
    size = np.linalg.norm(all_trials, axis=2)
    change = np.linalg.norm(skipped - all_trials, axis=2) / np.maximum(size, 1e-6 * size.max(1)[:, None])
    assert change.max() < 1e-3


def test_second_order_terms_of_products_change_limits_little() -> None:
    """The variance of a product of normals beside the delta method's, at 0 and 50 dB."""
    chosen = prior()
    draws = chosen.sample(60, 3)
    jac, _ = jacobian.source_jacobian(chosen, draws, SIMULATION, 1e-5)
    slopes = np.swapaxes(baseline_correct(jac, TIMES), 1, 2)
    d, C = len(chosen.names), chosen.names.index("C")
    for sd in (1.5, 0.005):
        whitened = whitening(white(8.0).temporal_covariance()).T @ slopes / sd
        posterior = posterior_covariance(whitened)
        gradients = chosen.target_gradients(draws)
        after, before = (
            _target_variance(p, gradients)[:, d:] for p in (posterior, np.eye(d) + 0 * posterior)
        )
        delta = _share_explained(after, before)[0]
        in_units = posterior * np.outer(chosen.sd, chosen.sd)
        for k, product in enumerate(chosen.product_names):
            j = chosen.names.index(product.replace("C", "a"))
            after[:, k] += in_units[:, C, C] * in_units[:, j, j] + in_units[:, C, j] ** 2
            before[:, k] += (chosen.sd[C] * chosen.sd[j]) ** 2
        np.testing.assert_allclose(_share_explained(after, before)[0], delta, atol=0.015)
