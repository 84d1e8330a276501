"""A campaign on a disk that is too small."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from jrflow.archive import DiskFullError
from jrflow.archive.writer import pending_shards
from jrflow.campaign import ShardTask, run_campaign
from jrflow.config import Config

MakeConfig = Callable[..., Config]


@contextmanager
def _small_disk(where: Path, size: str) -> Iterator[Path]:
    where.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(where)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    try:
        yield where
    finally:
        subprocess.run(["umount", str(where)], check=True)


def _fill(path: Path) -> None:
    """Write until there is no room left."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass


def test_a_disk_too_small_is_refused_before_anything_runs(tiny_config: MakeConfig, tmp_path: Path) -> None:
    with _small_disk(tmp_path / "disk", "256k") as disk:
        message = "are needed for what is still to be simulated, 258 kB are free"
        with pytest.raises(DiskFullError, match=message):
            run_campaign(tiny_config({"n": 2000}), "train", disk, progress=None)
        assert not list(disk.iterdir())


def test_a_full_disk_stops_cleanly_and_a_rerun_finishes(tiny_config: MakeConfig, tmp_path: Path) -> None:
    with _small_disk(tmp_path / "disk", "1m") as disk:
        filler = disk / "filler"

        def fill_after_one(function: Callable[[ShardTask], int], tasks: list[ShardTask]) -> Iterator[int]:
            yield function(tasks[0])
            _fill(filler)
            yield from map(function, tasks[1:])

        message = (
            r"campaign 'train', shard 1 \(simulations 32\.\.63\): no space left.* 55\.3 kB .* 0 B are free"
        )
        with pytest.raises(DiskFullError, match=message):
            run_campaign(tiny_config(), "train", disk, fill_after_one, progress=None)
        assert pending_shards(disk / "train.zarr") == [1, 2, 3]
        filler.unlink()
        manifest = run_campaign(tiny_config(), "train", disk, progress=None)
    assert manifest["sealed"]["last_run"]["simulations"] == 68
    undisturbed = run_campaign(tiny_config(), "train", tmp_path / "undisturbed", progress=None)
    assert {name: entry["sha256"] for name, entry in manifest["files"].items() if "/c/" in name} == {
        name: entry["sha256"] for name, entry in undisturbed["files"].items() if "/c/" in name
    }
