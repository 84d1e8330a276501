"""Sealing comes last, is atomic, and finds what was damaged afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict

import pytest
import xarray as xr
import zarr
from upath import UPath

from jrflow.archive import ArchiveError, damaged_files, read_manifest
from jrflow.archive.manifest import Failures, SteadyState, manifest_path
from jrflow.archive.seal import seal
from jrflow.archive.shards import write_shard
from jrflow.archive.store import Archive


def test_manifest_counts_and_describes_what_is_there(full_store: UPath) -> None:
    assert read_manifest(full_store) is None
    manifest = seal(Archive.open(full_store), {"time": "now"})
    assert manifest == read_manifest(full_store)
    assert manifest.counts == {
        "ok": 66,
        "not_yet_simulated": 0,
        "non_finite": 34,
        "out_of_declared_range": 0,
    }
    layout = manifest.layout
    assert (layout.n_simulations, layout.n_shards, layout.shard_size) == (100, 4, 32)
    assert manifest.sealed == {"time": "now"}
    assert manifest.layout.n_regions == 1
    # every third failed at ten times its id: 0, 30, ..., 990
    assert manifest.failures == {"non_finite": Failures(34, 0, 495.0, 990)}
    # of the other 66, every other one settled after 4 of 10 trials
    assert manifest.steady_state == SteadyState(33, 0.5, 7.0)
    shards = [name for name in manifest.files if name.startswith("source/c/")]
    assert shards == [f"source/c/{k}/0/0" for k in range(4)]
    assert damaged_files(full_store) == {}


def test_without_failures_and_at_rest_there_is_nothing_to_say(
    store: UPath, made_up: Callable[[UPath, int], xr.Dataset]
) -> None:
    content = Archive.open(store).specification.content
    content["simulation"]["protocol"] = {"kind": "rest"}
    zarr.open_group(store).attrs["specification"] = json.dumps(content)
    for shard in range(4):
        sound = made_up(store, shard)
        sound["failed_step"][:], sound["status"][:] = -1, 0
        write_shard(Archive.open(store), shard, sound)
    manifest = seal(Archive.open(store), {})
    assert manifest.failures == {}
    assert manifest.steady_state is None


def test_where_all_failed_no_fraction_settled(
    store: UPath, made_up: Callable[[UPath, int], xr.Dataset]
) -> None:
    for shard in range(4):
        failed = made_up(store, shard)
        failed["failed_step"][:], failed["status"][:] = 7, 3
        write_shard(Archive.open(store), shard, failed)
    manifest = seal(Archive.open(store), {})
    assert manifest.steady_state == SteadyState(0, None, None)
    assert manifest.failures["out_of_declared_range"].first_step == 7


def test_an_unfinished_store_cannot_be_sealed(store: UPath) -> None:
    with pytest.raises(ArchiveError, match="4 shards are still to be simulated"):
        seal(Archive.open(store), {})
    assert not manifest_path(store).exists()


def test_metadata_are_consolidated(full_store: UPath) -> None:
    seal(Archive.open(full_store), {})
    ds = xr.open_zarr(full_store, consolidated=True)
    assert ds["source"].shape == (100, 1, 12)


def test_damage_is_found(full_store: UPath) -> None:
    seal(Archive.open(full_store), {})
    (full_store / "status" / "c" / "0").unlink()
    shard = full_store / "source" / "c" / "1" / "0" / "0"
    shard.write_bytes(shard.read_bytes()[:-1])
    other = full_store / "source" / "c" / "2" / "0" / "0"
    other.write_bytes(other.read_bytes()[::-1])
    n_bytes = shard.stat().st_size
    missing_or_short = {
        "source/c/1/0/0": f"{n_bytes} bytes, expected {n_bytes + 1}",
        "status/c/0": "missing",
    }
    assert damaged_files(full_store, contents=False) == missing_or_short
    assert damaged_files(full_store) == missing_or_short | {"source/c/2/0/0": "checksum differs"}


def test_leftovers_of_killed_writers_are_removed(full_store: UPath) -> None:
    leftover = full_store / "source" / "c" / "1" / "0" / "0.1f.partial"
    leftover.write_bytes(b"half")
    manifest = seal(Archive.open(full_store), {})
    assert not leftover.exists()
    assert not any("partial" in name for name in manifest.files)


def test_an_interrupted_seal_leaves_no_manifest(full_store: UPath, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            seal(Archive.open(full_store), {})
    assert [path.name for path in full_store.parent.iterdir()] == ["train.zarr"]
    assert seal(Archive.open(full_store), {}).counts["ok"] == 66


def test_a_manifest_of_another_store_does_not_count(full_store: UPath) -> None:
    seal(Archive.open(full_store), {})
    content = json.loads(manifest_path(full_store).read_text())
    manifest_path(full_store).write_text(json.dumps(content | {"config_hash": "other"}))
    assert read_manifest(full_store) is None
    manifest_path(full_store).write_text("{")
    with pytest.raises(ArchiveError, match=r"train\.json: expected JSON, found something else"):
        read_manifest(full_store)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("files", {"zarr.json": {"bytes": 3}}),
        ("files", {"zarr.json": {"bytes": 3, "sha256": "0", "more": 1}}),
        ("files", ["zarr.json"]),
        ("failures", {"non_finite": {"simulations": 3}}),
        ("steady_state", {"settled": 3}),
        ("n_simulations", "many"),
        ("counts", "all"),
        ("sealed", "now"),
    ],
)
def test_a_damaged_manifest_is_named(full_store: UPath, key: str, value: object) -> None:
    seal(Archive.open(full_store), {})
    path = manifest_path(full_store)
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(ArchiveError, match=r"train\.json: the manifest is damaged"):
        read_manifest(full_store)


def test_the_manifest_is_what_the_file_says(full_store: UPath) -> None:
    """Nothing of the file is lost or changed where it is read as an object."""
    manifest = seal(Archive.open(full_store), {"time": "now"})
    content = json.loads(manifest_path(full_store).read_text())
    for key in ("config_hash", "specification", "counts", "created", "sealed", "campaign", "store"):
        assert getattr(manifest, key) == content[key]
    assert {name: asdict(record) for name, record in manifest.files.items()} == content["files"]
    assert {name: asdict(found) for name, found in manifest.failures.items()} == content["failures"]
    assert manifest.steady_state is not None
    assert asdict(manifest.steady_state) == content["steady_state"]
    for key in ("n_simulations", "n_regions", "n_times", "n_shards", "shard_size", "chunk_size", "aligned"):
        assert getattr(manifest.layout, key) == content[key]
