"""What a store looks like to plain xarray from the moment it exists."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from upath import UPath

from jrflow.archive.layout import ShardLayout
from jrflow.archive.paths import place
from jrflow.archive.store import Archive, create_store
from jrflow.archive.vocabulary import FORMAT, NOT_SIMULATED, STATUS_ATTRS
from jrflow.model import MODEL


def test_a_new_store_has_all_labels_and_nothing_simulated(store: UPath, design: xr.Dataset) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds = xr.open_zarr(store, consolidated=False)
    assert ds["source"].dims == ("sim", "region", "time")
    assert ds["source"].dtype == np.float32
    assert ds["source"].attrs["units"] == "mV"
    assert ds["time"].attrs["units"] == "s"
    assert ds["region"].values.tolist() == ["column"]
    assert ds["sim"].dtype == np.int64
    assert np.isposinf(ds["source"]).all()
    assert (ds["status"] == NOT_SIMULATED).all()
    assert ds["status"].dtype == np.int8
    assert {key: ds["status"].attrs[key] for key in STATUS_ATTRS} == STATUS_ATTRS
    for name, fill in (("failed_step", -1), ("n_trials", 0)):
        assert ds[name].dims == ("sim",)
        assert ds[name].dtype == np.int32
        assert ds[name].attrs["units"] == "1"
        assert (ds[name] == fill).all()
    for name, parameter in MODEL.mass.items():
        assert name in ds.coords
        np.testing.assert_array_equal(ds[name], design[name])
        assert ds[name].attrs == {"units": parameter.unit, "long_name": parameter.long_name}


def test_attributes_survive_netcdf(store: UPath, tmp_path: Path) -> None:
    ds = xr.open_zarr(store, consolidated=False)
    ds.to_netcdf(tmp_path / "part.nc", engine="h5netcdf")
    again = xr.open_dataset(tmp_path / "part.nc", engine="h5netcdf")
    assert again.attrs["campaign"] == "train"
    assert list(again.attrs["varied_names"]) == ds.attrs["varied_names"]


def test_a_parameter_is_one_file(store: UPath) -> None:
    assert [path.name for path in (store / "A_e").rglob("*") if path.is_file()] == ["zarr.json", "0"]


def test_layout_is_read_back_from_the_store(store: UPath) -> None:
    layout = Archive.open(store).layout
    assert layout == ShardLayout(100, 1, 12, 32, 8)
    assert layout.n_shards == 4
    assert layout.n_files == 16
    assert [layout.simulations(k) for k in range(4)] == [
        slice(0, 32), slice(32, 64), slice(64, 96), slice(96, 100),
    ]  # fmt: skip
    assert layout.simulation_bytes == 12 * 4 + 9


def test_regions_have_their_names(tmp_path: Path, design: xr.Dataset) -> None:
    layout, times = ShardLayout(100, 3, 12, 32, 8), np.arange(12) / 1000
    names = ["lh-0", "lh-1", "rh-0 (Gyrus précentral)"]
    create_store(place(tmp_path / "brain.zarr"), design, names, times, layout, {"format": FORMAT})
    ds = xr.open_zarr(tmp_path / "brain.zarr", consolidated=False)
    assert ds["source"].shape == (100, 3, 12)
    assert ds["region"].values.tolist() == names
    assert ds["source"].sel(region="lh-1").dims == ("sim", "time")
    assert Archive.open(place(tmp_path / "brain.zarr")).layout == layout
    assert layout.simulation_bytes == 3 * 12 * 4 + 9


def test_an_interrupted_creation_leaves_no_store(
    tmp_path: Path, design: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, layout = place(tmp_path / "train.zarr"), ShardLayout(100, 1, 12, 32, 8)
    times = np.arange(12) / 1000
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            create_store(path, design, ["column"], times, layout, {})
    assert not path.exists()
    create_store(path, design, ["column"], times, layout, {})
    assert [entry.name for entry in tmp_path.iterdir()] == ["train.zarr"]
    assert zarr.open_array(path / "source").shape == (100, 1, 12)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
