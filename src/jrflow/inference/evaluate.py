"""Scores of the network and of the baselines on a test campaign, at every noise level."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import xarray as xr

from jrflow.inference.baselines import FeatureTrees, MeanPredictor
from jrflow.inference.calibration import conformal_half_width
from jrflow.inference.dataset import EvokedSet, check_same_experiment, target_bounds
from jrflow.inference.metrics import coverage, scores
from jrflow.inference.networks import BiLSTM
from jrflow.inference.observation import NoiseLevels
from jrflow.inference.randomness import Stream, entropy, torch_generator
from jrflow.model.parameters import PARAMETERS

#: Names of the estimators in every table.
NETWORK, TREES, MEAN = "bilstm", "extra-trees", "mean"

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


def evaluate(
    network: BiLSTM,
    parts: Parts,
    noise: NoiseLevels,
    snr_db: Mapping[str, float],
    limits: xr.DataArray,
    seed: int,
    *,
    n_jobs: int = 1,
) -> tuple[pd.DataFrame, xr.Dataset]:
    """Score all estimators.

    All see the same observations. Intervals of every estimator come from its errors on the validation
    part at the same noise level.

    Parameters
    ----------
    network
        Trained on ``parts.train``.
    parts
        The baselines are fitted to the training part.
    noise
        Levels at which scores are given.
    snr_db
        Signal-to-noise ratio of each level, dB.
    limits
        Largest attainable R2 over (noise, parameter).
    seed
        Of the noise and of the trees.
    n_jobs
        Threads of the trees.

    Returns
    -------
    table
        One row for each estimator, noise level and parameter, in the columns ``COLUMNS``. ``nrmse`` refers
        to the width of the prior's range.
    predictions
        Of the network: ``true`` (sim, parameter), ``predicted`` (noise, sim, parameter) and the half width
        of its 90 % interval ``half_width`` (noise, parameter).

    Raises
    ------
    ValueError
        If the test campaign is of another experiment than the training campaign.
    """
    low, high = target_bounds(parts.train.prior)
    rows, predicted, half_widths = [], [], []
    for level, name in enumerate(noise.names):
        for estimator, calibration, estimates in _estimates(network, parts, noise, level, seed, n_jobs):
            half_width = conformal_half_width(calibration - parts.validation.targets)
            if estimator == NETWORK:
                predicted.append(estimates)
                half_widths.append(half_width)
            table = pd.DataFrame(scores(parts.test.targets, estimates, high - low))
            table["coverage_90"] = coverage(parts.test.targets, estimates, half_width)
            table["parameter"] = parts.test.names
            table["r2_limit"] = limits.sel(noise=name, parameter=list(parts.test.names)).values
            rows.append(table.assign(estimator=estimator, noise=name, snr_db=float(snr_db[name])))
    table = pd.concat(rows, ignore_index=True)
    table = table.assign(preset=parts.test.prior.preset, seed=seed, n=len(parts.test.sim))
    return table[list(COLUMNS)], _predictions(parts.test, noise.names, predicted, half_widths)


def network_r2(
    network: BiLSTM, test: EvokedSet, noise: NoiseLevels, seed: int
) -> Iterator[tuple[str, np.ndarray]]:
    """R2 of a network at every noise level: its name, and shape (n_targets,)."""
    for level, name in enumerate(noise.names):
        observed, sd = _observe(test, noise, level, Stream.TEST, seed)
        error = network.predict(observed, sd) - test.targets
        yield name, 1 - (error**2).mean(axis=0) / test.targets.var(axis=0)


def _observe(
    data: EvokedSet, noise: NoiseLevels, level: int, stream: Stream, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.from_numpy(data.source)
    sd = torch.full((len(source),), float(noise.sd[level]))
    return noise.shapes[level].observe(source, sd, torch_generator(seed, stream, level)), sd


def _estimates(
    network: BiLSTM, parts: Parts, noise: NoiseLevels, level: int, seed: int, n_jobs: int
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, estimates on the validation part and on the test campaign, of every estimator."""
    validation, sd = _observe(parts.validation, noise, level, Stream.CALIBRATION, seed)
    test, test_sd = _observe(parts.test, noise, level, Stream.TEST, seed)
    yield NETWORK, network.predict(validation, sd), network.predict(test, test_sd)

    # One source: projecting onto its direction loses nothing, and is what features are read from.
    direction = noise.shapes[level].direction

    def project(observed: torch.Tensor) -> np.ndarray:
        estimates: np.ndarray = direction @ observed.numpy()
        return estimates

    train, _ = _observe(parts.train, noise, level, Stream.TREES, seed)
    forest_seed = entropy(seed, Stream.TREES, level) % 2**32
    times = parts.train.window.times
    trees = FeatureTrees.fit(project(train), parts.train.targets, times, seed=forest_seed, n_jobs=n_jobs)
    mean = MeanPredictor.fit(parts.train.targets)
    for estimator, baseline in ((TREES, trees), (MEAN, mean)):
        yield estimator, baseline.predict(project(validation)), baseline.predict(project(test))


def _predictions(
    test: EvokedSet, levels: tuple[str, ...], predicted: list[np.ndarray], half_widths: list[np.ndarray]
) -> xr.Dataset:
    units = [PARAMETERS[name].unit if name in PARAMETERS else "1" for name in test.names]
    return xr.Dataset(
        {
            "true": (("sim", "parameter"), test.targets),
            "predicted": (("noise", "sim", "parameter"), np.stack(predicted)),
            "half_width": (("noise", "parameter"), np.stack(half_widths)),
        },
        coords={
            "sim": test.sim,
            "noise": list(levels),
            "parameter": list(test.names),
            "unit": ("parameter", units),
        },
        attrs={"preset": test.prior.preset, "campaign": test.specification["campaign"], "estimator": NETWORK},
    )
