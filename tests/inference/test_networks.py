from __future__ import annotations

import numpy as np
import pytest
import torch

from jrflow.config.networks import BiLSTMConfig
from jrflow.inference.networks.network import Architecture, PointNetwork
from jrflow.inference.networks.scaling import InputScaling, step_index

SMALL = BiLSTMConfig(samples_per_step=10, hidden=8)
NAMES = ("A_e", "b_e", "C")


def scaled_network(n_inputs: int, direction: np.ndarray) -> tuple[PointNetwork, np.ndarray]:
    rng = np.random.default_rng(0)
    source = rng.standard_normal((500, 25)).cumsum(axis=1)
    network = PointNetwork(Architecture(n_inputs, 25, NAMES, SMALL, "unit-consistent", {}))
    targets = 5 + 2 * rng.standard_normal((500, 3))
    network.front.set_scaling(InputScaling.fit(source, np.eye(25), 10), direction, (0.1, 10.0))
    network.set_targets(targets)
    return network, source


def test_steps_hold_every_sample() -> None:
    np.testing.assert_array_equal(step_index(20, 10), np.arange(20).reshape(2, 10))
    ragged = step_index(25, 10)
    assert ragged.shape == (3, 10)
    assert set(ragged.ravel()) == set(range(25))
    with pytest.raises(ValueError, match=r"samples_per_step is 30, but the network observes only 25 samples"):
        step_index(25, 30)


def test_components_are_uncorrelated_and_the_noisy_ones_vanish() -> None:
    network, source = scaled_network(1, np.ones(1))
    quiet, loud = (
        network.front(torch.from_numpy(source)[:, None].float(), torch.full((500,), sd)) for sd in (1e-3, 1e3)
    )
    assert quiet.shape == (500, 3, 11)
    first = quiet[:, 0, :-1].numpy()
    np.testing.assert_allclose(np.cov(first, rowvar=False), np.eye(10), atol=0.01)
    assert loud[:, :, :-1].abs().max() < 0.1


@pytest.mark.parametrize("n_inputs", [1, 6])
def test_projected_and_channels_share_one_network(n_inputs: int) -> None:
    direction = np.ones(n_inputs) / np.sqrt(n_inputs)
    network, source = scaled_network(n_inputs, direction)
    observed = torch.from_numpy(np.einsum("c,nt->nct", direction, source)).float()
    assert network.estimate(observed, torch.ones(500)).shape == (500, 3)
    estimates = network.predict(observed, torch.ones(500))
    assert estimates.shape == (500, 3)
    assert estimates.dtype == np.float64
    assert 0 < np.abs(estimates - 5).max() < 5  # in the targets' units


def test_the_network_is_told_the_noise() -> None:
    network, source = scaled_network(1, np.ones(1))
    observed = torch.from_numpy(source[:4, None]).float()
    steps = network.front(observed, torch.tensor([0.1, 1.0, 1.0, 10.0]))
    np.testing.assert_allclose(steps[:, 0, -1], [-np.sqrt(3), 0, 0, np.sqrt(3)], atol=1e-5)


def test_one_level_alone_is_no_division_by_zero() -> None:
    network = PointNetwork(Architecture(1, 25, NAMES, SMALL, "unit-consistent", {}))
    source = np.random.default_rng(0).standard_normal((50, 25))
    network.front.set_scaling(InputScaling.fit(source, np.eye(25), 10), np.ones(1), (0.5, 0.5))
    network.set_targets(np.eye(50, 3))
    observed = torch.from_numpy(source[:, None]).float()
    assert torch.isfinite(network.estimate(observed, torch.full((50,), 0.5))).all()


def test_standardised_targets_come_back_in_their_units() -> None:
    network, _ = scaled_network(1, np.ones(1))
    targets = np.array([[1.0, 5.0, 9.0]])
    back = network.standardise(targets).double() * network.target_sd + network.target_mean
    np.testing.assert_allclose(back, targets, rtol=1e-6)
