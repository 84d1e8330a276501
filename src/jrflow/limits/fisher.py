"""The limit of what any method can recover: Fisher information and prior, averaged over the prior.

The deterministic model in Gaussian noise has an exact likelihood. In Laplace's approximation the
posterior covariance at a draw is (F + P^-1)^-1, with the Fisher information F = J' N^-1 J of the
evoked response's derivative J in noise N, and the prior covariance P. The limit of R2 is one less the
mean posterior variance over the prior variance. It is approximate where the posterior is far from
Gaussian: at low signal-to-noise ratios, and towards the ends of a bounded prior. C and the contact
probabilities are far from Gaussian whatever the noise; jrflow.limits.factors integrates over them. Where
exact posteriors of some cases are given, the limit is theirs, and Laplace variances at the same cases and at
many others reduce its standard error (as control variates).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import xarray as xr

from jrflow.config.simulation import SimulationConfig
from jrflow.design.priors import Prior
from jrflow.limits.factors import Factors
from jrflow.limits.jacobian import source_jacobian
from jrflow.observe.epoch import Epoch
from jrflow.observe.noise import EvokedNoise
from jrflow.observe.observation import Observation
from jrflow.space.scores import Coordinates


class Draws(Protocol):
    """Over what the posterior variance is averaged; the section ``limits`` of a configuration has both."""

    @property
    def n_draws(self) -> int:
        """Number of draws from the prior."""
        ...

    @property
    def relative_step(self) -> float:
        """Half step of the central differences, as a fraction of the parameter's value."""
        ...


def recovery_limits(
    prior: Prior,
    lead_field: xr.DataArray,
    levels: Mapping[str, EvokedNoise],
    simulation: SimulationConfig,
    config: Draws,
    seed: int,
    reference: xr.Dataset | None = None,
) -> xr.Dataset:
    """Largest attainable R2 of every parameter and product at every noise level.

    Parameters
    ----------
    prior
        Distribution of the parameters that vary.
    lead_field
        Dims (channel, region) with a single region, uV/mV.
    levels
        Noise of the averaged response by name, on the times of the protocol.
    simulation
        Protocol, solver and grid.
    config
        Number of draws, size of the step.
    seed
        Seed of the draws.
    reference
        Reference posteriors at the same levels (jrflow.inference.scoring.reference); None for Laplace's
        approximation.

    Returns
    -------
    xr.Dataset
        ``r2_limit`` over (noise, parameter), and its standard error over draws or cases, ``r2_limit_se``;
        ``r2_limit_mcse``, the part of that error that comes from sampling the posteriors (0 without exact
        posteriors); ``r2_laplace`` by Laplace's approximation; ``r2_lost``, the R2 that estimators lose that
        see averages of samples, if the exact posteriors are of such (else 0). Over (noise): ``unresolved``,
        the share of cases whose posterior means have a Monte Carlo error above 5 % of the posterior standard
        deviation: the limit may miss parts of their posteriors, and then is too high; ``sd``, the noise of
        the source estimate in mV. Attributes ``n_draws``, ``n_dropped`` (draws whose simulation failed),
        ``n_exact`` (cases of exact posteriors), ``n_impossible`` (over all levels, draws left out of the
        limits of C and the contact probabilities: no draw from their posterior is possible).

    Raises
    ------
    ValueError
        If no draw could be simulated, the derivatives depend on the step, or the exact posteriors lack their
        Monte Carlo errors.
    """
    if reference is not None and not {"variance_mcse", "resolved"} <= set(reference):
        raise ValueError(
            "expected exact posteriors with 'variance_mcse' and 'resolved', received some of an earlier "
            "version: run the rule reference again"
        )
    draws = prior.sample(config.n_draws, seed)
    n_exact = 0 if reference is None else reference.sizes["case"]
    if reference is not None:
        draws = np.concatenate([reference["true"].values[:, : len(prior.names)], draws])
    jacobian, kept = source_jacobian(prior, draws, simulation, config.relative_step)
    timing = simulation.timing
    gradients = prior.target_gradients(draws[kept])
    before = np.einsum("ntp,ntp->nt", gradients, gradients)
    is_case = np.arange(len(draws))[kept] < n_exact
    factors = None if reference is not None else _factors(prior, draws[kept], seed)
    rows, sds, shares, n_impossible = [], [], [], 0
    for name, noise in levels.items():
        epoch = Epoch(timing.times, timing.period, noise.processing)
        observation = Observation.of_electrodes("projected", lead_field, noise, epoch)
        sds.append(observation.sd)
        whitened = _whitened(jacobian, observation, observation.sd)
        after = _target_variance(posterior_covariance(whitened), gradients)
        laplace, se = _share_explained(after[~is_case], before[~is_case])
        limit, lost, mcse, unresolved = laplace, np.zeros_like(laplace), np.zeros_like(laplace), 0.0
        if factors is not None:
            limit, se, n = _with_factors(factors, whitened, laplace, se)
            n_impossible += n
        if reference is not None:
            cases = reference.sel(noise=name).isel(case=kept[:n_exact])
            limit, se, lost = _exact_limit(cases, after[is_case], after[~is_case], prior)
            mcse, unresolved = _monte_carlo_error(cases, prior), 1 - float(cases["resolved"].mean())
        rows.append((limit, se, laplace, lost, mcse))
        shares.append(unresolved)
    columns = {"r2_limit": 0, "r2_limit_se": 1, "r2_laplace": 2, "r2_lost": 3, "r2_limit_mcse": 4}
    return xr.Dataset(
        {
            **{
                name: (("noise", "parameter"), [row[k] for row in rows], {"units": "1"})
                for name, k in columns.items()
            },
            "unresolved": ("noise", shares, {"units": "1", "long_name": "share of unresolved posteriors"}),
            "sd": ("noise", sds, {"units": "mV", "long_name": "noise of the source estimate"}),
        },
        coords={"noise": list(levels), "parameter": list(prior.target_names)},
        attrs={
            "preset": prior.preset, "seed": seed, "relative_step": config.relative_step,
            "n_draws": int((~is_case).sum()), "n_dropped": int((~kept).sum()), "n_exact": int(is_case.sum()),
            "n_impossible": n_impossible,
            "method": "exact posteriors, Laplace's as control variates" if n_exact else
            "Laplace: (Fisher information + inverse prior covariance)^-1" + (
                "; C and contact probabilities integrated over the prior" if factors is not None else ""
            ),
        },
    )  # fmt: skip


def _whitened(jacobian: np.ndarray, observation: Observation, sd: float) -> np.ndarray:
    """Derivatives (n, rank, n_parameters) of the data in white noise, of those of one source."""
    return np.swapaxes(observation.whiten(observation.clean(jacobian[:, :, None])), 1, 2) / sd


def laplace_variance(
    prior: Prior,
    parameters: np.ndarray,
    simulation: SimulationConfig,
    relative_step: float,
    observation: Observation,
    sd: float,
) -> np.ndarray:
    """Posterior variance of the targets by Laplace's approximation, shape (n, n_targets), in their units.

    Parameters
    ----------
    prior, simulation, relative_step
        As of :func:`jrflow.limits.jacobian.source_jacobian`.
    parameters
        Where it is wanted, shape (n, n_parameters); NaN where a simulation fails.
    observation, sd
        Of one source; noise of one sample, mV.
    """
    jacobian, kept = source_jacobian(prior, parameters, simulation, relative_step)
    whitened = _whitened(jacobian, observation, sd)
    variance = np.full((len(parameters), len(prior.target_names)), np.nan)
    variance[kept] = _target_variance(
        posterior_covariance(whitened), prior.target_gradients(parameters[kept])
    )
    return variance


def posterior_covariance(whitened: np.ndarray) -> np.ndarray:
    """Laplace posterior covariance in units of the prior's standard deviations.

    Parameters
    ----------
    whitened
        Derivative of the whitened response per prior standard deviation of each parameter, shape
        (..., n_observed, n_parameters).

    Returns
    -------
    np.ndarray
        (J' J + 1)^-1, shape (..., n_parameters, n_parameters).
    """
    information = np.swapaxes(whitened, -1, -2) @ whitened
    inverse: np.ndarray = np.linalg.inv(information + np.eye(whitened.shape[-1]))
    return inverse


def _target_variance(posterior: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Variance of each target, (n, n_targets), of posterior covariances in prior standard deviations."""
    variance: np.ndarray = np.einsum("ntp,npq,ntq->nt", gradients, posterior, gradients, optimize=True)
    return variance


def _share_explained(after: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R2 and its standard error, shape (n_targets,), of variances (n, n_targets) with the data and without.

    Both use the same approximation (a product is linearised at the same draws: the delta method), so that
    data without information give exactly 0.
    """
    ratio = after.mean(axis=0) / before.mean(axis=0)
    residual = after - ratio * before
    return 1 - ratio, residual.std(axis=0, ddof=1) / (np.sqrt(len(after)) * before.mean(axis=0))


def _factors(prior: Prior, draws: np.ndarray, seed: int) -> Factors | None:
    """C and the contact probabilities where all of them vary, else None."""
    coordinates = Coordinates.of(prior)
    return None if coordinates.products is None else Factors.of(coordinates, draws, seed)


def _with_factors(
    factors: Factors, whitened: np.ndarray, limit: np.ndarray, se: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """Laplace's limit and its standard error, (n_targets,), replaced for C and the contact probabilities.

    The third result is the number of draws none of whose posterior draws is possible.
    """
    after, before = factors.variance(whitened), factors.variance_without
    possible = np.isfinite(after + before).all(axis=1)
    limit, se = limit.copy(), se.copy()
    columns = factors.coordinates.factors
    if possible.any():
        share, se[columns] = _share_explained(after[possible], before[possible])
        # The prior's mean has 0 already; what is below is the error of the draws.
        limit[columns] = np.maximum(share, 0)
    return limit, se, int((~possible).sum())


def _exact_limit(
    cases: xr.Dataset, control: np.ndarray, others: np.ndarray, prior: Prior
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """R2 and its standard error, shape (n_targets,), by exact variances and Laplace's at cases and at others.

    Exact posteriors are given averages of samples, as estimators are. The variance that averaging adds is the
    difference of Laplace's approximations to both; it is subtracted, and returned as a share of R2.
    """
    lost = cases["laplace_variance"].values - control
    exact = cases["variance"].values - lost
    n, m = len(exact), len(others)
    away = control - control.mean(axis=0)
    spread = (away**2).sum(axis=0)
    slope = (away * (exact - exact.mean(axis=0))).sum(axis=0) / np.where(spread > 0, spread, 1)
    # The others' mean is uncertain, too: the optimal share of the correction.
    slope *= m / (m + n)
    mean = exact.mean(axis=0) + slope * (others.mean(axis=0) - control.mean(axis=0))
    error = (exact - slope * control).var(axis=0, ddof=1) / n + slope**2 * others.var(axis=0, ddof=1) / m
    before = prior.target_sd**2
    return 1 - mean / before, np.sqrt(error) / before, lost.mean(axis=0) / before


def _monte_carlo_error(cases: xr.Dataset, prior: Prior) -> np.ndarray:
    """Standard error of the limit, (n_targets,), from sampling the posteriors of independent cases."""
    before = prior.target_sd**2
    error = cases["variance_mcse"].values
    # A case none of whose chains moves has no error; it is counted as unresolved.
    squares = np.where(np.isfinite(error), error, 0) ** 2
    mcse: np.ndarray = np.sqrt(squares.sum(axis=0)) / len(error) / before
    return mcse
