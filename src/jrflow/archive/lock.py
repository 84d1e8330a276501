"""Locks of an archive: two drivers never simulate the same shards.

A driver holds a lock on a range of bytes of ``<campaign>.lock``, one byte for each of its shards and one for
the store as a whole. Object stores have no locks: two drivers there would only do work twice, since both
write the same bytes.

Why ranges of bytes (POSIX record locks) and not filelock, which locks whole files: blocks of different
divisions, such as 2 of 3 and 3 of 4, share some shards only, and a range says exactly which. The kernel
releases a range when its process ends, however it ends, and NFS carries record locks from node to node.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from upath import UPath

from jrflow.archive.errors import ArchiveError
from jrflow.archive.paths import is_local
from jrflow.lock import BusyError, Claim, hold


class CampaignBusyError(ArchiveError, BusyError):
    """Another driver is at work on the same simulations."""


def lock_path(store: UPath) -> UPath:
    """File that drivers lock parts of."""
    return store.with_suffix(".lock")


@contextmanager
def claim_store(store: UPath, wait: float = 0.0, progress: TextIO | None = None) -> Iterator[None]:
    """Be the only one to create a store; see ``claim_shards``.

    Others may go on with shards of their own.
    """
    with _claim(store, 0, 1, "the store itself", wait, progress):
        yield


@contextmanager
def claim_shards(
    store: UPath, shards: range | None = None, wait: float = 0.0, progress: TextIO | None = None
) -> Iterator[None]:
    """Be the only one to work on some shards of a store; None for all of them and the store itself.

    Parameters
    ----------
    store, shards
        What is claimed.
    wait
        How long to wait for others to finish, s; what is there must then be looked at anew.
    progress
        Where it is said that one waits, and for whom; None for silence.

    Raises
    ------
    CampaignBusyError
        If another process holds one of them: which, where, and since when.
    """
    if shards is None:
        with _claim(store, 0, 0, "all shards", wait, progress, remove=True):
            yield
    else:
        what = f"shards {shards.start} to {shards.stop - 1}"
        with _claim(store, 1 + shards.start, len(shards), what, wait, progress):
            yield


@contextmanager
def _claim(
    store: UPath,
    start: int,
    length: int,
    what: str,
    wait: float,
    progress: TextIO | None = None,
    *,
    remove: bool = False,
) -> Iterator[None]:
    """Hold the bytes start..start + length - 1 (to infinity where the length is 0)."""
    if not is_local(store):
        yield
        return
    path = Path(str(lock_path(store)))
    claim = Claim(path, str(path.with_suffix(".zarr")), what, start, length)
    with hold(claim, wait=wait, remove=remove, progress=progress, busy=CampaignBusyError):
        yield
