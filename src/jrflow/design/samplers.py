"""Designs: which simulations a campaign consists of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from scipy.stats import qmc

from jrflow.config.campaigns import CampaignConfig
from jrflow.design.priors import Prior
from jrflow.model import MODEL

#: Independent scrambles of a Saltelli design. Their differences give the standard errors of Sobol indices.
#: With more of them the errors are known better, but each scramble holds fewer points: from 512 base
#: points on, intervals with 8 are as wide as with 16 or 32, or narrower (docs/science/sensitivity.md).
REPLICATES = 8


def make_design(
    campaign: CampaignConfig, prior: Prior, seed: int, *, replicates: int = REPLICATES
) -> xr.Dataset:
    """Lay out the simulations of a campaign.

    Parameters
    ----------
    campaign
        Kind and size of the design.
    prior
        What varies, and how.
    seed
        Seed of the draws; one-at-a-time has none.
    replicates
        Independent scrambles that share the base points of a saltelli design; designs of version 0.1 had 1.

    Returns
    -------
    Dataset over ``sim`` (int64 id): one float64 variable for every parameter of the model, in its unit, also
    over ``region`` if it differs between regions;
    for one-at-a-time also ``varied``, the index of the varied parameter in the attribute
    ``varied_names``. Rows of a saltelli design follow SALib's order without second-order terms:
    for each base point A, then A with column k of B for each k, then B. The replicates take turns: base
    point i is point ``i // replicates`` of scramble ``i % replicates``, so that a larger design begins with
    the smaller one; the attribute ``replicates`` holds their number if there are several.
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
        values = prior.ppf(_saltelli_cube(d, n, seed, replicates))
    design = _dataset(campaign, prior, seed, prior.values(values), len(values))
    if campaign.design == "saltelli" and replicates > 1:
        design.attrs["replicates"] = replicates
    return design


def _saltelli_cube(d: int, n: int, seed: int, replicates: int) -> np.ndarray:
    """Saltelli's extension of scrambled Sobol' sequences on the unit cube, shape (n * (d + 2), d).

    Scramble r is drawn with child r of ``SeedSequence(seed)``; a single one with the seed itself.
    """
    if replicates == 1:
        # As SALib passes it: scipy draws other scrambles from an integer than from a generator of that seed.
        engines = [qmc.Sobol(2 * d, seed=seed)]
    else:
        children = np.random.SeedSequence(seed).spawn(replicates)
        engines = [qmc.Sobol(2 * d, rng=np.random.default_rng(child)) for child in children]
    points = -(-n // replicates)
    bases = [engine.random(points) for engine in engines]
    base = np.stack(bases, axis=1)  # (point, replicate, 2 d): the replicates take turns
    cube = np.repeat(base[:, :, np.newaxis, :d], d + 2, axis=2)
    for k in range(d):
        cube[:, :, k + 1, k] = base[:, :, d + k]
    cube[:, :, -1] = base[:, :, d:]
    return cube.reshape(-1, d)[: n * (d + 2)]


def _one_at_a_time(campaign: CampaignConfig, prior: Prior, seed: int) -> xr.Dataset:
    """Step each parameter in turn from its low to its high end, the others at their defaults."""
    d = len(prior.names)
    values = np.tile([prior.defaults[name] for name in prior.names], (d, campaign.n, 1))
    for j in range(d):
        values[j, :, j] = np.linspace(prior.low[j], prior.high[j], campaign.n)
    columns = prior.values(values.reshape(-1, d))
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
        values = columns.get(name, np.full(n_rows, default))
        dims = ("sim", "region")[: values.ndim]
        design[name] = (dims, values, MODEL.space[name].attrs)
    design.attrs = {
        "design": campaign.design,
        "n": campaign.n,
        "seed": seed,
        "preset": prior.preset,
        "varied_names": list(prior.varied),
    }
    return design
