"""A campaign on a disk that is too small."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from disks import fill, small_disk

from jrflow.archive import DiskFullError
from jrflow.archive.shards import pending_shards
from jrflow.archive.store import Archive
from jrflow.campaign import ShardTask, run_campaign
from jrflow.config import Config

MakeConfig = Callable[..., Config]


def test_a_disk_too_small_is_refused_before_anything_runs(tiny_config: MakeConfig, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "256k") as disk:
        message = "are needed for what is still to be simulated, 258 kB are free"
        with pytest.raises(DiskFullError, match=message):
            run_campaign(tiny_config({"n": 2000}), "train", disk, progress=None)
        assert not list(disk.iterdir())


def test_a_full_disk_stops_cleanly_and_a_rerun_finishes(tiny_config: MakeConfig, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        filler = disk / "filler"

        def fill_after_one(function: Callable[[ShardTask], int], tasks: list[ShardTask]) -> Iterator[int]:
            yield function(tasks[0])
            fill(filler)
            yield from map(function, tasks[1:])

        message = (
            r"campaign 'train', shard 1 \(simulations 32\.\.63\): no space left.* 55\.3 kB .* 0 B are free"
        )
        with pytest.raises(DiskFullError, match=message):
            run_campaign(tiny_config(), "train", disk, fill_after_one, progress=None)
        assert pending_shards(Archive.open(disk / "train.zarr")) == [1, 2, 3]
        filler.unlink()
        manifest = run_campaign(tiny_config(), "train", disk, progress=None)
    assert manifest.sealed["last_run"]["simulations"] == 68
    undisturbed = run_campaign(tiny_config(), "train", tmp_path / "undisturbed", progress=None)
    assert {name: entry.sha256 for name, entry in manifest.files.items() if "/c/" in name} == {
        name: entry.sha256 for name, entry in undisturbed.files.items() if "/c/" in name
    }
