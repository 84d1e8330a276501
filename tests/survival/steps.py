"""Stopping before a certain change of a file: everything that writes goes through one of three functions."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from zarr.storage import LocalStore

#: Writes of Zarr, removals, and the last act of files that are written atomically.
_CHANGES = ((LocalStore, "set"), (Path, "unlink"), (Path, "replace"))


class Interrupted(BaseException):
    """Like KeyboardInterrupt, but nobody's."""


def interrupt() -> None:
    raise Interrupted


@contextmanager
def stopped_at(step: int, stop: Callable[[], None] = interrupt) -> Iterator[None]:
    """Call ``stop`` before the step-th change of a file; the first is number 1."""
    steps = itertools.count(1)

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def stop_or_do(*args: Any, **kwargs: Any) -> Any:
            if next(steps) == step:
                stop()
            return function(*args, **kwargs)

        return stop_or_do

    with pytest.MonkeyPatch.context() as patched:
        for owner, name in _CHANGES:
            patched.setattr(owner, name, counted(getattr(owner, name)))
        yield


def is_stopped(step: int, work: Callable[[], object]) -> bool:
    """Whether some work was interrupted at a step; not so where it takes fewer."""
    with stopped_at(step):
        try:
            work()
        except Interrupted:
            return True
    return False


def number_of_steps(work: Callable[[], object]) -> int:
    """How many changes of files some work takes."""
    made: list[None] = []
    with pytest.MonkeyPatch.context() as patched:
        for owner, name in _CHANGES:
            patched.setattr(owner, name, _noting(getattr(owner, name), made))
        work()
    return len(made)


def _noting(function: Callable[..., Any], made: list[None]) -> Callable[..., Any]:
    def note_and_do(*args: Any, **kwargs: Any) -> Any:
        made.append(None)
        return function(*args, **kwargs)

    return note_and_do
