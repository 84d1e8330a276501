"""Repair a sealed archive: restore damaged files, and only these."""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path
from typing import TextIO

import zarr
from upath import UPath
from zarr.errors import ZarrUserWarning

from jrflow.archive.errors import ArchiveError
from jrflow.archive.lock import claim_shards
from jrflow.archive.manifest import Manifest, compare, find_manifest, load_manifest
from jrflow.archive.paths import place, remove_leftovers, write_atomically
from jrflow.archive.seal import seal, sealed_by
from jrflow.archive.shards import remove_shard, shard_of
from jrflow.archive.store import Archive
from jrflow.archive.vocabulary import CAMPAIGN_KEY
from jrflow.campaign.create import create_from
from jrflow.campaign.shard import MapShards, simulate_shards
from jrflow.provenance import version_changes
from jrflow.specification import Specification


def repair_archive(
    store: UPath,
    map_shards: MapShards = map,
    reseal: bool = False,
    progress: TextIO | None = sys.stderr,
) -> list[str]:
    """Recreate the files of a sealed archive that are missing or damaged.

    Metadata and parameters follow from the manifest's specification; shards are simulated again.

    Parameters
    ----------
    store
        The archive; its manifest must be sound.
    map_shards
        Function that runs the tasks.
    reseal
        Accept different last digits if package versions have changed, and write a new manifest.
    progress
        Where the progress is written; None for no output.

    Returns
    -------
    list of str
        Names of the files that were repaired.

    Raises
    ------
    ArchiveError
        If the archive is not sealed, or the recreated files differ from the manifest.
    CampaignBusyError
        If another process is working on the archive.
    """
    path = find_manifest(store)
    if path is None:
        raise ArchiveError(f"{store} is not sealed; start its campaign again, which repairs and finishes it")
    manifest = load_manifest(path)
    if manifest.is_selection:
        raise ArchiveError(f"{store} is a selection of an archive: export it again")
    with claim_shards(store):
        faults = compare(store, manifest)
        if not faults:
            return []
        _rebuild(store, manifest, [name for name in faults if shard_of(name) is None])
        archive = Archive.open(store)
        damaged = sorted({shard for shard in map(shard_of, faults) if shard is not None})
        for shard in damaged:
            remove_shard(archive, shard)
        simulate_shards(archive, damaged, map_shards, f"repairing {store.stem}", progress)
        remove_leftovers(store)
        remaining = compare(store, manifest)
        if remaining and not reseal:
            raise ArchiveError(_differs(store, manifest, remaining))
        if remaining:
            seal(archive, sealed_by({"repaired": sorted(faults)}))
    return sorted(faults)


def _rebuild(store: UPath, manifest: Manifest, names: list[str]) -> None:
    """Recreate metadata and coordinates in a temporary folder, and copy the requested ones."""
    if not names:
        return
    keyed = f"{CAMPAIGN_KEY}/zarr.json" in manifest.files
    with tempfile.TemporaryDirectory(prefix="jrflow-repair-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", ZarrUserWarning)
        fresh = place(Path(folder) / store.name)
        create_from(
            Specification.parse(manifest.specification), fresh, manifest.layout, manifest.created, keyed=keyed
        )
        zarr.consolidate_metadata(str(fresh))
        for name in names:
            if not (fresh / name).exists():
                raise ArchiveError(f"{store / name} cannot be recreated; restore it from a copy")
            (store / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(store / name, (fresh / name).read_bytes())


def _differs(store: UPath, manifest: Manifest, remaining: dict[str, str]) -> str:
    changed = ", ".join(version_changes(manifest.created["versions"]))
    why = f"Versions have changed: {changed}" if changed else "No version has changed: is it another machine?"
    return "\n".join(
        [
            f"{store}: recreated files differ from the manifest:",
            *(f"  {name}: {fault}" for name, fault in remaining.items()),
            f"{why}. Repair it with the original package versions, or accept the new values: --reseal",
        ]
    )
