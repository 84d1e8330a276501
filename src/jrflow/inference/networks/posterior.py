"""Amortised neural posterior estimation: a normalizing flow of sbi, conditioned on a network's features.

Papamakarios & Murray 2016 (arXiv 1605.06376), Greenberg et al. 2019 (arXiv 1905.07488). The flows are those
of sbi (Tejero-Cantero et al. 2020, JOSS 5:2505). They are trained with jrflow's own loop, because sbi's loop
uses a fixed table of simulations, and here every presentation has new noise.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

from jrflow.config.networks import NPEConfig
from jrflow.inference.data.randomness import Stream, entropy
from jrflow.inference.networks.network import Architecture, Network
from jrflow.space.scores import Coordinates

#: Number of draws in a batch, chosen to fit the processor's cache.
_DRAWS = 1 << 15


class PosteriorNetwork(Network):
    """Network that estimates the posterior density of the parameters that vary; draws lie within the prior.

    The flow uses the coordinates of :mod:`jrflow.space.scores`, in which posteriors are simple and bounds
    cannot be violated. If C and all contact probabilities vary, data determine only their products. The flow
    then learns the products, and C is drawn from its exact distribution given the products.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        config = architecture.network
        assert isinstance(config, NPEConfig)
        self.n_draws = config.draws
        self.coordinates = Coordinates.of(architecture.prior)
        self.flow = _flow(config, self.coordinates.n, self.n_features)

    def losses(self, observed: torch.Tensor, sd: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Negative log density of the true coordinates, shape (n, 1)."""
        losses: torch.Tensor = self.flow.loss(wanted, condition=self.features(observed, sd))
        return losses[:, None]

    def set_targets(self, targets: np.ndarray) -> None:
        """Do nothing: only the prior determines the scaling."""

    def standardise(self, targets: np.ndarray) -> torch.Tensor:
        """Coordinates of the parameters that vary, shape (n, n_coordinates)."""
        n_parameters = len(self.coordinates.prior.names)
        x = torch.from_numpy(self.coordinates.of_parameters(targets[:, :n_parameters]))
        return x.float().to(self.front.index.device)

    @torch.no_grad()
    def draw(self, observed: torch.Tensor, sd: torch.Tensor, n: int | None = None) -> np.ndarray:
        """Draw from the posterior of each response, with a fixed seed.

        Parameters
        ----------
        observed, sd
            See ``forward``.
        n
            Number of draws for each response; by default that of the configuration.

        Returns
        -------
        np.ndarray
            Draws in the targets' units, float64, shape (n_responses, n, n_targets); NaN for a response
            without possible draws.
        """
        self.eval()
        n = n or self.n_draws
        size = max(1, _DRAWS // n)
        rng = np.random.default_rng(entropy(0, Stream.POSTERIOR))
        drawn = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(entropy(0, Stream.POSTERIOR))
            for some, noise in zip(observed.split(size), sd.split(size), strict=True):
                x = self.flow.sample((n,), condition=self.features(some, noise))
                drawn.append(self._targets(x.transpose(0, 1).double().numpy(), rng))
        return np.concatenate(drawn)

    def predict(self, observed: torch.Tensor, sd: torch.Tensor) -> np.ndarray:
        """Posterior means, or prior means without possible draws, in the targets' units, (n, n_targets)."""
        mean = self.draw(observed, sd).mean(axis=1)
        prior = self.coordinates.prior
        return np.where(np.isnan(mean), prior.targets(prior.mean[None]), mean)

    def _targets(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Targets of drawn coordinates (n_responses, n_draws, n_coordinates).

        The flow may draw products that are impossible for C and a_k within the prior. Such a draw is
        replaced by another draw of the same response. If all draws of a response are impossible, its targets
        are NaN.
        """
        parameters = self.coordinates.complete(x.reshape(-1, x.shape[2]), rng)
        possible = np.isfinite(parameters).all(axis=1).reshape(x.shape[:2])
        chosen = np.argsort(~possible, axis=1, kind="stable")
        n_possible = possible.sum(axis=1).clip(min=1)[:, None]
        chosen = np.take_along_axis(chosen, np.arange(x.shape[1]) % n_possible, axis=1)
        targets = self.coordinates.prior.targets(parameters).reshape(*x.shape[:2], -1)
        return np.take_along_axis(targets, chosen[..., None], axis=1)


def _flow(config: NPEConfig, n_parameters: int, n_features: int) -> Any:
    """Make an untrained flow over ``n_parameters`` numbers, conditioned on ``n_features`` numbers."""
    # Import here: sbi takes seconds to load, and most networks do not need it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sbi.neural_nets.net_builders import build_zuko_maf, build_zuko_nsf

    build = build_zuko_maf if config.flow == "maf" else build_zuko_nsf
    # Only the shapes of these tensors are used: standardisation is switched off.
    shapes = torch.zeros(2, n_parameters), torch.zeros(2, n_features)
    return build(
        *shapes, z_score_x=None, z_score_y=None, hidden_features=config.flow_hidden,
        num_transforms=config.transforms,
    )  # fmt: skip
