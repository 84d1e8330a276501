from __future__ import annotations

import numpy as np

from jrflow.inference.scoring.baselines import FeatureTrees, MeanPredictor, hand_features
from jrflow.observe.features import FEATURES

TIMES = np.arange(1, 51) / 100


def bumps(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Responses of a given height and latency, and both as targets."""
    rng = np.random.default_rng(0)
    targets = np.column_stack([rng.uniform(1, 5, n), rng.uniform(0.1, 0.4, n)])
    evoked = targets[:, :1] * np.exp(-(((TIMES - targets[:, 1:]) / 0.04) ** 2))
    return evoked + 0.05 * rng.standard_normal(evoked.shape), targets


def test_features_are_named_ones_and_amplitudes() -> None:
    evoked, _ = bumps(20)
    features = hand_features(evoked, TIMES)
    assert features.shape == (20, len(FEATURES) + 10)
    np.testing.assert_allclose(features[:, -1], evoked[:, -5:].mean(axis=1), rtol=1e-5)
    assert np.isfinite(hand_features(np.zeros((2, 50)), TIMES)).all()


def test_trees_find_what_features_tell() -> None:
    evoked, targets = bumps(600)
    trees = FeatureTrees.fit(evoked[:400], targets[:400], TIMES, seed=0)
    error = trees.predict(evoked[400:]) - targets[400:]
    assert ((error**2).mean(axis=0) < 0.1 * targets.var(axis=0)).all()
    again = FeatureTrees.fit(evoked[:400], targets[:400], TIMES, seed=0, n_jobs=2)
    np.testing.assert_array_equal(again.predict(evoked), trees.predict(evoked))


def test_the_mean_is_that_of_the_training_part() -> None:
    evoked, targets = bumps(10)
    np.testing.assert_allclose(
        MeanPredictor.fit(targets).predict(evoked[:3]), np.tile(targets.mean(axis=0), (3, 1))
    )
