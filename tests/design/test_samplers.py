"""Designs: their size, order, ranges and reproducibility."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings, strategies as st
from SALib.sample import sobol

from jrflow.config.campaigns import EXTENDABLE, CampaignConfig, DesignKind
from jrflow.config.priors import IndependentPrior, PublishedRangePrior, RelativeUniformPrior
from jrflow.design import REPLICATES, Prior, make_design
from jrflow.model import MODEL

UNIFORM = Prior.of(RelativeUniformPrior(kind="relative-uniform"), "unit-consistent")
PUBLISHED = Prior.of(PublishedRangePrior(kind="published-range", parameters=("A_e", "C")), "as-published")


def _design(kind: str, n: int, prior: Prior = UNIFORM, seed: int = 0) -> xr.Dataset:
    campaign = CampaignConfig.model_validate({"design": kind, "n": n, "preset": prior.preset, "prior": "p"})
    return make_design(campaign, prior, seed)


def _values(design: xr.Dataset, names: tuple[str, ...] = MODEL.inferred) -> np.ndarray:
    return np.column_stack([design[name].values for name in names])


@pytest.mark.parametrize("kind", get_args(DesignKind))
@pytest.mark.parametrize("prior", [UNIFORM, PUBLISHED], ids=["uniform", "truncated-normal"])
def test_every_design_is_labelled_complete_and_within_the_prior(kind: str, prior: Prior) -> None:
    design = _design(kind, 16, prior)
    n = design.sizes["sim"]
    np.testing.assert_array_equal(design["sim"], np.arange(n))
    assert design["sim"].dtype == np.int64
    assert design.attrs["varied_names"] == list(prior.names)
    assert design.attrs["seed"] == 0
    for name, parameter in MODEL.mass.items():
        assert design[name].dtype == np.float64
        assert design[name].attrs == {"units": parameter.unit, "long_name": parameter.long_name}
        if name not in prior.names:
            np.testing.assert_array_equal(design[name], MODEL.presets[prior.preset].defaults[name])
    assert "G" not in design
    if kind != "one-at-a-time":
        values = _values(design, prior.names)
        assert (values >= prior.low).all()
        assert (values <= prior.high).all()


@settings(max_examples=settings().max_examples // 2)
@given(st.sampled_from(EXTENDABLE), st.integers(0, 5), st.integers(0, 5), st.integers(0, 2**63))
def test_a_larger_design_begins_with_the_smaller_one(kind: str, small: int, extra: int, seed: int) -> None:
    few = _design(kind, 2**small, seed=seed)
    many = _design(kind, 2 ** (small + extra), seed=seed)
    np.testing.assert_array_equal(_values(many)[: few.sizes["sim"]], _values(few))


@pytest.mark.parametrize("kind", ["prior", "lhs", "sobol-sequence", "saltelli"])
def test_the_seed_decides(kind: str) -> None:
    np.testing.assert_array_equal(_values(_design(kind, 8, seed=0)), _values(_design(kind, 8, seed=0)))
    assert not np.array_equal(_values(_design(kind, 8, seed=0)), _values(_design(kind, 8, seed=1)))


def test_latin_hypercube_has_one_point_in_every_stratum() -> None:
    unit = (_values(_design("lhs", 50)) - UNIFORM.low) / (UNIFORM.high - UNIFORM.low)
    strata = np.sort(np.floor(unit * 50).astype(int), axis=0)
    np.testing.assert_array_equal(strata, np.tile(np.arange(50), (9, 1)).T)


def _salib(n: int, seed: int | np.random.Generator) -> np.ndarray:
    bounds = np.column_stack([UNIFORM.low, UNIFORM.high]).tolist()
    problem = {"num_vars": 9, "names": list(MODEL.inferred), "bounds": bounds}
    rows: np.ndarray = sobol.sample(problem, n, calc_second_order=False, seed=seed)
    return rows.reshape(n, 11, 9)


def test_each_scramble_of_a_saltelli_design_is_salibs_own_sample() -> None:
    """Base point i is point i // 8 of scramble i % 8; the design says how many take turns."""
    design = _design("saltelli", 32, seed=11)
    assert design.sizes["sim"] == 32 * (9 + 2)
    assert design.attrs["replicates"] == REPLICATES
    groups = _values(design).reshape(32, 11, 9)
    for r, child in enumerate(np.random.SeedSequence(11).spawn(REPLICATES)):
        expected = _salib(32 // REPLICATES, np.random.default_rng(child))
        np.testing.assert_allclose(groups[r::REPLICATES], expected, rtol=1e-14)


def test_scrambles_are_independent() -> None:
    """First points of a scramble are uniform, and uncorrelated with those of the others."""
    designs = [_values(_design("saltelli", 8, PUBLISHED, seed), PUBLISHED.names) for seed in range(100)]
    first = np.stack([values.reshape(8, 4, 2)[:, 0, 0] for values in designs])
    assert abs(np.corrcoef(first.T) - np.eye(8)).max() < 0.4
    assert REPLICATES >= 8


def test_a_design_of_one_scramble_is_drawn_as_version_0_1_drew_it() -> None:
    """Its archives are verified, repaired and extended by drawing it again."""
    campaign = CampaignConfig(design="saltelli", n=32, prior="p")
    design = make_design(campaign, UNIFORM, 11, replicates=1)
    np.testing.assert_allclose(_values(design).reshape(32, 11, 9), _salib(32, 11), rtol=1e-14)
    assert "replicates" not in design.attrs


def test_saltelli_exchanges_one_column_at_a_time_also_for_other_priors() -> None:
    blocks = _values(_design("saltelli", 16, PUBLISHED), PUBLISHED.names).reshape(16, 4, 2)
    a, b = blocks[:, 0], blocks[:, -1]
    np.testing.assert_array_equal(blocks[:, 1], np.column_stack([b[:, 0], a[:, 1]]))
    np.testing.assert_array_equal(blocks[:, 2], np.column_stack([a[:, 0], b[:, 1]]))


def test_one_at_a_time_steps_one_parameter_and_leaves_the_others() -> None:
    design = _design("one-at-a-time", 5)
    assert design.sizes["sim"] == 9 * 5
    assert design["varied"].dtype == np.int8
    defaults = np.array([MODEL.presets["unit-consistent"].defaults[name] for name in MODEL.inferred])
    values, varied = _values(design), design["varied"].values
    for j, name in enumerate(design.attrs["varied_names"]):
        assert name == MODEL.inferred[j]
        np.testing.assert_allclose(values[varied == j, j], np.linspace(UNIFORM.low[j], UNIFORM.high[j], 5))
        others = np.arange(9) != j
        np.testing.assert_array_equal(values[varied == j][:, others], np.tile(defaults[others], (5, 1)))


@pytest.mark.parametrize("kind", get_args(DesignKind))
def test_a_network_s_parameters_are_laid_out_too(kind: str) -> None:
    """G varies; the speed stays where the connectome has it, also at infinity."""
    config = IndependentPrior.model_validate(
        {"kind": "independent", "parameters": {"G": {"low": 0, "high": 2}}}
    )
    design = _design(kind, 16, Prior.of(config, "unit-consistent", {"G": 1.0, "speed": np.inf}))
    assert design["G"].attrs["long_name"] == "global coupling"
    assert design["speed"].attrs["units"] == "m/s"
    assert np.isinf(design["speed"]).all()
    assert len(np.unique(design["G"])) >= 16
    assert 0 <= float(design["G"].min()) < float(design["G"].max()) <= 2
