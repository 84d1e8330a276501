"""Labelled archives of simulations: one Zarr store and one manifest for each campaign."""

from jrflow.archive.errors import ArchiveError, ArchiveMismatchError, DiskFullError, ShardError
from jrflow.archive.manifest import damaged_files, read_manifest
from jrflow.archive.query import open_archive

__all__ = [
    "ArchiveError",
    "ArchiveMismatchError",
    "DiskFullError",
    "ShardError",
    "damaged_files",
    "open_archive",
    "read_manifest",
]
