from __future__ import annotations

import numpy as np
from scipy.stats import pearsonr, spearmanr

from jrflow.inference.scoring.metrics import coverage, scores
from jrflow.inference.training.calibration import conformal_half_width

RNG = np.random.default_rng(0)
TRUE = RNG.uniform(1, 3, (400, 2))


def test_scores_are_scipys() -> None:
    estimated = TRUE + RNG.normal(0, 0.3, TRUE.shape)
    found = scores(TRUE, estimated, np.array([2.0, 4.0]))
    for j in range(2):
        assert np.isclose(found["pearson_r"][j], pearsonr(TRUE[:, j], estimated[:, j])[0])
        assert np.isclose(found["spearman_r"][j], spearmanr(TRUE[:, j], estimated[:, j])[0])
    mse = ((estimated - TRUE) ** 2).mean(axis=0)
    np.testing.assert_allclose(found["r2"], 1 - mse / TRUE.var(axis=0))
    np.testing.assert_allclose(found["nrmse"], np.sqrt(mse) / [2, 4])


def test_a_correlation_alone_is_no_score() -> None:
    shrunk = 2 + 1e-6 * (TRUE - 2)
    found = scores(TRUE, shrunk, np.array([2.0, 2.0]))
    np.testing.assert_allclose(found["pearson_r"], 1, atol=1e-6)
    assert (np.abs(found["r2"]) < 0.03).all()
    assert (found["nrmse"] > 0.25).all()


def test_a_constant_answer_has_no_correlation() -> None:
    found = scores(TRUE, np.tile(TRUE.mean(axis=0), (400, 1)), np.array([2.0, 2.0]))
    assert np.isnan(found["pearson_r"]).all()
    assert np.isnan(found["spearman_r"]).all()
    np.testing.assert_allclose(found["r2"], 0, atol=1e-12)


def test_conformal_intervals_cover_as_they_say() -> None:
    errors = RNG.standard_cauchy((20_000, 3)) * [1, 5, 100]  # no distribution is assumed
    half_width = conformal_half_width(errors[:2_000])
    covered = coverage(errors[2_000:], -half_width, half_width)
    np.testing.assert_allclose(covered, 0.9, atol=0.02)


def test_conformal_rank_is_exact_for_few_cases() -> None:
    errors = -np.arange(1.0, 20.0)[:, None]
    assert conformal_half_width(errors)[0] == 18  # ceil(20 * 0.9)
    assert conformal_half_width(errors[:8])[0] == np.inf
