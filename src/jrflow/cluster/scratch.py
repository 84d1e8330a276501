"""Temporary files of a job on the node's own disk."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from jrflow.config.sizes import readable

#: Smallest free space of a scratch folder, bytes, for temporary files of workers. With less space, the
#: system's folder for temporary files is used.
_LEAST = 100e6


@contextmanager
def local_folder(scratch: str | None, progress: TextIO | None = sys.stderr) -> Iterator[None]:
    """Use a node's own disk for temporary files of this process and its child processes.

    If the disk is full or absent, a message reports it and the system's temporary folder is used. No results
    are stored there, so nothing is lost.

    Parameters
    ----------
    scratch
        Folder; it may contain environment variables of the node, such as $TMPDIR. None or '' for the
        system's temporary folder.
    progress
        Stream for the message; None for no output.
    """
    if not scratch:
        yield
        return
    folder = Path(os.path.expandvars(scratch))
    unfit = "this variable is not set here" if is_unset(folder) else _unfit(folder)
    if unfit:
        if progress is not None:
            instead = tempfile.gettempdir()
            print(f"scratch {folder}: {unfit}; using {instead} instead", file=progress, flush=True)
        yield
        return
    before = os.environ.get("TMPDIR")
    _remove_left(folder)
    prefix = f"{_prefix()}{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=folder, ignore_cleanup_errors=True) as own:
        os.environ["TMPDIR"], tempfile.tempdir = own, None
        try:
            yield
        finally:
            tempfile.tempdir = None
            if before is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = before


def _prefix() -> str:
    """Beginning of the names of this machine's temporary folders; a process id follows."""
    return f"jrflow-{socket.gethostname()}-"


def _remove_left(folder: Path) -> None:
    """Remove folders of processes on this machine that were killed, such as those of requeued jobs."""
    for left in folder.glob(f"{_prefix()}*-*"):
        process = left.name.removeprefix(_prefix()).partition("-")[0]
        if process.isdecimal() and not _is_alive(int(process)):
            shutil.rmtree(left, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def is_unset(folder: Path) -> bool:
    """Whether the path still contains a variable, because this node's environment does not set it."""
    return re.search(r"\$(\w+|\{\w+\})", str(folder)) is not None


def _unfit(folder: Path) -> str | None:
    """Reason why a folder cannot be used; None if it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder) as probe:
            probe.write(b"x")
            probe.flush()
        disk = os.statvfs(folder)
    except OSError as error:
        return f"cannot be written ({error.strerror})"
    free = disk.f_bavail * disk.f_frsize
    return f"only {readable(free)} free" if free < _LEAST else None
