"""Labelled archives of simulations: one Zarr store and one manifest for each campaign."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jrflow.archive.errors import ArchiveError, ArchiveMismatchError, DiskFullError, ShardError
    from jrflow.archive.manifest import damaged_files, read_manifest
    from jrflow.archive.query import open_archive

#: Public names and the modules they come from; loaded at first use: who simulates in memory need not wait for
#: Zarr and Dask.
_PUBLIC = {
    "ArchiveError": "errors",
    "ArchiveMismatchError": "errors",
    "DiskFullError": "errors",
    "ShardError": "errors",
    "damaged_files": "manifest",
    "open_archive": "query",
    "read_manifest": "manifest",
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


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
