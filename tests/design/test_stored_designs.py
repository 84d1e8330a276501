"""Designs and specifications keep their values, so that an interrupted campaign can be resumed."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from jrflow.config import Config
from jrflow.specification import Specification

PRIORS: dict[str, Any] = {
    "half": {"kind": "relative-uniform"},
    "paper": {"kind": "published-range", "parameters": ["A_e", "C", "a_1"]},
    "mixed": {
        "kind": "independent",
        "parameters": {
            "b_e": {"low": 60, "high": 140, "mean": 90, "sd": 30}, "A_i": {"low": 17.6, "high": 26.4},
        },
    },
    "coupled": {
        "kind": "independent",
        "parameters": {
            "G": {"low": 0, "high": 20}, "A_e": {"low": 2.6, "high": 4.0}, "speed": {"low": 5, "high": 20},
        },
    },
}  # fmt: skip
CAMPAIGNS: dict[str, Any] = {
    "prior": {"design": "prior", "n": 5, "prior": "half"},
    "lhs": {"design": "lhs", "n": 5, "prior": "half", "preset": "as-published"},
    "sobol": {"design": "sobol-sequence", "n": 4, "prior": "half"},
    "saltelli": {"design": "saltelli", "n": 16, "prior": "half"},
    "oat": {"design": "one-at-a-time", "n": 3, "prior": "half"},
    "paper": {"design": "prior", "n": 5, "prior": "paper"},
    "mixed": {"design": "prior", "n": 5, "prior": "mixed"},
    "network": {"design": "prior", "n": 5, "prior": "coupled"},
}
NETWORK = {
    "connectome": {"kind": "synthetic", "n_regions": 3},
    "protocol": {"kind": "rest", "noise_sd": 20.0},
}
#: First digits of the SHA-256 of the specification, at version 0.1 (commit 62a1208).
SPECIFICATIONS = {
    "prior": "8d7e558332193dc6",
    "lhs": "5949ab2f4d81a00a",
    "sobol": "3c6b8e7cb74e42a2",
    "saltelli": "9d9ec7e141fabda3",
    "oat": "e4c13570f091f9de",
    "paper": "581c08e0e42ed655",
    "mixed": "16d3f037d32f8279",
    "network": "a794ee3a0ab40c06",
}
#: First digits of the SHA-256 of all values, or, where SciPy's special functions are in them, their sum.
DESIGNS: dict[str, str | float] = {
    "prior": "2a00d0e4b527cd89",
    "lhs": "774ec70678bd1df1",
    "sobol": "57c3fb73fa0bb538",
    "saltelli": "b8ceb97d869ebb84",
    "oat": "16d2b06767236385",
    "paper": 3719.3674981447475,
    "mixed": 1617.767928149211,
    "network": "fbf4170cf39f2e40",
}


def config(name: str) -> Config:
    simulation = NETWORK if name == "network" else {}
    return Config.model_validate(
        {
            "simulation": simulation,
            "priors": {CAMPAIGNS[name]["prior"]: PRIORS[CAMPAIGNS[name]["prior"]]},
            "campaigns": {name: CAMPAIGNS[name]},
            "inference": {},
        }
    )


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_a_campaign_is_that_of_version_0_1(name: str) -> None:
    specification = Specification.of(config(name), name)
    assert specification.identity[:16] == SPECIFICATIONS[name]
    design, stored = specification.draw(), DESIGNS[name]
    values = [design[variable].values for variable in design.variables]
    if isinstance(stored, float):
        assert sum(float(v[v < 1e9].sum()) for v in values) == pytest.approx(stored, rel=1e-12)
    else:
        assert hashlib.sha256(b"".join(v.tobytes() for v in values)).hexdigest()[:16] == stored
