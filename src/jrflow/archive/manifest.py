"""The manifest of a sealed archive: its content, and the comparison with the files of the archive."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from upath import UPath

from jrflow.archive.errors import ArchiveError
from jrflow.archive.layout import ShardLayout
from jrflow.archive.paths import AnyPath, files, place, read_json
from jrflow.archive.store import Archive, attributes_if_any
from jrflow.archive.vocabulary import FORMAT

#: SHA-256 is computed over pieces of this size, so that a file need not fit in memory, bytes.
_PIECE = 2**24

#: Keys of the layout, in the order of its fields.
_SIZES = ("n_simulations", "n_regions", "n_times", "shard_size", "chunk_size")
#: Keys that every manifest has.
_REQUIRED = {
    "format", "config_hash", "specification", *_SIZES, "counts", "created", "sealed", "files",
}  # fmt: skip


@dataclass(frozen=True)
class Failures:
    """Number of simulations with one kind of failure, and the integration steps of these failures."""

    simulations: int
    first_step: int
    median_step: float
    last_step: int


@dataclass(frozen=True)
class SteadyState:
    """Number of successful simulations that settled before the last trial."""

    settled: int
    fraction: float | None
    median_trials: float | None


@dataclass(frozen=True)
class FileRecord:
    """Size in bytes and SHA-256 of one file."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Content of the manifest of a sealed archive, or of a selection.

    Attributes
    ----------
    campaign, store
        Names of the campaign and of the folder.
    config_hash, specification
        Everything that the simulations depend on, as JSON, and its hash.
    layout
        Sizes, shards and chunks.
    counts
        Number of simulations by the meaning of their status.
    failures
        By the meaning of the status.
    steady_state
        None at rest.
    created, sealed
        Provenance: time, commit, versions. ``last_run`` in ``sealed`` describes the work of the last run.
    files
        Size and checksum of each file, by its name in the store.
    is_selection
        Whether the store contains only a selection of the simulations of a campaign.
    """

    campaign: str
    store: str
    config_hash: str
    specification: Mapping[str, Any]
    layout: ShardLayout
    counts: Mapping[str, int]
    failures: Mapping[str, Failures]
    steady_state: SteadyState | None
    created: Mapping[str, Any]
    sealed: Mapping[str, Any]
    files: Mapping[str, FileRecord]
    is_selection: bool = False

    @classmethod
    def of(cls, content: Mapping[str, Any], path: UPath) -> Manifest:
        """Read the content of a file.

        Raises
        ------
        ArchiveError
            If it is not a manifest, or one of another version.
        """
        if not content.keys() >= _REQUIRED:
            raise ArchiveError(f"{path}: expected the manifest of an archive, found something else")
        if content["format"] != FORMAT:
            raise ArchiveError(
                f"{path}: expected a manifest of format {FORMAT!r}, found {content['format']!r}; read it "
                "with the version of jrflow that made it, or with plain xarray: xr.open_zarr"
            )
        try:
            return cls._parsed(content, path)
        except (AttributeError, TypeError, ValueError) as error:
            raise ArchiveError(
                f"{path}: the manifest is damaged ({error}); restore the file from a copy. The archive "
                "itself can be read with plain xarray: xr.open_zarr"
            ) from error

    @classmethod
    def _parsed(cls, content: Mapping[str, Any], path: UPath) -> Manifest:
        n_simulations, n_regions, n_times, shard, chunk = (int(content[key]) for key in _SIZES)
        steady = content.get("steady_state")
        return cls(
            campaign=content.get("campaign", path.stem),
            store=content.get("store", f"{path.stem}.zarr"),
            config_hash=content["config_hash"],
            specification=content["specification"],
            layout=ShardLayout(
                n_simulations, n_regions, n_times, shard, chunk, aligned=content.get("aligned", False)
            ),
            counts={meaning: int(n) for meaning, n in content["counts"].items()},
            failures={name: Failures(**found) for name, found in content.get("failures", {}).items()},
            steady_state=None if steady is None else SteadyState(**steady),
            created=dict(content["created"]),
            sealed=dict(content["sealed"]),
            files={name: FileRecord(**found) for name, found in content["files"].items()},
            is_selection=bool(content.get("selection")),
        )

    @property
    def sealed_at(self) -> str:
        """Time of sealing; empty if unknown."""
        return str(self.sealed.get("time", ""))


def manifest_path(store: UPath) -> UPath:
    """Manifest of a store: <campaign>.json beside <campaign>.zarr."""
    return store.with_suffix(".json")


def read_manifest(store: AnyPath) -> Manifest | None:
    """Manifest of a sealed store; None if the store is not sealed, or the manifest belongs to another store.

    Raises
    ------
    ArchiveError
        If the file is not a manifest of this version.
    """
    path = place(store)
    return None if find_manifest(path) is None else manifest_of(Archive.open(path))


def require_manifest(store: UPath) -> Manifest:
    """Manifest of a sealed store, as ``read_manifest``; an ``ArchiveError`` if it is not sealed."""
    manifest = read_manifest(store)
    if manifest is None:
        raise ArchiveError(f"{store} is not sealed: there is nothing to compare it with")
    return manifest


def manifest_of(archive: Archive) -> Manifest | None:
    """Manifest of an open archive, as ``read_manifest``."""
    path = find_manifest(archive.path)
    if path is None:
        return None
    manifest = load_manifest(path)
    return manifest if manifest.config_hash == archive.attributes.get("config_hash") else None


def find_manifest(store: UPath) -> UPath | None:
    """Path of a store's manifest; None if there is none.

    The manifest is in the same folder and has the name of the store. If a store was renamed without its
    manifest, the manifest has the name of the campaign.
    """
    if manifest_path(store).exists():
        return manifest_path(store)
    campaign = (attributes_if_any(store) or {}).get("campaign")
    if not isinstance(campaign, str):
        return None
    path = store.with_name(f"{campaign}.json")
    # If a store of that name exists, the manifest belongs to it.
    return path if path.exists() and not store.with_name(f"{campaign}.zarr").exists() else None


def load_manifest(path: UPath) -> Manifest:
    """Read a manifest.

    Raises
    ------
    ArchiveError
        If the file is not a manifest, or one of another version.
    """
    return Manifest.of(read_json(path), path)


def damaged_files(store: AnyPath, *, contents: bool = True) -> dict[str, str]:
    """Compare a sealed archive with its manifest.

    Parameters
    ----------
    store
        A sealed store.
    contents
        Read every file and compare checksums; otherwise only compare sizes.

    Returns
    -------
    dict
        Faults, by the name of the file.
    """
    path = place(store)
    return compare(path, require_manifest(path), contents=contents)


def check_intact(store: UPath, manifest: Manifest) -> None:
    """Check that every file of a sealed archive exists and has its full length.

    Raises
    ------
    ArchiveError
        If files are missing or truncated; the message lists them and says what to do.
    """
    faults = compare(store, manifest, contents=False)
    if faults:
        lines = [f"{name}: {fault}" for name, fault in faults.items()]
        raise ArchiveError(
            "\n".join([f"{store} is sealed but damaged:", *lines])
            + f"\nRepair it, which simulates only what is lost: jrflow archive repair '{store}'"
        )


def compare(store: UPath, manifest: Manifest, *, contents: bool = True) -> dict[str, str]:
    """Compare the files of a store with a manifest.

    Parameters
    ----------
    store
        The store.
    manifest
        Manifest with the size and the SHA-256 of every file.
    contents
        Read every file and compare checksums; otherwise compare sizes only.

    Returns
    -------
    dict
        Faults, by the name of the file.
    """
    there, faults = dict(files(store)), {}
    for name, expected in manifest.files.items():
        if name not in there:
            faults[name] = "missing"
        elif there[name] != expected.bytes:
            faults[name] = f"{there[name]} bytes, expected {expected.bytes}"
    if contents:
        sound = [name for name in manifest.files if name not in faults]
        for name, digest in zip(sound, _digests(store, sound), strict=True):
            if digest != manifest.files[name].sha256:
                faults[name] = "checksum differs"
    return dict(sorted(faults.items()))


def checksums(store: UPath) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file of a store, by its name in it."""
    sizes = dict(files(store))
    digests = _digests(store, sizes)
    return {
        name: {"bytes": size, "sha256": digest}
        for (name, size), digest in zip(sizes.items(), digests, strict=True)
    }


def _digests(store: UPath, names: Iterable[str]) -> list[str]:
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(lambda name: _sha256(store / name), names))


def _sha256(path: UPath) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
