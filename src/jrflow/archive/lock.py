"""Who may write what: two drivers never simulate the same shards.

A driver holds a lock of the operating system on a range of bytes of ``<campaign>.lock``, one byte for each of
its shards and one for the store as a whole. The system lets go of it when the driver ends, however it ends,
so nothing is ever left locked. Object stores have no locks: two drivers there would only do work twice, since
both write the same bytes.
"""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO

from upath import UPath

from jrflow.archive.errors import ArchiveError
from jrflow.archive.place import is_local

_HELD = (errno.EACCES, errno.EAGAIN)
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_POLL = 0.2  # s


class CampaignBusyError(ArchiveError):
    """Another driver is at work on the same simulations."""


def lock_path(store: UPath) -> UPath:
    """File that drivers lock parts of."""
    return store.with_suffix(".lock")


@contextmanager
def claim_store(store: UPath, wait: float = 0.0) -> Iterator[None]:
    """Be the only one to create a store; see ``claim_shards``.

    Others may go on with shards of their own.
    """
    with _claim(store, 0, 1, "the store itself", wait):
        yield


@contextmanager
def claim_shards(store: UPath, shards: range | None = None) -> Iterator[None]:
    """Be the only one to work on some shards of a store; None for all of them and the store itself.

    Raises
    ------
    CampaignBusyError
        If another process holds one of them: which, where, and since when.
    """
    if shards is None:
        with _claim(store, 0, 0, "all shards", 0.0, remove=True):
            yield
    else:
        what = f"shards {shards.start} to {shards.stop - 1}"
        with _claim(store, 1 + shards.start, len(shards), what, 0.0):
            yield


@contextmanager
def _claim(
    store: UPath, start: int, length: int, what: str, wait: float, *, remove: bool = False
) -> Iterator[None]:
    """Hold the bytes start..start + length - 1 (to infinity where the length is 0)."""
    if not is_local(store):
        yield
        return
    path = Path(str(lock_path(store)))
    path.parent.mkdir(parents=True, exist_ok=True)
    file = _locked(path, start, length, wait)
    try:
        _leave_name(file, start, length, what)
        yield
    finally:
        if remove:  # nobody else can hold a part of it
            path.unlink(missing_ok=True)
        file.close()


def _locked(path: Path, start: int, length: int, wait: float) -> IO[str]:
    """Open the file and lock a range of it, within ``wait`` seconds."""
    give_up = time.monotonic() + wait
    while True:
        file: IO[str] = path.open("a+", encoding="utf-8")
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                warnings.warn(
                    f"{path.parent}: this file system has no locks; take care not to start a campaign twice",
                    stacklevel=2,
                )
                return file
            holder = _holder(file, start, length)
            file.close()
            if error.errno not in _HELD:
                raise
            if time.monotonic() > give_up:
                raise CampaignBusyError(
                    f"{path.with_suffix('.zarr')}: another process is at work on it: {holder}. Wait until it "
                    "has finished, or stop it; then start this again: it does the rest"
                ) from None
            time.sleep(_POLL)
            continue
        if _is_current(file, path):
            return file
        file.close()  # it was removed between opening and locking


def _is_current(file: IO[str], path: Path) -> bool:
    """Whether the locked file is still the one of that name."""
    try:
        return os.fstat(file.fileno()).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def _leave_name(file: IO[str], start: int, length: int, what: str) -> None:
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    entry = {"start": start, "length": length, "what": what, "pid": os.getpid(), "since": since}
    line = json.dumps(entry | {"host": socket.gethostname()}) + "\n"
    with suppress(OSError):  # of a full disk the work itself tells, and says what to do
        os.write(file.fileno(), line.encode())


def _holder(file: IO[str], start: int, length: int) -> str:
    """Who left a name last for a part of the range; those before must have ended."""
    file.seek(0)
    for line in reversed(file.read().splitlines()):
        try:
            entry = json.loads(line)
            if _overlap(start, length, entry["start"], entry["length"]):
                return f"process {entry['pid']} on {entry['host']} ({entry['what']}, since {entry['since']})"
        except (ValueError, KeyError, TypeError):
            continue  # a line that is being written
    return "a process that has not left its name"


def _overlap(start: int, length: int, other_start: int, other_length: int) -> bool:
    """Whether two ranges have a byte in common; a length of 0 goes to infinity."""
    stop = start + (length or math.inf)
    other_stop = other_start + (other_length or math.inf)
    return start < other_stop and other_start < stop
