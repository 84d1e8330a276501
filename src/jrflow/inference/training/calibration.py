"""Intervals by split conformal prediction: their width follows from errors on the validation part.

Lei et al. 2018, J. Am. Stat. Assoc. 113:1094. For every estimator, intervals contain the true value in at
least the nominal share of cases, if these are drawn from the same prior and noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from jrflow.inference.data.dataset import EvokedSet
from jrflow.inference.data.drawing import draw_observations
from jrflow.inference.data.randomness import Stream, torch_generator
from jrflow.inference.networks.network import Network
from jrflow.inference.networks.posterior import PosteriorNetwork
from jrflow.inference.training.parallel import ALONE, Ranks
from jrflow.observe.observation import Observation

#: Nominal coverage.
COVERAGE = 0.9

#: Number of noise levels at which intervals are tabulated, from the smallest to the largest.
_N_LEVELS = 13


def conformal_half_width(errors: np.ndarray, coverage: float = COVERAGE) -> np.ndarray:
    """Half width of the interval around each estimate.

    Parameters
    ----------
    errors
        Errors of estimates of calibration cases, shape (n, n_targets).
    coverage
        Nominal coverage.

    Returns
    -------
    np.ndarray
        Half widths, shape (n_targets,); infinite if ``n`` is too small for this coverage.
    """
    rank = int(np.ceil((len(errors) + 1) * coverage))
    if rank > len(errors):
        return np.full(errors.shape[1], np.inf)
    half_width: np.ndarray = np.sort(np.abs(errors), axis=0)[rank - 1]
    return half_width


@dataclass(frozen=True)
class Calibration:
    """Half widths of 90 % intervals over the noise.

    Attributes
    ----------
    sd
        Standard deviations of the noise in increasing order, mV, shape (n_levels,).
    half_width
        Half widths in the targets' units, shape (n_levels, n_targets).
    """

    sd: np.ndarray
    half_width: np.ndarray

    @classmethod
    def fit(
        cls,
        network: Network,
        validation: EvokedSet,
        observations: Sequence[Observation],
        sd_range: tuple[float, float],
        seed: int,
        ranks: Ranks = ALONE,
    ) -> Calibration:
        """Tabulate half widths from errors on the validation part, over the noise levels of the training.

        If observations differ in more than the size of the noise, the largest half width is used. Several
        ranks divide the noise levels between them, and all ranks receive the whole table. The table is empty
        for a density estimator, which has its own intervals.
        """
        if isinstance(network, PosteriorNetwork):
            return cls(np.zeros(0), np.zeros((0, validation.targets.shape[1])))
        levels = np.unique(np.geomspace(*sd_range, _N_LEVELS))
        source = torch.from_numpy(validation.source)
        half_widths = np.zeros((len(levels), validation.targets.shape[1]))
        for i in range(ranks.rank, len(levels), ranks.world_size):
            level = levels[i]
            sd = torch.full((len(source),), float(level))
            widths = []
            for observation in observations:
                generator = torch_generator(seed, Stream.CALIBRATION, i)
                observed = draw_observations(observation, source, sd, generator)
                widths.append(conformal_half_width(network.predict(observed, sd) - validation.targets))
            half_widths[i] = np.max(widths, axis=0)
        return cls(levels, ranks.sum(torch.from_numpy(half_widths), patiently=True).numpy())

    def at(self, sd: float) -> np.ndarray:
        """Half widths at a noise level, shape (n_targets,): linear in log(sd), constant beyond the table."""
        return np.array([np.interp(np.log(sd), np.log(self.sd), column) for column in self.half_width.T])
