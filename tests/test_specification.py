"""What a campaign depends on is read once, is the same object for all who ask, and keeps its hash."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError

import pytest

from jrflow.config import Config
from jrflow.provenance import content_hash
from jrflow.specification import Specification

MakeConfig = Callable[..., Config]


def test_what_an_archive_holds_is_what_was_resolved(tiny_config: MakeConfig) -> None:
    config = tiny_config({"preset": "as-published"})
    resolved = Specification.of(config, "train")
    again = Specification.parse(json.loads(resolved.text))
    assert again == resolved
    assert (again.settings, again.simulation, again.seed) == (
        resolved.settings, resolved.simulation, resolved.seed
    )  # fmt: skip
    assert again.prior == resolved.prior
    assert again.simulation.solver == "euler", "the solver of the preset"
    assert again.identity == content_hash(json.loads(resolved.text))
    assert again.n_simulations == config.n_simulations("train") == resolved.draw().sizes["sim"]


def test_it_is_frozen(tiny_config: MakeConfig) -> None:
    specification = Specification.of(tiny_config(), "train")
    with pytest.raises(FrozenInstanceError):
        specification.seed = 1  # type: ignore[misc]
    specification.content["seed"] = 1
    assert specification.content["seed"] == specification.seed != 1


@pytest.mark.parametrize("key", ["campaign", "design", "n", "preset", "seed", "prior", "simulation"])
def test_a_missing_key_is_named(tiny_config: MakeConfig, key: str) -> None:
    content = Specification.of(tiny_config(), "train").content
    del content[key]
    with pytest.raises(ValueError, match=key):
        Specification.parse(content)


def test_what_an_earlier_version_did_not_write_stays_out_of_its_identity(tiny_config: MakeConfig) -> None:
    content = Specification.of(tiny_config({"design": "saltelli", "n": 2}), "train").content
    del content["replicates"], content["simulation"]["steady_state_tolerance"]
    old = Specification.parse(content)
    assert old.identity == content_hash(content)
    assert old.replicates == 1
    assert old.simulation.steady_state_tolerance == 1e-5


def test_a_campaign_goes_on_with_the_scrambles_that_it_was_begun_with(tiny_config: MakeConfig) -> None:
    now = Specification.of(tiny_config({"design": "saltelli", "n": 4}), "train")
    before = Specification.parse({k: v for k, v in now.content.items() if k != "replicates"} | {"n": 2})
    assert now.as_begun(before).differences(before) == {"n": (4, 2)}
    assert now.as_begun(before).replicates == 1
    assert now.as_begun(now) is now
