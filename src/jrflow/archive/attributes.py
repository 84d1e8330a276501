"""Attributes of a store: by them it is known as one of ours, and what it was made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import zarr
from upath import UPath
from zarr.errors import NodeNotFoundError

from jrflow.archive.errors import ArchiveError
from jrflow.archive.place import read_json, write_atomically
from jrflow.specification import Specification

#: Marks a store as one of ours; the number changes with the layout.
FORMAT = "jrflow-archive-2"
#: The same while it is being created.
CREATING = f"{FORMAT}-creating"

_METADATA = "zarr.json"


def store_attributes(store: UPath) -> dict[str, Any]:
    """Attributes of a store of ours.

    Raises
    ------
    ArchiveError
        If the path holds something else, or an archive of another version.
    """
    found = attributes_if_any(store)
    if found is None and not store.exists():
        raise ArchiveError(f"{store}: there is no archive; expected a Zarr store made by jrflow")
    if found is None:
        raise ArchiveError(
            f"{store}: expected a Zarr store made by jrflow, found something else; if it was sealed and its "
            f"zarr.json is damaged: jrflow archive repair '{store}'"
        )
    if found.get("format") != FORMAT:
        raise ArchiveError(
            f"{store}: expected a store of format {FORMAT!r}, found {found.get('format')!r}; it was made by "
            "another program or another version of jrflow. Plain xarray may still read it: xr.open_zarr"
        )
    return found


def is_half_made(store: UPath) -> bool:
    """Whether its creation was interrupted, which happens in object stores only."""
    return (attributes_if_any(store) or {}).get("format") == CREATING


def read_specification(store: UPath) -> Specification:
    """Everything that the simulations in a store depend on."""
    try:
        return Specification.parse(json.loads(store_attributes(store)["specification"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ArchiveError(
            f"{store / _METADATA}: expected a specification, found none that can be read ({error}); the file "
            f"is damaged. A sealed archive is mended by: jrflow archive repair '{store}'"
        ) from error


def created_with(store: UPath) -> dict[str, Any]:
    """Commit, and versions by package, with which a store was created."""
    attrs = store_attributes(store)
    return {"git_commit": attrs["git_commit"], "versions": json.loads(attrs["versions"])}


def write_attributes(store: UPath, attrs: Mapping[str, Any]) -> None:
    """Replace a store's attributes, all at once, and drop consolidated metadata: what they say may change.

    Nested mappings become JSON text: Zarr takes any JSON, netCDF only numbers and text.
    """
    flat = {key: json.dumps(v, sort_keys=True) if isinstance(v, Mapping) else v for key, v in attrs.items()}
    metadata = read_json(store / _METADATA)
    metadata.pop("consolidated_metadata", None)
    content = json.dumps(metadata | {"attributes": flat}, indent=2)
    write_atomically(store / _METADATA, content.encode())


def attributes_if_any(store: UPath) -> dict[str, Any] | None:
    """Attributes of a Zarr group; None if there is none."""
    try:
        return zarr.open_group(str(store), mode="r", zarr_format=3).attrs.asdict()
    except (FileNotFoundError, NotADirectoryError, NodeNotFoundError, ValueError, TypeError):
        return None
