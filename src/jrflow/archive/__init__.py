"""Labelled archives of simulations: one Zarr store and one manifest for each campaign."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jrflow.lazy import load_at_first_use

if TYPE_CHECKING:
    from jrflow.archive.dataset import open_archive
    from jrflow.archive.errors import ArchiveError, ArchiveMismatchError, DiskFullError, ShardError
    from jrflow.archive.manifest import damaged_files, read_manifest

#: Public names and their modules, loaded at first use: simulations in memory do not wait for Zarr and Dask.
_PUBLIC = {
    "ArchiveError": "jrflow.archive.errors",
    "ArchiveMismatchError": "jrflow.archive.errors",
    "DiskFullError": "jrflow.archive.errors",
    "ShardError": "jrflow.archive.errors",
    "damaged_files": "jrflow.archive.manifest",
    "open_archive": "jrflow.archive.dataset",
    "read_manifest": "jrflow.archive.manifest",
}
__all__ = [
    "ArchiveError",
    "ArchiveMismatchError",
    "DiskFullError",
    "ShardError",
    "damaged_files",
    "open_archive",
    "read_manifest",
]

__getattr__ = load_at_first_use(__name__, _PUBLIC)
