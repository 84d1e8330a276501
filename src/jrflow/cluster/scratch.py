"""A node's own disk, for temporary files of a job."""

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

#: With less than this, the system's folder for temporary files is taken, bytes: workers spill and unpack.
_LEAST = 100e6


@contextmanager
def local_folder(scratch: str | None, progress: TextIO | None = sys.stderr) -> Iterator[None]:
    """Let temporary files go to a node's own disk, in this process and those that it starts.

    Where that disk cannot be used, because it is full or absent, a message says so and the system's folder is
    used: nothing that is kept goes there, so nothing is lost.

    Parameters
    ----------
    scratch
        Folder, with variables of the node's environment such as $TMPDIR; None or '' for the system's.
    progress
        Where the message goes; None for silence.
    """
    if not scratch:
        yield
        return
    folder = Path(os.path.expandvars(scratch))
    unfit = "there is no such variable here" if is_unset(folder) else _unfit(folder)
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
    """How the names of this machine's folders begin; then comes the number of a process."""
    return f"jrflow-{socket.gethostname()}-"


def _remove_left(folder: Path) -> None:
    """Remove what killed processes of this machine have left, such as those of jobs that were requeued."""
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
    """Whether a variable was left in its path, since this node's environment has none of that name."""
    return re.search(r"\$(\w+|\{\w+\})", str(folder)) is not None


def _unfit(folder: Path) -> str | None:
    """Why a folder cannot be used; None where it can."""
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
