"""Room on the disk: looked at before anything runs, and explained when it runs out."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from jrflow.archive.errors import DiskFullError
from jrflow.config.sizes import readable

#: Evoked responses shrink 3 to 4 times; with less room than that a campaign is bound to fail.
BEST_COMPRESSION = 4

_FULL = (errno.ENOSPC, errno.EDQUOT)


def free_bytes(path: Path) -> int:
    """Free space of the file system that holds a path, or will hold it, bytes."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def check_space(path: Path, n_bytes: int) -> None:
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
    free = free_bytes(path)
    if free < n_bytes / BEST_COMPRESSION:
        raise DiskFullError(
            f"{path}: {readable(n_bytes / BEST_COMPRESSION)} to {readable(n_bytes)} are needed for what is "
            f"still to be simulated, {readable(free)} are free; free some space, set run.results to another "
            "disk, or simulate fewer"
        )


@contextmanager
def explain_full_disk(path: Path, where: str, still_to_write: Callable[[], int]) -> Iterator[None]:
    """Turn 'no space left on device' into a message that says what is needed and what to do.

    Parameters
    ----------
    path
        Store that is written.
    where
        What was being written.
    still_to_write
        Gives the size of what is still to be written, before compression; asked only when needed.

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
