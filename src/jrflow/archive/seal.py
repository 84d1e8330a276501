"""Sealing: the last step of a campaign, after which its archive is complete and can be checked."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import zarr
from zarr.errors import ZarrUserWarning

from jrflow.archive.errors import ArchiveError
from jrflow.archive.layout import OUTCOMES
from jrflow.archive.manifest import Manifest, checksums, manifest_path
from jrflow.archive.paths import remove_leftovers, write_atomically
from jrflow.archive.shards import Stored, damage_and_outcomes, pending_shards
from jrflow.archive.store import Archive
from jrflow.archive.vocabulary import NOT_SIMULATED, OK, STATUS_MEANINGS, count_statuses
from jrflow.model.protocol import EvokedProtocol, RestProtocol
from jrflow.provenance import git_commit, versions


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
