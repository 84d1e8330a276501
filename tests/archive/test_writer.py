"""Shards are written whole, by number, and declared done last."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings, strategies as st

from jrflow.archive.layout import ShardLayout, create_store
from jrflow.archive.status import NOT_SIMULATED
from jrflow.archive.writer import pending_shards, read_design, shard_bytes, write_shard

Simulated = Callable[[Path, int], xr.Dataset]


def test_everything_is_pending_at_first(store: Path) -> None:
    assert pending_shards(store) == [0, 1, 2, 3]
    assert shard_bytes(store, [0, 3]) == 36 * (12 * 4 + 1)


def test_the_design_of_a_shard_is_its_part_of_the_coordinates(store: Path, design: xr.Dataset) -> None:
    part = read_design(store, 3)
    np.testing.assert_array_equal(part["sim"], np.arange(96, 100))
    for name in design.data_vars:
        np.testing.assert_array_equal(part[name], design[name][96:])


def test_writing_a_shard_touches_no_other(store: Path, made_up: Simulated) -> None:
    write_shard(store, 1, made_up(store, 1))
    assert pending_shards(store) == [0, 2, 3]
    ds = xr.open_zarr(store, consolidated=False).load()
    np.testing.assert_array_equal(ds["source"][32:64, 0, 0], np.arange(32, 64))
    assert np.isnan(ds["source"][np.r_[:32, 64:100]]).all()
    assert (ds["status"][np.r_[:32, 64:100]] == NOT_SIMULATED).all()


@settings(deadline=None, max_examples=8)
@given(data=st.data(), n=st.integers(1, 30), chunk=st.integers(1, 7), chunks_per_shard=st.integers(1, 5))
def test_any_layout_and_order_equal_plain_numpy(
    data: st.DataObject, n: int, chunk: int, chunks_per_shard: int, design: xr.Dataset, made_up: Simulated
) -> None:
    layout = ShardLayout(n, 1, 3, chunk * chunks_per_shard, chunk)
    order = data.draw(st.permutations(range(layout.n_shards)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.zarr"
        create_store(path, design.isel(sim=slice(n)), ["column"], np.arange(3.0), layout, {})
        for shard in order:
            write_shard(path, shard, made_up(path, shard))
        ds = xr.open_zarr(path, consolidated=False).load()
    np.testing.assert_array_equal(ds["source"][:, 0, :], np.tile(np.arange(n), (3, 1)).T)
    np.testing.assert_array_equal(ds["status"], np.where(np.arange(n) % 3 == 0, 2, 0))
    np.testing.assert_array_equal(ds["A_e"], design["A_e"][:n])


def test_a_shard_without_its_status_is_pending(full_store: Path) -> None:
    """So it is when a writer is killed between the two files."""
    (full_store / "status" / "c" / "2").unlink()
    assert pending_shards(full_store) == [2]


def test_a_lost_source_file_is_pending(full_store: Path) -> None:
    (full_store / "source" / "c" / "1" / "0" / "0").unlink()
    assert pending_shards(full_store) == [1]


def test_a_shard_of_nothing_but_nan_is_done(store: Path, made_up: Simulated) -> None:
    diverged = made_up(store, 0)
    diverged["source"][:] = np.nan
    diverged["status"][:] = 2
    write_shard(store, 0, diverged)
    assert pending_shards(store) == [1, 2, 3]


def test_simulations_of_another_shard_are_refused(store: Path, made_up: Simulated) -> None:
    with pytest.raises(ValueError, match=r"expected exactly the simulations 32\.\.63 in order"):
        write_shard(store, 1, made_up(store, 2))
    with pytest.raises(ValueError, match=r"expected exactly the simulations 0\.\.31 in order"):
        write_shard(store, 0, made_up(store, 0).isel(sim=slice(None, None, -1)))
    with pytest.raises(ValueError, match=r"expected source of shape \(32, 1, 12\), received \(31, 1, 12\)"):
        write_shard(store, 0, made_up(store, 0).isel(sim=slice(31)))
    assert pending_shards(store) == [0, 1, 2, 3]


def test_not_yet_simulated_is_no_result(store: Path, made_up: Simulated) -> None:
    unfinished = made_up(store, 0)
    unfinished["status"][5] = NOT_SIMULATED
    with pytest.raises(ValueError, match="cannot be written"):
        write_shard(store, 0, unfinished)


def test_a_failed_write_leaves_the_shard_as_it_was(
    full_store: Path, made_up: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (full_store / "source" / "c" / "0" / "0" / "0").read_bytes()
    monkeypatch.setattr(Path, "replace", _no_space)
    with pytest.raises(OSError, match="no space"):
        write_shard(full_store, 0, made_up(full_store, 0) * 2)
    assert (full_store / "source" / "c" / "0" / "0" / "0").read_bytes() == before
    assert not list(full_store.rglob("*.partial"))
    assert zarr.open_array(full_store / "source")[5, 0, 0] == 5


def _no_space(*_: object) -> None:
    raise OSError(28, "no space")
