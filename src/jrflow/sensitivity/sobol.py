"""Variance-based sensitivity: first-order and total Sobol indices of features."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import xarray as xr
from SALib.analyze import sobol
from scipy.stats import norm, t as student

from jrflow.config.analysis import FEWEST_GROUPS
from jrflow.sensitivity.estimator import Estimates, estimate

#: Confidence level of the intervals.
CONF_LEVEL = 0.95
#: Largest fraction of dropped groups without a warning. Errors of indices were up to 0.013 with 0.9 % of the
#: groups dropped, and up to 0.027 with 2.2 % (docs/science/sensitivity.md).
MOST_DROPPED = 0.01


class TooFewSimulations(ValueError):
    """Too many simulations failed to compute reliable indices."""


class SensitivityWarning(UserWarning):
    """Indices or intervals are valid only under a condition."""


def sobol_indices(
    campaign: xr.Dataset, features: xr.Dataset, *, n_bootstrap: int = 200, seed: int = 0
) -> xr.Dataset:
    """Estimate the share of each feature's variance that each parameter explains.

    Parameters
    ----------
    campaign
        Archive of a saltelli campaign: ``status`` and one coordinate per parameter over ``sim``;
        ``attrs["varied_names"]`` lists the parameters in the order of the design, ``attrs["replicates"]``
        is the number of independent scrambles, which alternate (1 if absent, as in version 0.1).
    features
        One variable per feature over ``sim``, matched to the campaign by simulation id. Missing simulations
        and values that are not finite count as undefined.
    n_bootstrap, seed
        Number of resamples, and their seed, for campaigns with one scramble; not used with several scrambles.

    Returns
    -------
    xr.Dataset
        Over (feature, parameter): ``S1``, ``ST``, their standard errors ``S1_se``, ``ST_se`` and the half
        widths ``S1_conf``, ``ST_conf`` of their 95 % intervals. Over feature: ``n_groups``, the number of
        complete groups; ``n_replicates``, the number of scrambles with at least one complete group;
        ``fraction_dropped``. Over (feature, replicate): ``fraction_dropped_by_replicate``. A group consists
        of a row of A, a row of B and the mixed rows between them; only complete groups are used. Indices are
        NaN for a feature that is constant or defined in too few groups. The attribute ``interval`` is the
        method of the intervals: ``scrambles`` or ``bootstrap``.

    Raises
    ------
    ValueError
        If the campaign's rows are not those of a Saltelli design.
    TooFewSimulations
        If there are fewer than 16 complete groups because simulations failed.

    Warns
    -----
    SensitivityWarning
        If more than 1 % of the groups are dropped for a feature: the indices then describe only the
        parameters for which all simulations of a group succeed. Also if the campaign has one scramble:
        bootstrap intervals are not calibrated.

    Notes
    -----
    Estimators of Saltelli et al. 2010 (doi:10.1016/j.cpc.2009.09.018). Intervals use Student's t distribution
    over the scrambles, with (number of scrambles - 1) degrees of freedom.
    """
    names = list(campaign.attrs["varied_names"])
    replicates = int(campaign.attrs.get("replicates", 1))
    campaign = campaign.sortby("sim")
    shape = _check_design(campaign, names)
    succeeded = (campaign["status"].values == 0).reshape(shape)
    if (n_whole := int(succeeded.all(axis=1).sum())) < FEWEST_GROUPS:
        raise TooFewSimulations(
            f"Sobol indices need at least {FEWEST_GROUPS} groups of {shape[1]} successful simulations, but "
            f"{n_whole} of {shape[0]} groups are whole ({(~succeeded).sum()} simulations failed); "
            "narrow the prior or enlarge the campaign"
        )
    features = features.reindex(sim=campaign["sim"])
    outputs = np.stack([features[name].values.reshape(shape) for name in features.data_vars], axis=-1)
    outputs = np.where(succeeded[..., np.newaxis], outputs, np.nan)
    replicate = np.arange(shape[0]) % replicates
    indices = _indices(outputs, replicate, replicates, n_bootstrap, seed)
    _warn(indices, [str(name) for name in features.data_vars])
    return _label(indices.assign_coords(parameter=names), features)


def _check_design(campaign: xr.Dataset, names: list[str]) -> tuple[int, int]:
    """Confirm that the rows run A, AB_1 .. AB_D, B in every group; return (n_groups, D + 2)."""
    group = len(names) + 2
    n_sims = campaign.sizes["sim"]
    if n_sims % group:
        raise ValueError(
            f"a saltelli campaign of {len(names)} parameters has a multiple of {group} simulations, but "
            f"{n_sims} were given; pass the whole campaign, failed simulations included"
        )
    rows = np.stack([campaign[name].values for name in names], axis=-1).reshape(-1, group, len(names))
    first, last = rows[:, 0], rows[:, -1]
    for j, name in enumerate(names):
        expected = first.copy()
        expected[:, j] = last[:, j]
        # The last bit of a value can depend on its position in a vectorised quantile function.
        if not np.allclose(rows[:, j + 1], expected, rtol=1e-9, atol=0):
            raise ValueError(
                f"the simulations are not in the order of a saltelli design: row {j + 1} of every {group} "
                f"should equal the first except in {name!r}, which it takes from the last; pass the "
                "campaign as designed, with its own simulation ids"
            )
    return n_sims // group, group


def _indices(
    outputs: np.ndarray, replicate: np.ndarray, replicates: int, n_bootstrap: int, seed: int
) -> xr.Dataset:
    """Indices, errors and counts of outputs of shape (n_groups, D + 2, n_features)."""
    whole = np.isfinite(outputs).all(axis=1)  # (n_groups, n_features)
    estimated = estimate(outputs, replicate, replicates)
    if replicates > 1:
        widths = student.ppf(0.5 + CONF_LEVEL / 2, np.maximum(estimated.n_replicates - 1, 1))
        attrs = {"interval": "scrambles", "replicates": replicates}
    else:
        widths = np.full(outputs.shape[-1], norm.ppf(0.5 + CONF_LEVEL / 2))
        estimated = _bootstrapped(estimated, outputs, whole, n_bootstrap, seed)
        attrs = {"interval": "bootstrap", "replicates": 1, "n_bootstrap": n_bootstrap, "seed": seed}
    n_groups = whole.sum(axis=0)
    enough = n_groups >= FEWEST_GROUPS
    dropped = np.stack([1 - whole[replicate == r].mean(axis=0) for r in range(replicates)], axis=-1)
    found = {
        "S1": estimated.first, "S1_se": estimated.first_se, "S1_conf": estimated.first_se * widths,
        "ST": estimated.total, "ST_se": estimated.total_se, "ST_conf": estimated.total_se * widths,
    }  # fmt: skip
    return xr.Dataset(
        {key: (("feature", "parameter"), np.where(enough, value, np.nan).T) for key, value in found.items()}
        | {
            "n_groups": ("feature", n_groups),
            "n_replicates": ("feature", estimated.n_replicates),
            "fraction_dropped": ("feature", 1 - whole.mean(axis=0)),
            "fraction_dropped_by_replicate": (("feature", "replicate"), dropped),
        },
        attrs={"conf_level": CONF_LEVEL} | attrs,
    )


def _bootstrapped(
    estimated: Estimates, outputs: np.ndarray, whole: np.ndarray, n_bootstrap: int, seed: int
) -> Estimates:
    """The same estimates, with standard errors from SALib's bootstrap over base points."""
    n_parameters = outputs.shape[1] - 2
    errors = np.full((2, n_parameters, outputs.shape[-1]), np.nan)
    problem = {"num_vars": n_parameters, "names": [str(k) for k in range(n_parameters)]}
    for k in range(outputs.shape[-1]):
        values = outputs[whole[:, k], :, k]
        if len(values) < FEWEST_GROUPS or np.ptp(values) == 0:
            continue
        found = sobol.analyze(
            problem, values.ravel(), calc_second_order=False, num_resamples=n_bootstrap,
            conf_level=CONF_LEVEL, seed=seed + 1,  # SALib treats 0 as no seed
        )  # fmt: skip
        errors[:, :, k] = np.stack([found["S1_conf"], found["ST_conf"]]) / norm.ppf(0.5 + CONF_LEVEL / 2)
    return estimated._replace(first_se=errors[0], total_se=errors[1])


def _warn(indices: xr.Dataset, features: list[str]) -> None:
    """Warn of dropped groups, and of intervals that are not calibrated."""
    dropped = indices["fraction_dropped"].values
    many = [f"{name} {f:.1%}" for name, f in zip(features, dropped, strict=True) if f > MOST_DROPPED]
    if many:
        warnings.warn(
            f"groups were dropped because a simulation failed or a feature is undefined: {', '.join(many)}. "
            "Their indices describe only the parameters for which every simulation of a group succeeds; they "
            "are biased if failures depend on the parameters. Narrow the prior to avoid failures",
            SensitivityWarning,
            stacklevel=3,
        )
    if indices.attrs["interval"] == "bootstrap":
        warnings.warn(
            "the campaign has a single scramble, as in version 0.1, so there is no independent error of its "
            "indices. Its intervals are from a bootstrap; they can be several times too wide or too narrow. "
            "Simulate the campaign again, under another name, for errors from independent scrambles",
            SensitivityWarning,
            stacklevel=3,
        )


def _label(indices: xr.Dataset, features: xr.Dataset) -> xr.Dataset:
    """Add names, units and descriptions, so that the file can be read without this package."""
    source = {"scrambles": "between independent scrambles", "bootstrap": "by bootstrap over base points"}
    by = source[indices.attrs["interval"]]
    long_names: Mapping[str, str] = {
        "S1": "first-order Sobol index", "ST": "total Sobol index",
        "S1_se": f"standard error of S1 {by}", "ST_se": f"standard error of ST {by}",
        "S1_conf": f"half width of the 95 % interval of S1 {by}",
        "ST_conf": f"half width of the 95 % interval of ST {by}",
        "n_groups": "groups of simulations used", "n_replicates": "scrambles used",
        "fraction_dropped": "fraction of groups dropped",
        "fraction_dropped_by_replicate": "fraction of groups dropped, of each scramble",
    }  # fmt: skip
    for name, long_name in long_names.items():
        indices[name].attrs = {"units": "1", "long_name": long_name}
    described = [features[name] for name in features.data_vars]
    return indices.assign_coords(
        feature=[str(name) for name in features.data_vars],
        feature_long_name=("feature", [str(f.attrs.get("long_name", f.name)) for f in described]),
        feature_units=("feature", [str(f.attrs.get("units", "1")) for f in described]),
    )
