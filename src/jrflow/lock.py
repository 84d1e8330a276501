"""File locks: a lock of the operating system on a range of bytes of a file.

The system lets go of it when the process ends, however it ends, so nothing is ever left locked. A lock is a
process's, not a thread's: within one process nobody is kept out.
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
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TextIO

_HELD = (errno.EACCES, errno.EAGAIN)
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
#: Shortest and longest pause before a lock is tried again, s; between them, a tenth of the time waited.
_SHORTEST, _LONGEST = 0.2, 5.0
#: How often somebody who waits says so, s.
_TELL_EVERY = 600.0


class BusyError(OSError):
    """Another process is at work on the same."""


@dataclass(frozen=True)
class Claim:
    """What is to be had for oneself.

    Attributes
    ----------
    path
        File of which a part is locked; it is created, with its folder, where it is missing.
    on
        What is worked on, as a message names it.
    what
        Which part of that.
    start, length
        Bytes that stand for the part; a length of 0 goes to infinity.
    """

    path: Path
    on: str
    what: str
    start: int = 0
    length: int = 0

    def overlaps(self, start: int, length: int) -> bool:
        """Whether another range has a byte in common with this one."""
        stop = self.start + (self.length or math.inf)
        return self.start < start + (length or math.inf) and start < stop


@contextmanager
def hold(
    claim: Claim,
    *,
    wait: float = 0.0,
    remove: bool = False,
    progress: TextIO | None = None,
    busy: type[BusyError] = BusyError,
) -> Iterator[None]:
    """Hold a claim.

    Parameters
    ----------
    claim
        What is to be held.
    wait
        How long to wait for whoever holds a part of it, s; may be infinite. What was looked at before must
        be looked at anew within.
    remove
        Remove the file at the end; only for claims of everything.
    progress
        Where it is said that one waits, and for whom; None for silence.
    busy
        What is raised where another holds it still.

    Raises
    ------
    BusyError
        If another process holds a part of it: which, where, and since when.
    """
    claim.path.parent.mkdir(parents=True, exist_ok=True)
    file = _locked(claim, wait, progress, busy)
    try:
        _leave_name(file, claim)
        yield
    finally:
        if remove:  # nobody else can hold a part of it
            claim.path.unlink(missing_ok=True)
        file.close()


def _locked(claim: Claim, wait: float, progress: TextIO | None, busy: type[BusyError]) -> IO[str]:
    """Open the file and lock a range of it, within ``wait`` seconds."""
    began, tell_at = time.monotonic(), 0.0
    while True:
        file: IO[str] = claim.path.open("a+", encoding="utf-8")
        holder = _try(file, claim)
        if holder is None and _is_current(file, claim.path):
            return file
        file.close()
        if holder is None:
            continue  # it was removed between opening and locking
        waited = time.monotonic() - began
        if waited >= wait:
            raise busy(
                f"{claim.on}: another process is at work on it: {holder}. Wait until it has finished, or "
                "stop it; then start this again: it does the rest"
            )
        if progress is not None and waited >= tell_at:
            tell_at = waited + _TELL_EVERY
            print(f"{claim.on}: waiting for {holder}", file=progress, flush=True)
        time.sleep(min(max(_SHORTEST, waited / 10), _LONGEST, wait - waited))


def _try(file: IO[str], claim: Claim) -> str | None:
    """Lock the claim's range of an open file; who holds it, or None where it is ours now."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, claim.length, claim.start)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            warnings.warn(
                f"{claim.path.parent}: this file system has no locks; take care not to start the same work "
                "twice",
                stacklevel=2,
            )
            return None
        if error.errno in _HELD:
            return _holder(file, claim)
        file.close()
        raise
    return None


def _is_current(file: IO[str], path: Path) -> bool:
    """Whether the locked file is still the one of that name."""
    try:
        return os.fstat(file.fileno()).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def _leave_name(file: IO[str], claim: Claim) -> None:
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    entry = {"start": claim.start, "length": claim.length, "what": claim.what, "pid": os.getpid()}
    line = json.dumps(entry | {"since": since, "host": socket.gethostname()}) + "\n"
    with suppress(OSError):  # of a full disk the work itself tells, and says what to do
        os.write(file.fileno(), line.encode())


def _holder(file: IO[str], claim: Claim) -> str:
    """Who left a name last for a part of the range; those before must have ended."""
    file.seek(0)
    for line in reversed(file.read().splitlines()):
        try:
            entry = json.loads(line)
            if claim.overlaps(entry["start"], entry["length"]):
                return f"process {entry['pid']} on {entry['host']} ({entry['what']}, since {entry['since']})"
        except (ValueError, KeyError, TypeError):
            continue  # a line that is being written
    return "a process that has not left its name"
