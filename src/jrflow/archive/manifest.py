"""Sealing: the last act of a campaign, after which its archive is complete and can be checked."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.errors import ZarrUserWarning

from jrflow.archive.errors import ArchiveError
from jrflow.archive.identity import read_specification, store_attributes
from jrflow.archive.layout import ShardLayout
from jrflow.archive.status import NOT_SIMULATED, OK, STATUS_MEANINGS
from jrflow.archive.writer import pending_shards

Manifest = dict[str, Any]


def manifest_path(store: Path) -> Path:
    """Manifest of a store: <campaign>.json beside <campaign>.zarr."""
    return store.with_suffix(".json")


def read_manifest(store: Path) -> Manifest | None:
    """Manifest of a sealed store; None if it is not sealed, or the manifest speaks of another store."""
    path = manifest_path(store)
    if not path.exists():
        return None
    try:
        manifest: Manifest = json.loads(path.read_text(encoding="utf-8"))
        same = manifest["config_hash"] == store_attributes(store)["config_hash"]
    except (ValueError, KeyError, TypeError) as error:
        raise ArchiveError(f"{path}: expected the manifest of {store.name}, found something else") from error
    return manifest if same else None


def seal(store: Path, provenance: Mapping[str, Any]) -> Manifest:
    """Declare an archive complete.

    Consolidates the metadata, takes the checksum of every file and writes the manifest, atomically and
    last.

    Parameters
    ----------
    store
        The store; all of its shards are done.
    provenance
        Who sealed it and what that took; goes into the manifest under 'sealed'.

    Raises
    ------
    ArchiveError
        If a shard is not done.
    """
    pending = pending_shards(store)
    if pending:
        raise ArchiveError(f"{store} cannot be sealed: {len(pending)} shards are still to be simulated")
    _remove_leftovers(store)
    with warnings.catch_warnings():
        # Consolidated metadata await their place in the Zarr v3 specification; xarray reads them.
        warnings.simplefilter("ignore", ZarrUserWarning)
        zarr.consolidate_metadata(store)
    manifest = _describe(store) | {"sealed": dict(provenance), "files": _checksums(store)}
    _write_atomically(manifest_path(store), json.dumps(manifest, indent=1))
    return manifest


def damaged_files(store: Path, *, contents: bool = True) -> list[str]:
    """Compare a sealed archive with its manifest.

    Parameters
    ----------
    store
        A sealed store.
    contents
        Read every file and compare checksums; otherwise only look whether it is there, in full length.

    Returns
    -------
    A line for each file that is missing or differs.
    """
    manifest = read_manifest(store)
    if manifest is None:
        raise ArchiveError(f"{store} is not sealed: there is nothing to compare it with")
    faults = []
    for name, expected in manifest["files"].items():
        path = store / name
        if not path.exists():
            faults.append(f"{name}: missing")
        elif path.stat().st_size != expected["bytes"]:
            faults.append(f"{name}: {path.stat().st_size} bytes, expected {expected['bytes']}")
        elif contents and _sha256(path) != expected["sha256"]:
            faults.append(f"{name}: checksum differs")
    return faults


def check_intact(store: Path) -> None:
    """Make sure that every file of a sealed archive is there, in full length.

    Raises
    ------
    ArchiveError
        If not; the message lists the files and says what to do.
    """
    faults = damaged_files(store, contents=False)
    if faults:
        raise ArchiveError(
            "\n".join([f"{store} is sealed but damaged:", *faults])
            + f"\nRestore these files, or delete the archive and run the campaign again: "
            f"rm -r '{store}' '{manifest_path(store)}'"
        )


def _describe(store: Path) -> Manifest:
    layout = ShardLayout.of_store(store)
    attrs, specification = store_attributes(store), read_specification(store)
    status, failed_step, n_trials = (_read(store, name) for name in ("status", "failed_step", "n_trials"))
    counts = np.bincount(status, minlength=4)
    return {
        "format": attrs["format"],
        "campaign": attrs["campaign"],
        "store": store.name,
        "config_hash": attrs["config_hash"],
        "specification": specification,
        "n_simulations": layout.n_simulations,
        "n_regions": layout.n_regions,
        "n_shards": layout.n_shards,
        "shard_size": layout.shard_size,
        "counts": {meaning: int(n) for meaning, n in zip(STATUS_MEANINGS, counts, strict=True)},
        "failures": _failures(status, failed_step),
        "steady_state": _steady_state(specification["simulation"]["protocol"], n_trials[status == OK]),
        "created": {"git_commit": attrs["git_commit"], "versions": json.loads(attrs["versions"])},
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


def _read(store: Path, name: str) -> np.ndarray:
    return np.asarray(zarr.open_array(store / name, mode="r")[:])


def _remove_leftovers(store: Path) -> None:
    """Remove the temporary files of writers that were killed; the store renames only whole files."""
    for partial in store.rglob("*.partial"):
        partial.unlink(missing_ok=True)


def _checksums(store: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file of a store, by its path in it."""
    files = sorted(path for path in store.rglob("*") if path.is_file())
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        digests = list(pool.map(_sha256, files))
    return {
        path.relative_to(store).as_posix(): {"bytes": path.stat().st_size, "sha256": digest}
        for path, digest in zip(files, digests, strict=True)
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_atomically(path: Path, text: str) -> None:
    """Write a file that is either there in full or not at all, also after a power failure."""
    temporary = path.with_name(path.name + ".partial")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
