"""Sealing: the last step of a campaign, after which its archive is complete and can be checked."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import zarr
from upath import UPath
from zarr.errors import ZarrUserWarning

from jrflow.archive.errors import ArchiveError
from jrflow.archive.layout import OUTCOMES, ShardLayout
from jrflow.archive.paths import AnyPath, files, place, read_json, remove_leftovers, write_atomically
from jrflow.archive.shards import Stored, damage_and_outcomes, pending_shards
from jrflow.archive.store import Archive, attributes_if_any
from jrflow.archive.vocabulary import FORMAT, NOT_SIMULATED, OK, STATUS_MEANINGS, count_statuses
from jrflow.model.protocol import EvokedProtocol, RestProtocol
from jrflow.provenance import git_commit, versions

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
    """Simulations that failed in one way, and the integration steps at which they did."""

    simulations: int
    first_step: int
    median_step: float
    last_step: int


@dataclass(frozen=True)
class SteadyState:
    """Simulations that did not fail and settled before the last trial; None of no simulation."""

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
    """What a sealed archive, or a selection of one, declares.

    Attributes
    ----------
    campaign, store
        Names of the campaign and of the folder.
    config_hash, specification
        Of what the simulations depend on, as JSON.
    layout
        Sizes, shards and chunks.
    counts
        Number of simulations by the meaning of their status.
    failures
        By the meaning of the status.
    steady_state
        None at rest.
    created, sealed
        Provenance: time, commit, versions; under ``last_run`` of ``sealed`` what that run did.
    files
        By their name in the store.
    is_selection
        Whether it describes a selection of a campaign's simulations, not all of them.
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
        """When it was sealed; empty if it does not say."""
        return str(self.sealed.get("time", ""))


def manifest_path(store: UPath) -> UPath:
    """Manifest of a store: <campaign>.json beside <campaign>.zarr."""
    return store.with_suffix(".json")


def read_manifest(store: AnyPath) -> Manifest | None:
    """Manifest of a sealed store; None if it is not sealed, or the manifest is that of another store.

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

    It lies beside the store under the store's name. Where a store was renamed without its manifest, it has
    the name of the campaign.
    """
    if manifest_path(store).exists():
        return manifest_path(store)
    campaign = (attributes_if_any(store) or {}).get("campaign")
    if not isinstance(campaign, str):
        return None
    path = store.with_name(f"{campaign}.json")
    # Where the store of that name is there, too, the manifest belongs to that one.
    return path if path.exists() and not store.with_name(f"{campaign}.zarr").exists() else None


def load_manifest(path: UPath) -> Manifest:
    """Read a manifest.

    Raises
    ------
    ArchiveError
        If the file is not a manifest, or one of another version.
    """
    return Manifest.of(read_json(path), path)


def seal(archive: Archive, provenance: Mapping[str, Any]) -> Manifest:
    """Declare an archive complete.

    Reads all of it, consolidates the metadata, takes the checksum of every file and writes the manifest,
    atomically and last.

    Parameters
    ----------
    archive
        The archive; all of its shards are done.
    provenance
        Who sealed it and what that took (``sealed_by``); goes into the manifest under 'sealed'.

    Raises
    ------
    ArchiveError
        If a shard is not done, or damaged.
    """
    store = archive.path
    pending = pending_shards(archive)
    if pending:
        raise ArchiveError(f"{store} cannot be sealed: {len(pending)} shards are still to be simulated")
    damaged, outcomes = damage_and_outcomes(archive, range(archive.layout.n_shards))
    if damaged:
        raise ArchiveError(
            f"{store} cannot be sealed: shards {_listed(damaged)} were written but cannot be read; start the "
            "campaign again: it simulates them again"
        )
    remove_leftovers(store)
    with warnings.catch_warnings():
        # Consolidated metadata await their place in the Zarr v3 specification; xarray reads them.
        warnings.simplefilter("ignore", ZarrUserWarning)
        zarr.consolidate_metadata(str(store))
    content = _describe(archive, outcomes) | {"sealed": dict(provenance), "files": checksums(store)}
    path = manifest_path(store)
    write_atomically(path, json.dumps(content, indent=1).encode())
    return Manifest.of(content, path)


def sealed_by(last_run: Mapping[str, Any]) -> dict[str, Any]:
    """Who seals an archive: time, commit, versions, and what was done."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"time": now, "git_commit": git_commit(), "versions": versions(), "last_run": dict(last_run)}


def damaged_files(store: AnyPath, *, contents: bool = True) -> dict[str, str]:
    """Compare a sealed archive with its manifest.

    Parameters
    ----------
    store
        A sealed store.
    contents
        Read every file and compare checksums; otherwise only look whether it is there, in full length.

    Returns
    -------
    dict
        What is wrong, by the name of the file.
    """
    path = place(store)
    return compare(path, require_manifest(path), contents=contents)


def check_intact(store: UPath, manifest: Manifest) -> None:
    """Make sure that every file of a sealed archive is there, in full length.

    Raises
    ------
    ArchiveError
        If not; the message lists the files and says what to do.
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
        Has the size and the SHA-256 of every file.
    contents
        Read every file and compare checksums; otherwise compare sizes only.

    Returns
    -------
    dict
        What is wrong, by the name of the file.
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


def _describe(archive: Archive, outcomes: Stored) -> dict[str, Any]:
    layout, attrs, specification = archive.layout, archive.attributes, archive.specification
    n_trials, failed_step, status = (outcomes[name] for name in OUTCOMES)
    return {
        "format": attrs["format"],
        "campaign": attrs["campaign"],
        "store": archive.path.name,
        "config_hash": attrs["config_hash"],
        "specification": specification.content,
        "n_simulations": layout.n_simulations,
        "n_regions": layout.n_regions,
        "n_times": layout.n_times,
        "n_shards": layout.n_shards,
        "shard_size": layout.shard_size,
        "chunk_size": layout.chunk_size,
        "aligned": layout.aligned,
        "counts": count_statuses(status),
        "failures": _failures(status, failed_step),
        "steady_state": _steady_state(specification.simulation.protocol, n_trials[status == OK]),
        "created": archive.created,
    }


def _failures(status: np.ndarray, failed_step: np.ndarray) -> dict[str, dict[str, float]]:
    """Steps at which simulations failed, by the status they have; empty where none did."""
    steps = {
        STATUS_MEANINGS[value]: failed_step[status == value]
        for value in np.unique(status).tolist()
        if value not in (OK, NOT_SIMULATED)
    }
    return {
        meaning: {
            "simulations": len(found),
            "first_step": int(found.min()),
            "median_step": float(np.median(found)),
            "last_step": int(found.max()),
        }
        for meaning, found in steps.items()
    }


def _steady_state(
    protocol: EvokedProtocol | RestProtocol, n_trials: np.ndarray
) -> dict[str, float | None] | None:
    """How many of the simulations that did not fail settled before the last trial; None at rest."""
    if not isinstance(protocol, EvokedProtocol):
        return None
    settled = int((n_trials < protocol.n_trials).sum())
    some = len(n_trials) > 0
    return {
        "settled": settled,
        "fraction": settled / len(n_trials) if some else None,
        "median_trials": float(np.median(n_trials)) if some else None,
    }


def _listed(shards: list[int]) -> str:
    return ", ".join(map(str, shards[:10])) + (", ..." if len(shards) > 10 else "")
