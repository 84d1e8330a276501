"""Estimators that every table holds beside the network: what simple means reach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor

from jrflow.eeg.features import erp_features

#: Length of the windows whose mean amplitude is a feature, s.
_MEAN_WINDOW = 0.05

_N_TREES = 40
_MIN_SAMPLES_LEAF = 5
#: Share of the features tried at each split.
_MAX_FEATURES = 0.33


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
