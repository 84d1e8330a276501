"""Noisy observations of simulated responses, drawn with PyTorch on the device that trains."""

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
        Of one source.
    source
        What is observed of the source without noise, mV, shape (n, n_samples).
    sd
        Noise of one sample, mV, shape (n,).
    generator
        On the device of the source.
    share
        Positions of the responses whose observations are wanted; an observation is the same whatever the
        share.

    Returns
    -------
    torch.Tensor
        mV, shape (n, n_inputs, n_samples), n that of the share.
    """
    device = source.device
    direction, spatial, root = (
        torch.as_tensor(a, dtype=source.dtype, device=device)
        for a in (observation.direction, observation.spatial, observation.temporal_factor)
    )
    size = len(source), len(direction), root.shape[1]
    white = torch.randn(size, generator=generator, device=device)[share]
    # The spatial covariance is a projector, and so its own root. Of a single input it is 1, and the product
    # of many small matrices is slow.
    noise = (white if len(spatial) == 1 else spatial @ white) @ root.T
    return direction[:, None] * source[share, None] + sd[share, None, None] * noise
