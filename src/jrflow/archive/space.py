"""Room on the disk: looked at before anything runs, and explained when it runs out."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from upath import UPath

from jrflow.archive.errors import ArchiveError, DiskFullError
from jrflow.archive.place import is_local
from jrflow.config.sizes import readable

#: Evoked responses shrink 3 to 4 times; with less room than that a campaign is bound to fail.
BEST_COMPRESSION = 4

#: Memory of one simulation's parameters while a design is drawn and written, bytes (benchmarks/workflow.py).
_DESIGN_BYTES = 310

_FULL = (errno.ENOSPC, errno.EDQUOT)


def free_bytes(path: UPath) -> int:
    """Free space of the file system that holds a path, or will hold it, bytes."""
    return shutil.disk_usage(str(_existing(path))).free


def free_files(path: UPath) -> int | None:
    """How many more files the file system of a path takes; None where it does not count them."""
    found = os.statvfs(str(_existing(path)))
    return found.f_favail if found.f_files else None


def check_space(path: UPath, n_bytes: int) -> None:
    """Refuse to begin what cannot fit.

    Parameters
    ----------
    path
        Store that will be written.
    n_bytes
        Size of what is still to be written, before compression.

    Raises
    ------
    DiskFullError
        If it would not fit even at the best compression.
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
    """Refuse a design that this machine cannot hold: all parameters of all simulations are drawn at once.

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
    """Turn 'no space left on device' into a message that says what is needed and what to do.

    Parameters
    ----------
    path
        Store that is written.
    where
        What was being written.
    still_to_write
        Gives the size of what is still to be written, before compression; asked only when needed. By default
        0: little beside simulations.

    Raises
    ------
    DiskFullError
        In place of the operating system's error for a full disk or an exhausted quota.
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
    """A path, or the closest above it that is there."""
    return next(folder for folder in (path, *path.parents) if folder.exists())
