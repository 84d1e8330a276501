"""What programs that know CF and ACDD, but not jrflow, find out about an archive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cf_xarray  # noqa: F401 - registers ds.cf
import numpy as np
import pytest
import xarray as xr

from jrflow.archive.vocabulary import OUT_OF_RANGE
from jrflow.campaign import run_campaign
from jrflow.campaign.create import conventions
from jrflow.config import Config
from jrflow.model import MODEL
from jrflow.specification import Specification

#: Recommended by ACDD 1.3 and known of every archive: https://wiki.esipfed.org/ACDD-1-3
RECOMMENDED = {"title", "summary", "keywords", "Conventions", "id", "source", "references"}


@pytest.fixture(scope="module")
def ds(tmp_path_factory: pytest.TempPathFactory, tiny_config: Callable[..., Config]) -> xr.Dataset:
    folder = tmp_path_factory.mktemp("archives")
    config = tiny_config()
    simulation = config.simulation.model_copy(update={"max_source": 60.0})
    run_campaign(config.model_copy(update={"simulation": simulation}), "train", folder, progress=None)
    return xr.open_zarr(folder / "train.zarr")


def test_it_introduces_itself(ds: xr.Dataset) -> None:
    assert ds.attrs.keys() >= RECOMMENDED
    assert all(isinstance(ds.attrs[name], str) and ds.attrs[name] for name in RECOMMENDED)
    assert ds.attrs["title"] == "Evoked responses of a cortical column: campaign train"
    assert "unit-consistent" in ds.attrs["summary"]


def test_networks_and_rest_have_their_own_titles(tiny_config: Callable[..., Config]) -> None:
    simulation = {"protocol": {"kind": "rest"}, "connectome": {"kind": "synthetic", "n_regions": 2}}
    content = Specification.of(tiny_config(), "train").content | {"simulation": simulation}
    title = conventions(Specification.parse(content), "0.1")["title"]
    assert title == "Resting activity of networks of cortical columns: campaign train"


def test_cf_xarray_understands_axes_and_flags(ds: xr.Dataset) -> None:
    assert ds.cf["T"].name == "time"
    assert ds.cf.cf_roles == {"timeseries_id": ["sim"]}
    ok, failed = ds.status.cf == "ok", ds.status.cf == "out_of_declared_range"
    assert 0 < int(failed.sum()) < 100
    np.testing.assert_array_equal(failed, ds.status == OUT_OF_RANGE)
    np.testing.assert_array_equal(ok, ~failed)


def test_what_belongs_to_the_source_comes_with_it(ds: xr.Dataset) -> None:
    """CF: quality flags are ancillary variables of what they speak of."""
    assert {"status", "failed_step", "n_trials"} <= set(ds.cf["source"].coords)


def test_every_variable_says_what_it_is(ds: xr.Dataset) -> None:
    assert set(ds.coords) >= set(MODEL.mass)
    for name, variable in ds.variables.items():
        assert variable.attrs["long_name"], name
        if name not in ("sim", "region", "status"):
            assert variable.attrs["units"], name


def test_it_survives_netcdf(ds: xr.Dataset, tmp_path: Path) -> None:
    ds.query(sim="A_e > 3").to_netcdf(tmp_path / "part.nc", engine="h5netcdf")
    again = xr.open_dataset(tmp_path / "part.nc", engine="h5netcdf")
    assert again.cf["T"].name == "time"
    assert again.attrs["Conventions"] == ds.attrs["Conventions"]
    np.testing.assert_array_equal(again.status.cf == "ok", again.status == 0)
