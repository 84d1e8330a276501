"""Parameters that differ between regions: from independent variables to values, and back from JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from jrflow.config.priors import IndependentPrior
from jrflow.design import Prior
from jrflow.space.spatial import Regions

REGIONS = Regions(("front", "back", "left"), ((0.0, 50.0, 0.0), (0.0, -70.0, 0.0), (-30.0, -10.0, 0.0)))
NETWORK = {"G": 1.0, "speed": np.inf}
GRADIENT = {"axis": "y", "low": -20, "high": 30}


def prior(regions: Regions | None = REGIONS, **parameters: Any) -> Prior:
    config = IndependentPrior.model_validate({"kind": "independent", "parameters": parameters})
    return Prior.of(config, "unit-consistent", NETWORK, regions)


MIXED = prior(
    G={"low": 0, "high": 20},
    A_e={"low": 2.6, "high": 4.0, "regions": "independent"},
    b_e={"kind": "log-normal", "median": 100, "log_sd": 0.1, "gradient": GRADIENT},
)


def test_every_region_has_its_own_draw_or_all_share_one_or_they_lie_on_a_line() -> None:
    assert MIXED.names == (
        "G", "A_e[front]", "A_e[back]", "A_e[left]", "b_e middle", "b_e slope y"
    )  # fmt: skip
    points = MIXED.sample(500, seed=1)
    values = MIXED.values(points)
    assert {name: v.shape for name, v in values.items()} == {"G": (500,), "A_e": (500, 3), "b_e": (500, 3)}
    correlation = np.corrcoef(values["A_e"].T)
    assert (np.abs(correlation[~np.eye(3, dtype=bool)]) < 0.15).all()
    assert ((values["A_e"] >= 2.6) & (values["A_e"] <= 4.0)).all()
    # back, left and front lie at -1, 0 and 1: (-70, -10, 50) mm.
    front, back, left = values["b_e"].T
    np.testing.assert_allclose(front - left, points[:, 5])
    np.testing.assert_allclose(left - back, points[:, 5])
    np.testing.assert_array_equal(left, points[:, 4])


def test_ends_hold_what_any_region_can_have() -> None:
    values = MIXED.values(MIXED.ppf(np.array([[0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]], float)))
    for name in ("G", "A_e", "b_e"):
        low, high = MIXED.ends(name)
        assert low <= values[name].min()
        assert values[name].max() <= high
    assert MIXED.ends("b_e")[1] == MIXED.varied["b_e"].high + 30


def test_a_prior_comes_back_from_its_description() -> None:
    description = json.loads(json.dumps(MIXED.describe()))
    again = Prior.described("unit-consistent", description, NETWORK)
    assert again == MIXED
    np.testing.assert_array_equal(again.sample(3, 0), MIXED.sample(3, 0))


def test_without_differences_between_regions_nothing_is_said_about_them() -> None:
    shared = prior(A_e={"low": 2.6, "high": 4.0})
    assert set(shared.describe()) == {"order", "varied", "fixed"}
    assert shared.regions is None


def test_a_gradient_needs_positions_that_differ() -> None:
    flat = prior(A_e={"low": 3, "high": 4, "gradient": {"axis": "z", "low": -1, "high": 1}})
    with pytest.raises(ValueError, match="do not differ along z"):
        flat.values(flat.sample(2, 0))
    nowhere = prior(Regions(("a", "b")), A_e={"low": 3, "high": 4, "gradient": GRADIENT})
    with pytest.raises(ValueError, match="no centres"):
        nowhere.values(nowhere.sample(2, 0))


def test_a_prior_for_each_region_needs_regions() -> None:
    alone = prior(None, A_e={"low": 3, "high": 4, "regions": "independent"})
    with pytest.raises(ValueError, match="A_e: values for each region need a connectome"):
        _ = alone.names
