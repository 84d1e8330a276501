"""Sobol indices: published values, SALib's own, failures and wrong inputs."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr
from SALib.analyze import sobol as salib_analyze
from SALib.sample import sobol as salib_sample
from SALib.test_functions import Ishigami
from scipy.stats import t as student

from jrflow.config.analysis import FEWEST_GROUPS
from jrflow.design import REPLICATES
from jrflow.sensitivity.sobol import SensitivityWarning, TooFewSimulations, sobol_indices

# Most of these campaigns are one scramble, and some lack groups: that both are warned of has its own tests.
pytestmark = pytest.mark.filterwarnings("ignore::jrflow.sensitivity.sobol.SensitivityWarning")

NAMES = ["x1", "x2", "x3"]
PROBLEM = {"num_vars": 3, "names": NAMES, "bounds": [[-np.pi, np.pi]] * 3}

#: Ishigami & Homma 1990 with a = 7, b = 0.1, analytically.
ISHIGAMI_S1 = [0.3139, 0.4424, 0.0]
ISHIGAMI_ST = [0.5576, 0.4424, 0.2437]


def make_campaign(n: int = 1024, seed: int = 3) -> xr.Dataset:
    rows = salib_sample.sample(PROBLEM, n, calc_second_order=False, seed=seed)
    coords = {name: ("sim", rows[:, j]) for j, name in enumerate(NAMES)}
    return xr.Dataset(
        {"status": ("sim", np.zeros(len(rows), np.int8))},
        coords=coords | {"sim": np.arange(len(rows))},
        attrs={"varied_names": NAMES},
    )


def make_replicated(n: int = 256, seed: int = 3) -> xr.Dataset:
    """A campaign of several scrambles that take turns, as jrflow designs it."""
    scrambles = [make_campaign(n // REPLICATES, seed + r) for r in range(REPLICATES)]
    rows = {
        name: np.stack([s[name].values.reshape(-1, 5) for s in scrambles], axis=1).reshape(-1)
        for name in NAMES
    }
    campaign = make_campaign(n)
    return campaign.assign_coords({k: ("sim", v) for k, v in rows.items()}).assign_attrs(
        replicates=REPLICATES
    )


def ishigami(campaign: xr.Dataset) -> xr.Dataset:
    outputs = Ishigami.evaluate(np.stack([campaign[name].values for name in NAMES], axis=1))
    attrs = {"units": "uV", "long_name": "Ishigami function"}
    return xr.Dataset({"y": ("sim", outputs, attrs)}, coords={"sim": campaign["sim"].values})


def test_ishigami_published_values():
    campaign = make_campaign(4096)
    indices = sobol_indices(campaign, ishigami(campaign)).sel(feature="y")
    np.testing.assert_allclose(indices["S1"], ISHIGAMI_S1, atol=0.02)
    np.testing.assert_allclose(indices["ST"], ISHIGAMI_ST, atol=0.02)
    assert (abs(indices["S1"] - ISHIGAMI_S1) <= 1.5 * indices["S1_conf"]).all()


def test_intervals_are_students_over_scrambles():
    campaign = make_replicated(512)
    indices = sobol_indices(campaign, ishigami(campaign)).sel(feature="y")
    assert indices.attrs["interval"] == "scrambles"
    assert indices.attrs["replicates"] == indices["n_replicates"].item() == REPLICATES
    width = student.ppf(0.975, REPLICATES - 1)
    for kind in ("S1", "ST"):
        np.testing.assert_allclose(indices[f"{kind}_conf"], width * indices[f"{kind}_se"], rtol=1e-12)
    # Analysed one by one, the scrambles differ by as much as the error claims.
    groups = np.arange(campaign.sizes["sim"]) // 5
    alone = [
        sobol_indices(part.assign_attrs(replicates=1), ishigami(part), n_bootstrap=10).sel(feature="y")["ST"]
        for r in range(REPLICATES)
        for part in [campaign.isel(sim=groups % REPLICATES == r)]
    ]
    spread = np.std(np.stack(alone), axis=0, ddof=1) / np.sqrt(REPLICATES)
    np.testing.assert_allclose(indices["ST_se"], spread, rtol=0.35)


def test_neither_resamples_nor_seed_change_errors_between_scrambles():
    campaign = make_replicated()
    first = sobol_indices(campaign, ishigami(campaign), n_bootstrap=10, seed=0)
    xr.testing.assert_identical(first, sobol_indices(campaign, ishigami(campaign), n_bootstrap=99, seed=5))


@pytest.mark.filterwarnings("error")
def test_several_whole_scrambles_need_no_warning():
    campaign = make_replicated()
    sobol_indices(campaign, ishigami(campaign))


def test_one_scramble_has_bootstrap_intervals_and_they_are_called_so():
    """As in archives of version 0.1."""
    campaign = make_campaign(64)
    with pytest.warns(SensitivityWarning, match="no independent error"):
        indices = sobol_indices(campaign, ishigami(campaign))
    assert indices.attrs["interval"] == "bootstrap"
    assert "bootstrap" in indices["S1_conf"].attrs["long_name"]


def test_dropped_groups_are_counted_by_scramble_and_warned_of():
    """3 of 256 groups, all in scramble 1; fewer than 1 % pass without a warning."""
    campaign = make_replicated()
    failed = [5 * (1 + REPLICATES * k) + 2 for k in range(3)]
    campaign["status"][failed] = 2
    with pytest.warns(SensitivityWarning, match=r"dropped .* y 1\.2%"):
        indices = sobol_indices(campaign, ishigami(campaign)).sel(feature="y")
    expected = np.zeros(REPLICATES)
    expected[1] = 3 * REPLICATES / 256
    np.testing.assert_allclose(indices["fraction_dropped_by_replicate"], expected)
    campaign["status"][failed[1:]] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error", SensitivityWarning)
        assert sobol_indices(campaign, ishigami(campaign))["n_groups"].item() == 255


def test_dropping_groups_conditions_on_success():
    """Where failures depend on the output, the indices change: the reason for the warning."""
    campaign = make_replicated(4096)
    features = ishigami(campaign)
    all_ = sobol_indices(campaign, features).sel(feature="y")
    campaign["status"][features["y"].values > np.quantile(features["y"], 0.98)] = 2
    some = sobol_indices(campaign, features).sel(feature="y")
    assert 0.05 < some["fraction_dropped"] < 0.1
    assert abs(some["ST"] - all_["ST"]).max() > 0.05


@pytest.mark.parametrize("seed", [0, 7])
def test_equals_salib(seed):
    campaign = make_campaign(256)
    features = ishigami(campaign)
    ours = sobol_indices(campaign, features, n_bootstrap=50, seed=seed).sel(feature="y")
    salib = salib_analyze.analyze(
        PROBLEM, features["y"].values, calc_second_order=False, num_resamples=50, seed=seed + 1
    )
    for key in ("S1", "S1_conf", "ST", "ST_conf"):
        np.testing.assert_allclose(ours[key], salib[key], rtol=1e-12, err_msg=key)


def test_seed_zero_is_a_seed():
    campaign = make_campaign(64)
    first = sobol_indices(campaign, ishigami(campaign), seed=0)
    xr.testing.assert_identical(first, sobol_indices(campaign, ishigami(campaign), seed=0))
    assert not first["S1_conf"].equals(sobol_indices(campaign, ishigami(campaign), seed=1)["S1_conf"])


def test_inert_parameter_has_no_effect():
    campaign = make_campaign(512)
    features = xr.Dataset(
        {"y": ("sim", (campaign["x1"] + campaign["x2"] ** 3).values)}, coords={"sim": campaign["sim"]}
    )
    indices = sobol_indices(campaign, features).sel(feature="y")
    assert abs(indices["ST"].sel(parameter="x3")) < 1e-12
    assert indices["ST"].sel(parameter="x1") > 0.01


def test_joined_by_simulation_id_not_by_position():
    campaign = make_campaign(64)
    features = ishigami(campaign)
    shuffled = features.isel(sim=np.random.default_rng(0).permutation(features.sizes["sim"]))
    xr.testing.assert_identical(sobol_indices(campaign, features), sobol_indices(campaign, shuffled))


def test_failed_simulations_drop_their_whole_group():
    campaign = make_campaign(64)
    features = ishigami(campaign)
    campaign["status"][7] = 2  # group 1: rows 5..9
    features["y"][7] = 1e30  # a failed simulation's value must never count
    failed = sobol_indices(campaign, features, n_bootstrap=20)
    kept = np.r_[0:5, 10:320]
    salib = salib_analyze.analyze(
        PROBLEM, features["y"].values[kept], calc_second_order=False, num_resamples=20, seed=1
    )
    np.testing.assert_allclose(failed["ST"].sel(feature="y"), salib["ST"], rtol=1e-12)
    assert failed["n_groups"].item() == 63
    assert failed["fraction_dropped"].item() == pytest.approx(1 / 64)


def test_undefined_and_missing_features_drop_only_for_that_feature():
    campaign = make_campaign(64)
    features = ishigami(campaign)
    features["late"] = features["y"].where(features["sim"] >= 10)
    indices = sobol_indices(campaign, features.isel(sim=slice(None, -1)))
    assert indices["n_groups"].values.tolist() == [63, 61]


def test_constant_feature_has_no_index():
    campaign = make_campaign(32)
    features = xr.Dataset({"y": ("sim", np.ones(campaign.sizes["sim"]))}, coords={"sim": campaign["sim"]})
    assert np.isnan(sobol_indices(campaign, features)["ST"]).all()


def test_too_few_whole_groups():
    campaign = make_campaign(32)
    campaign["status"][: 5 * (32 - FEWEST_GROUPS + 1)] = 2
    with pytest.raises(TooFewSimulations, match=f"{FEWEST_GROUPS - 1} of 32 groups are whole"):
        sobol_indices(campaign, ishigami(campaign))


def test_wrong_order_is_refused():
    campaign = make_campaign(32)
    swapped = campaign.assign_coords(sim=campaign["sim"].values[::-1])
    with pytest.raises(ValueError, match="not in the order of a saltelli design"):
        sobol_indices(swapped, ishigami(campaign))


def test_part_of_a_campaign_is_refused():
    campaign = make_campaign(32).isel(sim=slice(1, None))
    with pytest.raises(ValueError, match="multiple of 5 simulations, but 159"):
        sobol_indices(campaign, ishigami(campaign))


def test_labels_survive_netcdf(tmp_path):
    campaign = make_campaign(32)
    sobol_indices(campaign, ishigami(campaign)).to_netcdf(tmp_path / "sobol.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "sobol.nc", engine="h5netcdf") as read:
        assert read["S1"].dims == ("feature", "parameter")
        assert read["S1"].attrs["long_name"] == "first-order Sobol index"
        assert read["feature_units"].item() == "uV"
        assert read["parameter"].values.tolist() == NAMES
