"""Distributions and maps over regions that a parameter, a network or a design rules out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml

from jrflow.config.load import ConfigError
from jrflow.config.priors import Distribution, IndependentPrior
from jrflow.planning.feasibility import parse_checked

BASE = """\
simulation:
  connectome: {kind: synthetic, n_regions: 6}
  protocol: {kind: evoked, n_trials: 3}
priors:
  some: {kind: independent, parameters: {A_e: {low: 3, high: 4}}}
campaigns:
  train: {design: prior, n: 1000, prior: some}
execution: {shard_size: 256}
"""
GRADIENT = {"axis": "y", "low": -0.5, "high": 0.5}


def data(parameters: dict[str, Any], **campaign: Any) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(BASE)
    content["priors"]["some"]["parameters"] = parameters
    content["campaigns"]["train"] |= campaign
    return content


def keys(content: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_checked(content)
    return [".".join(map(str, fault.key)) for fault in caught.value.faults]


@pytest.mark.parametrize(
    "distribution",
    [
        {"low": 3, "high": 4},
        {"kind": "uniform", "low": 3, "high": 4},
        {"low": 3, "high": 4, "mean": 3.5, "sd": 1},
        {"kind": "normal", "mean": 3.5, "sd": 0.5},
        {"kind": "normal", "mean": 1, "sd": 0.5, "low": 0.1},
        {"kind": "log-normal", "median": 3, "log_sd": 0.3},
        {"kind": "log-normal", "median": 3, "log_sd": 0.3, "high": 5},
        {"kind": "relative-uniform", "half_width": 0.3},
        {"kind": "published-range"},
        {"low": 3, "high": 4, "regions": "independent"},
        {"low": 3, "high": 4, "gradient": GRADIENT},
    ],
)
def test_a_possible_distribution_is_accepted(distribution: dict[str, Any]) -> None:
    config = parse_checked(data({"A_e": distribution}))
    prior = config.priors["some"]
    assert isinstance(prior, IndependentPrior)
    resolved = prior.parameters["A_e"].resolve("A_e", 3.25)
    assert 0 < resolved.low < resolved.high < np.inf
    assert resolved.low <= resolved.moments[0] <= resolved.high


@pytest.mark.parametrize(
    ("parameter", "distribution", "key"),
    [
        ("A_e", {"low": 3}, ""),
        ("A_e", {"kind": "normal", "mean": 3}, ""),
        ("A_e", {"kind": "log-normal", "low": 3, "high": 4}, ""),
        ("A_e", {"kind": "uniform", "low": 3, "high": 4, "mean": 3.5}, ""),
        ("A_e", {"kind": "published-range", "low": 3}, ""),
        ("A_e", {"kind": "log-normal", "median": 6, "log_sd": 0.3, "high": 5}, ""),
        ("A_e", {"kind": "normal", "mean": 1, "sd": 0.5}, ".low"),
        ("A_e", {"low": -1, "high": 4}, ".low"),
        ("A_e", {"low": 0.4, "high": 4, "gradient": GRADIENT}, ".low"),
        ("A_e", {"low": 3, "high": 4, "gradient": GRADIENT | {"axis": "w"}}, ".gradient.axis"),
        ("A_e", {"low": 3, "high": 4, "gradient": GRADIENT | {"low": 2}}, ".gradient"),
        ("A_e", {"low": 3, "high": 4, "regions": "independent", "gradient": GRADIENT}, ""),
        ("v_max", {"kind": "published-range"}, ".kind"),
        ("speed", {"kind": "relative-uniform", "half_width": 0.5}, ".kind"),
        ("G", {"low": 0, "high": 4, "regions": "independent"}, ".regions"),
        ("p", {"low": -1, "high": 4}, ".low"),
        ("p", {"kind": "relative-uniform", "half_width": 0.5}, ".kind"),
        ("moment", {"low": 1, "high": 4}, ""),
    ],
)
def test_an_impossible_distribution_is_an_error_at_its_key(
    parameter: str, distribution: dict[str, Any], key: str
) -> None:
    assert keys(data({parameter: distribution})) == [f"priors.some.parameters.{parameter}{key}"]


@pytest.mark.parametrize(("design", "n"), [("saltelli", 16), ("one-at-a-time", 3)])
def test_designs_by_parameter_need_one_value_a_simulation(design: str, n: int) -> None:
    regional = {"A_e": {"low": 3, "high": 4, "regions": "independent"}}
    assert keys(data(regional, design=design, n=n)) == ["campaigns.train.design"]


def test_a_gradient_needs_regions_at_different_places() -> None:
    content = data({"A_e": {"low": 3, "high": 4, "gradient": GRADIENT}})
    content["simulation"]["connectome"]["n_regions"] = 1
    assert keys(content) == ["priors.some.parameters.A_e.gradient"]


def test_one_column_has_no_differences_between_regions() -> None:
    content = data({"A_e": {"low": 3, "high": 4, "regions": "independent"}})
    content["simulation"]["connectome"] = None
    assert keys(content) == ["priors.some.parameters.A_e.regions"]
    content["priors"]["some"] = {"kind": "relative-uniform", "regions": "independent"}
    assert set(keys(content)) == {"priors.some.regions"}


def test_at_rest_there_is_no_stimulus_to_vary() -> None:
    content = data({"p": {"low": 100, "high": 200}, "stim_rate": {"low": 10, "high": 100}})
    assert parse_checked(content).simulation.protocol.kind == "evoked"
    content["simulation"]["protocol"] = {"kind": "rest"}
    assert keys(content) == ["priors.some.parameters.stim_rate"]


def test_pulses_of_a_prior_do_not_overlap() -> None:
    latency = {"low": 0, "high": 0.3}
    assert parse_checked(data({"stim_latency": latency, "stim_duration": {"low": 0.01, "high": 0.7}}))
    late = "priors.some.parameters.stim_latency.high"
    assert keys(data({"stim_latency": latency, "stim_duration": {"low": 0.01, "high": 0.71}})) == [late]
    assert keys(data({"stim_latency": {"low": 0, "high": 0.96}})) == [late]
    assert keys(data({"stim_duration": {"low": 0, "high": 1.2}})) == [
        "priors.some.parameters.stim_duration.high"
    ]


def test_models_need_responses_without_process_noise() -> None:
    content = data({"A_e": {"low": 3, "high": 4}, "p_sd": {"low": 1, "high": 10}})
    content["simulation"]["connectome"] = None
    content["campaigns"]["test"] = {"design": "lhs", "n": 100, "prior": "some"}
    content["inference"] = {"models": {"m": {"train": "train", "test": "test"}}}
    content["eeg"] = {"noise": {"quiet": {"kind": "snr", "snr_db": 20}}}
    assert "inference.models" in keys(content)


def test_an_end_that_is_not_given_lies_four_standard_deviations_away() -> None:
    normal = Distribution.model_validate({"kind": "normal", "mean": 10, "sd": 1}).resolve("A_e", 3.25)
    assert normal.ends == (6, 14)
    log_normal = Distribution.model_validate({"kind": "log-normal", "median": 10, "log_sd": 0.5, "high": 30})
    np.testing.assert_allclose(log_normal.resolve("A_e", 3.25).ends, (10 * np.exp(-2), 30))
