"""Comparison of estimators: the same data and noise for all, so that scores can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
import xarray as xr

from jrflow.inference.data.dataset import EvokedSet, check_same_experiment
from jrflow.inference.data.drawing import draw_observations
from jrflow.inference.data.randomness import Stream, torch_generator
from jrflow.inference.scoring.metrics import coverage, scores
from jrflow.inference.training.calibration import COVERAGE, conformal_half_width
from jrflow.observe.observation import NoiseLevels

COLUMNS = (
    "estimator", "preset", "noise", "snr_db", "seed", "parameter", "n", "pearson_r", "spearman_r", "r2",
    "nrmse", "r2_limit", "coverage_90",
)  # fmt: skip


@dataclass(frozen=True)
class Parts:
    """Training and validation part of one campaign, and a test campaign."""

    train: EvokedSet
    validation: EvokedSet
    test: EvokedSet

    def __post_init__(self) -> None:
        check_same_experiment(self.train, self.test)


def observed_at(
    part: EvokedSet, noise: NoiseLevels, level: int, stream: Stream, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Observations of a part at a noise level, and standard deviations of their noise, mV, (n,)."""
    source = torch.from_numpy(part.source)
    sd = torch.full((len(source),), float(noise.sd[level]))
    generator = torch_generator(seed, stream, level)
    return draw_observations(noise.observations[level], source, sd, generator), sd


@dataclass(frozen=True)
class Estimates:
    """Estimates of the test campaign's targets, and 90 % intervals around them, each (n, n_targets)."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def calibrated(cls, value: np.ndarray, errors: np.ndarray) -> Estimates:
        """Estimates with intervals that follow from errors on calibration cases, (n, n_targets)."""
        half_width = conformal_half_width(errors)
        return cls(value, value - half_width, value + half_width)

    @classmethod
    def of_draws(cls, draws: np.ndarray) -> Estimates:
        """Estimates and intervals from draws (n, n_draws, n_targets): means and quantiles."""
        low, high = np.quantile(draws, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2], axis=1)
        return cls(draws.mean(axis=1), low, high)


@dataclass(frozen=True)
class Comparison:
    """Data for the comparison of estimators: one experiment, with noise levels and R2 limits.

    Attributes
    ----------
    parts
        Training part (fits the baselines), validation part (calibrates intervals) and test campaign.
    noise
        Noise levels for the scores.
    snr_db
        Signal-to-noise ratio of each level, dB.
    limits
        R2 limit of every target at every level, dims (noise, parameter).
    seed
        Seed of the noise, which is the same for all estimators, and of the baselines.
    """

    parts: Parts
    noise: NoiseLevels
    snr_db: Mapping[str, float]
    limits: xr.DataArray
    seed: int

    def __post_init__(self) -> None:
        for dim, expected in (("noise", self.noise.names), ("parameter", self.parts.test.names)):
            there = self.limits[dim].values.tolist()
            if missing := [name for name in expected if name not in there]:
                raise ValueError(
                    f"limits have no {dim} {missing[0]!r}: expected {', '.join(expected)}, received "
                    f"{', '.join(there)}; compute the limits again, for the same noise levels and prior"
                )

    def first(self, n: int) -> Comparison:
        """The same comparison with only the first ``n`` simulations of the test campaign."""
        if n >= len(self.parts.test.sim):
            return self
        return replace(self, parts=replace(self.parts, test=self.parts.test.take(np.arange(n))))

    def observed(self, part: EvokedSet, level: int, stream: Stream) -> tuple[torch.Tensor, torch.Tensor]:
        """Observations of a part with the noise of this comparison; see :func:`observed_at`."""
        return observed_at(part, self.noise, level, stream, self.seed)

    def validation(self, level: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Observations that calibrate the intervals."""
        return self.observed(self.parts.validation, level, Stream.CALIBRATION)

    def test(self, level: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Observations that are scored."""
        return self.observed(self.parts.test, level, Stream.TEST)

    def score(self, estimator: str, level: int, estimates: Estimates) -> pd.DataFrame:
        """Scores of one estimator at one level: one row per target, with the columns ``COLUMNS``.

        ``nrmse`` is relative to the width of the prior's range.
        """
        test, name = self.parts.test, self.noise.names[level]
        low, high = self.parts.train.prior.target_bounds
        table = pd.DataFrame(scores(test.targets, estimates.value, high - low))
        table = table.assign(
            coverage_90=coverage(test.targets, estimates.low, estimates.high),
            parameter=test.names,
            r2_limit=self.limits.sel(noise=name, parameter=list(test.names)).values,
            estimator=estimator, noise=name, snr_db=float(self.snr_db[name]),
            preset=test.prior.preset, seed=self.seed, n=len(test.sim),
        )  # fmt: skip
        return table[list(COLUMNS)]
