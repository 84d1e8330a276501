"""The table of parameters: what it refuses, and what is derived from it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from jrflow.model import MODEL
from jrflow.space.parameters import (
    NOT_NEGATIVE,
    POSITIVE,
    Bounds,
    Degeneracy,
    Parameter,
    ParameterSpace,
    Product,
)


def parameter(name: str, **changes: object) -> Parameter:
    given = {
        "unit": "mV", "long_name": name, "default": 1.0, "acts_on": "mass", "bounds": POSITIVE,
        "plausible": (0.1, 10.0), "source": "nowhere",
    } | changes  # fmt: skip
    return Parameter(name, **given)  # type: ignore[arg-type]


SPACE = ParameterSpace(
    (
        parameter("g"),
        parameter("w_1", unit="1"),
        parameter("k", unit="1/s"),
        parameter("G", acts_on="network"),
    ),
    Degeneracy("k", (Product("gain_1", "w_1", gain="g", unit="1/s"),)),
)


@pytest.mark.parametrize(
    ("bounds", "possible", "impossible", "words"),
    [
        (POSITIVE, [1e-300, 5.0], [0.0, -1.0, math.inf, math.nan], "finite values above 0 mV"),
        (NOT_NEGATIVE, [0.0, 5.0], [-1e-300, math.inf, math.nan], "finite values, 0 or greater"),
        (Bounds(0.0, infinite="no delays"), [1.0, math.inf], [0.0, math.nan], "infinite for no delays"),
        (Bounds(), [-5.0, 0.0], [math.inf, -math.inf, math.nan], "finite values"),
    ],
)
def test_bounds_know_what_is_possible(
    bounds: Bounds, possible: list[float], impossible: list[float], words: str
) -> None:
    assert bounds.contains(np.array(possible)).all()
    assert not bounds.contains(np.array(impossible)).any()
    assert words in bounds.described("mV")


def test_targets_have_units_and_factors() -> None:
    assert [SPACE.unit(name) for name in ("g", "gain_1")] == ["mV", "1/s"]
    assert [SPACE.factors(name) for name in ("g", "gain_1")] == [("g",), ("k", "w_1")]


def test_a_part_of_the_space_keeps_the_degeneracy_only_with_all_its_factors() -> None:
    assert list(SPACE.acting_on("mass")) == ["g", "w_1", "k"]
    assert SPACE.acting_on("mass").degeneracy == SPACE.degeneracy
    assert SPACE.acting_on("network").degeneracy is None
    assert list(SPACE.acting_on("mass", "network")) == list(SPACE)


@pytest.mark.parametrize(
    ("names", "products", "message"),
    [
        (("a", "a"), (), "distinct names"),
        (("a", "b"), (Product("a", "b"),), "distinct names"),
        (("a", "b"), (Product("ab", "c"),), "'c', which is not a parameter"),
        (("a", "b"), (Product("ab", "b", gain="g"),), "'g', which is not a parameter"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(
    names: tuple[str, ...], products: tuple[Product, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ParameterSpace(tuple(map(parameter, names)), Degeneracy("a", products))


def test_the_models_table_agrees_with_itself() -> None:
    assert set(MODEL.inferred) <= set(MODEL.mass)
    assert {MODEL.largest_rate, *MODEL.inverse_time_constants} <= set(MODEL.mass)
    for preset in MODEL.presets.values():
        assert list(preset.defaults) == list(MODEL.mass)
        for name, value in preset.defaults.items():
            low, high = MODEL.mass[name].plausible
            assert MODEL.mass[name].bounds.contains(value)
            assert low <= value <= high
