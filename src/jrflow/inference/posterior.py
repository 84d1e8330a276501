"""Amortised neural posterior estimation: a normalizing flow of the sbi package, told a network's features.

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
from jrflow.inference.networks import Architecture, Network
from jrflow.inference.randomness import Stream, entropy
from jrflow.model.parameters import PRODUCTS

#: Draws at once: what fits the cache.
_DRAWS = 1 << 15
#: Probabilities this close to 0 or 1 are as far out as float32 can tell.
_EDGE = 1e-6


class PosteriorNetwork(Network):
    """Answers a density over the parameters that vary; what it draws stays within their prior's range.

    The flow sees normal scores: a parameter's place in its range as a probability, through the inverse normal
    distribution function. A uniform prior becomes the flow's own base distribution, and no draw is out of
    range. Products are computed from what is drawn.
    """

    low: torch.Tensor
    high: torch.Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        config = architecture.network
        assert isinstance(config, NPEConfig)
        self.varied = [name for name in architecture.targets if name not in PRODUCTS]
        n = len(self.varied)
        self.register_buffer("low", torch.zeros(n, dtype=torch.float64))
        self.register_buffer("high", torch.ones(n, dtype=torch.float64))
        self.flow = _flow(config, n, self.n_features)

    def losses(self, observed: torch.Tensor, sd: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Negative log density of the true scores, shape (n, 1)."""
        losses: torch.Tensor = self.flow.loss(wanted, condition=self.features(observed, sd))
        return losses[:, None]

    def set_targets(self, targets: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        """Take over the ranges of the parameters that vary."""
        self.low.copy_(torch.from_numpy(low[: len(self.varied)]))
        self.high.copy_(torch.from_numpy(high[: len(self.varied)]))

    def standardise(self, targets: np.ndarray) -> torch.Tensor:
        """Normal scores of the parameters that vary, shape (n, n_varied)."""
        there = torch.from_numpy(targets[:, : len(self.varied)]).to(self.low.device)
        share = ((there - self.low) / (self.high - self.low)).clamp(_EDGE, 1 - _EDGE)
        return torch.special.ndtri(share).float()

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
            In the targets' units, float64, shape (n_responses, n, n_targets).
        """
        self.eval()
        config = self.architecture.network
        assert isinstance(config, NPEConfig)
        n = n or config.draws
        size = max(1, _DRAWS // n)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(entropy(0, Stream.POSTERIOR))
            batches = zip(observed.split(size), sd.split(size), strict=True)
            drawn = [self.flow.sample((n,), condition=self.features(x, noise)) for x, noise in batches]
        scores = torch.cat(drawn, dim=1).transpose(0, 1).double()
        varied = self.low + (self.high - self.low) * torch.special.ndtr(scores)
        return self._with_products(varied.numpy())

    def predict(self, observed: torch.Tensor, sd: torch.Tensor) -> np.ndarray:
        """Posterior means, in the targets' units, float64, shape (n, n_targets)."""
        mean: np.ndarray = self.draw(observed, sd).mean(axis=1)
        return mean

    def _with_products(self, varied: np.ndarray) -> np.ndarray:
        """Append the products to parameters that vary; the targets are on the last axis."""
        named = dict(zip(self.varied, np.moveaxis(varied, -1, 0), strict=True))
        wanted = self.architecture.targets[len(self.varied) :]
        products = [named["C"] * named[name.replace("C", "a")] for name in wanted]
        return np.concatenate([varied, *(product[..., None] for product in products)], axis=-1)


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
