"""How much of a measured response a simulated one explains, and whether the rest is noise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import xarray as xr
from scipy.stats import chi2

from jrflow.eeg.covariance import inverse_root, whitening
from jrflow.eeg.noise import EvokedNoise, spatial_filter
from jrflow.inference.window import Window

#: Excess of the residual over the noise, in standard deviations of chi-square, that still passes for chance.
_CHANCE = 3.0
#: Probability below which a baseline of the source is no longer as large as it is by chance.
_LARGER = 0.05

Verdict = Literal["explained", "partly explained", "not explained"]


@dataclass(frozen=True)
class Seen:
    """What a network sees of one response.

    Attributes
    ----------
    window
        Its blocks.
    sd
        Noise of a single sample of the source estimate that it is told, mV.
    whitener
        That makes noise of unit sd white over all times of the response, (n_times, rank).
    """

    window: Window
    sd: float
    whitener: np.ndarray


@dataclass(frozen=True)
class Goodness:
    """What is explained; shares refer to the power over channels and times after the onset.

    Attributes
    ----------
    explained
        One less the residual's share: 1 is perfect, below 0 worse than no response at all.
    topography_ceiling
        Largest share that any time course at this source could explain.
    noise_share
        Share that noise alone would have if it were as assumed; it may exceed 1.
    source_explained
        As ``explained``, of the time course of the source estimate.
    source_chi2
        Whitened residual of the source estimate as the network sees it, per sample, over its noise.
    source_noise
        Power of that noise over what the network was told: 1, or that of the source estimate's own baseline
        where it is larger by more than chance.
    reduced_chi2, degrees_of_freedom
        Whitened residual over all channels and times, per degree of freedom: 1 if it is the assumed noise.
    baseline_chi2
        The same of the measured baseline: above 1 where noise is larger than assumed.
    p_value
        Of the residual under noise as large as the baseline's (or as assumed, if that is larger).
    verdict
        'explained': the residual is no larger than noise, neither over all channels nor in the source
        estimate. 'partly explained': it is, but more than half of what is not noise is explained. 'not
        explained': less than half is.
    """

    explained: float
    topography_ceiling: float
    noise_share: float
    source_explained: float
    source_chi2: float
    source_noise: float
    reduced_chi2: float
    degrees_of_freedom: int
    baseline_chi2: float
    p_value: float
    verdict: Verdict


def goodness(
    eeg: xr.DataArray,
    sources: np.ndarray,
    lead_field: xr.DataArray,
    noise: EvokedNoise,
    seen: Seen,
    n_parameters: int,
) -> list[Goodness]:
    """Compare a measured response with simulated sources seen through the lead field, one after the other.

    Two residuals must pass for noise. Over all channels and times the whole response is judged, a wrong
    place of the source above all; but of a wrong time course little is seen there, for few of so many
    degrees of freedom have to do with the source. So the source estimate is judged by itself, too.

    Parameters
    ----------
    eeg
        Dims (channel, time), uV, baseline-corrected, average reference, channels as in the lead field.
    sources
        Simulated sources at the same times, mV, baseline-corrected, shape (n, n_times).
    lead_field
        Dims (channel, region) with a single region, uV/mV.
    noise
        Of this response, white in time. Coloured noise leaves a residual that looks larger than it is;
        the comparison with the baseline allows for that in size, not in correlation.
    seen
        What the network sees of the response.
    n_parameters
        Parameters estimated from the response.
    """
    times = eeg["time"].values
    measured, gain = eeg.transpose("channel", "time").values, lead_field.squeeze("region").values
    temporal = replace(noise, times=times).temporal_covariance()
    after, in_space = times > 0, inverse_root(noise.covariance)
    in_time, before = seen.whitener, whitening(temporal[np.ix_(~after, ~after)])
    power = (measured[:, after] ** 2).sum()
    weights, _ = spatial_filter(lead_field, noise)
    estimate = weights @ measured
    of_source, n_seen, source_noise = _source_chi2(estimate - sources, estimate[~after], temporal, seen)
    noise_share = np.trace(noise.covariance) * np.diag(temporal)[after].sum() / power
    ceiling = ((gain @ measured[:, after]) ** 2).sum() / (gain @ gain) / power
    n_before = (len(gain) - 1) * before.shape[1]
    baseline = ((in_space @ measured[:, ~after] @ before) ** 2).sum() / n_before if n_before else 1.0
    dof = (len(gain) - 1) * in_time.shape[1] - n_parameters

    def judged(source: np.ndarray, source_chi2: float) -> Goodness:
        residual = measured - np.outer(gain, source)
        explained = 1 - (residual[:, after] ** 2).sum() / power
        statistic = ((in_space @ residual @ in_time) ** 2).sum()
        allowed = statistic / max(1.0, baseline)
        left = ((estimate - source)[after] ** 2).sum() / (estimate[after] ** 2).sum()
        return Goodness(
            explained=float(explained),
            topography_ceiling=float(ceiling),
            noise_share=float(noise_share),
            source_explained=float(1 - left),
            source_chi2=float(source_chi2),
            source_noise=source_noise,
            reduced_chi2=float(statistic / dof),
            degrees_of_freedom=dof,
            baseline_chi2=float(baseline),
            p_value=float(chi2.sf(allowed, dof)),
            verdict=_verdict([(allowed / dof, dof), (source_chi2, n_seen)], explained, noise_share),
        )

    return [judged(source, left) for source, left in zip(sources, of_source, strict=True)]


def baseline_inflation(eeg: np.ndarray, noise: EvokedNoise, window: Window) -> np.ndarray:
    """Power of the baseline's block averages over what white noise would leave, at least 1.

    Noise of the brain is strongest at low frequencies, and averages of neighbouring samples keep more
    of it than of white noise. All whitened channels are pooled: one alone has too few blocks.

    Parameters
    ----------
    eeg
        Responses at the noise's times, uV, average reference, shape (..., n_channels, n_times).
    noise, window
        As assumed; blocks of the response, as long as which the baseline's are.

    Returns
    -------
    np.ndarray
        Shape (...).
    """
    before = _blocks_before(window, int((noise.times <= 0).sum()))
    if before is None:
        return np.ones(eeg.shape[:-2])
    found = before.average(inverse_root(noise.covariance) @ eeg)
    n_channels = found.shape[-2]
    expected = np.diag(before.covariance(noise.temporal_covariance())).mean() * (n_channels - 1) / n_channels
    return np.maximum(1.0, (found**2).mean(axis=(-2, -1)) / expected)


def _source_chi2(
    residuals: np.ndarray, before: np.ndarray, temporal: np.ndarray, seen: Seen
) -> tuple[np.ndarray, int, float]:
    """Chi-square per sample that the network sees, of residuals (n, n_times); how many samples; their noise.

    Noise is what the network was told, or that of the baseline ``before`` the onset where that is larger by
    more than chance: it may have few samples. The fit takes away up to a sample for each parameter; they are
    all counted, so that an error is one in favour of the model.
    """

    def power(window: Window, course: np.ndarray) -> tuple[np.ndarray, int]:
        whitener = whitening(window.covariance(temporal)) / seen.sd
        return ((window.average(course) @ whitener) ** 2).mean(axis=-1), whitener.shape[1]

    noise, blocks = 1.0, _blocks_before(seen.window, len(before))
    if blocks is not None:
        found, n = power(blocks, before)
        noise = max(1.0, float(found)) if chi2.sf(n * found, n) < _LARGER else 1.0
    left, n_seen = power(seen.window, residuals)
    return left / noise, n_seen, noise


def _blocks_before(window: Window, n_samples: int) -> Window | None:
    """Blocks of the first samples, those of the baseline; None if they say nothing of its noise."""
    before = window.first(n_samples)
    # Corrected by its mean, the average of a whole baseline is 0.
    is_whole = before.n_blocks == 1 and before.block == n_samples
    return None if before.n_blocks == 0 or is_whole else before


def _verdict(residuals: list[tuple[float, int]], explained: float, noise_share: float) -> Verdict:
    """Of chi-squares per degree of freedom and the degrees of freedom."""
    if all(reduced <= 1 + _CHANCE * np.sqrt(2 / dof) for reduced, dof in residuals):
        return "explained"
    return "partly explained" if explained > 0.5 * max(0.0, 1 - noise_share) else "not explained"
