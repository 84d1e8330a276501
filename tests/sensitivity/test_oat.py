"""One-at-a-time maps: arrangement, effect and what happens to failures."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from jrflow.model import MODEL
from jrflow.sensitivity.oat import one_at_a_time

TIMES = np.linspace(-0.2, 1.0, 61)
SHAPE = np.exp(-(((TIMES - 0.1) / 0.05) ** 2))


def make_campaign(names=("A_e", "C"), n: int = 11) -> xr.Dataset:
    """Sweeps of +-50 % around the defaults, in shuffled order."""
    defaults = MODEL.preset("unit-consistent").defaults
    rows = []
    for name in names:
        for value in np.linspace(0.5, 1.5, n) * defaults[name]:
            rows.append(defaults | {name: value})
    rows = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    coords = {name: ("sim", [row[name] for row in rows]) for name in MODEL.mass}
    return xr.Dataset(
        {"status": ("sim", np.zeros(len(rows), np.int8))},
        coords=coords | {"sim": np.arange(len(rows))},
        attrs={"varied_names": list(names), "preset": "unit-consistent"},
    )


def respond(campaign: xr.Dataset) -> xr.DataArray:
    """An evoked response proportional to A_e, indifferent to everything else."""
    time = xr.DataArray(SHAPE, dims="time", coords={"time": TIMES})
    return campaign["A_e"].reset_coords(drop=True) * time


def test_sweeps_are_ordered_by_value():
    maps = one_at_a_time(make_campaign(), respond(make_campaign()))
    assert maps["evoked"].dims == ("parameter", "step", "time")
    np.testing.assert_allclose(maps["value"].sel(parameter="C"), np.linspace(67.5, 202.5, 11))
    assert (np.diff(maps["evoked"].sel(parameter="A_e").max("time")) > 0).all()


@pytest.mark.parametrize("n", [11, 12])
def test_effect_of_a_proportional_and_an_inert_parameter(n):
    campaign = make_campaign(n=n)
    effect = one_at_a_time(campaign, respond(campaign))["effect"]
    np.testing.assert_allclose(effect.sel(parameter="A_e"), [0.5, 0.5], rtol=1e-12)
    np.testing.assert_allclose(effect.sel(parameter="C"), 0, atol=1e-12)


def test_errors_are_against_the_mean_of_the_sweep():
    campaign = make_campaign()
    maps = one_at_a_time(campaign, respond(campaign)).sel(parameter="A_e")
    ratio = np.linspace(-0.5, 0.5, 11)
    peak = int(SHAPE.argmax())
    np.testing.assert_allclose(maps["squared_error"][:, peak], (ratio * 3.25 * SHAPE[peak]) ** 2, atol=1e-12)
    relative = maps["log10_squared_relative_error"][:, peak].values
    np.testing.assert_allclose(relative[[0, 1, 9, 10]], np.log10(ratio[[0, 1, 9, 10]] ** 2), rtol=1e-9)


def test_relative_error_is_undefined_where_the_mean_is_nothing():
    campaign = make_campaign()
    relative = one_at_a_time(campaign, respond(campaign))["log10_squared_relative_error"]
    defined = relative.notnull().sel(parameter="A_e", step=0).values
    np.testing.assert_array_equal(defined, SHAPE / SHAPE.max() > 1e-5)


def test_failed_simulation_is_a_gap():
    campaign = make_campaign()
    low = int(np.flatnonzero(campaign["A_e"] == campaign["A_e"].min())[0])
    campaign["status"][low] = 2
    maps = one_at_a_time(campaign, respond(campaign)).sel(parameter="A_e")
    assert np.isnan(maps["evoked"].isel(step=0)).all()
    assert np.isnan(maps["effect"].sel(end="low"))
    assert maps["effect"].sel(end="high").item() == pytest.approx(0.5)


def test_other_designs_are_refused():
    campaign = make_campaign()
    campaign = campaign.assign_coords(v_0=campaign["v_0"] * 1.1, b_e=campaign["b_e"] * 1.1)
    campaign.attrs["varied_names"] = ["A_e", "C", "b_e"]
    with pytest.raises(ValueError, match="one-at-a-time"):
        one_at_a_time(campaign, respond(campaign))


def test_labels_survive_netcdf(tmp_path):
    campaign = make_campaign()
    one_at_a_time(campaign, respond(campaign)).to_netcdf(tmp_path / "oat.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "oat.nc", engine="h5netcdf") as read:
        assert read["evoked"].attrs["units"] == "uV"
        assert read["effect"].attrs["units"] == "1"
        assert read.attrs["preset"] == "unit-consistent"
