"""Time and memory of a function in a process of its own."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


def peak_of(function: Callable[..., None], *arguments: Any) -> tuple[float, int]:
    """CPU time of a call, s, and the largest resident memory of its process, bytes."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_call, args=(theirs, function, arguments))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    finally:
        process.join()


def _call(connection: Connection, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    begin = time.process_time()
    function(*arguments)
    seconds = time.process_time() - begin
    status = Path("/proc/self/status").read_text()
    connection.send((seconds, 1024 * int(status.split("VmHWM:")[1].split()[0])))
