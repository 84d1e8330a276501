"""Noisy observations of simulated responses, drawn with PyTorch on the device that is used for training."""

from __future__ import annotations

import torch

from jrflow.observe.observation import Observation


def draw_observations(
    observation: Observation,
    source: torch.Tensor,
    sd: torch.Tensor,
    generator: torch.Generator,
    share: slice = slice(None),
) -> torch.Tensor:
    """Draw one observation of each response.

    Parameters
    ----------
    observation
        Observation of one source.
    source
        Observed samples of the source without noise, mV, shape (n, n_samples).
    sd
        Standard deviation of the noise of one sample, mV, shape (n,).
    generator
        Random number generator on the device of ``source``.
    share
        Positions of the responses to draw observations for. The observation of a response does not depend on
        the share.

    Returns
    -------
    torch.Tensor
        Observations, mV, shape (number of responses in the share, n_inputs, n_samples).
    """
    device = source.device
    direction, spatial, root = (
        torch.as_tensor(a, dtype=source.dtype, device=device)
        for a in (observation.direction, observation.spatial, observation.temporal_factor)
    )
    size = len(source), len(direction), root.shape[1]
    white = torch.randn(size, generator=generator, device=device)[share]
    # The spatial covariance is a projector, and therefore its own root. For a single input it is 1: skip the
    # product, because products of many small matrices are slow.
    noise = (white if len(spatial) == 1 else spatial @ white) @ root.T
    return direction[:, None] * source[share, None] + sd[share, None, None] * noise
