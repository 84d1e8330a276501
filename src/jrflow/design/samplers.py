"""Designs: which simulations a campaign consists of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from SALib.sample import sobol as salib_sobol
from scipy.stats import qmc

from jrflow.config.campaigns import CampaignConfig
from jrflow.design.priors import Prior
from jrflow.model.parameters import ALL_PARAMETERS


def make_design(campaign: CampaignConfig, prior: Prior, seed: int) -> xr.Dataset:
    """Lay out the simulations of a campaign.

    Parameters
    ----------
    campaign
        Kind and size of the design.
    prior
        What varies, and how.
    seed
        Seed of the draws; one-at-a-time has none.

    Returns
    -------
    Dataset over ``sim`` (int64 id): one float64 variable for every parameter of the model, in its unit;
    for one-at-a-time also ``varied``, the index of the varied parameter in the attribute
    ``varied_names``. Rows of a saltelli design follow SALib's order without second-order terms:
    for each base point A, then A with column k of B for each k, then B.
    """
    n, d = campaign.n, len(prior.names)
    if campaign.design == "one-at-a-time":
        return _one_at_a_time(campaign, prior, seed)
    if campaign.design == "prior":
        values = prior.sample(n, seed)
    elif campaign.design == "lhs":
        values = prior.ppf(qmc.LatinHypercube(d, rng=np.random.default_rng(seed)).random(n))
    elif campaign.design == "sobol-sequence":
        values = prior.ppf(qmc.Sobol(d, rng=np.random.default_rng(seed)).random(n))
    else:
        values = prior.ppf(_saltelli_cube(prior.names, n, seed))
    columns = dict(zip(prior.names, values.T, strict=True))
    return _dataset(campaign, prior, seed, columns, len(values))


def _saltelli_cube(names: tuple[str, ...], n: int, seed: int) -> np.ndarray:
    """Saltelli's extension of the Sobol' sequence on the unit cube, shape (n * (d + 2), d)."""
    problem = {"num_vars": len(names), "names": list(names), "bounds": [[0.0, 1.0]] * len(names)}
    cube: np.ndarray = salib_sobol.sample(problem, n, calc_second_order=False, seed=seed)
    return cube


def _one_at_a_time(campaign: CampaignConfig, prior: Prior, seed: int) -> xr.Dataset:
    """Step each parameter in turn from its low to its high end, the others at their defaults."""
    d = len(prior.names)
    values = np.tile([prior.defaults[name] for name in prior.names], (d, campaign.n, 1))
    for j in range(d):
        values[j, :, j] = np.linspace(prior.low[j], prior.high[j], campaign.n)
    columns = dict(zip(prior.names, values.reshape(-1, d).T, strict=True))
    design = _dataset(campaign, prior, seed, columns, d * campaign.n)
    varied = np.repeat(np.arange(d, dtype=np.int8), campaign.n)
    flags = {"flag_values": list(range(d)), "flag_meanings": " ".join(prior.names)}
    design["varied"] = ("sim", varied, {"long_name": "parameter that is varied"} | flags)
    return design


def _dataset(
    campaign: CampaignConfig, prior: Prior, seed: int, columns: Mapping[str, np.ndarray], n_rows: int
) -> xr.Dataset:
    """Label the columns and add the parameters that stay at their defaults."""
    sim = ("sim", np.arange(n_rows, dtype=np.int64), {"long_name": "simulation"})
    design = xr.Dataset(coords={"sim": sim})
    for name, default in prior.defaults.items():
        parameter, values = ALL_PARAMETERS[name], columns.get(name, np.full(n_rows, default))
        design[name] = ("sim", values, {"units": parameter.unit, "long_name": parameter.long_name})
    design.attrs = {
        "design": campaign.design,
        "n": campaign.n,
        "seed": seed,
        "preset": prior.preset,
        "varied_names": list(prior.names),
    }
    return design
