"""Estimators that every table holds beside the networks: what simple means reach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import ExtraTreesRegressor

from jrflow.eeg.features import erp_features
from jrflow.inference.randomness import Stream, entropy
from jrflow.inference.trial import Estimates, Trial

#: Names of the baselines in every table.
TREES, MEAN = "extra-trees", "mean"

#: Length of the windows whose mean amplitude is a feature, s.
_MEAN_WINDOW = 0.05

_N_TREES = 40
_MIN_SAMPLES_LEAF = 5
#: Share of the features tried at each split.
_MAX_FEATURES = 0.33


def evaluate_baselines(trial: Trial, *, n_jobs: int = 1) -> pd.DataFrame:
    """Score the baselines at every noise level; intervals come from their errors on the validation part.

    Parameters
    ----------
    trial
        What they are put to; they are fitted to its training part.
    n_jobs
        Threads of the trees.
    """
    rows = []
    for level in range(len(trial.noise.names)):
        for estimator, fitted in _fitted(trial, level, n_jobs).items():
            on_validation = fitted.predict(_projected(trial, level, trial.validation(level)[0]))
            on_test = fitted.predict(_projected(trial, level, trial.test(level)[0]))
            errors = on_validation - trial.parts.validation.targets
            rows.append(trial.score(estimator, level, Estimates.calibrated(on_test, errors)))
    return pd.concat(rows, ignore_index=True)


def _fitted(trial: Trial, level: int, n_jobs: int) -> dict[str, FeatureTrees | MeanPredictor]:
    train = trial.parts.train
    observed, _ = trial.observed(train, level, Stream.TREES)
    seed = entropy(trial.seed, Stream.TREES, level) % 2**32
    evoked = _projected(trial, level, observed)
    return {
        TREES: FeatureTrees.fit(evoked, train.targets, train.window.times, seed=seed, n_jobs=n_jobs),
        MEAN: MeanPredictor.fit(train.targets),
    }


def _projected(trial: Trial, level: int, observed: torch.Tensor) -> np.ndarray:
    """One time course for each response: with one source, projecting onto its direction loses nothing."""
    projected: np.ndarray = trial.noise.shapes[level].direction @ observed.numpy()
    return projected


@dataclass(frozen=True)
class MeanPredictor:
    """Always answers the mean of the training targets, shape (n_targets,)."""

    mean: np.ndarray

    @classmethod
    def fit(cls, targets: np.ndarray) -> MeanPredictor:
        """Fit to targets of shape (n, n_targets)."""
        return cls(targets.mean(axis=0))

    def predict(self, evoked: np.ndarray) -> np.ndarray:
        """Shape (n, n_targets)."""
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
            Shape (n, n_targets).
        times
            s from the onset, shape (n_times,).
        seed, n_jobs
            Seed of the forest, below 2**32; threads, which change no value.
        """
        forest = ExtraTreesRegressor(
            _N_TREES, min_samples_leaf=_MIN_SAMPLES_LEAF, max_features=_MAX_FEATURES, random_state=seed,
            n_jobs=n_jobs,
        )  # fmt: skip
        mean, sd = targets.mean(axis=0), targets.std(axis=0)
        # A split weighs the targets by their variance: bring all to one scale.
        forest.fit(hand_features(evoked, times), (targets - mean) / sd)
        # Threads would sum the trees' answers in any order.
        return cls(forest.set_params(n_jobs=1), times, mean, sd)

    def predict(self, evoked: np.ndarray) -> np.ndarray:
        """Estimate the targets in their units, shape (n, n_targets)."""
        estimates: np.ndarray = self.forest.predict(hand_features(evoked, self.times)) * self.sd + self.mean
        return estimates


def hand_features(evoked: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Named features of the response and its mean amplitudes in windows of 50 ms, (n, n_features)."""
    named = erp_features(evoked, times, units="mV")
    window = np.floor((times - times[0]) / _MEAN_WINDOW + 1e-9).astype(int)
    amplitudes = [evoked[:, window == w].mean(axis=1) for w in range(window[-1] + 1)]
    columns = [*(named[name].values for name in named.data_vars), *amplitudes]
    # A latency is undefined only where the response is zero throughout.
    return np.nan_to_num(np.column_stack(columns)).astype(np.float32)
