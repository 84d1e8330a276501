"""Tests of posteriors: ranks, expected coverage, and width of intervals.

The tests are those of sbi (Tejero-Cantero et al. 2020, JOSS 5:2505), applied to draws of a network or of the
exact posterior.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr

#: Nominal coverages of the equal-tailed intervals that are tested.
NOMINAL = (0.5, 0.8, 0.9, 0.95)
#: Credibilities of the random regions that are tested.
_CREDIBILITY = np.linspace(0, 1, 21)


@dataclass(frozen=True)
class _Drawn:
    """Draws, shape (n_draws, n_cases, n_parameters), with the interface that sbi's diagnostics require."""

    draws: torch.Tensor

    def sample_batched(self, shape: Any, x: torch.Tensor, **_: Any) -> torch.Tensor:
        """Return the draws, which belong to the observations ``x``."""
        return self.draws[: int(torch.Size(shape).numel())]


def diagnose(true: np.ndarray, draws: np.ndarray, low: np.ndarray, high: np.ndarray, seed: int) -> xr.Dataset:
    """Compare draws from posteriors with the true values of the simulations.

    Parameters
    ----------
    true
        True values, drawn from the prior, shape (n_cases, n_targets).
    draws
        Draws from the posterior of each case, shape (n_cases, n_draws, n_targets).
    low, high
        Ends of the prior's range, each (n_targets,).
    seed
        Seed of the reference points of the expected coverage.

    Returns
    -------
    xr.Dataset
        - ``rank`` (sim, parameter): share of draws below the true value; uniform if the posterior is correct
          (simulation-based calibration, Talts et al. 2018, arXiv 1804.06788);
        - ``rank_p`` (parameter): p-value of a Kolmogorov-Smirnov test that ranks are uniform;
        - ``expected_coverage`` (credibility): coverage of regions around random points, for all targets
          together (TARP, Lemos et al. 2023, arXiv 2302.03026), with the p-value ``expected_coverage_p``;
        - ``coverage`` (nominal, parameter): coverage of equal-tailed intervals;
        - ``width`` (nominal, parameter): mean width of these intervals, as a share of the prior's range.
    """
    with warnings.catch_warnings():
        # Ignore warnings about few cases (p-values already account for this) and about optional packages.
        warnings.simplefilter("ignore")
        from sbi.diagnostics import check_tarp, run_sbc, run_tarp
        from sbi.diagnostics.sbc import check_uniformity_frequentist

        theta = torch.from_numpy((true - low) / (high - low)).float()
        drawn = _Drawn(torch.from_numpy((draws - low) / (high - low)).float().transpose(0, 1))
        n_draws = draws.shape[1]
        ranks, _ = run_sbc(theta, theta, drawn, n_draws, show_progress_bar=False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            expected, credibility = run_tarp(
                theta,
                theta,
                drawn,
                num_posterior_samples=n_draws,
                show_progress_bar=False,
                num_bins=len(_CREDIBILITY) - 1,
            )
        rank_p = check_uniformity_frequentist(ranks, n_draws)
        _, expected_p = check_tarp(expected, credibility)
    covered, width = _intervals(true, draws, high - low)
    return xr.Dataset(
        {
            "rank": (("sim", "parameter"), ranks.numpy() / n_draws),
            "rank_p": ("parameter", np.asarray(rank_p)),
            # Interpolate, because the bins of run_tarp end at the ends of the data.
            "expected_coverage": ("credibility", np.interp(_CREDIBILITY, credibility, expected)),
            "expected_coverage_p": ((), float(expected_p)),
            "coverage": (("nominal", "parameter"), covered),
            "width": (("nominal", "parameter"), width),
        },
        coords={"credibility": _CREDIBILITY, "nominal": list(NOMINAL)},
        attrs={"n_draws": n_draws},
    )


def _intervals(true: np.ndarray, draws: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coverage and mean width of equal-tailed intervals, each (n_nominal, n_targets)."""
    tails = (1 - np.array(NOMINAL)) / 2
    lower, upper = (np.quantile(draws, ends, axis=1) for ends in (tails, 1 - tails))
    covered = ((lower <= true) & (true <= upper)).mean(axis=1)
    width: np.ndarray = (upper - lower).mean(axis=1) / scale
    return covered, width
