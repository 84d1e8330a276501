"""Check whether a network can be used for a recording with other processing than in its training.

Filters, baseline and times of a recording may differ from those in training. The criterion is the coverage
of the intervals. The model is linearised around draws from the prior. This gives the coverage of 90 %
intervals that are correct in training, if responses and noise are those of the recording.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import norm

from jrflow.design import Prior
from jrflow.inference.training.calibration import COVERAGE
from jrflow.inference.training.model import Description
from jrflow.limits.jacobian import source_jacobian
from jrflow.model.plausible import unremarked
from jrflow.observe.epoch import Epoch
from jrflow.observe.noise import EvokedNoise
from jrflow.observe.observation import Observation, temporal_covariance
from jrflow.observe.processing import Processing
from jrflow.observe.window import Window
from jrflow.simulation import simulate

#: Number of draws from the prior around which the model is linearised; step relative to the parameters.
_N_DRAWS, _STEP = 40, 1e-3
#: Largest accepted difference of the expected coverage from the nominal coverage.
_TOLERANCE = 0.03
#: Variance added to covariances, as a fraction of their mean variance: filters and baseline correction make
#: them singular.
_JITTER = 1e-6


@dataclass(frozen=True)
class Match:
    """Expected accuracy of a network's intervals for a recording.

    Attributes
    ----------
    coverage
        Expected coverage of 90 % intervals, by name of the parameter.
    power
        Variance of the noise in the network's input, in directions that matter for the parameters, relative
        to that in training at the same noise of one sample.
    """

    coverage: dict[str, float]
    power: float

    @property
    def worst(self) -> str:
        """Name of the parameter whose coverage differs most from the nominal coverage."""
        return max(self.coverage, key=lambda name: abs(self.coverage[name] - COVERAGE))

    @property
    def agrees(self) -> bool:
        """Whether estimates and intervals are valid."""
        return abs(self.coverage[self.worst] - COVERAGE) <= _TOLERANCE


def held(times: np.ndarray, d: Description) -> np.ndarray:
    """Samples of a response for all blocks of the network; the last sample is repeated if the end is missing.

    At most one block may be missing, for instance if the epoch is not a multiple of the sampling interval.

    Parameters
    ----------
    times
        Times of the response, s; a part of the model's times.
    d
        Description of the model.

    Returns
    -------
    np.ndarray
        Positions in ``times``, (n,).
    """
    step = 1 / d.simulation.sfreq
    wanted = np.arange(times[0], d.simulation.timing.times[-1] + step / 2, step)
    n_missing = len(wanted) - len(times)
    block = round(d.simulation.sfreq / d.training.sfreq)
    spaced = len(times) > 1 and abs((times[-1] - times[0]) / (len(times) - 1) / step - 1) < 1e-6
    return np.arange(len(times) + n_missing * (spaced and 0 < n_missing <= block)).clip(max=len(times) - 1)


def match(d: Description, noise: EvokedNoise, observation: Observation, seed: int = 0) -> Match | None:
    """Compare the observation of a recording with the observations in training.

    Parameters
    ----------
    d
        Description of the model.
    noise
        Noise of the recording at its own times, with its own processing.
    observation
        Observation of the recording: averages over blocks, with samples from :func:`held`.
    seed
        Seed of the draws.

    Returns
    -------
    Match | None
        Expected accuracy of the intervals; None if processing and times do not differ.
    """
    timing, trained = d.simulation.timing, Processing.of(d.processing)
    full, theirs = timing.times, observation.epoch
    n_held = len(full) if theirs.held is None else len(theirs.held)
    if n_held == len(full) == len(noise.times) and _same(noise.processing, trained, full):
        return None
    ours = Epoch(full, timing.period, trained, window=Window.of(full, d.training.sfreq, d.training.tmin))
    names, source, slopes = _linearised(d.model_dump_json(), seed)
    slope = np.swapaxes(ours.clean(slopes), 1, 2)
    shift = theirs.clean(source) - ours.clean(source)
    variance = observation.sd**2
    claimed = variance * _regular(temporal_covariance(_trained_noise(noise, trained, full), ours))
    actual = variance * _regular(observation.temporal)
    power = 1.0
    for _ in range(3):  # iterate: intervals, and the directions that matter for them, depend on the power
        gain, inverse = _estimator(slope, power * claimed)
        power = _along(gain, inverse, actual) / _along(gain, inverse, claimed)
    return Match(_coverage(names, slope, shift, power * claimed, actual), power)


def require_match(d: Description, noise: EvokedNoise, found: Match) -> None:
    """Refuse a recording for which the network's intervals are not valid.

    Raises
    ------
    ValueError
        If intervals are not valid. The message describes the processing of the recording and in training, and
        the configuration to train for the recording.
    """
    if found.agrees:
        return
    trained, full = Processing.of(d.processing), d.simulation.timing.times
    its = noise.processing.at(d.simulation.sfreq)
    its = _with_baseline(its, noise.times)
    covered = f"{noise.times[0]:.3f}..{noise.times[-1]:.3f} s of {full[0]:.3f}..{full[-1]:.3f} s"
    rate = "" if its.sfreq is None else f", recorded at {its.sfreq:g} Hz"
    wanted = its.as_yaml().replace("\n", "\n  ")
    raise ValueError(
        f"the recording was processed differently from the simulations of model {d.campaign!r}, and its "
        f"intervals would be wrong: 90 % intervals of {found.worst} would contain the true value in "
        f"{found.coverage[found.worst]:.0%} of cases.\n"
        f"  recording: {its}{rate}; times {covered}\n"
        f"  training:  {trained}\n"
        f"Process the recording as in the training, or train a model for this processing:\n  {wanted}"
    )


def _with_baseline(its: Processing, times: np.ndarray) -> Processing:
    """Restrict the baseline to the times that the recording covers."""
    baseline = its.baseline_of(times)
    if baseline is None:
        return its
    inside = times[baseline]
    return its.replace(baseline=(round(float(inside[0]), 6), round(float(inside[-1]), 6)))


def _same(one: Processing, other: Processing, times: np.ndarray) -> bool:
    """Whether two kinds of processing have the same effect at the model's times."""
    sfreq = (len(times) - 1) / (times[-1] - times[0])
    a, b = (each.at(sfreq).replace(baseline=None) for each in (one, other))
    if a != b:
        return False
    if one.baseline is None or other.baseline is None:
        return one.baseline is other.baseline
    return np.array_equal(one.baseline_of(times), other.baseline_of(times))  # type: ignore[arg-type]


def _trained_noise(noise: EvokedNoise, trained: Processing, times: np.ndarray) -> EvokedNoise:
    """Noise in training, with the number and overlap of epochs of the recording."""
    period = noise.period if noise.period < len(noise.times) else len(times)
    return EvokedNoise(noise.covariance, noise.n_averages, times, period, trained)


@lru_cache(maxsize=4)
def _linearised(description: str, seed: int) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Parameters, sources of draws, mV, (n, n_times), and derivatives, (n, d, n_times).

    Derivatives are with respect to standardised parameters. The description is JSON text, so that the cache
    works and all responses of a file share the simulations.
    """
    d = Description.model_validate_json(description)
    prior = Prior.of(d.prior, d.preset)
    draws = prior.sample(_N_DRAWS, seed)
    slopes, kept = source_jacobian(prior, draws, d.simulation, _STEP)
    settings = d.simulation.column_arguments(d.preset)
    with unremarked():
        ds = simulate(dict(zip(prior.names, draws[kept].T, strict=True)), **settings)
    return prior.names, ds["source"].values[:, 0].astype(float), slopes


def _regular(covariance: np.ndarray) -> np.ndarray:
    regular: np.ndarray = covariance + _JITTER * np.diag(covariance).mean() * np.eye(len(covariance))
    return regular


def _estimator(slope: np.ndarray, claimed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gains of the best linear estimators, (n, d, n_blocks), and their posterior precisions, (n, d, d)."""
    weighted = np.swapaxes(slope, 1, 2) @ np.linalg.inv(claimed)
    precision = weighted @ slope + np.eye(slope.shape[2])
    return np.linalg.solve(precision, weighted), precision


def _along(gain: np.ndarray, precision: np.ndarray, covariance: np.ndarray) -> float:
    """Mean variance of the estimates because of noise, relative to the posterior variance."""
    return float(np.einsum("nib,bc,njc,nij->n", gain, covariance, gain, precision, optimize=True).mean())


def _coverage(
    names: tuple[str, ...], slope: np.ndarray, shift: np.ndarray, claimed: np.ndarray, actual: np.ndarray
) -> dict[str, float]:
    """Expected coverage, by name, of 90 % intervals made for ``claimed`` noise, if noise is ``actual``.

    ``shift`` is the difference between responses of the recording and of the training.
    """
    gain, precision = _estimator(slope, claimed)
    variance = np.diagonal(np.linalg.inv(precision), axis1=1, axis2=2)
    sd = np.sqrt(variance)
    bias = np.einsum("nib,nb->ni", gain, shift) / sd
    more = np.einsum("nib,bc,nic->ni", gain, actual - claimed, gain, optimize=True) / variance
    spread = np.sqrt(np.maximum(1 + more, 1e-6))
    z = norm.ppf((1 + COVERAGE) / 2)
    found = norm.cdf((z - bias) / spread) - norm.cdf((-z - bias) / spread)
    return dict(zip(names, found.mean(axis=0).tolist(), strict=True))
