"""Whether a posterior can be trusted: ranks, expected coverage, and width of its intervals.

The tests are sbi's (Tejero-Cantero et al. 2020, JOSS 5:2505); here they are given draws, wherever these come
from: a network, or the exact likelihood.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr

#: Nominal levels at which the coverage of equal-tailed intervals is given.
NOMINAL = (0.5, 0.8, 0.9, 0.95)
#: Credibility at which the coverage of random regions is given.
_CREDIBILITY = np.linspace(0, 1, 21)


@dataclass(frozen=True)
class _Drawn:
    """Draws as sbi's diagnostics ask a posterior for them: shape (n_draws, n_cases, n_parameters)."""

    draws: torch.Tensor

    def sample_batched(self, shape: Any, x: torch.Tensor, **_: Any) -> torch.Tensor:
        """All draws: they are of these very observations."""
        return self.draws[: int(torch.Size(shape).numel())]


def diagnose(true: np.ndarray, draws: np.ndarray, low: np.ndarray, high: np.ndarray, seed: int) -> xr.Dataset:
    """Compare draws from posteriors with the values that made the data.

    Parameters
    ----------
    true
        Drawn from the prior, shape (n_cases, n_targets).
    draws
        From the posterior of each case, shape (n_cases, n_draws, n_targets).
    low, high
        Ends of the prior, each (n_targets,).
    seed
        Of the reference points of the expected coverage.

    Returns
    -------
    xr.Dataset
        ``rank`` (sim, parameter), the share of draws below the true value, uniform if the posterior is right
        (simulation-based calibration, Talts et al. 2018, arXiv 1804.06788), and ``rank_p`` (parameter), the
        p-value of that by Kolmogorov and Smirnov; ``expected_coverage`` (credibility) of regions around
        random points for all targets together (TARP, Lemos et al. 2023, arXiv 2302.03026) and the p-value
        ``expected_coverage_p``; ``coverage`` (nominal, parameter) of equal-tailed intervals, and ``width``
        (nominal, parameter), their mean width as a share of the prior's.
    """
    with warnings.catch_warnings():
        # On too few cases, of which the p-values say as much; and of sbi's own optional packages.
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
            # Its bins end where the data do.
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
