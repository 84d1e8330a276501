"""Variance-based sensitivity: first-order and total Sobol indices of named features."""

from __future__ import annotations

import numpy as np
import xarray as xr
from SALib.analyze import sobol

#: Confidence level of the intervals.
CONF_LEVEL = 0.95
#: Fewest complete groups from which indices are estimated.
MIN_GROUPS = 16


class TooFewSimulations(ValueError):
    """So many simulations failed that no index can be trusted."""


def sobol_indices(
    campaign: xr.Dataset, features: xr.Dataset, *, n_bootstrap: int = 200, seed: int = 0
) -> xr.Dataset:
    """Estimate how much of each feature's variance each parameter explains.

    Parameters
    ----------
    campaign
        Archive of a saltelli campaign: ``status`` and one coordinate per parameter over ``sim``;
        ``attrs["varied_names"]`` lists the parameters in the order of the design.
    features
        One variable per feature over ``sim``, joined to the campaign by simulation id. A missing
        simulation or a value that is not finite counts as undefined.
    n_bootstrap
        Resamples behind the confidence intervals.
    seed
        Seed of the resampling.

    Returns
    -------
    xr.Dataset
        Over (feature, parameter): ``S1``, ``ST`` and the half widths ``S1_conf``, ``ST_conf`` of
        their 95 % intervals; over feature: ``n_groups`` and ``fraction_dropped``. A group (one row of
        A, of B, and the mixed rows between) is used only whole. Indices are NaN for a feature that
        is constant or defined in too few groups.

    Raises
    ------
    ValueError
        If the campaign's rows are not those of a Saltelli design.
    TooFewSimulations
        If failed simulations leave fewer than 16 whole groups.

    Notes
    -----
    Estimators of Saltelli et al. 2010 (doi:10.1016/j.cpc.2009.09.018), computed by SALib.
    """
    names = list(campaign.attrs["varied_names"])
    campaign = campaign.sortby("sim")
    shape = _check_design(campaign, names)
    succeeded = (campaign["status"].values == 0).reshape(shape)
    if (n_whole := int(succeeded.all(axis=1).sum())) < MIN_GROUPS:
        raise TooFewSimulations(
            f"Sobol indices need at least {MIN_GROUPS} groups of {shape[1]} successful simulations, but "
            f"{n_whole} of {shape[0]} groups are whole ({(~succeeded).sum()} simulations failed); "
            "narrow the prior or enlarge the campaign"
        )

    features = features.reindex(sim=campaign["sim"])
    rows = []
    for name in features.data_vars:
        outputs = np.where(succeeded, features[name].values.reshape(shape), np.nan)
        rows.append(_indices(outputs, names, n_bootstrap, seed))
    return _label(xr.concat(rows, "feature"), features, n_bootstrap, seed)


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
        # A value can differ in its last bit by where it stood in a vectorised quantile function.
        if not np.allclose(rows[:, j + 1], expected, rtol=1e-9, atol=0):
            raise ValueError(
                f"the simulations are not in the order of a saltelli design: row {j + 1} of every {group} "
                f"should equal the first except in {name!r}, which it takes from the last; pass the "
                "campaign as designed, with its own simulation ids"
            )
    return n_sims // group, group


def _indices(outputs: np.ndarray, names: list[str], n_bootstrap: int, seed: int) -> xr.Dataset:
    """Analyse one feature, shape (n_groups, D + 2), NaN where undefined."""
    whole = outputs[np.isfinite(outputs).all(axis=1)]
    if len(whole) < MIN_GROUPS or np.ptp(whole) == 0:
        found = dict.fromkeys(("S1", "S1_conf", "ST", "ST_conf"), np.full(len(names), np.nan))
    else:
        found = sobol.analyze(
            {"num_vars": len(names), "names": names}, whole.ravel(), calc_second_order=False,
            num_resamples=n_bootstrap, conf_level=CONF_LEVEL, seed=seed + 1,  # SALib takes 0 for no seed
        )  # fmt: skip
    return xr.Dataset(
        {key: ("parameter", np.asarray(found[key])) for key in ("S1", "S1_conf", "ST", "ST_conf")}
        | {"n_groups": ((), len(whole)), "fraction_dropped": ((), 1 - len(whole) / len(outputs))},
        coords={"parameter": names},
    )


def _label(indices: xr.Dataset, features: xr.Dataset, n_bootstrap: int, seed: int) -> xr.Dataset:
    """Name and describe everything, so that the file can be read without this package."""
    long_names = {
        "S1": "first-order Sobol index", "S1_conf": "half width of the 95 % interval of S1",
        "ST": "total Sobol index", "ST_conf": "half width of the 95 % interval of ST",
        "n_groups": "groups of simulations used", "fraction_dropped": "fraction of groups dropped",
    }  # fmt: skip
    for name, long_name in long_names.items():
        indices[name].attrs = {"units": "1", "long_name": long_name}
    described = [features[name] for name in features.data_vars]
    indices = indices.assign_coords(
        feature=[str(name) for name in features.data_vars],
        feature_long_name=("feature", [str(f.attrs.get("long_name", f.name)) for f in described]),
        feature_units=("feature", [str(f.attrs.get("units", "1")) for f in described]),
    )
    return indices.assign_attrs(conf_level=CONF_LEVEL, n_bootstrap=n_bootstrap, seed=seed)
