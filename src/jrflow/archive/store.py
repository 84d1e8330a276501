"""The store of an archive, opened once: its attributes, specification, layout and arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NoReturn

import numpy as np
import xarray as xr
import zarr
from upath import UPath
from zarr.errors import NodeNotFoundError

from jrflow.archive.errors import ArchiveError, ArchiveMismatchError
from jrflow.archive.layout import ShardLayout, template_of, write_template
from jrflow.archive.paths import AnyPath, is_local, place, read_json, write_atomically
from jrflow.archive.vocabulary import CREATING, FORMAT
from jrflow.provenance import version_changes
from jrflow.specification import Differences, Specification

_METADATA = "zarr.json"


@dataclass(frozen=True, eq=False)
class Archive:
    """An open archive; functions that read or write it are given this object, not its path.

    Metadata are read once, arrays are opened when they are first asked for. What changes metadata, which is
    extending and repairing, is followed by opening the archive again.

    Attributes
    ----------
    path
        The store, <campaign>.zarr.
    attributes
        Attributes of its Zarr group.
    """

    path: UPath
    attributes: Mapping[str, Any] = field(repr=False)
    _arrays: dict[tuple[str, str], zarr.Array] = field(default_factory=dict, repr=False)

    @classmethod
    def open(cls, path: AnyPath) -> Archive:
        """Open a store of ours.

        Raises
        ------
        ArchiveError
            If the path holds something else, or an archive of another version.
        """
        store = place(path)
        return cls._checked(store, attributes_if_any(store))

    @classmethod
    def find(cls, path: UPath) -> Archive | None:
        """Open a store if there is one; None also where its creation was interrupted; raises as ``open``.

        Only object stores keep a store that is half made.
        """
        found = attributes_if_any(path)
        if (found or {}).get("format") == CREATING or (found is None and not path.exists()):
            return None
        return cls._checked(path, found)

    @classmethod
    def _checked(cls, store: UPath, found: Mapping[str, Any] | None) -> Archive:
        if found is None and not store.exists():
            raise ArchiveError(f"{store}: there is no archive; expected a Zarr store made by jrflow")
        if found is None:
            raise ArchiveError(
                f"{store}: expected a Zarr store made by jrflow, found something else; if it was sealed and "
                f"its zarr.json is damaged: jrflow archive repair '{store}'"
            )
        if found.get("format") != FORMAT:
            raise ArchiveError(
                f"{store}: expected a store of format {FORMAT!r}, found {found.get('format')!r}; it was made "
                "by another program or another version of jrflow. Plain xarray may still read it: "
                "xr.open_zarr"
            )
        return cls(store, found)

    @cached_property
    def specification(self) -> Specification:
        """Everything that the simulations depend on."""
        try:
            return Specification.parse(json.loads(self.attributes["specification"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ArchiveError(
                f"{self.path / _METADATA}: expected a specification, found none that can be read ({error}); "
                f"the file is damaged. A sealed archive is repaired by: jrflow archive repair '{self.path}'"
            ) from error

    @cached_property
    def layout(self) -> ShardLayout:
        """Shards and chunks; they stay as they were created."""
        source = self.array("source")
        n_simulations, n_regions, n_times = source.shape
        shard_size = (source.shards or source.chunks)[0]
        aligned = self.array("sim").chunks[0] == source.chunks[0]
        return ShardLayout(n_simulations, n_regions, n_times, shard_size, source.chunks[0], aligned)

    @property
    def created(self) -> dict[str, Any]:
        """Commit, and versions by package, with which the store was created."""
        return {
            "git_commit": self.attributes["git_commit"],
            "versions": json.loads(self.attributes["versions"]),
        }

    def changed_versions(self) -> list[str]:
        """Packages that have another version now than when the store was created: 'numba 0.61 -> 0.62'."""
        return version_changes(self.created["versions"])

    def has(self, name: str) -> bool:
        """Whether there is a variable of this name, sound or damaged."""
        # Each is asked for by itself: s3fs remembers what it lists, and would not see what Zarr writes later.
        return (name, "r") in self._arrays or (self.path / name).exists()

    def array(self, name: str, mode: str = "r") -> zarr.Array:
        """One array of the store, to read or (mode 'r+') to write.

        Raises
        ------
        ArchiveError
            If there is none, or its metadata are damaged.
        """
        if (name, mode) not in self._arrays:
            # Without this a chunk of nothing but NaN would not be written, and could not be told from a loss.
            # Other variables that are nothing but the fill value, such as the steps of failures where there
            # were none, take no file.
            with zarr.config.set({"array.write_empty_chunks": name == "source"}):
                self._arrays[name, mode] = self._open_array(name, mode)
        return self._arrays[name, mode]

    def read(self, name: str) -> np.ndarray:
        """All of one array; raises as ``array``, and ``UNREADABLE`` where a chunk is damaged."""
        return np.asarray(self.array(name)[:])

    def refuse(self, found: Differences, reason: str = "") -> NoReturn:
        """Raise the error that lists the differences of the store from what is wanted, and the ways out."""
        lines = [
            f"  {key}: in the store {there}, expected {expected}" for key, (there, expected) in found.items()
        ]
        raise ArchiveMismatchError(
            "\n".join([f"{self.path} holds another campaign; it differs in", *lines])
            + f"\n{reason}It is not overwritten. Give this run another name (run.name), restore the "
            f"settings, or, if these simulations are no longer wanted, delete them: rm -r '{self.path}'"
        )

    def check_belongs(self, specification: Specification) -> None:
        """Make sure that the store was created for exactly this specification.

        Raises
        ------
        ArchiveMismatchError
            If not; the message lists every difference and the ways out. The store is left as it is.
        """
        found = self.specification.differences(specification)
        if found:
            self.refuse(found)

    def _open_array(self, name: str, mode: str) -> zarr.Array:
        try:
            return zarr.open_array(str(self.path / name), mode=mode, zarr_format=3)
        except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
            raise ArchiveError(
                f"{self.path / name / _METADATA}: expected the metadata of an array, found none that can be "
                f"read ({error}). A sealed archive is repaired by: jrflow archive repair '{self.path}'; of "
                "others restore the file from a copy, or delete the archive and start its campaign again"
            ) from error


def opened(path: AnyPath) -> Archive:
    """Open an archive once in a process, and again when its metadata have changed.

    This is for workers, which are given a path with each shard. Raises as ``Archive.open``.
    """
    store = place(path)
    try:
        # Read, not only looked at: NFS answers with old times and sizes for up to a minute, but compares with
        # the server whenever a file is opened.
        metadata = tuple((store / name).read_bytes() for name in (_METADATA, f"source/{_METADATA}"))
    except OSError:
        return Archive.open(store)
    return _opened(str(store), metadata)


@lru_cache(maxsize=4)
def _opened(path: str, _: tuple[bytes, ...]) -> Archive:
    return Archive.open(path)


def create_store(
    store: UPath,
    design: xr.Dataset,
    regions: list[str],
    times: np.ndarray,
    layout: ShardLayout,
    attrs: Mapping[str, Any],
    *,
    key: int | None = None,
) -> None:
    """Create a store with all coordinates written and every status 'not yet simulated'.

    In a file system it appears under its name only when it is complete; in an object store its attributes, by
    which it is known, say so last.

    Parameters
    ----------
    store
        Where; must not exist, or be half made.
    design
        Parameters over ``sim``, or over ``sim`` and ``region``, as made by ``jrflow.design.make_design``.
    regions, times
        Names of the regions; time of each sample, s.
    layout
        Shards and chunks.
    attrs
        Attributes of the store.
    key
        Key of the campaign, which every simulation names (``campaign_key``); older archives lack it.
    """
    unfinished = store.with_name(store.name + ".creating") if is_local(store) else store
    write_template(str(unfinished), template_of(design, regions, times, layout, key), layout)
    write_attributes(unfinished, attrs)
    if is_local(store):
        unfinished.rename(store)


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
