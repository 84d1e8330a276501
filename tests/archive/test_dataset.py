"""Reading an archive: with plain xarray, and with the checks of open_archive."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from upath import UPath

from jrflow.archive import ArchiveError, open_archive
from jrflow.archive.seal import seal
from jrflow.archive.shards import write_shard
from jrflow.archive.store import Archive

QUERY = "A_e > 3 and b_i < 50 and status == 0"


@pytest.fixture
def sealed(full_store: UPath) -> UPath:
    seal(Archive.open(full_store), {})
    return full_store


def _expected(design: xr.Dataset) -> np.ndarray:
    ids = np.arange(100)
    return ids[(design["A_e"].values > 3) & (design["b_i"].values < 50) & (ids % 3 != 0)]


def test_plain_xarray_queries_without_a_warning(sealed: UPath, design: xr.Dataset) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = xr.open_zarr(sealed).query(sim=QUERY)
        source = found["source"].load()
    assert 0 < found.sizes["sim"] < 100
    np.testing.assert_array_equal(found["sim"], _expected(design))
    np.testing.assert_array_equal(source[:, 0, 0], _expected(design))


def test_plain_xarray_queries_without_dask_arrays_and_numexpr(sealed: UPath, design: xr.Dataset) -> None:
    with pd.option_context("compute.use_numexpr", False):
        found = xr.open_zarr(sealed, chunks=None).query(sim=QUERY)
    np.testing.assert_array_equal(found["sim"], _expected(design))


def test_open_archive_queries_at_once_and_stays_lazy(sealed: UPath, design: xr.Dataset) -> None:
    ds = open_archive(sealed)
    with pd.option_context("compute.use_numexpr", False):
        found = ds.query(sim=QUERY)
    np.testing.assert_array_equal(found["sim"], _expected(design))
    assert found["source"].chunks is not None
    assert ds["A_e"].chunks is None
    xr.testing.assert_identical(ds.load(), xr.open_zarr(sealed).load()[list(ds.data_vars)])


def test_failures_and_settled_simulations_are_queried_like_parameters(sealed: UPath) -> None:
    ids = np.arange(100)
    for ds in (open_archive(sealed), xr.open_zarr(sealed)):
        failed = ds.query(sim="failed_step >= 600 and status == 2")["sim"]
        np.testing.assert_array_equal(failed, ids[(ids % 3 == 0) & (ids >= 60)])
        settled = ds.query(sim="n_trials < 10 and failed_step == -1")["sim"]
        np.testing.assert_array_equal(settled, ids[(ids % 3 != 0) & (ids % 2 == 0)])


def test_selecting_a_region_by_name(sealed: UPath) -> None:
    assert open_archive(sealed)["source"].sel(region="column").dims == ("sim", "time")


def test_an_unsealed_archive_says_how_much_is_missing(
    store: UPath, made_up: Callable[[UPath, int], xr.Dataset]
) -> None:
    write_shard(Archive.open(store), 0, made_up(store, 0))
    with pytest.raises(ArchiveError, match="is not sealed: 68 of 100 simulations are still to be run"):
        open_archive(store)
    assert int((open_archive(store, allow_unsealed=True)["status"] == 1).sum()) == 68


def test_a_missing_archive_names_those_there(sealed: UPath) -> None:
    with pytest.raises(ArchiveError, match=r"test\.zarr does not exist; archives in .*: train\.zarr"):
        open_archive(sealed.with_name("test.zarr"))


def test_a_lost_shard_is_not_read_as_nan(sealed: UPath) -> None:
    (sealed / "source" / "c" / "2" / "0" / "0").unlink()
    with pytest.raises(ArchiveError, match=r"damaged:\nsource/c/2/0/0: missing"):
        open_archive(sealed)
