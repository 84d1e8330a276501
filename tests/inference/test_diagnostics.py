"""Diagnostics say of exact posteriors that they are right, and of wrong ones what is wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from jrflow.inference.scoring.diagnostics import diagnose

N, N_DRAWS = 600, 400


def posterior(shift: float = 0.0, stretch: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """True values and draws: a normal prior seen in normal noise, whose posterior is known."""
    rng = np.random.default_rng(seed)
    true = rng.standard_normal((N, 2))
    sd = np.array([0.5, 2.0])
    observed = true + sd * rng.standard_normal((N, 2))
    mean, width = observed / (1 + sd**2), sd / np.sqrt(1 + sd**2)
    draws = mean[:, None] + shift * width + stretch * width * rng.standard_normal((N, N_DRAWS, 2))
    return true, draws


def test_an_exact_posterior_passes() -> None:
    state = torch.get_rng_state()
    found = diagnose(*posterior(), np.full(2, -4.0), np.full(2, 4.0), seed=1)
    assert torch.equal(state, torch.get_rng_state())
    assert (found.rank_p > 0.01).all()
    assert found.expected_coverage_p > 0.01
    np.testing.assert_allclose(found.expected_coverage, found.credibility, atol=0.07)
    np.testing.assert_allclose(found.coverage, found.nominal.values[:, None] * np.ones(2), atol=0.05)
    assert found["rank"].min() >= 0
    assert found["rank"].max() <= 1
    # Of a prior 8 wide, the 90 % interval of a normal of that sd takes 3.29 sd.
    np.testing.assert_allclose(found.width.sel(nominal=0.9), 3.29 / 8 * np.array([0.447, 0.894]), rtol=0.02)


@pytest.mark.parametrize(
    ("shift", "stretch", "covers"),
    [(0.0, 0.6, "too little"), (0.0, 1.6, "too much"), (0.7, 1.0, "too little")],
)
def test_a_wrong_one_fails(shift: float, stretch: float, covers: str) -> None:
    found = diagnose(*posterior(shift, stretch), np.full(2, -4.0), np.full(2, 4.0), seed=1)
    assert (found.rank_p < 0.01).all()
    assert np.abs(found.expected_coverage - found.credibility).max() > 0.08
    if covers == "too much":
        assert (found.coverage.sel(nominal=0.9) > 0.93).all()
    else:
        assert (found.coverage.sel(nominal=0.9) < 0.87).all()
