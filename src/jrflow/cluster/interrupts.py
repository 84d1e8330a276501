"""Pass Ctrl-C and SIGTERM on to all processes that a workflow has started on this machine."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from types import FrameType

import psutil

#: Ctrl-C on a terminal also reaches the children. A child that still runs after this time has not received
#: it, s.
_HEARD_WITHIN = 3.0
#: Time that children may take to cancel their jobs and end, s.
_END_WITHIN = 60.0
_TICK = 0.1
_SHELLS = {"bash", "sh", "dash"}


def end_children_with_parent() -> None:
    """On SIGINT or SIGTERM, end the child processes, then interrupt this process.

    Otherwise, after a signal to Snakemake's process alone, steps on this machine and their jobs continue.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:
    # A second signal interrupts the waits below.
    signal.signal(number, signal.default_int_handler)
    pending = list(_programs(psutil.Process(os.getpid())))
    pending = _running_after(_HEARD_WITHIN, pending)
    for program in pending:
        try:
            program.send_signal(signal.SIGTERM)
        except psutil.NoSuchProcess:
            continue
    _running_after(_END_WITHIN, pending)
    raise KeyboardInterrupt


def _programs(parent: psutil.Process) -> Iterator[psutil.Process]:
    """Programs that a process has started. A shell is replaced by the programs that it has started."""
    for child in parent.children():
        try:
            is_shell = child.name() in _SHELLS
        except psutil.NoSuchProcess:
            continue
        if is_shell and child.children():
            yield from _programs(child)
        else:
            yield child


def _running_after(seconds: float, programs: list[psutil.Process]) -> list[psutil.Process]:
    give_up = time.monotonic() + seconds
    while (running := [each for each in programs if _runs(each)]) and time.monotonic() < give_up:
        time.sleep(_TICK)
    return running


def _runs(program: psutil.Process) -> bool:
    """Whether a program still runs; a zombie has ended."""
    try:
        return program.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
