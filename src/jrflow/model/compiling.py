"""Tell the user when a kernel is being compiled: otherwise the first call is silent for many seconds."""

from __future__ import annotations

import logging
from functools import cache
from threading import Timer

from numba.core import event

#: Compilations shorter than this are not announced, s.
_PATIENCE = 2.0

_logger = logging.getLogger("jrflow")


class _Notice(event.Listener):
    """Announces a compilation of this package's own functions that takes long."""

    def __init__(self) -> None:
        self._depth, self._timer = 0, Timer(0, _announce)

    def on_start(self, event: event.Event) -> None:
        """Start the clock with the outermost function; the functions it calls are compiled within."""
        if self._is_ours(event):
            self._depth += 1
            if self._depth == 1:
                self._timer = Timer(_PATIENCE, _announce)
                self._timer.daemon = True
                self._timer.start()

    def on_end(self, event: event.Event) -> None:
        """Stop the clock."""
        if self._is_ours(event):
            self._depth -= 1
            if self._depth == 0:
                self._timer.cancel()

    @staticmethod
    def _is_ours(event: event.Event) -> bool:
        return str(event.data["dispatcher"].py_func.__module__).startswith("jrflow.")


@cache
def announce_compilation() -> None:
    """From now on, log a line when a kernel is compiled; numba compiles one function at a time."""
    event.register("numba:compile", _Notice())


def _announce() -> None:
    _logger.warning(
        "jrflow: compiling the simulation for this machine; this takes some ten seconds, once for each "
        "solver, precision and kind of network, and is kept on disk"
    )
