"""Construct the network of an architecture."""

from __future__ import annotations

from jrflow.config.networks import NPEConfig
from jrflow.inference.networks.network import Architecture, Network, PointNetwork
from jrflow.inference.networks.posterior import PosteriorNetwork


def build_network(architecture: Architecture) -> Network:
    """Make an untrained network; its weights are drawn with PyTorch's global random number generator."""
    is_posterior = isinstance(architecture.network, NPEConfig)
    return PosteriorNetwork(architecture) if is_posterior else PointNetwork(architecture)
