"""Baselines: simple estimators that are part of every table of scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor

from jrflow.inference.data.randomness import Stream, entropy
from jrflow.inference.scoring.comparison import Comparison, Estimates
from jrflow.inference.training.paper import PaperBiLSTM
from jrflow.observe.features import erp_features

#: Names of the baselines in every table.
TREES, MEAN, PAPER = "extra-trees", "mean", "paper"

#: Length of the windows whose mean amplitude is a feature, s.
_MEAN_WINDOW = 0.05

#: Function that maps observations to estimates.
Predict = Callable[[np.ndarray], np.ndarray]

_N_TREES = 40
_MIN_SAMPLES_LEAF = 5
#: Share of the features tried at each split.
_MAX_FEATURES = 0.33


def evaluate_baselines(comparison: Comparison, *, paper: bool = False, n_jobs: int = 1) -> pd.DataFrame:
    """Score the baselines at every noise level; intervals come from their errors on the validation part.

    Parameters
    ----------
    comparison
        Data and noise levels; baselines are fitted to the training part.
    paper
        Whether to include the paper's network with the paper's settings, which takes minutes per level.
    n_jobs
        Number of threads for the trees.
    """
    rows = []
    for level in range(len(comparison.noise.names)):
        for estimator, predict in _fitted(comparison, level, paper, n_jobs):
            errors = predict(comparison.validation(level)[0].numpy()) - comparison.parts.validation.targets
            estimates = Estimates.calibrated(predict(comparison.test(level)[0].numpy()), errors)
            rows.append(comparison.score(estimator, level, estimates))
    return pd.concat(rows, ignore_index=True)


def _fitted(comparison: Comparison, level: int, paper: bool, n_jobs: int) -> Iterator[tuple[str, Predict]]:
    """Fit the baselines; yield their names and functions from observations (n, n_inputs, n_blocks)."""
    train = comparison.parts.train
    observed = comparison.observed(train, level, Stream.TREES)[0].numpy()
    # Project onto the direction of the source, for the features: with one source no information is lost.
    direction = comparison.noise.observations[level].direction
    seed = entropy(comparison.seed, Stream.TREES, level) % 2**32
    times = train.epoch.observed_times
    trees = FeatureTrees.fit(direction @ observed, train.targets, times, seed=seed, n_jobs=n_jobs)
    yield TREES, lambda data: trees.predict(direction @ data)
    yield MEAN, MeanPredictor.fit(train.targets).predict
    if paper:
        yield PAPER, PaperBiLSTM.fit(observed, train.targets, seed=comparison.seed).predict


@dataclass(frozen=True)
class MeanPredictor:
    """Estimator that always returns the mean of the training targets, shape (n_targets,)."""

    mean: np.ndarray

    @classmethod
    def fit(cls, targets: np.ndarray) -> MeanPredictor:
        """Fit to targets of shape (n, n_targets)."""
        return cls(targets.mean(axis=0))

    def predict(self, evoked: np.ndarray) -> np.ndarray:
        """Estimates, shape (n, n_targets)."""
        return np.tile(self.mean, (len(evoked), 1))


@dataclass(frozen=True)
class FeatureTrees:
    """Extremely randomised trees (Geurts et al. 2006, Mach. Learn. 63:3) on hand-made features."""

    forest: ExtraTreesRegressor
    times: np.ndarray
    mean: np.ndarray
    sd: np.ndarray

    @classmethod
    def fit(
        cls, evoked: np.ndarray, targets: np.ndarray, times: np.ndarray, *, seed: int, n_jobs: int = 1
    ) -> FeatureTrees:
        """Fit one forest for all targets.

        Parameters
        ----------
        evoked
            Noisy source estimates, mV, shape (n, n_times).
        targets
            Targets, shape (n, n_targets).
        times
            Times, s from the onset, shape (n_times,).
        seed
            Seed of the forest, below 2**32.
        n_jobs
            Number of threads, which does not change the result.
        """
        forest = ExtraTreesRegressor(
            _N_TREES, min_samples_leaf=_MIN_SAMPLES_LEAF, max_features=_MAX_FEATURES, random_state=seed,
            n_jobs=n_jobs,
        )  # fmt: skip
        mean, sd = targets.mean(axis=0), targets.std(axis=0)
        # Splits weight targets by their variance, so standardise the targets.
        scaled = (targets - mean) / sd
        # scikit-learn expects a vector if there is a single target.
        forest.fit(hand_features(evoked, times), scaled[:, 0] if scaled.shape[1] == 1 else scaled)
        # With several threads, predictions of trees would be summed in random order.
        return cls(forest.set_params(n_jobs=1), times, mean, sd)

    def predict(self, evoked: np.ndarray) -> np.ndarray:
        """Estimate the targets in their units, shape (n, n_targets)."""
        scaled = self.forest.predict(hand_features(evoked, self.times)).reshape(len(evoked), len(self.mean))
        estimates: np.ndarray = scaled * self.sd + self.mean
        return estimates


def hand_features(evoked: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Features of the response and its mean amplitudes in windows of 50 ms, (n, n_features)."""
    # In noise two deflections are often equally large. For the trees, either one is better than NaN.
    named = erp_features(evoked, times, units="mV", rivals="largest")
    window = np.floor((times - times[0]) / _MEAN_WINDOW + 1e-9).astype(int)
    amplitudes = [evoked[:, window == w].mean(axis=1) for w in range(window[-1] + 1)]
    columns = [*(named[name].values for name in named.data_vars), *amplitudes]
    # A latency is undefined only if the response is zero everywhere.
    return np.nan_to_num(np.column_stack(columns)).astype(np.float32)
