"""R2 limit: the largest R2 that any method can reach, on average over the prior.

The model is deterministic and its noise is Gaussian, so the likelihood is exact. In Laplace's approximation
the posterior covariance at a draw is (F + P^-1)^-1. Here P is the prior covariance and F = J' N^-1 J is the
Fisher information, with the derivative J of the evoked response and the noise covariance N. The R2 limit is
1 - (mean posterior variance) / (prior variance).

Laplace's approximation is inaccurate if the posterior is far from Gaussian: at low signal-to-noise ratios,
and near the ends of a bounded prior. The posteriors of C and the contact probabilities are far from Gaussian
at every noise level; jrflow.limits.factors integrates over these parameters. If exact posteriors of some
cases are given, the limit is computed from them. Laplace variances at the same cases and at many other draws
then reduce the standard error of the limit (control variates).
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
    """Settings of the average over the prior; the section ``limits`` of a configuration has them."""

    @property
    def n_draws(self) -> int:
        """Number of draws from the prior."""
        ...

    @property
    def relative_step(self) -> float:
        """Half the step of the central differences, as a fraction of the parameter's value."""
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
    """R2 limit of every parameter and product at every noise level.

    Parameters
    ----------
    prior
        Prior distribution of the parameters that vary.
    lead_field
        Dims (channel, region) with a single region, uV/mV.
    levels
        Noise levels of the averaged response by name, at the times of the protocol.
    simulation
        Protocol, solver and time grid.
    config
        Number of draws, and step of the differences.
    seed
        Seed of the draws.
    reference
        Reference posteriors at the same levels (jrflow.inference.scoring.reference); None for Laplace's
        approximation.

    Returns
    -------
    xr.Dataset
        Variables over (noise, parameter):

        - ``r2_limit``: the R2 limit;
        - ``r2_limit_se``: its standard error over draws or cases;
        - ``r2_limit_mcse``: the part of this error that comes from sampling the posteriors (0 without exact
          posteriors);
        - ``r2_laplace``: the limit by Laplace's approximation;
        - ``r2_lost``: the R2 that is lost if estimators observe averages of samples (0 if the exact
          posteriors do not use averages).

        Variables over (noise):

        - ``unresolved``: share of cases whose posterior means have a Monte Carlo error above 5 % of the
          posterior standard deviation. Parts of their posteriors may be missing; the limit is then too high;
        - ``sd``: noise of the source estimate, mV.

        Attributes: ``n_draws``; ``n_dropped``, draws whose simulation failed; ``n_exact``, cases with exact
        posteriors; ``n_impossible``, draws, summed over the levels, that the limits of C and the contact
        probabilities leave out because all draws from their posterior are impossible.

    Raises
    ------
    ValueError
        If no draw could be simulated, the derivatives depend on the step, or the exact posteriors have no
        Monte Carlo errors.
    """
    if reference is not None and not {"variance_mcse", "resolved"} <= set(reference):
        raise ValueError(
            "expected exact posteriors with 'variance_mcse' and 'resolved', received exact posteriors of an "
            "earlier version: run the rule reference again"
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
    """Whitened derivatives (n, rank, n_parameters) of the data, from derivatives of one source."""
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
        See :func:`jrflow.limits.jacobian.source_jacobian`.
    parameters
        Parameters, shape (n, n_parameters). The variance is NaN if a simulation fails.
    observation
        Observation of one source.
    sd
        Noise of one sample, mV.
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
    """Variance of each target, (n, n_targets), from posterior covariances in prior standard deviations."""
    variance: np.ndarray = np.einsum("ntp,npq,ntq->nt", gradients, posterior, gradients, optimize=True)
    return variance


def _share_explained(after: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R2 and its standard error, shape (n_targets,), from variances (n, n_targets) with and without data.

    Both variances use the same approximation (products are linearised at the same draws: the delta method).
    Data without information therefore give an R2 of exactly 0.
    """
    ratio = after.mean(axis=0) / before.mean(axis=0)
    residual = after - ratio * before
    return 1 - ratio, residual.std(axis=0, ddof=1) / (np.sqrt(len(after)) * before.mean(axis=0))


def _factors(prior: Prior, draws: np.ndarray, seed: int) -> Factors | None:
    """Posteriors of C and the contact probabilities if all of them vary, else None."""
    coordinates = Coordinates.of(prior)
    return None if coordinates.products is None else Factors.of(coordinates, draws, seed)


def _with_factors(
    factors: Factors, whitened: np.ndarray, limit: np.ndarray, se: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """Replace Laplace's limit and its standard error, (n_targets,), for C and the contact probabilities.

    The third result is the number of draws without any possible posterior draw.
    """
    after, before = factors.variance(whitened), factors.variance_without
    possible = np.isfinite(after + before).all(axis=1)
    limit, se = limit.copy(), se.copy()
    columns = factors.coordinates.factors
    if possible.any():
        share, se[columns] = _share_explained(after[possible], before[possible])
        # An R2 below 0 is Monte Carlo error: the prior mean as an estimate already reaches 0.
        limit[columns] = np.maximum(share, 0)
    return limit, se, int((~possible).sum())


def _exact_limit(
    cases: xr.Dataset, control: np.ndarray, others: np.ndarray, prior: Prior
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """R2 limit, its standard error and the R2 lost by averaging, each (n_targets,), from exact posteriors.

    Laplace variances at the cases (``control``) and at other draws (``others``) reduce the standard error.
    Exact posteriors, like estimators, observe averages of samples. The variance that averaging adds is the
    difference of the Laplace variances with and without averaging. It is subtracted, and returned as a
    share of the prior variance.
    """
    lost = cases["laplace_variance"].values - control
    exact = cases["variance"].values - lost
    n, m = len(exact), len(others)
    away = control - control.mean(axis=0)
    spread = (away**2).sum(axis=0)
    slope = (away * (exact - exact.mean(axis=0))).sum(axis=0) / np.where(spread > 0, spread, 1)
    # Reduce the correction to its optimal share, because the mean over the other draws is uncertain too.
    slope *= m / (m + n)
    mean = exact.mean(axis=0) + slope * (others.mean(axis=0) - control.mean(axis=0))
    error = (exact - slope * control).var(axis=0, ddof=1) / n + slope**2 * others.var(axis=0, ddof=1) / m
    before = prior.target_sd**2
    return 1 - mean / before, np.sqrt(error) / before, lost.mean(axis=0) / before


def _monte_carlo_error(cases: xr.Dataset, prior: Prior) -> np.ndarray:
    """Standard error of the limit, (n_targets,), from sampling the posteriors of independent cases."""
    before = prior.target_sd**2
    error = cases["variance_mcse"].values
    # If no chain of a case moves, the case has no error estimate; it counts as unresolved.
    squares = np.where(np.isfinite(error), error, 0) ** 2
    mcse: np.ndarray = np.sqrt(squares.sum(axis=0)) / len(error) / before
    return mcse
