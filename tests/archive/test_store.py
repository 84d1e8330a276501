"""A store that belongs to something else is recognised, described and left alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zarr
from upath import UPath
from zarr.storage import LocalStore

from jrflow.archive import ArchiveError, ArchiveMismatchError
from jrflow.archive.store import Archive, opened
from jrflow.campaign.run import design_campaign, run_campaign
from jrflow.config import Config
from jrflow.provenance import version_changes, versions
from jrflow.specification import Specification


def test_the_same_specification_belongs(store: UPath) -> None:
    archive = Archive.open(store)
    archive.check_belongs(Specification.parse(archive.specification.content))


def test_every_difference_is_listed_with_a_way_out(store: UPath) -> None:
    archive = Archive.open(store)
    content = archive.specification.content
    simulation = content["simulation"] | {"dt": 0.0005}
    wanted = Specification.parse(content | {"seed": 0, "simulation": simulation, "replicates": 7})
    with pytest.raises(ArchiveMismatchError) as error:
        archive.check_belongs(wanted)
    assert str(error.value).splitlines() == [
        f"{store} holds another campaign; it differs in",
        "  replicates: in the store absent, expected 7",
        "  seed: in the store 5, expected 0",
        "  simulation.dt: in the store 0.001, expected 0.0005",
        "It is not overwritten. Give this run another name (run.name), restore the settings, or, if these "
        f"simulations are no longer wanted, delete them: rm -r '{store}'",
    ]


@pytest.mark.parametrize("kind", ["file", "folder", "other zarr", "other format"])
def test_something_else_in_the_way_is_no_archive(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "train.zarr"
    if kind == "file":
        path.write_text("notes")
    elif kind == "folder":
        path.mkdir()
    else:
        attributes = {"format": "jrflow-archive-0"} if kind == "other format" else {}
        zarr.create_group(path, attributes=attributes)
    with pytest.raises(ArchiveError, match=r"train\.zarr: expected a (Zarr store|store of format)"):
        Archive.open(path)


def test_changed_versions_are_named(store: UPath) -> None:
    changed = Archive.open(store).changed_versions()
    assert f"numba 0.61 -> {versions()['numba']}" in changed
    assert f"scipy absent -> {versions()['scipy']}" in changed
    assert len(changed) == len(versions())
    assert version_changes(versions()) == []


def test_a_store_is_opened_once_however_many_shards_it_has(
    tiny_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise metadata cost more than writing a small shard."""
    asked: list[str] = []
    get = LocalStore.get

    async def counted(self: LocalStore, key: str, *args: Any, **options: Any) -> Any:
        asked.append(key)
        return await get(self, key, *args, **options)

    monkeypatch.setattr(LocalStore, "get", counted)
    metadata = {}
    for shard_size in (8, 40):
        config = tiny_config(execution={"shard_size": shard_size, "chunk_size": 8})
        asked.clear()
        run_campaign(config, "train", tmp_path / str(shard_size), progress=None)
        metadata[shard_size] = sum(key.endswith("zarr.json") for key in asked)
    assert metadata[8] == metadata[40] > 0


def test_a_worker_opens_a_store_again_when_its_metadata_have_changed(
    tiny_config: Callable[..., Config], tmp_path: Path
) -> None:
    path = design_campaign(tiny_config(), "train", tmp_path)
    first = opened(path)
    assert opened(str(path)) is first
    assert first.layout.n_simulations == 100
    design_campaign(tiny_config({"n": 130}), "train", tmp_path)
    assert opened(path).layout.n_simulations == 130
    shutil.rmtree(path)
    design_campaign(tiny_config({"n": 130}, execution={"shard_size": 8, "chunk_size": 8}), "train", tmp_path)
    assert opened(path).layout.shard_size == 8
    with pytest.raises(ArchiveError, match="there is no archive"):
        opened(tmp_path / "other.zarr")
