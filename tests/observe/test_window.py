from __future__ import annotations

import numpy as np
import pytest

from jrflow.observe.window import Window

TIMES = np.arange(-200, 1001) / 1000


def test_blocks_hold_what_comes_after_tmin() -> None:
    window = Window.of(TIMES, 100.0, 0.0)
    assert (window.start, window.block, window.n_blocks) == (201, 10, 100)
    np.testing.assert_allclose(window.times[[0, -1]], [0.0055, 0.9955])
    assert Window.of(TIMES, 100.0, -0.2).n_blocks == 120


def test_average_is_the_mean_of_each_block() -> None:
    window = Window.of(TIMES, 125.0, 0.5)
    data = np.random.default_rng(0).standard_normal((3, len(TIMES)))
    averaged = window.average(data)
    assert averaged.shape == (3, 62)  # four samples at the end fill no block
    np.testing.assert_allclose(averaged[:, 1], data[:, 709:717].mean(axis=1))


def test_the_first_samples_have_blocks_of_the_same_length() -> None:
    before = Window.of(TIMES, 125.0, 0.0).first(201)
    assert (before.start, before.block, before.n_blocks) == (0, 8, 25)
    np.testing.assert_allclose(before.times, before.average(TIMES), atol=1e-12)


def test_covariance_of_averages_is_that_of_averaged_noise() -> None:
    window = Window.of(TIMES, 50.0, 0.0)
    root = np.random.default_rng(0).standard_normal((len(TIMES), len(TIMES)))
    averaged = window.average(root.T).T
    np.testing.assert_allclose(window.covariance(root @ root.T), averaged @ averaged.T, rtol=1e-9)


def test_a_rate_that_does_not_divide_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"whole fraction of the 1000 Hz .* received 300 Hz"):
        Window.of(TIMES, 300.0, 0.0)


def test_nothing_left_to_see_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"the network would observe no sample: responses end at 1 s"):
        Window.of(TIMES, 100.0, 0.995)
