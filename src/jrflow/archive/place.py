"""Where an archive is: a folder of this machine, or a URL of an object store that fsspec takes.

Credentials and endpoints of object stores come from where their own tools have them (environment variables,
``~/.config/fsspec``): they are no settings of a campaign, and workers find them in the same way.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from upath import UPath

from jrflow.archive.errors import ArchiveError

#: What Zarr and this package name files that are not complete yet.
PARTIAL = ".partial"

#: What Zarr and its codecs raise where a file is damaged.
UNREADABLE = (ValueError, RuntimeError, OSError)

#: What users may give: a path of this machine or a URL.
AnyPath = str | PathLike[str] | UPath


def place(path: AnyPath) -> UPath:
    """Path of this machine, absolute, or URL, with the methods of ``pathlib.Path``.

    Raises
    ------
    ArchiveError
        If nothing installed knows the URL's protocol.
    """
    try:
        given = UPath(path)
    except (ImportError, ValueError) as error:
        raise ArchiveError(
            f"{path}: cannot be opened: {error}; object stores need a package each: s3:// comes with "
            "pip install 'jrflow[s3]'"
        ) from error
    # Zarr writes a file whole or not at all where it knows that it is one of this machine.
    if given.protocol not in ("", "file", "local"):
        return given
    local = UPath(given.path).absolute()
    # Manifest and lock lie beside the store itself, not beside a link to it.
    return local.resolve() if local.is_symlink() else local


def is_local(where: UPath) -> bool:
    """Whether it lies in a file system, with locks and free space, rather than in an object store."""
    return isinstance(where, Path)


def open_array(store: UPath, name: str, mode: str = "r") -> zarr.Array:
    """One array of a store.

    Raises
    ------
    ArchiveError
        If there is none, or its metadata are damaged.
    """
    try:
        return zarr.open_array(str(store / name), mode=mode, zarr_format=3)
    except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
        raise ArchiveError(
            f"{store / name / 'zarr.json'}: expected the metadata of an array, found none that can be read "
            f"({error}). A sealed archive is mended by: jrflow archive repair '{store}'; of others "
            "restore the file from a copy, or delete the archive and start its campaign anew"
        ) from error


def read_array(store: UPath, name: str) -> np.ndarray:
    """All of one array of a store; raises as ``open_array``, and ``UNREADABLE`` where a chunk is damaged."""
    return np.asarray(open_array(store, name)[:])


def files(store: UPath) -> Iterator[tuple[str, int]]:
    """Name within the store and size of every file that is complete, in order."""
    if is_local(store):
        root = Path(str(store))
        found = {path.relative_to(root).as_posix(): path.stat().st_size for path in _local_files(store)}
    else:
        # One listing; asking for each size would be one request each.
        prefix = store.path.rstrip("/") + "/"
        listed = store.fs.find(store.path, detail=True).items()
        found = {name.removeprefix(prefix): entry["size"] for name, entry in listed}
    for name in sorted(found):
        if not name.endswith(PARTIAL):
            yield name, found[name]


def remove_leftovers(store: UPath) -> None:
    """Remove what writers that were killed had begun; object stores keep nothing of it."""
    if is_local(store):
        for path in _local_files(store):
            if path.name.endswith(PARTIAL):
                path.unlink(missing_ok=True)


def read_json(path: UPath) -> dict[str, Any]:
    """Content of a file of ours.

    Raises
    ------
    ArchiveError
        If it is no JSON.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArchiveError(f"{path}: expected JSON, found something else ({error})") from error
    if not isinstance(content, dict):
        raise ArchiveError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def write_atomically(path: UPath, content: bytes) -> None:
    """Write a file that is either there in full or not at all, also after a power failure."""
    if not is_local(path):
        path.write_bytes(content)
        return
    temporary = path.with_name(f"{path.name}.{os.getpid()}{PARTIAL}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _local_files(store: UPath) -> Iterator[Path]:
    return (path for path in Path(str(store)).rglob("*") if path.is_file())
