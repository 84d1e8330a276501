"""Amortised neural posterior estimation: a normalizing flow of sbi, conditioned on a network's features.

Papamakarios & Murray 2016 (arXiv 1605.06376), Greenberg et al. 2019 (arXiv 1905.07488); the flows are sbi's
(Tejero-Cantero et al. 2020, JOSS 5:2505). They are trained by jrflow's own loop, since sbi's takes a fixed
table of simulations and here noise is drawn afresh at every presentation.
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

#: Draws at once: what fits the cache.
_DRAWS = 1 << 15


class PosteriorNetwork(Network):
    """Answers a density over the parameters that vary; what it draws stays within their prior.

    The flow sees the coordinates of :mod:`jrflow.limits.coordinates`, in which posteriors are simple and
    bounds cannot be violated. Where C and all contact probabilities vary, the data know their products only:
    the flow learns these, and C is drawn from its exact distribution given them.
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
        """The prior alone says how they are scaled."""

    def standardise(self, targets: np.ndarray) -> torch.Tensor:
        """Coordinates of the parameters that vary, shape (n, n_coordinates)."""
        n_parameters = len(self.coordinates.prior.names)
        x = torch.from_numpy(self.coordinates.of_parameters(targets[:, :n_parameters]))
        return x.float().to(self.front.index.device)

    @torch.no_grad()
    def draw(self, observed: torch.Tensor, sd: torch.Tensor, n: int | None = None) -> np.ndarray:
        """Draw from the posterior of each response, always the same way.

        Parameters
        ----------
        observed, sd
            As of ``forward``.
        n
            Draws for each; by default as configured.

        Returns
        -------
        np.ndarray
            In the targets' units, float64, shape (n_responses, n, n_targets); NaN where nothing is possible.
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
        """Posterior means (without an answer the prior's) in the targets' units, float64, (n, n_targets)."""
        mean = self.draw(observed, sd).mean(axis=1)
        prior = self.coordinates.prior
        return np.where(np.isnan(mean), prior.targets(prior.mean[None]), mean)

    def _targets(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Targets of drawn coordinates (n_responses, n_draws, n_coordinates).

        The flow knows no edges: where it draws products that no C and a_k within the prior have, another draw
        of the same response takes their place. Where all are impossible there is no answer: NaN.
        """
        parameters = self.coordinates.complete(x.reshape(-1, x.shape[2]), rng)
        possible = np.isfinite(parameters).all(axis=1).reshape(x.shape[:2])
        chosen = np.argsort(~possible, axis=1, kind="stable")
        n_possible = possible.sum(axis=1).clip(min=1)[:, None]
        chosen = np.take_along_axis(chosen, np.arange(x.shape[1]) % n_possible, axis=1)
        targets = self.coordinates.prior.targets(parameters).reshape(*x.shape[:2], -1)
        return np.take_along_axis(targets, chosen[..., None], axis=1)


def _flow(config: NPEConfig, n_parameters: int, n_features: int) -> Any:
    """An untrained flow over ``n_parameters`` numbers, given ``n_features``."""
    # It takes seconds to load, and most networks do without.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sbi.neural_nets.net_builders import build_zuko_maf, build_zuko_nsf

    build = build_zuko_maf if config.flow == "maf" else build_zuko_nsf
    # Shapes are all that it reads of these: nothing is standardised once more.
    shapes = torch.zeros(2, n_parameters), torch.zeros(2, n_features)
    return build(
        *shapes, z_score_x=None, z_score_y=None, hidden_features=config.flow_hidden,
        num_transforms=config.transforms,
    )  # fmt: skip
