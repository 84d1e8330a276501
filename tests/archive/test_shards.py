"""Shards are written whole, by number, and declared done last."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings, strategies as st
from upath import UPath
from zarr.storage import LocalStore

from jrflow.archive.layout import ShardLayout
from jrflow.archive.paths import place
from jrflow.archive.shards import damaged_shards, pending_shards, read_design, write_shard
from jrflow.archive.store import Archive, create_store
from jrflow.archive.vocabulary import FORMAT, NOT_SIMULATED

Simulated = Callable[[UPath, int], xr.Dataset]

#: By which a store is known as one of ours.
ATTRS = {"format": FORMAT}


def test_everything_is_pending_at_first(store: UPath) -> None:
    assert pending_shards(Archive.open(store)) == [0, 1, 2, 3]
    assert Archive.open(store).layout.n_bytes([0, 3]) == 36 * (12 * 4 + 9)


def test_the_design_of_a_shard_is_its_part_of_the_coordinates(store: UPath, design: xr.Dataset) -> None:
    part = read_design(Archive.open(store), slice(96, 100))
    np.testing.assert_array_equal(part["sim"], np.arange(96, 100))
    assert set(part.variables) == {"sim", *design.data_vars}
    for name in design.data_vars:
        np.testing.assert_array_equal(part[name], design[name][96:])


def test_the_design_of_a_network_has_its_parameters(tmp_path: Path, design: xr.Dataset) -> None:
    network = design.assign(G=("sim", np.linspace(0, 1, 100)), speed=("sim", np.full(100, np.inf)))
    path = place(tmp_path / "brain.zarr")
    create_store(path, network, ["a", "b"], np.arange(3.0), ShardLayout(100, 2, 3, 32, 8), ATTRS)
    part = read_design(Archive.open(path), slice(96, 100))
    np.testing.assert_array_equal(part["G"], network["G"][96:])
    np.testing.assert_array_equal(part["speed"], np.full(4, np.inf))


def test_writing_a_shard_touches_no_other(store: UPath, made_up: Simulated) -> None:
    write_shard(Archive.open(store), 1, made_up(store, 1))
    assert pending_shards(Archive.open(store)) == [0, 2, 3]
    ds = xr.open_zarr(store, consolidated=False).load()
    np.testing.assert_array_equal(ds["source"][32:64, 0, 0], np.arange(32, 64))
    assert np.isposinf(ds["source"][np.r_[:32, 64:100]]).all()
    assert (ds["status"][np.r_[:32, 64:100]] == NOT_SIMULATED).all()
    assert (ds["failed_step"][np.r_[:32, 64:100]] == -1).all()
    assert (ds["n_trials"][np.r_[:32, 64:100]] == 0).all()
    ids = np.arange(32, 64)
    np.testing.assert_array_equal(ds["failed_step"][32:64], np.where(ids % 3 == 0, 10 * ids, -1))
    np.testing.assert_array_equal(ds["n_trials"][32:64], np.where((ids % 3 != 0) & (ids % 2 == 0), 4, 10))


def test_a_block_looks_at_its_own_shards_only(full_store: UPath, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all shards, the jobs of a campaign would together do work that grows with its square."""
    (full_store / "status/c/2").unlink()
    (full_store / "source/c/3/0/0").unlink()
    asked: list[str] = []
    get = LocalStore.get

    async def counted(self: LocalStore, key: str, *args: Any, **options: Any) -> Any:
        asked.append(key)
        return await get(self, key, *args, **options)

    monkeypatch.setattr(LocalStore, "get", counted)
    assert pending_shards(Archive.open(full_store), range(1, 3)) == [2]
    assert {key for key in asked if "c/" in key} <= {"c/1", "c/2"}
    assert pending_shards(Archive.open(full_store), range(3, 4)) == [3]
    assert pending_shards(Archive.open(full_store), range(0)) == []
    assert pending_shards(Archive.open(full_store)) == [2, 3]


def _data_files(store: UPath, shard: int) -> list[str]:
    found = (path for path in store.rglob("*") if path.is_file() and path.parts[-1] != "zarr.json")
    names = {path.relative_to(store).as_posix() for path in found}
    return sorted(name for name in names if name.split("/c/")[1].split("/")[0] == str(shard))


def test_steps_of_failures_take_a_file_only_where_there_were_some(store: UPath, made_up: Simulated) -> None:
    sound = made_up(store, 2)
    sound["failed_step"][:] = -1
    sound["status"][:] = 0
    write_shard(Archive.open(store), 2, sound)
    assert _data_files(store, 2) == ["n_trials/c/2", "source/c/2/0/0", "status/c/2"]
    at_rest = sound.assign(n_trials=0 * sound["n_trials"])
    write_shard(Archive.open(store), 2, at_rest)
    assert _data_files(store, 2) == ["source/c/2/0/0", "status/c/2"]
    write_shard(Archive.open(store), 2, made_up(store, 2))
    assert _data_files(store, 2) == ["failed_step/c/2", "n_trials/c/2", "source/c/2/0/0", "status/c/2"]
    assert len(_data_files(store, 2)) * 4 == Archive.open(store).layout.n_files


@pytest.mark.parametrize("lost", ["failed_step", "n_trials"])
def test_a_shard_is_declared_done_only_after_all_else(
    store: UPath, made_up: Simulated, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer is killed when the source is there already and the status is not."""
    open_array = zarr.open_array

    def killed(path: str, **options: Any) -> zarr.Array:
        if path.endswith(lost):
            raise KeyboardInterrupt
        return open_array(path, **options)

    simulated = made_up(store, 1)
    with monkeypatch.context() as patched:
        patched.setattr(zarr, "open_array", killed)
        with pytest.raises(KeyboardInterrupt):
            write_shard(Archive.open(store), 1, simulated)
    assert (store / "source" / "c" / "1" / "0" / "0").exists()
    assert pending_shards(Archive.open(store)) == [0, 1, 2, 3]


@settings(max_examples=settings().max_examples // 5)
@given(data=st.data(), n=st.integers(1, 30), chunk=st.integers(1, 7), chunks_per_shard=st.integers(1, 5))
def test_any_layout_and_order_equal_plain_numpy(
    data: st.DataObject, n: int, chunk: int, chunks_per_shard: int, design: xr.Dataset, made_up: Simulated
) -> None:
    layout = ShardLayout(n, 1, 3, chunk * chunks_per_shard, chunk)
    order = data.draw(st.permutations(range(layout.n_shards)))
    with tempfile.TemporaryDirectory() as folder:
        path = place(Path(folder) / "train.zarr")
        create_store(path, design.isel(sim=slice(n)), ["column"], np.arange(3.0), layout, ATTRS)
        for shard in order:
            write_shard(Archive.open(path), shard, made_up(path, shard))
        ds = xr.open_zarr(path, consolidated=False).load()
    np.testing.assert_array_equal(ds["source"][:, 0, :], np.tile(np.arange(n), (3, 1)).T)
    np.testing.assert_array_equal(ds["status"], np.where(np.arange(n) % 3 == 0, 2, 0))
    np.testing.assert_array_equal(ds["A_e"], design["A_e"][:n])


def test_a_shard_without_its_status_is_pending(full_store: UPath) -> None:
    """So it is when a writer is killed between the two files."""
    (full_store / "status" / "c" / "2").unlink()
    assert pending_shards(Archive.open(full_store)) == [2]


def test_a_lost_source_file_is_pending(full_store: UPath) -> None:
    (full_store / "source" / "c" / "1" / "0" / "0").unlink()
    assert pending_shards(Archive.open(full_store)) == [1]


def test_a_shard_of_nothing_but_nan_is_done(store: UPath, made_up: Simulated) -> None:
    diverged = made_up(store, 0)
    diverged["source"][:] = np.nan
    diverged["status"][:] = 2
    write_shard(Archive.open(store), 0, diverged)
    assert pending_shards(Archive.open(store)) == [1, 2, 3]


def test_simulations_of_another_shard_are_refused(store: UPath, made_up: Simulated) -> None:
    with pytest.raises(ValueError, match=r"expected exactly the simulations 32\.\.63 in order"):
        write_shard(Archive.open(store), 1, made_up(store, 2))
    with pytest.raises(ValueError, match=r"expected exactly the simulations 0\.\.31 in order"):
        write_shard(Archive.open(store), 0, made_up(store, 0).isel(sim=slice(None, None, -1)))
    with pytest.raises(ValueError, match=r"expected source of shape \(32, 1, 12\), received \(31, 1, 12\)"):
        write_shard(Archive.open(store), 0, made_up(store, 0).isel(sim=slice(31)))
    assert pending_shards(Archive.open(store)) == [0, 1, 2, 3]


def test_not_yet_simulated_is_no_result(store: UPath, made_up: Simulated) -> None:
    unfinished = made_up(store, 0)
    unfinished["status"][5] = NOT_SIMULATED
    with pytest.raises(ValueError, match="cannot be written"):
        write_shard(Archive.open(store), 0, unfinished)


def test_a_failed_write_leaves_the_shard_as_it_was(
    full_store: UPath, made_up: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (full_store / "source" / "c" / "0" / "0" / "0").read_bytes()
    monkeypatch.setattr(Path, "replace", _no_space)
    with pytest.raises(OSError, match="no space"):
        write_shard(Archive.open(full_store), 0, made_up(full_store, 0) * 2)
    assert (full_store / "source" / "c" / "0" / "0" / "0").read_bytes() == before
    assert not list(full_store.rglob("*.partial"))
    assert zarr.open_array(full_store / "source")[5, 0, 0] == 5


def _no_space(*_: object) -> None:
    raise OSError(28, "no space")


@pytest.mark.parametrize("name", ["status", "n_trials", "failed_step"])
def test_one_damaged_outcome_does_not_hide_sound_shards(full_store: UPath, name: str) -> None:
    """Outcomes of all shards are read at once where that can be."""
    assert damaged_shards(Archive.open(full_store), range(4)) == []
    file = full_store / name / "c/1"
    file.write_bytes(file.read_bytes()[:-3])
    assert damaged_shards(Archive.open(full_store), range(4)) == [1]
    file.unlink()
    lost = [] if name == "status" else [1]  # without its status a shard is not yet simulated
    assert damaged_shards(Archive.open(full_store), range(4)) == lost
    assert damaged_shards(Archive.open(full_store), [3, 2]) == []
