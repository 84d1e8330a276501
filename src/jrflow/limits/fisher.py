"""What any method could recover: Fisher information and prior, averaged over the prior.

The deterministic model in Gaussian noise has an exact likelihood. In Laplace's approximation the
posterior covariance at a draw is (F + P^-1)^-1, with the Fisher information F = J' N^-1 J of the
evoked response's derivative J in noise N, and the prior covariance P. The limit of R2 is one less the
mean posterior variance over the prior variance. It is approximate where the posterior is far from
Gaussian: at low signal-to-noise ratios, and towards the ends of a bounded prior.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from jrflow.config.analysis import LimitsConfig
from jrflow.config.simulation import SimulationConfig
from jrflow.design.priors import Prior
from jrflow.eeg.covariance import whitening
from jrflow.eeg.noise import EvokedNoise, spatial_filter
from jrflow.limits.jacobian import evoked_jacobian


def recovery_limits(
    prior: Prior,
    lead_field: xr.DataArray,
    levels: Mapping[str, EvokedNoise],
    simulation: SimulationConfig,
    config: LimitsConfig,
    seed: int,
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

    Returns
    -------
    xr.Dataset
        ``r2_limit`` and its standard error over draws ``r2_limit_se`` over (noise, parameter), and ``sd``
        (noise), the noise of the source estimate in mV. Attributes ``n_draws`` and ``n_dropped`` (draws
        whose simulation failed).

    Raises
    ------
    ValueError
        If no draw could be simulated, or the derivatives depend on the step.
    """
    draws = prior.sample(config.n_draws, seed)
    jacobian, kept = evoked_jacobian(prior, draws, simulation, config.relative_step)
    gradients = _target_gradients(prior, draws[kept])
    rows, sds = [], []
    for noise in levels.values():
        sds.append(spatial_filter(lead_field, noise)[1])
        whitened = whitening(noise.temporal_covariance()).T @ jacobian / sds[-1]
        rows.append(_share_explained(posterior_covariance(whitened), gradients))
    return xr.Dataset(
        {
            "r2_limit": (("noise", "parameter"), [row[0] for row in rows], {"units": "1"}),
            "r2_limit_se": (("noise", "parameter"), [row[1] for row in rows], {"units": "1"}),
            "sd": ("noise", sds, {"units": "mV", "long_name": "noise of the source estimate"}),
        },
        coords={"noise": list(levels), "parameter": [*prior.names, *prior.product_names]},
        attrs={
            "preset": prior.preset, "seed": seed, "relative_step": config.relative_step,
            "n_draws": int(kept.sum()), "n_dropped": int((~kept).sum()),
            "method": "Laplace: (Fisher information + inverse prior covariance)^-1",
        },
    )  # fmt: skip


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


def _target_gradients(prior: Prior, draws: np.ndarray) -> np.ndarray:
    """Derivative of each target per prior sd of each parameter, shape (n, n_targets, n_parameters)."""
    d = len(prior.names)
    gradients = np.zeros((len(draws), d + len(prior.product_names), d))
    gradients[:, np.arange(d), np.arange(d)] = prior.sd
    for row, product in enumerate(prior.product_names, start=d):
        i, j = prior.names.index("C"), prior.names.index(product.replace("C", "a"))
        gradients[:, row, i] = draws[:, j] * prior.sd[i]
        gradients[:, row, j] = draws[:, i] * prior.sd[j]
    return gradients


def _share_explained(posterior: np.ndarray, gradients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R2 and its standard error, shape (n_targets,).

    Both variances of a product are linearised at the same draws (delta method), so that data that say
    nothing give exactly 0.
    """
    after = np.einsum("ntp,npq,ntq->nt", gradients, posterior, gradients, optimize=True)
    before = np.einsum("ntp,ntp->nt", gradients, gradients)
    ratio = after.mean(axis=0) / before.mean(axis=0)
    residual = after - ratio * before
    return 1 - ratio, residual.std(axis=0, ddof=1) / (np.sqrt(len(after)) * before.mean(axis=0))
