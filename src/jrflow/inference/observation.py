"""What an estimator observes: a clean response in noise, drawn as often as needed.

Whether the network is given the projection onto the lead field or every channel, the observation is a
direction times the source plus noise of one standard deviation: for the projection the direction is 1,
for whitened channels it is the whitened lead field scaled to unit length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import xarray as xr

from jrflow.observe.covariance import factor, inverse_root
from jrflow.observe.noise import EvokedNoise, spatial_filter
from jrflow.observe.processing import Processing
from jrflow.observe.window import Window

#: Noise added in the network's input where filters leave none, as a fraction of the mean variance: nothing
#: there is known better than this.
_FLOOR = 1e-3


@dataclass(frozen=True)
class NoiseShape:
    """Noise but for its size.

    Attributes
    ----------
    direction
        Unit vector by which the source enters the inputs, shape (n_inputs,).
    spread
        Projector onto the inputs that carry noise, shape (n_inputs, n_inputs); of a single one it is 1.
    factor
        Matrix F with F F' = covariance over time, shape (n_blocks, rank).
    """

    direction: np.ndarray
    spread: np.ndarray
    factor: np.ndarray

    def alike(self, other: NoiseShape) -> bool:
        """Whether both describe the same noise."""
        ours, theirs = self._described(), other._described()
        return all(
            a.shape == b.shape and np.allclose(a, b, atol=1e-6) for a, b in zip(ours, theirs, strict=True)
        )

    def observe(
        self,
        source: torch.Tensor,
        sd: torch.Tensor,
        generator: torch.Generator,
        share: slice = slice(None),
    ) -> torch.Tensor:
        """Draw one observation of each response.

        Parameters
        ----------
        source
            Clean block-averaged source, mV, shape (n, n_blocks).
        sd
            Standard deviation of a single sample's noise, mV, shape (n,).
        generator
            On the device of the source.
        share
            Of which responses, by position, observations are wanted; they are the same whatever the share.

        Returns
        -------
        torch.Tensor
            mV, shape (n, n_inputs, n_blocks), n that of the share.
        """
        device = source.device
        direction, spread, root = (
            torch.as_tensor(a, dtype=source.dtype, device=device)
            for a in (self.direction, self.spread, self.factor)
        )
        size = len(source), len(direction), root.shape[1]
        white = torch.randn(size, generator=generator, device=device)[share]
        # A single input is spread over itself; the product of many small matrices is dear.
        noise = (white if len(spread) == 1 else spread @ white) @ root.T
        return direction[:, None] * source[share, None] + sd[share, None, None] * noise

    def _described(self) -> tuple[np.ndarray, ...]:
        # The factor is not unique, the covariance is.
        return self.direction, self.spread, self.factor @ self.factor.T


@dataclass(frozen=True)
class NoiseLevels:
    """The noise levels that a model meets, as they appear in its input.

    Attributes
    ----------
    names
        Of the levels.
    sd
        Noise of a single sample of the source estimate, mV, shape (n_levels,).
    shapes
        Of each level; levels that differ in size only share one.
    """

    names: tuple[str, ...]
    sd: np.ndarray
    shapes: tuple[NoiseShape, ...]

    @classmethod
    def of(
        cls,
        lead_field: xr.DataArray,
        levels: Mapping[str, EvokedNoise],
        window: Window,
        spatial: Literal["projected", "channels"],
    ) -> NoiseLevels:
        """Bring noise on the channels, at the archive's times, into the estimators' input.

        Raises
        ------
        ValueError
            If there is no level, or one is not of the lead field's channels or the archive's times.
        """
        if not levels:
            raise ValueError("at least one noise level is needed (eeg.noise), received none")
        sds, shapes = [], list[NoiseShape]()
        for name, noise in levels.items():
            _check_noise(name, noise, lead_field, window)
            sds.append(spatial_filter(lead_field, noise)[1])
            shape = noise_shape(lead_field, noise, window, spatial)
            shapes.append(next((known for known in shapes if known.alike(shape)), shape))
        return cls(tuple(levels), np.array(sds), tuple(shapes))

    @property
    def distinct_shapes(self) -> list[NoiseShape]:
        """Shapes without repetition, in the order of the levels."""
        return list({id(shape): shape for shape in self.shapes}.values())

    def sd_range(self, margin: float) -> tuple[float, float]:
        """Smallest and largest noise in training, mV."""
        return float(self.sd.min() / margin), float(self.sd.max() * margin)


def processing_of(levels: Mapping[str, EvokedNoise]) -> Processing:
    """Filters and baseline of the responses, which all noise levels share.

    Raises
    ------
    ValueError
        If they differ.
    """
    found = list({noise.processing: None for noise in levels.values()})
    if len(found) > 1:
        raise ValueError(
            f"expected noise levels of one processing, received {found[0]} and {found[1]}: make the noise "
            "levels again from one configuration"
        )
    return found[0] if found else Processing()


def block_covariance(noise: EvokedNoise, window: Window) -> np.ndarray:
    """Covariance of the noise's block averages, (n_blocks, n_blocks), of unit variance of a sample."""
    blocks = window.covariance(noise.whole_temporal_covariance())
    if noise.processing.is_plain(noise.times):
        return blocks
    return blocks + _FLOOR * np.diag(blocks).mean() * np.eye(len(blocks))


def noise_shape(
    lead_field: xr.DataArray, noise: EvokedNoise, window: Window, spatial: Literal["projected", "channels"]
) -> NoiseShape:
    """Direction and covariances of one noise in the estimators' input."""
    root = factor(block_covariance(noise, window))
    if spatial == "projected":
        return NoiseShape(np.ones(1), np.eye(1), root)
    whitener = inverse_root(noise.covariance)
    direction = whitener @ lead_field.squeeze("region").values
    return NoiseShape(direction / np.linalg.norm(direction), whitener @ noise.covariance @ whitener, root)


def observed_inputs(
    eeg: np.ndarray, lead_field: xr.DataArray, noise: EvokedNoise, spatial: Literal["projected", "channels"]
) -> np.ndarray:
    """Bring a measured response into the network's input, before averaging over blocks.

    Parameters
    ----------
    eeg
        Shape (n_channels, n_times), uV, average reference, in the lead field's order of channels.

    Returns
    -------
    np.ndarray
        mV, shape (n_inputs, n_times).
    """
    weights, sd = spatial_filter(lead_field, noise)
    if spatial == "projected":
        return weights[None] @ eeg
    return sd * (inverse_root(noise.covariance) @ eeg)


def _check_noise(name: str, noise: EvokedNoise, lead_field: xr.DataArray, window: Window) -> None:
    n_channels = lead_field.sizes["channel"]
    if noise.covariance.shape != (n_channels, n_channels):
        raise ValueError(
            f"noise level {name!r}: expected a covariance of the lead field's {n_channels} channels, "
            f"received one of shape {noise.covariance.shape}; make the noise levels again from this "
            "lead field"
        )
    end = window.start + window.n_blocks * window.block
    if len(noise.times) < end or not np.allclose(window.average(noise.times), window.times, atol=1e-6):
        raise ValueError(
            f"noise level {name!r}: expected the times of the responses (networks see "
            f"{window.times[0]:g}..{window.times[-1]:g} s, samples {window.start}..{end - 1}), received "
            f"{len(noise.times)} times from {noise.times[0]:g} to {noise.times[-1]:g} s; make the noise "
            "levels again from the campaign that is trained on"
        )
