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

Verdict = Literal["explained", "partly explained", "not explained"]


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
    reduced_chi2, degrees_of_freedom
        Whitened residual over all channels and times, per degree of freedom: 1 if it is the assumed noise.
    baseline_chi2
        The same of the measured baseline: above 1 where noise is larger than assumed.
    p_value
        Of the residual under noise as large as the baseline's (or as assumed, if that is larger).
    verdict
        'explained': the residual is no larger than noise. 'partly explained': it is, but more than half of
        what is not noise is explained. 'not explained': less than half is.
    """

    explained: float
    topography_ceiling: float
    noise_share: float
    source_explained: float
    reduced_chi2: float
    degrees_of_freedom: int
    baseline_chi2: float
    p_value: float
    verdict: Verdict


def goodness(
    eeg: xr.DataArray, sources: np.ndarray, lead_field: xr.DataArray, noise: EvokedNoise, n_parameters: int
) -> list[Goodness]:
    """Compare a measured response with simulated sources seen through the lead field, one after the other.

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
    n_parameters
        Parameters estimated from the response.
    """
    times = eeg["time"].values
    measured, gain = eeg.transpose("channel", "time").values, lead_field.squeeze("region").values
    temporal = replace(noise, times=times).temporal_covariance()
    after, in_space = times > 0, inverse_root(noise.covariance)
    in_time, before = whitening(temporal), whitening(temporal[np.ix_(~after, ~after)])
    power = (measured[:, after] ** 2).sum()
    weights, _ = spatial_filter(lead_field, noise)
    estimate = weights @ measured
    noise_share = np.trace(noise.covariance) * np.diag(temporal)[after].sum() / power
    ceiling = ((gain @ measured[:, after]) ** 2).sum() / (gain @ gain) / power
    baseline = ((in_space @ measured[:, ~after] @ before) ** 2).sum() / ((len(gain) - 1) * before.shape[1])
    dof = (len(gain) - 1) * in_time.shape[1] - n_parameters

    def judged(source: np.ndarray) -> Goodness:
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
            reduced_chi2=float(statistic / dof),
            degrees_of_freedom=dof,
            baseline_chi2=float(baseline),
            p_value=float(chi2.sf(allowed, dof)),
            verdict=_verdict(allowed / dof, dof, explained, noise_share),
        )

    return [judged(source) for source in sources]


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
    n_blocks = int((noise.times <= 0).sum()) // window.block
    if n_blocks == 0:
        return np.ones(eeg.shape[:-2])
    before = replace(window, start=0, n_blocks=n_blocks)
    found = before.average(inverse_root(noise.covariance) @ eeg)
    n_channels = found.shape[-2]
    expected = np.diag(before.covariance(noise.temporal_covariance())).mean() * (n_channels - 1) / n_channels
    return np.maximum(1.0, (found**2).mean(axis=(-2, -1)) / expected)


def _verdict(reduced: float, dof: int, explained: float, noise_share: float) -> Verdict:
    if reduced <= 1 + _CHANCE * np.sqrt(2 / dof):
        return "explained"
    return "partly explained" if explained > 0.5 * max(0.0, 1 - noise_share) else "not explained"
