"""Sealing: the last act of a campaign, after which its archive is complete and can be checked."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import zarr
from upath import UPath
from zarr.errors import ZarrUserWarning

from jrflow.archive.attributes import (
    FORMAT,
    attributes_if_any,
    created_with,
    read_specification,
    store_attributes,
)
from jrflow.archive.errors import ArchiveError
from jrflow.archive.integrity import checksums, compare, damaged_shards
from jrflow.archive.layout import OUTCOMES, ShardLayout
from jrflow.archive.place import read_array, read_json, remove_leftovers, write_atomically
from jrflow.archive.status import NOT_SIMULATED, OK, STATUS_MEANINGS, count_statuses
from jrflow.archive.writer import pending_shards
from jrflow.model.protocol import EvokedProtocol, RestProtocol

Manifest = dict[str, Any]

#: Keys that every manifest has.
_REQUIRED = {
    "format", "config_hash", "specification", "n_simulations", "n_regions", "n_times", "shard_size",
    "chunk_size", "counts", "created", "sealed", "files",
}  # fmt: skip


def manifest_path(store: UPath) -> UPath:
    """Manifest of a store: <campaign>.json beside <campaign>.zarr."""
    return store.with_suffix(".json")


def read_manifest(store: UPath) -> Manifest | None:
    """Manifest of a sealed store; None if it is not sealed, or the manifest is that of another store.

    Raises
    ------
    ArchiveError
        If the file is not a manifest of this version.
    """
    path = find_manifest(store)
    if path is None:
        return None
    manifest = load_manifest(path)
    same = manifest["config_hash"] == store_attributes(store).get("config_hash")
    return manifest if same else None


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
    manifest = read_json(path)
    if not manifest.keys() >= _REQUIRED:
        raise ArchiveError(f"{path}: expected the manifest of an archive, found something else")
    if manifest["format"] != FORMAT:
        raise ArchiveError(
            f"{path}: expected a manifest of format {FORMAT!r}, found {manifest['format']!r}; read it "
            "with the version of jrflow that made it, or with plain xarray: xr.open_zarr"
        )
    return manifest


def seal(store: UPath, provenance: Mapping[str, Any]) -> Manifest:
    """Declare an archive complete.

    Reads all of it, consolidates the metadata, takes the checksum of every file and writes the manifest,
    atomically and last.

    Parameters
    ----------
    store
        The store; all of its shards are done.
    provenance
        Who sealed it and what that took; goes into the manifest under 'sealed'.

    Raises
    ------
    ArchiveError
        If a shard is not done, or damaged.
    """
    pending = pending_shards(store)
    if pending:
        raise ArchiveError(f"{store} cannot be sealed: {len(pending)} shards are still to be simulated")
    damaged = damaged_shards(store, range(ShardLayout.of_store(store).n_shards))
    if damaged:
        raise ArchiveError(
            f"{store} cannot be sealed: shards {_listed(damaged)} were written but cannot be read; start the "
            "campaign again: they are simulated anew"
        )
    remove_leftovers(store)
    with warnings.catch_warnings():
        # Consolidated metadata await their place in the Zarr v3 specification; xarray reads them.
        warnings.simplefilter("ignore", ZarrUserWarning)
        zarr.consolidate_metadata(str(store))
    manifest = _describe(store) | {"sealed": dict(provenance), "files": checksums(store)}
    write_atomically(manifest_path(store), json.dumps(manifest, indent=1).encode())
    return manifest


def damaged_files(store: UPath, *, contents: bool = True) -> dict[str, str]:
    """Compare a sealed archive with its manifest.

    Parameters
    ----------
    store
        A sealed store.
    contents
        Read every file and compare checksums; otherwise only look whether it is there, in full length.

    Returns
    -------
    What is wrong, by the name of the file.
    """
    manifest = read_manifest(store)
    if manifest is None:
        raise ArchiveError(f"{store} is not sealed: there is nothing to compare it with")
    return compare(store, manifest, contents=contents)


def check_intact(store: UPath) -> None:
    """Make sure that every file of a sealed archive is there, in full length.

    Raises
    ------
    ArchiveError
        If not; the message lists the files and says what to do.
    """
    faults = damaged_files(store, contents=False)
    if faults:
        lines = [f"{name}: {fault}" for name, fault in faults.items()]
        raise ArchiveError(
            "\n".join([f"{store} is sealed but damaged:", *lines])
            + f"\nRepair it, which simulates only what is lost: jrflow archive repair '{store}'"
        )


def _describe(store: UPath) -> Manifest:
    layout = ShardLayout.of_store(store)
    attrs, specification = store_attributes(store), read_specification(store)
    n_trials, failed_step, status = (read_array(store, name) for name in OUTCOMES)
    return {
        "format": attrs["format"],
        "campaign": attrs["campaign"],
        "store": store.name,
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
        "created": created_with(store),
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
