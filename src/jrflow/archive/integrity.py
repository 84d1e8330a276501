"""Whether the files of a store are those that a manifest lists, and whether its shards can be read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from upath import UPath

from jrflow.archive.place import files
from jrflow.archive.shards import StoredShards

#: SHA-256 is computed over pieces of this size, so that a file need not fit in memory, bytes.
_PIECE = 2**24


def damaged_shards(store: UPath, shards: Iterable[int]) -> list[int]:
    """Find shards that were written but cannot be read; every checksum in them is compared.

    One thread for each core decodes. Files are read, but no shard is held in memory as a whole.
    """
    wanted = list(shards)
    if not wanted:
        return []
    stored = StoredShards.open(store)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        damaged = list(pool.map(stored.is_damaged, wanted))
    return [shard for shard, bad in zip(wanted, damaged, strict=True) if bad]


def compare(store: UPath, manifest: Mapping[str, Any], *, contents: bool = True) -> dict[str, str]:
    """Compare the files of a store with a manifest.

    Parameters
    ----------
    store
        The store.
    manifest
        Manifest with the size and the SHA-256 of every file, under 'files'.
    contents
        Read every file and compare checksums; otherwise compare sizes only.

    Returns
    -------
    dict
        What is wrong, by the name of the file.
    """
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
