"""Locks of an archive: two drivers never simulate the same shards.

A driver locks a range of bytes of ``<campaign>.lock``: one byte for each of its shards and one for the
store. Object stores have no locks. Two drivers would do the same work twice there, but they write the same
bytes.

Ranges of bytes (POSIX record locks) are used instead of filelock, which locks whole files. Blocks of
different divisions, such as 2 of 3 and 3 of 4, share only some shards, and a range describes these exactly.
The kernel releases a range when its process ends, even if it is killed, and NFS supports record locks between
nodes.
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
    """Another driver is working on the same simulations."""


def lock_path(store: UPath) -> UPath:
    """File whose parts drivers lock."""
    return store.with_suffix(".lock")


@contextmanager
def claim_store(store: UPath, wait: float = 0.0, progress: TextIO | None = None) -> Iterator[None]:
    """Lock the creation of a store; other drivers can continue with their shards. See ``claim_shards``."""
    with _claim(store, 0, 1, "the store itself", wait, progress):
        yield


@contextmanager
def claim_shards(
    store: UPath, shards: range | None = None, wait: float = 0.0, progress: TextIO | None = None
) -> Iterator[None]:
    """Lock some shards of a store; None for all shards and the store itself.

    Parameters
    ----------
    store, shards
        Store, and shards to lock.
    wait
        How long to wait for other drivers, s. After waiting, the state of the store must be read again.
    progress
        Where a message about waiting is written; None for no message.

    Raises
    ------
    CampaignBusyError
        If another process holds a lock: the message names the process, its node and the time.
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
    """Lock the bytes start..start + length - 1; to the end if the length is 0."""
    if not is_local(store):
        yield
        return
    path = Path(str(lock_path(store)))
    claim = Claim(path, str(path.with_suffix(".zarr")), what, start, length)
    with hold(claim, wait=wait, remove=remove, progress=progress, busy=CampaignBusyError):
        yield
