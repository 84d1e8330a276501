"""Checks whether a measured response can be judged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jrflow.inference.recordings.detection import dominant, largest_eigenvalue
from jrflow.inference.recordings.directions import Directions
from jrflow.inference.recordings.evidence import Recording
from jrflow.observe.noise import EvokedNoise

#: Smallest number of directions across the source, and of degrees of freedom over time after the fit.
_LEAST_ACROSS, _LEAST_DIMS = 3, 10
#: Smallest share of the lead field's squared length, in units of the noise, that the data must contain.
_LEAST_VISIBLE = 0.05
#: Significance level of the tests for artefacts; smallest number of baseline blocks for these tests.
_LEVEL, _LEAST_BLOCKS = 1e-4, 4
#: A channel is an artefact only if the power of its baseline exceeds the median by this factor.
_LOUD = 4.0
#: Projecting out the source spreads an artefact to other channels. They receive less than this share of its
#: power, so channels below this share are not artefacts.
_LEAK = 0.1
#: Smallest share of the strongest residual in a single channel that makes it an artefact: a source in the
#: brain contributes to several channels.
_LONE = 0.8


def obstacles(eeg: np.ndarray, gain: np.ndarray, names: Sequence[str], noise: EvokedNoise) -> list[str]:
    """Reasons why the noise cannot be measured; empty if it can.

    Parameters
    ----------
    eeg
        Response, uV, shape (n_channels, n_times).
    gain
        Lead field, uV/mV, shape (n_channels,).
    names
        Names of the channels.
    noise
        Assumed noise.
    """
    broken = [name for name, row in zip(names, eeg, strict=True) if not np.isfinite(row).all()]
    if broken:
        return [f"the response has values that are not finite in {', '.join(broken)}"]
    if not np.isfinite(noise.covariance).all() or not np.trace(noise.covariance) > 0:
        return ["the noise is unknown: its covariance is zero or not finite"]
    if not np.any(eeg):
        return ["the response is zero in all channels"]
    constant = [name for name, row in zip(names, eeg, strict=True) if np.ptp(row) == 0]
    if constant:
        return [
            f"the signal of {', '.join(constant)} is constant: nothing was recorded there; mark bad channels "
            "as bad before the average reference is set"
        ]
    directions = Directions.of(eeg, gain, noise.covariance)
    if directions.rank - 1 < _LEAST_ACROSS:
        return [
            f"the data have {directions.rank} independent channels, but at least {_LEAST_ACROSS + 1} are "
            "needed to measure the noise"
        ]
    if directions.visible < _LEAST_VISIBLE:
        return [
            "projections or removed components removed the signal of a source at this position: "
            f"{directions.visible:.1%} of its lead field is left, in units of the noise"
        ]
    return []


def artefacts(recording: Recording, dims: float) -> tuple[list[str], list[str]]:
    """Reasons why the response cannot be judged because of artefacts, and the channels concerned.

    Parameters
    ----------
    recording
        Measured response.
    dims
        Degrees of freedom over time after the fit.

    Returns
    -------
    reasons
        Reasons, as sentences without their ends; empty if there are none.
    channels
        Names of channels with artefacts.
    """
    if dims < _LEAST_DIMS:
        return [f"the response has too few samples: {dims:.0f} degrees of freedom are left over time"], []
    loud = _loud_channels(recording)
    if loud:
        return [f"the baseline of {', '.join(loud)} has much more power than that of other channels"], loud
    lone = _lone_channel(recording)
    if lone:
        return [f"{lone[0]} has an artefact: most of the residual is in this channel alone"], lone
    if _baseline_has_shape(recording):
        return [
            "the noise of the baseline is distributed over the channels differently than in the noise "
            "covariance; estimate the covariance from this recording, after the same processing"
        ], []
    return [], []


def _loud_channels(recording: Recording) -> list[str]:
    """Channels whose baseline has much more power, relative to the covariance, than that of most channels.

    The source is projected out, because its response may extend into the baseline.
    """
    clock, directions = recording.clock, recording.directions
    n, variance = clock.n_before, (directions.pattern**2).sum(axis=1)
    known = np.flatnonzero(variance > 0)
    if n < _LEAST_BLOCKS:
        return []
    blocks = directions.pattern @ clock.blocks.average(directions.across @ recording.eeg)[:, :n]
    blocks = blocks - blocks.mean(axis=1, keepdims=True)
    power = (blocks[known] ** 2).mean(axis=1) / variance[known]
    over_time = clock.before(recording.measured.covariance)
    dims = float(np.trace(over_time) ** 2 / (over_time**2).sum())
    least = max(_LOUD * np.median(power), _LEAK * power.max())
    loud = [k for k in dominant(power, dims, _LEVEL) if power[k] > least]
    return [recording.channels[known[k]] for k in loud]


def _lone_channel(recording: Recording) -> list[str]:
    """Channel with almost all of the residual across the source, if this residual is larger than noise."""
    if recording.measured.p_value >= _LEVEL:
        return []
    pattern = (recording.directions.pattern @ recording.measured.direction) ** 2
    strongest = int(np.argmax(pattern))
    return [recording.channels[strongest]] if pattern[strongest] > _LONE * pattern.sum() else []


def _baseline_has_shape(recording: Recording) -> bool:
    """Whether the baseline has a direction across the source that is stronger than the assumed noise."""
    clock = recording.clock
    if clock.n_before < _LEAST_BLOCKS:
        return False
    white = clock.baseline(recording.across) @ clock.baseline_whitener(recording.measured.covariance)
    return largest_eigenvalue(white)[2] < _LEVEL
