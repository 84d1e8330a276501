"""Sealing: the last act of a campaign, after which its archive is complete and can be checked."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import zarr
from upath import UPath
from zarr.errors import ZarrUserWarning

from jrflow.archive.attributes import created_with, read_specification, store_attributes
from jrflow.archive.errors import ArchiveError
from jrflow.archive.layout import OUTCOMES, ShardLayout
from jrflow.archive.place import files, read_array, read_json, remove_leftovers, write_atomically
from jrflow.archive.status import NOT_SIMULATED, OK, STATUS_MEANINGS, count_statuses
from jrflow.archive.writer import is_damaged, pending_shards

Manifest = dict[str, Any]


def manifest_path(store: UPath) -> UPath:
    """Manifest of a store: <campaign>.json beside <campaign>.zarr."""
    return store.with_suffix(".json")


def read_manifest(store: UPath) -> Manifest | None:
    """Manifest of a sealed store; None if it is not sealed, or the manifest speaks of another store."""
    path = manifest_path(store)
    if not path.exists():
        return None
    manifest = read_json(path)
    if not {"config_hash", "files", "specification"} <= manifest.keys():
        raise ArchiveError(f"{path}: expected the manifest of {store.name}, found something else")
    same = manifest["config_hash"] == store_attributes(store)["config_hash"]
    return manifest if same else None


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


def damaged_shards(store: UPath, shards: Iterable[int]) -> list[int]:
    """Which of some shards that are said to be done cannot be read; every checksum in them is compared."""
    return [shard for shard in shards if is_damaged(store, shard)]


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


def compare(store: UPath, manifest: Manifest, *, contents: bool = True) -> dict[str, str]:
    """Compare a store with a manifest that is at hand; see ``damaged_files``."""
    there, faults = dict(files(store)), {}
    for name, expected in manifest["files"].items():
        if name not in there:
            faults[name] = "missing"
        elif there[name] != expected["bytes"]:
            faults[name] = f"{there[name]} bytes, expected {expected['bytes']}"
    if contents:
        sound = [name for name in manifest["files"] if name not in faults]
        for name, digest in zip(sound, _digests(store, sound), strict=True):
            if digest != manifest["files"][name]["sha256"]:
                faults[name] = "checksum differs"
    return dict(sorted(faults.items()))


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
            + f"\nMend it, simulating only what is lost: jrflow archive repair '{store}'"
        )


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
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _describe(store: UPath) -> Manifest:
    layout = ShardLayout.of_store(store)
    attrs, specification = store_attributes(store), read_specification(store)
    n_trials, failed_step, status = (read_array(store, name) for name in OUTCOMES)
    return {
        "format": attrs["format"],
        "campaign": attrs["campaign"],
        "store": store.name,
        "config_hash": attrs["config_hash"],
        "specification": specification,
        "n_simulations": layout.n_simulations,
        "n_regions": layout.n_regions,
        "n_times": layout.n_times,
        "n_shards": layout.n_shards,
        "shard_size": layout.shard_size,
        "chunk_size": layout.chunk_size,
        "counts": count_statuses(status),
        "failures": _failures(status, failed_step),
        "steady_state": _steady_state(specification["simulation"]["protocol"], n_trials[status == OK]),
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


def _steady_state(protocol: Mapping[str, Any], n_trials: np.ndarray) -> dict[str, float | None] | None:
    """How many of the simulations that did not fail settled before the last trial; None at rest."""
    if protocol["kind"] != "evoked":
        return None
    settled = int((n_trials < protocol["n_trials"]).sum())
    some = len(n_trials) > 0
    return {
        "settled": settled,
        "fraction": settled / len(n_trials) if some else None,
        "median_trials": float(np.median(n_trials)) if some else None,
    }


def _listed(shards: list[int]) -> str:
    return ", ".join(map(str, shards[:10])) + (", ..." if len(shards) > 10 else "")
