"""Whether a simulated response explains a measured one.

Noise is measured in the recording itself (:mod:`jrflow.inference.recordings.measured_noise`), in all
directions of the data. Two residuals are compared with this noise. Across the source, only noise may remain:
a test of the largest eigenvalue detects a second source or a wrong position. Along the source, the residual
of the fit must be as large as noise: an F test detects a wrong time course. The two tests are independent.
The smaller p-value, corrected for two tests (Sidak), is the p-value of the verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from jrflow.inference.recordings.checks import artefacts, obstacles
from jrflow.inference.recordings.detection import (
    detectable_component,
    detectable_excess,
    excess,
    one_of_two,
    smaller_of_two,
)
from jrflow.inference.recordings.evidence import (
    Recording,
    Tangent,
    baseline_power,
    noise_share,
    source_noise,
    unexplained,
)
from jrflow.inference.recordings.measured_noise import Clock
from jrflow.inference.recordings.verdict import LEVEL, Goodness, Verdict
from jrflow.observe.covariance import whitening
from jrflow.observe.noise import EvokedNoise
from jrflow.observe.observation import Observation


def goodness(
    eeg: xr.DataArray,
    sources: np.ndarray,
    lead_field: xr.DataArray,
    noise: EvokedNoise,
    observation: Observation,
    tangents: Sequence[Tangent | None],
) -> list[Goodness]:
    """Compare a measured response with each of several simulated sources, projected by the lead field.

    Parameters
    ----------
    eeg
        Dims (channel, time), uV, baseline-corrected, average reference, channels as in the lead field.
    sources
        Simulated sources at the same times, mV, baseline-corrected, shape (n, n_times).
    lead_field
        Dims (channel, region) with a single region, uV/mV.
    noise
        Noise of this response. Only the shape of its covariance over channels is used; size and
        autocorrelation are measured in the response.
    observation
        Observation of the averages over blocks of the network; its ``sd`` is the noise level on which the
        network is conditioned.
    tangents
        For each source: derivatives of the fit with respect to the parameters, or None if the source was not
        fitted to the response.
    """
    values, times = eeg.transpose("channel", "time").values, eeg["time"].values
    gain, names = lead_field.squeeze("region").values, [str(name) for name in eeg["channel"].values]
    noise = replace(noise, times=times)
    found = obstacles(values, gain, names, noise)
    if found:
        return [replace(_shares(values, gain, source, times), reasons=tuple(found)) for source in sources]
    recording = Recording(values, gain, names, noise, Clock.of(noise, observation.epoch.blocks))
    pairs = zip(sources, tangents, strict=True)
    return [judge(recording, source, tangent, observation.sd) for source, tangent in pairs]


def judge(recording: Recording, source: np.ndarray, tangent: Tangent | None, sd: float) -> Goodness:
    """Judge one simulated source, mV, baseline-corrected, (n_times,).

    Parameters
    ----------
    recording
        Recording without :func:`jrflow.inference.recordings.checks.obstacles`.
    source
        Simulated source.
    tangent
        Derivatives of the fit with respect to the parameters; None if the source was not fitted.
    sd
        Noise of one sample of the source estimate on which the network is conditioned, mV.
    """
    directions, clock, noise = recording.directions, recording.clock, recording.measured
    shares = _shares(recording.eeg, recording.gain, source, recording.noise.times)
    residual = recording.along - clock.project(directions.gain * source)
    left, n_fitted = unexplained(residual @ noise.whitener, tangent, recording)
    dims, n_across = len(left) - n_fitted, recording.across.size
    reasons, channels = artefacts(recording, dims)
    p_place, p_course = noise.p_value, excess(float(left @ left) / dims, dims, n_across)
    flat = recording.along @ noise.whitener
    assumed = whitening(clock.components[0])
    dof = assumed.shape[1] * directions.rank - n_fitted
    squares = ((recording.across @ assumed) ** 2).sum() + ((residual @ assumed) ** 2).sum()
    spread = noise.power * np.trace(clock.components[0]) / clock.blocks.n_blocks
    of_sample = np.sqrt(spread * np.trace(recording.noise.covariance) / len(recording.gain))
    place = detectable_component(len(recording.across), clock.n_dims, one_of_two(LEVEL))
    course = detectable_excess(dims, n_across, one_of_two(LEVEL))
    response = float(flat @ flat) - len(flat)
    share = noise.power * noise_share(recording)
    found = replace(
        shares,
        noise_share=share,
        source_chi2=float(left @ left) / dims,
        source_noise=source_noise(recording, sd),
        reduced_chi2=float(squares / dof),
        degrees_of_freedom=round(dof),
        baseline_chi2=baseline_power(recording),
        noise_ratio=noise.power,
        rank=directions.rank,
        p_flat=recording.p_flat,
        p_place=p_place,
        p_course=p_course,
        p_value=smaller_of_two(p_place, p_course),
        detectable_place_uv=float(of_sample * np.sqrt(place / n_across)),
        detectable_course_mv=float(np.sqrt(spread * course / len(left)) / directions.gain),
        detectable_place_share=place / response if response > 0 else None,
        detectable_course_share=course / response if response > 0 else None,
        reasons=tuple(reasons),
        channels=tuple(channels),
    )
    return replace(found, verdict=_verdict(found, float(left @ left) < float(flat @ flat)))


def _verdict(found: Goodness, nearer: bool) -> Verdict:
    """Verdict from the other results; ``nearer``: whether the residual is smaller than the response."""
    if found.reasons or found.p_value is None or found.p_flat is None:
        return "cannot be judged"
    if found.p_flat >= LEVEL:
        return "no response above noise"
    if found.p_value >= LEVEL and nearer:
        return "explained"
    half = 0.5 * max(0.0, 1 - (found.noise_share or 0.0))
    return "partly explained" if (found.explained or 0.0) > half else "not explained"


def _shares(eeg: np.ndarray, gain: np.ndarray, source: np.ndarray, times: np.ndarray) -> Goodness:
    """Shares of the power after the onset, which do not depend on the noise; None if there is no power."""
    after = eeg[:, times > 0]
    power, in_source = (after**2).sum(), gain @ after / (gain @ gain)
    of_source = (in_source**2).sum()
    if not np.isfinite(power) or power == 0 or of_source == 0:
        return Goodness(None, None, None, None)
    simulated = source[times > 0]
    left = ((after - np.outer(gain, simulated)) ** 2).sum()
    return Goodness(
        explained=float(1 - left / power),
        topography_ceiling=float(of_source * (gain @ gain) / power),
        noise_share=None,
        source_explained=float(1 - ((in_source - simulated) ** 2).sum() / of_source),
    )
