"""Common parts of all networks: input, loss, and estimates in the parameters' units.

A network consists of a front that converts the response to steps of scaled components
(:mod:`jrflow.inference.networks.scaling`), a body that converts the steps to features
(:mod:`jrflow.inference.networks.bodies`), optional residual layers, and a head. The head in this module is
linear and estimates the posterior mean; the head in :mod:`jrflow.inference.networks.posterior` estimates a
density.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from jrflow.config.networks import MLPConfig, NetworkConfig
from jrflow.design.priors import Prior
from jrflow.inference.networks.bodies import body, residual_layers
from jrflow.inference.networks.scaling import InputScaling, step_index

#: Number of responses in a batch when a network is applied, not trained.
BATCH = 512


@dataclass(frozen=True)
class Architecture:
    """Settings that determine the shapes of a network's weights.

    Attributes
    ----------
    n_inputs, n_samples
        Number of channels (1 if projected) and of samples of a response.
    targets
        Names of the targets.
    network
        Kind and sizes of the network.
    preset
        Name of the preset of the model.
    described_prior
        Prior of the parameters, as returned by ``Prior.describe``.
    """

    n_inputs: int
    n_samples: int
    targets: tuple[str, ...]
    network: NetworkConfig
    preset: str
    described_prior: dict[str, Any]

    @property
    def samples_per_step(self) -> int:
        """Number of samples in a step; for a perceptron the whole response is one step."""
        return self.n_samples if isinstance(self.network, MLPConfig) else self.network.samples_per_step

    @property
    def prior(self) -> Prior:
        """Prior distribution of the parameters."""
        return Prior.described(self.preset, self.described_prior)


class Front(nn.Module):
    """Convert observations to steps. The scaling is stored with the weights.

    Every step also contains the logarithm of the noise's standard deviation, so that one network can be used
    at all noise levels.
    """

    index: torch.Tensor
    mean: torch.Tensor
    basis: torch.Tensor
    variance: torch.Tensor
    direction: torch.Tensor
    log_sd: torch.Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a, width = architecture, architecture.samples_per_step
        index = torch.from_numpy(step_index(a.n_samples, width))
        n_steps = len(index)
        self.shape = n_steps, a.n_inputs * width + 1
        self.register_buffer("index", index)
        self.register_buffer("mean", torch.zeros(n_steps, width))
        self.register_buffer("basis", torch.zeros(n_steps, width, width))
        self.register_buffer("variance", torch.ones(n_steps, width))
        self.register_buffer("direction", torch.ones(a.n_inputs))
        self.register_buffer("log_sd", torch.tensor([0.0, 1.0]))

    def set_scaling(
        self, scaling: InputScaling, direction: np.ndarray, sd_range: tuple[float, float]
    ) -> None:
        """Set the scaling of the input and the range of the noise, mV."""
        self.mean.copy_(torch.from_numpy(scaling.mean))
        self.basis.copy_(torch.from_numpy(scaling.basis))
        self.variance.copy_(torch.from_numpy(scaling.variance))
        self.direction.copy_(torch.from_numpy(direction))
        low, high = np.log(sd_range)
        # Use the moments of a uniform distribution. A single noise level is a constant and is not scaled.
        spread = (high - low) / np.sqrt(12) if high > low else 1.0
        self.log_sd.copy_(torch.tensor([(low + high) / 2, spread]))

    def forward(self, observed: torch.Tensor, sd: torch.Tensor) -> torch.Tensor:
        """Components of each step and the noise: (n, n_steps, n_inputs * samples_per_step + 1)."""
        direction = self.direction[:, None, None]
        centred = observed[..., self.index] - direction * self.mean
        components = torch.einsum("ncsk,skj->ncsj", centred, self.basis)
        size = direction * torch.sqrt(self.variance)
        shrunk = components * (size / (size**2 + sd[:, None, None, None] ** 2))
        flat = shrunk.transpose(1, 2).flatten(2)
        level = (torch.log(sd) - self.log_sd[0]) / self.log_sd[1]
        return torch.cat([flat, level[:, None, None].expand(*flat.shape[:2], 1)], dim=2)


class Network(nn.Module, ABC):
    """A network without its head, which subclasses define.

    Attributes
    ----------
    mixed
        Whether body and residual layers compute products in bfloat16 during training.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.front = Front(architecture)
        self.body, n_features = body(architecture.network, *self.front.shape)
        self.residual, self.n_features = residual_layers(architecture.network, n_features)
        self.dropout = nn.Dropout(architecture.network.dropout)
        self.mixed = False

    def forward(self, observed: torch.Tensor, sd: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Loss of a batch, a scalar.

        Parameters
        ----------
        observed
            Observations, mV, shape (n, n_inputs, n_samples).
        sd
            Standard deviation of their noise, mV, shape (n,).
        wanted
            Targets as :meth:`standardise` returns them, shape (n, n_wanted).
        """
        return self.losses(observed, sd, wanted).mean()

    def features(self, observed: torch.Tensor, sd: torch.Tensor) -> torch.Tensor:
        """Features of observations, the input of the head, shape (n, n_features); see ``forward``."""
        steps = self.front(observed, sd)
        with torch.autocast(steps.device.type, torch.bfloat16, enabled=self.mixed and self.training):
            features = self.residual(self.body(steps))
        dropped: torch.Tensor = self.dropout(features.float())
        return dropped

    @abstractmethod
    def losses(self, observed: torch.Tensor, sd: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Losses of each response, shape (n, n_losses); see ``forward`` for the arguments."""

    @abstractmethod
    def set_targets(self, targets: np.ndarray) -> None:
        """Fit the scaling of the targets to those of the training part, (n, n_targets)."""

    @abstractmethod
    def standardise(self, targets: np.ndarray) -> torch.Tensor:
        """Scale targets, (n, n_targets), for training: float32, on the network's device."""

    @abstractmethod
    def predict(self, observed: torch.Tensor, sd: torch.Tensor) -> np.ndarray:
        """Estimate the targets in their own units, float64, shape (n, n_targets)."""


class PointNetwork(Network):
    """Network that estimates the posterior mean, which has the smallest mean squared error.

    After Tilwani & O'Reilly, arXiv 2406.05002, whose networks also end in a linear layer.
    """

    target_mean: torch.Tensor
    target_sd: torch.Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        n = len(architecture.targets)
        self.head = nn.Linear(self.n_features, n)
        self.register_buffer("target_mean", torch.zeros(n, dtype=torch.float64))
        self.register_buffer("target_sd", torch.ones(n, dtype=torch.float64))

    def estimate(self, observed: torch.Tensor, sd: torch.Tensor) -> torch.Tensor:
        """Estimate the standardised targets, shape (n, n_targets)."""
        standardised: torch.Tensor = self.head(self.features(observed, sd))
        return standardised

    def losses(self, observed: torch.Tensor, sd: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Squared errors of the standardised targets, shape (n, n_targets)."""
        return (self.estimate(observed, sd) - wanted) ** 2

    def set_targets(self, targets: np.ndarray) -> None:
        """Use the mean and standard deviation of the training part's targets."""
        self.target_mean.copy_(torch.from_numpy(targets.mean(axis=0)))
        self.target_sd.copy_(torch.from_numpy(targets.std(axis=0)))

    def standardise(self, targets: np.ndarray) -> torch.Tensor:
        """Scale targets to mean 0 and variance 1 on the training part."""
        there = torch.from_numpy(targets).to(self.target_mean.device)
        return ((there - self.target_mean) / self.target_sd).float()

    @torch.no_grad()
    def predict(self, observed: torch.Tensor, sd: torch.Tensor) -> np.ndarray:
        """Estimate the targets in their own units, float64, shape (n, n_targets)."""
        self.eval()
        batches = zip(observed.split(BATCH), sd.split(BATCH), strict=True)
        standardised = torch.cat([self.estimate(some, noise) for some, noise in batches]).double()
        estimates: np.ndarray = (standardised * self.target_sd + self.target_mean).numpy()
        return estimates
