"""Batches against plain NumPy: what comes, how often, in which order, and what is said when it cannot."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings, strategies as st
from upath import UPath

from jrflow.archive import ArchiveError
from jrflow.archive.attributes import FORMAT
from jrflow.archive.batches import Batches
from jrflow.archive.layout import ShardLayout
from jrflow.archive.manifest import seal
from jrflow.archive.place import place
from jrflow.archive.template import create_store
from jrflow.archive.writer import write_shard

USABLE = np.flatnonzero(np.arange(100) % 3)


def ids(batches: Batches, epoch: int = 0) -> np.ndarray:
    return np.concatenate([batch.sim for batch in batches.epoch(epoch)])


def threads() -> int:
    return sum(thread.name.startswith("jrflow-batches") for thread in threading.enumerate())


@settings(max_examples=settings().max_examples // 2)
@given(
    batch_size=st.integers(1, 66), mixed_chunks=st.integers(1, 20), ahead=st.integers(1, 3),
    n_threads=st.integers(1, 3), cached=st.integers(0, 14), seed=st.integers(0, 5),
)  # fmt: skip
def test_every_usable_simulation_once(sealed: Path, batch_size: int, cached: int, **options: Any) -> None:
    ds = xr.open_zarr(sealed).load()
    batches = Batches(sealed, batch_size, cache_bytes=cached * 8 * 12 * 4, **options)
    for epoch in range(2):
        found = list(batches.epoch(epoch))
        assert [len(batch.sim) for batch in found[:-1]] == [batch_size] * (len(batches) - 1)
        source, parameters, sim = (np.concatenate(part) for part in zip(*found, strict=True))
        np.testing.assert_array_equal(np.sort(sim), USABLE)
        np.testing.assert_array_equal(source, ds["source"].values[sim])
        np.testing.assert_array_equal(parameters, np.column_stack([ds[n].values[sim] for n in batches.names]))
        assert source.dtype == np.float32


def test_order_depends_on_seed_and_epoch_only(sealed: Path) -> None:
    order = ids(Batches(sealed, 8, seed=0, mixed_chunks=4), 3)
    same = Batches(sealed, 8, seed=0, mixed_chunks=4, n_threads=1, ahead=3, cache_bytes=0)
    ids(same, 2)
    np.testing.assert_array_equal(ids(same, 3), order)
    assert (ids(same, 4) != order).any()
    assert (ids(Batches(sealed, 8, seed=1, mixed_chunks=4), 3) != order).any()


def test_chosen_simulations_and_parameters(sealed: Path) -> None:
    batches = Batches(sealed, 4, seed=0, simulations=[2, 3, 50, 97, 98], parameters=["C", "A_e"])
    (batch,) = batches.epoch(0)
    assert sorted(batch.sim) == [2, 50, 97, 98]  # 3 failed
    expected = xr.open_zarr(sealed)[["C", "A_e"]].load().sel(sim=batch.sim)
    np.testing.assert_array_equal(batch.parameters, np.column_stack([expected["C"], expected["A_e"]]))
    assert batches.names == ("C", "A_e")


@pytest.mark.parametrize("world_size", [2, 3, 5])
def test_ranks_share_an_epoch(sealed: Path, world_size: int) -> None:
    ranks = [Batches(sealed, 6, seed=0, rank=rank, world_size=world_size) for rank in range(world_size)]
    left_over = []
    for epoch in range(4):
        parts = [ids(rank, epoch) for rank in ranks]
        assert {len(part) for part in parts} == {len(USABLE) // world_size}
        together = np.concatenate(parts)
        assert len(np.unique(together)) == len(together)
        left_over.append(tuple(np.setdiff1d(USABLE, together)))
    assert len({len(rank) for rank in ranks}) == 1
    assert len(USABLE) % world_size == 0 or len(set(left_over)) > 1


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> UPath:
    """16,384 usable simulations in 256 chunks of 64; the value tells the id, and is hard to compress."""
    path = place(tmp_path_factory.mktemp("large") / "large.zarr")
    return stored(path, 16384, 1024, 64)


def stored(path: UPath, n: int, shard_size: int, chunk_size: int) -> UPath:
    """A sealed archive of noise to which the id is added."""
    attrs: dict[str, Any] = {
        "format": FORMAT,
        "campaign": "c",
        "config_hash": "",
        "git_commit": "",
        "versions": {},
    }
    layout = ShardLayout(n, 2, 100, shard_size, chunk_size)
    design = xr.Dataset({"A_e": ("sim", np.arange(n) / 7)}, {"sim": np.arange(n)})
    attrs["specification"] = {"simulation": {"protocol": {"kind": "rest"}}}
    create_store(path, design, ["left", "right"], np.arange(100) / 1e3, layout, attrs)
    for shard in range(layout.n_shards):
        k = np.arange(n)[layout.simulations(shard)]
        noise = np.random.default_rng(shard).uniform(0, 0.5, (len(k), 2, 100))
        zeros = ("sim", np.zeros(len(k), np.int8))
        source = (("sim", "region", "time"), (noise + k[:, None, None]).astype(np.float32))
        variables = {"source": source, "n_trials": zeros, "failed_step": zeros, "status": zeros}
        write_shard(path, shard, xr.Dataset(variables, {"sim": k}))
    seal(path, {})
    return path


def test_shuffle_is_as_good_as_it_says(large: Path) -> None:
    mixed, n, chunk_size = 32, 16384, 64
    batches = [batch.sim for batch in Batches(large, 128, seed=0, mixed_chunks=mixed).epoch(0)]
    order = np.concatenate(batches)
    # Spearman's correlation of place and id; each chunk counts as one draw: sd of 1 / sqrt(256) = 0.06.
    assert abs(np.corrcoef(np.arange(n), order)[0, 1]) < 0.2
    # Pairs of one batch that lie in the same chunk: (64 - 1) of the (32 * 64 - 1) others in the mixture.
    same = [(batch // chunk_size)[:, None] == batch // chunk_size for batch in batches]
    share = np.mean([(s.sum() - 128) / (128 * 127) for s in same])
    assert share == pytest.approx((chunk_size - 1) / (mixed * chunk_size - 1), rel=0.1)
    # And successive simulations are neighbours no more often than that: 2 / 2048 of them.
    assert np.mean(abs(np.diff(order)) == 1) < 4 / (mixed * chunk_size)


def test_stopping_early_ends_the_threads(sealed: Path) -> None:
    batches = Batches(sealed, 2, seed=0, mixed_chunks=2, cache_bytes=0)
    for epoch in range(20):  # would run out of places, were they not given back
        running = batches.epoch(epoch)
        next(running)
        assert threads()
        running.close()  # type: ignore[attr-defined]
        assert not threads()
    with pytest.raises(ZeroDivisionError):
        consume_and_fail(batches)
    assert not threads()


def consume_and_fail(batches: Batches) -> None:
    for _ in batches.epoch(0):
        raise ZeroDivisionError


def test_more_epochs_at_once_than_there_is_room_for(sealed: Path) -> None:
    batches = Batches(sealed, 2, seed=0, mixed_chunks=2, cache_bytes=0)
    with pytest.raises(RuntimeError, match="close"):
        list(zip(*(batches.epoch(k) for k in range(5)), strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parameters": ["vmax"]}, "'vmax'; did you mean 'v_max'"),
        ({"simulations": [3, 6]}, "2 simulations chosen with status 0 .*non_finite': 34"),
        ({"simulations": [1, 100]}, "none with the ids 100"),
        ({"batch_size": 67}, "at most the 66 usable"),
        ({"batch_size": 0}, "batch_size: expected at least 1, received 0"),
        ({"mixed_chunks": 0}, "mixed_chunks"),
        ({"rank": 2, "world_size": 2}, r"rank: expected one of 0\.\.1"),
    ],
)
def test_impossible_arguments(sealed: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Batches(sealed, **{"batch_size": 8, "seed": 0} | options)


def test_only_sealed_archives(store: Path, full_store: Path, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="is not sealed: 0 simulations"):
        Batches(full_store, 8, seed=0)
    with pytest.raises(ArchiveError, match="there is no archive"):
        Batches(tmp_path / "absent.zarr", 8, seed=0)
    zarr.create_group(tmp_path / "other.zarr")
    with pytest.raises(ArchiveError, match="format"):
        Batches(tmp_path / "other.zarr", 8, seed=0)


def test_a_url_is_read_through_zarr(sealed: Path) -> None:
    np.testing.assert_array_equal(
        ids(Batches(f"file://{sealed}", 8, seed=0)), ids(Batches(sealed, 8, seed=0))
    )


MEASURE = """
import sys, tracemalloc
from jrflow.archive.batches import Batches
tracemalloc.start()
batches = Batches(sys.argv[1], 64, seed=0, mixed_chunks=int(sys.argv[2]), cache_bytes=0)
for batch in batches.epoch(0):
    pass
print(tracemalloc.get_traced_memory()[1])
"""


@pytest.mark.parametrize("mixed_chunks", [8, 64])
def test_memory_is_that_of_the_buffers(large: Path, mixed_chunks: int) -> None:
    """The archive has 13.1 MB; two mixtures of 8 chunks have 0.8 MB, and of 64 chunks 6.6 MB."""
    run = [sys.executable, "-c", MEASURE, str(large), str(mixed_chunks)]
    peak = int(subprocess.run(run, capture_output=True, check=True, text=True).stdout)
    buffers = 2 * mixed_chunks * 64 * 200 * 4
    assert buffers < peak < buffers + 3e6
