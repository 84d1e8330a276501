"""Paths and files of archives, on this machine or in an object store, and free space on the disk.

Credentials and endpoints of object stores are configured as for other tools (environment variables,
``~/.config/fsspec``). They are not settings of a campaign, and workers find them in the same way.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from upath import UPath

from jrflow.archive.errors import ArchiveError, DiskFullError
from jrflow.config.sizes import readable

#: Names of files that Zarr and this package have not completed yet.
PARTIAL = ".partial"

#: What Zarr and its codecs raise where a file is damaged.
UNREADABLE = (ValueError, RuntimeError, OSError)

#: Evoked responses shrink 3 to 4 times; with less room than that a campaign is bound to fail.
BEST_COMPRESSION = 4

#: Memory of one simulation's parameters while a design is drawn and written, bytes (benchmarks/workflow.py).
_DESIGN_BYTES = 310

_FULL = (errno.ENOSPC, errno.EDQUOT)

#: What users may give: a path of this machine or a URL.
AnyPath = str | PathLike[str] | UPath


def place(path: AnyPath) -> UPath:
    """Absolute path on this machine, or URL, with the methods of ``pathlib.Path``.

    Raises
    ------
    ArchiveError
        If no installed package supports the protocol of the URL.
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
    """Whether a path is in a file system, with locks and a known free space, and not in an object store."""
    return isinstance(where, Path)


def files(store: UPath) -> Iterator[tuple[str, int]]:
    """Name within the store and size of every complete file, sorted."""
    if is_local(store):
        start = len(str(store)) + 1
        found = {str(path)[start:]: path.stat().st_size for path in _local_files(store)}
    else:
        # One listing; asking for each size would be one request each.
        prefix = store.path.rstrip("/") + "/"
        listed = store.fs.find(store.path, detail=True).items()
        found = {name.removeprefix(prefix): entry["size"] for name, entry in listed}
    for name in sorted(found):
        if not name.endswith(PARTIAL):
            yield name, found[name]


def remove_leftovers(store: UPath) -> None:
    """Remove incomplete files of writers that were killed; object stores do not keep such files."""
    if is_local(store):
        for path in _local_files(store):
            if path.name.endswith(PARTIAL):
                path.unlink(missing_ok=True)


def read_json(path: UPath) -> dict[str, Any]:
    """Content of a JSON file of an archive.

    Raises
    ------
    ArchiveError
        If the file is not JSON.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArchiveError(f"{path}: expected JSON, found something else ({error})") from error
    if not isinstance(content, dict):
        raise ArchiveError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def write_atomically(path: UPath, content: bytes) -> None:
    """Write a file completely or not at all, even if the power fails."""
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


def free_bytes(path: UPath) -> int:
    """Free space of the file system of a path, bytes; the path need not exist yet."""
    return shutil.disk_usage(str(_existing(path))).free


def free_files(path: UPath) -> int | None:
    """Number of files that the file system of a path can still take; None if it has no limit."""
    found = os.statvfs(str(_existing(path)))
    return found.f_favail if found.f_files else None


def check_space(path: UPath, n_bytes: int) -> None:
    """Raise an error if the data cannot fit on the disk.

    Parameters
    ----------
    path
        Store that will be written.
    n_bytes
        Size of the data to write, before compression.

    Raises
    ------
    DiskFullError
        If the data would not fit even with the best compression.
    """
    if not is_local(path):
        return
    free = free_bytes(path)
    if free < n_bytes / BEST_COMPRESSION:
        raise DiskFullError(
            f"{path}: {readable(n_bytes / BEST_COMPRESSION)} to {readable(n_bytes)} are needed for what is "
            f"still to be simulated, {readable(free)} are free; free some space, set run.results to another "
            "disk, or simulate fewer"
        )


def check_memory(n_simulations: int) -> None:
    """Raise an error if a design exceeds the memory: all parameters of all simulations are drawn at once.

    Raises
    ------
    ArchiveError
        If the design is larger than the machine's memory.
    """
    needed = n_simulations * _DESIGN_BYTES
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise ArchiveError(
            f"a design of {n_simulations:.4g} simulations needs {readable(needed)} of memory, this machine "
            f"has {readable(there)}; lower n, or divide the campaign into several"
        )


@contextmanager
def explain_full_disk(
    path: UPath, where: str, still_to_write: Callable[[], int] = lambda: 0
) -> Iterator[None]:
    """Replace 'no space left on device' by a message that says how much space is needed and what to do.

    Parameters
    ----------
    path
        Store that is written.
    where
        What was written, for the message.
    still_to_write
        Function that returns the size of the remaining data before compression; called only if the disk is
        full. By default 0: the remaining data are small.

    Raises
    ------
    DiskFullError
        If the disk is full or a quota is exhausted.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise DiskFullError(
            f"{where}: no space left for {path}: up to {readable(still_to_write())} are still to be written, "
            f"{readable(free_bytes(path))} are free. Nothing is damaged: free some space and start the "
            "campaign again; what is done is not repeated"
        ) from error


def _existing(path: UPath) -> UPath:
    """The path itself, or the closest parent that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _local_files(store: UPath) -> Iterator[Path]:
    # Path.rglob takes several times as long: it asks for the kind of every entry.
    for folder, _, names in os.walk(str(store)):
        for name in names:
            yield Path(folder, name)
