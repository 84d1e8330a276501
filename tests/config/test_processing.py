"""Filters and baselines that cannot be are reported with the other faults, before anything runs."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from jrflow.config import Config
from jrflow.config.eeg import ProcessingConfig
from jrflow.config.load import ConfigError, parse_config

SMALL = {
    "priors": {"half": {"kind": "relative-uniform"}},
    "campaigns": {"train": {"design": "prior", "n": 10, "prior": "half"}},
}


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"baseline": None}, "highpass"),
        ({"highpass": 30.0, "lowpass": 20.0}, "lowpass"),
        ({"highpass": 0.0}, "highpass"),
        ({"lowpass": -30.0}, "lowpass"),
        ({"lowpass": float("nan")}, "lowpass"),
        ({"baseline": (0.0, -0.2)}, "baseline"),
        ({"baseline": (0.0,)}, "baseline"),
        ({"low_pass": 30.0}, "low_pass"),
    ],
)
def test_processing_that_cannot_be_is_an_error(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        ProcessingConfig.model_validate(settings)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"lowpass": 500.0}, "lowpass"),
        ({"highpass": 600.0}, "highpass"),
        ({"baseline": (-0.5, -0.3)}, "baseline"),
        ({"baseline": (2.0, None)}, "baseline"),
    ],
)
def test_processing_that_does_not_go_with_the_responses_is_a_fault(
    settings: dict[str, Any], key: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_config(SMALL | {"eeg": {"processing": settings}})
    assert [fault.key for fault in raised.value.faults] == [("eeg", "processing", key)]


def test_processing_as_usual_is_no_fault() -> None:
    settings = {"highpass": 0.1, "lowpass": 30.0, "baseline": (-0.2, 0.0)}
    found = Config.model_validate(SMALL | {"eeg": {"processing": settings}})
    assert found.eeg.processing.lowpass == 30
