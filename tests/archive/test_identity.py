"""A store that belongs to something else is recognised, described and left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import zarr
from upath import UPath

from jrflow.archive import ArchiveError, ArchiveMismatchError
from jrflow.archive.attributes import read_specification, store_attributes
from jrflow.archive.identity import changed_versions, check_belongs
from jrflow.archive.place import place
from jrflow.provenance import version_changes, versions
from jrflow.specification import Specification


def test_the_same_specification_belongs(store: UPath) -> None:
    check_belongs(store, read_specification(store))


def test_every_difference_is_listed_with_a_way_out(store: UPath) -> None:
    content = read_specification(store).content
    simulation = content["simulation"] | {"dt": 0.0005}
    wanted = Specification.parse(content | {"seed": 0, "simulation": simulation, "replicates": 7})
    with pytest.raises(ArchiveMismatchError) as error:
        check_belongs(store, wanted)
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
        store_attributes(place(path))


def test_changed_versions_are_named(store: UPath) -> None:
    changed = changed_versions(store)
    assert f"numba 0.61 -> {versions()['numba']}" in changed
    assert f"scipy absent -> {versions()['scipy']}" in changed
    assert len(changed) == len(versions())
    assert version_changes(versions()) == []
