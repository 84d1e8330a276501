"""Why a measured response cannot be judged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jrflow.inference.recordings.detection import dominant, largest_eigenvalue
from jrflow.inference.recordings.directions import Directions
from jrflow.inference.recordings.evidence import Recording
from jrflow.observe.noise import EvokedNoise

#: Least directions across the source, and least dimensions over time that fitted parameters must leave.
_LEAST_ACROSS, _LEAST_DIMS = 3, 10
#: Share of the lead field's squared length, in units of the noise, that the data must still contain.
_LEAST_VISIBLE = 0.05
#: Level of the tests for artefacts; least blocks of a baseline that can be tested.
_LEVEL, _LEAST_BLOCKS = 1e-4, 4
#: Channels whose baseline has less than this many times the median power are not called artefacts.
_LOUD = 4.0
#: Projecting out the source spreads an artefact to other channels, with less than this share of its power.
_LEAK = 0.1
#: Share of the strongest residual that a single channel carries if the residual is an artefact: a source in
#: the brain reaches several channels.
_LONE = 0.8


def obstacles(eeg: np.ndarray, gain: np.ndarray, names: Sequence[str], noise: EvokedNoise) -> list[str]:
    """Reasons for which no noise can be measured.

    Parameters
    ----------
    eeg, gain
        uV, shape (n_channels, n_times); uV/mV, (n_channels,).
    names
        Of the channels.
    noise
        Assumed.
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
            f"the data have {directions.rank} independent channels, at least {_LEAST_ACROSS + 1} are needed "
            "to measure their noise"
        ]
    if directions.visible < _LEAST_VISIBLE:
        return [
            "projections or removed components took away what a source at this place would cause: "
            f"{directions.visible:.1%} of its lead field is left, in units of the noise"
        ]
    return []


def artefacts(recording: Recording, dims: float) -> tuple[list[str], list[str]]:
    """Reasons for which the measured noise or the residual is no noise of the brain, and the channels.

    Parameters
    ----------
    dims
        Degrees of freedom that the fit leaves over time.

    Returns
    -------
    reasons, channels
    """
    if dims < _LEAST_DIMS:
        return [f"the response has too few samples: {dims:.0f} degrees of freedom are left over time"], []
    loud = _loud_channels(recording)
    if loud:
        return [f"the baseline of {', '.join(loud)} is louder than that of the other channels allows"], loud
    lone = _lone_channel(recording)
    if lone:
        return [f"{lone[0]} carries an artefact: most of what is left lies in this channel alone"], lone
    if _baseline_has_shape(recording):
        return [
            "the noise of the baseline is distributed over the channels in another way than its covariance "
            "says; estimate the covariance from this recording, after the same processing"
        ], []
    return [], []


def _loud_channels(recording: Recording) -> list[str]:
    """Channels whose baseline is louder, relative to the covariance, than that of most.

    The source is projected out: its response may reach into the baseline.
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
    """The channel that carries almost all of a residual across the source that is more than noise."""
    if recording.measured.p_value >= _LEVEL:
        return []
    pattern = (recording.directions.pattern @ recording.measured.direction) ** 2
    strongest = int(np.argmax(pattern))
    return [recording.channels[strongest]] if pattern[strongest] > _LONE * pattern.sum() else []


def _baseline_has_shape(recording: Recording) -> bool:
    """Whether the baseline has a direction across the source that is stronger than noise as assumed has."""
    clock = recording.clock
    if clock.n_before < _LEAST_BLOCKS:
        return False
    white = clock.baseline(recording.across) @ clock.baseline_whitener(recording.measured.covariance)
    return largest_eigenvalue(white)[2] < _LEVEL
