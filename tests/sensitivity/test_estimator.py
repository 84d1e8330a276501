"""The estimator of Sobol indices: equal to SALib's, and errors that cover what they claim to."""

from __future__ import annotations

import numpy as np
import pytest
from SALib.analyze import sobol as salib_analyze
from scipy.stats import t as student

from jrflow.config.campaigns import CampaignConfig
from jrflow.config.priors import RelativeUniformPrior
from jrflow.design import REPLICATES, Prior, make_design
from jrflow.sensitivity.estimator import estimate

#: Parameters of the model whose unit intervals stand for the inputs of the test functions.
NAMES = ("A_e", "A_i", "b_e", "b_i", "C", "a_1")
#: Sobol' g function: one strong, one medium, one weak, one nearly inert input.
G = np.array([0.0, 1.0, 4.5, 99.0])


def rows(n: int, d: int, seed: int, replicates: int = REPLICATES) -> np.ndarray:
    """Rows of a saltelli campaign on the unit cube, shape (n, d + 2, d)."""
    prior = Prior.of(RelativeUniformPrior(kind="relative-uniform", parameters=NAMES[:d]), "unit-consistent")
    campaign = CampaignConfig(design="saltelli", n=n, prior="half")
    design = make_design(campaign, prior, seed, replicates=replicates)
    values = np.column_stack([design[name].values for name in prior.names])
    return ((values - prior.low) / (prior.high - prior.low)).reshape(n, d + 2, d)


def ishigami(x: np.ndarray) -> np.ndarray:
    angle = np.pi * (2 * x - 1)
    found: np.ndarray = (
        np.sin(angle[..., 0]) * (1 + 0.1 * angle[..., 2] ** 4) + 7 * np.sin(angle[..., 1]) ** 2
    )
    return found


def g_function(x: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.prod((abs(4 * x - 2) + G) / (1 + G), axis=-1)
    return found


def ishigami_indices(a: float = 7.0, b: float = 0.1) -> np.ndarray:
    """Ishigami & Homma 1990, analytically: first-order and total, shape (2, 3)."""
    v1, v2 = 0.5 * (1 + b * np.pi**4 / 5) ** 2, a**2 / 8
    v13 = b**2 * np.pi**8 * (1 / 18 - 1 / 50)
    return np.array([[v1, v2, 0], [v1 + v13, v2, v13]]) / (v1 + v2 + v13)


def g_indices() -> np.ndarray:
    """Sobol' 1993, analytically: shape (2, 4)."""
    partial = 1 / 3 / (1 + G) ** 2
    total = np.prod(1 + partial) - 1
    return np.array([partial, partial * np.prod(1 + partial) / (1 + partial)]) / total


@pytest.mark.parametrize("replicates", [1, REPLICATES])
def test_equals_salib_for_every_output(replicates: int) -> None:
    x = rows(128, 3, 5, replicates)
    outputs = np.stack([ishigami(x), 1e3 + ishigami(x) ** 2, x[..., 0] + 1e-3 * x[..., 1]], axis=-1)
    found = estimate(outputs, np.arange(128) % replicates, replicates)
    problem = {"num_vars": 3, "names": ["x1", "x2", "x3"], "bounds": [[0, 1]] * 3}
    for k in range(outputs.shape[-1]):
        expected = salib_analyze.analyze(problem, outputs[..., k].ravel(), calc_second_order=False, seed=1)
        np.testing.assert_allclose(found.first[:, k], expected["S1"], rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(found.total[:, k], expected["ST"], rtol=1e-10, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("n", [128, 512])
@pytest.mark.parametrize(
    ("function", "truth"), [(ishigami, ishigami_indices()), (g_function, g_indices())], ids=["ishigami", "g"]
)
def test_intervals_cover_the_published_indices(function, truth: np.ndarray, n: int) -> None:  # type: ignore[no-untyped-def]
    """Of 95 % intervals 92..98 % do, each index by itself, also one that is truly 0."""
    analyses = 400
    outputs = np.stack([function(rows(n, truth.shape[1], seed)) for seed in range(analyses)], axis=-1)
    found = estimate(outputs, np.arange(n) % REPLICATES, REPLICATES)
    width = student.ppf(0.975, REPLICATES - 1)
    for name, indices, errors, expected in zip(
        ("S1", "ST"), (found.first, found.total), (found.first_se, found.total_se), truth, strict=True
    ):
        error = abs(indices - expected[:, np.newaxis])
        covered = (error <= width * errors).mean(axis=1)
        assert ((covered >= 0.92) & (covered <= 0.98)).all(), (name, covered)
        # And they are no wider than they need to be: claimed and true standard errors agree.
        claimed = np.sqrt((errors**2).mean(axis=1))
        np.testing.assert_allclose(claimed, indices.std(axis=1), rtol=0.2, err_msg=name)


def test_outputs_do_not_depend_on_one_another() -> None:
    x = rows(64, 3, 0)
    outputs = np.stack([ishigami(x), x[..., 0], np.full(x.shape[:-1], 0.1)], axis=-1)
    outputs[3, 2, 0] = np.nan
    replicate = np.arange(64) % REPLICATES
    together = estimate(outputs, replicate, REPLICATES)
    for k in range(2):
        alone = estimate(outputs[..., k : k + 1], replicate, REPLICATES)
        for one, all_ in zip(alone, together, strict=True):
            np.testing.assert_allclose(one[..., 0], all_[..., k], rtol=1e-12)
    assert np.isnan(together.first[:, 2]).all(), "a constant has no variance to explain"


def test_a_scramble_without_whole_groups_is_not_counted() -> None:
    outputs = ishigami(rows(64, 3, 0))[..., np.newaxis]
    replicate = np.arange(64) % REPLICATES
    full = estimate(outputs[replicate != 2], replicate[replicate != 2], REPLICATES)
    outputs[replicate == 2] = np.nan
    found = estimate(outputs, replicate, REPLICATES)
    assert found.n_replicates.item() == REPLICATES - 1
    for one, other in zip(found, full, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    assert np.isfinite(found.first_se).all()


def test_one_scramble_has_no_error() -> None:
    outputs = ishigami(rows(64, 3, 0, replicates=1))[..., np.newaxis]
    found = estimate(outputs, np.zeros(64, dtype=int), 1)
    assert np.isfinite(found.first).all()
    assert np.isnan(found.first_se).all()
    assert np.isnan(found.total_se).all()
