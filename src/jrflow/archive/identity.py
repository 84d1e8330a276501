"""Whether a store that is already there is the one that is wanted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import zarr

from jrflow.archive.errors import ArchiveError, ArchiveMismatchError
from jrflow.archive.layout import FORMAT


def store_attributes(path: Path) -> dict[str, Any]:
    """Attributes of a store of ours.

    Raises
    ------
    ArchiveError
        If the path holds something else.
    """
    try:
        attrs = zarr.open_group(path, mode="r").attrs.asdict()
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise ArchiveError(f"{path}: expected a Zarr store made by jrflow, found something else") from error
    if attrs.get("format") != FORMAT:
        raise ArchiveError(
            f"{path}: expected a store of format {FORMAT!r}, found {attrs.get('format')!r}; it was made by "
            "another program or another version of jrflow"
        )
    return attrs


def read_specification(path: Path) -> dict[str, Any]:
    """Everything that the simulations in a store depend on, as it was when the store was created."""
    specification: dict[str, Any] = json.loads(store_attributes(path)["specification"])
    return specification


def check_belongs(path: Path, specification: Mapping[str, Any]) -> None:
    """Make sure that a store was created for exactly this specification.

    Raises
    ------
    ArchiveMismatchError
        If not; the message lists every difference and the ways out. The store is left as it is.
    """
    found = dict(_flat(read_specification(path)))
    expected = dict(_flat(specification))
    lines = [
        f"  {key}: in the store {found.get(key, 'absent')}, expected {expected.get(key, 'absent')}"
        for key in sorted(found.keys() | expected.keys())
        if found.get(key) != expected.get(key)
    ]
    if lines:
        raise ArchiveMismatchError(
            "\n".join([f"{path} holds another campaign; it differs in", *lines])
            + f"\nIt is not overwritten. Give this run another name (run.name), restore the settings, or, if "
            f"these simulations are no longer wanted, delete them: rm -r '{path}'"
        )


def changed_versions(path: Path, current: Mapping[str, str]) -> list[str]:
    """Packages that have another version than when the store was created: 'numba 0.61 -> 0.62'."""
    begun_with = json.loads(store_attributes(path)["versions"])
    return [
        f"{name} {begun_with.get(name, 'absent')} -> {version}"
        for name, version in current.items()
        if begun_with.get(name) != version
    ]


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Keys of a nested mapping, joined by dots."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
