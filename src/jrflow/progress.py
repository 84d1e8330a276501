"""How far a long task has come: a bar on a terminal, now and then a line in a log."""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType
from typing import TextIO

from tqdm import tqdm

#: Least time between two lines in a log, s.
_LINE_EVERY = 10.0
#: Steps over which the rate is taken.
_RECENT = 16


class Progress:
    """Count simulations towards a total.

    Parameters
    ----------
    name
        What is being done.
    total
        Simulations in all.
    stream
        Where to write; None for silence.
    done
        Simulations of an earlier run among them.
    """

    def __init__(self, name: str, total: int, stream: TextIO | None, done: int = 0) -> None:
        self._name, self._total, self._done = name, total, done
        self._stream = stream
        self._last_line = time.monotonic()
        # The first results come late, since workers start and compile first: the rate is that of late.
        self._times = deque([(self._last_line, done)], maxlen=_RECENT)
        on_terminal = stream is not None and stream.isatty()
        self._bar = tqdm(
            desc=name, total=total, initial=done, unit="sim", unit_scale=True, file=stream,
            disable=not on_terminal,
        )  # fmt: skip

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def advance(self, n: int, note: str = "") -> None:
        """Count ``n`` more simulations as done; a note says better how far it has come than their number."""
        self._done += n
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(n)
        now = time.monotonic()
        self._times.append((now, self._done))
        due = now - self._last_line > _LINE_EVERY or self._done == self._total
        if self._stream is not None and self._bar.disable and due:
            self._last_line = now
            begin, done_then = self._times[0]
            rate = (self._done - done_then) / max(now - begin, 1e-9)
            how_far = note or f"{self._done} of {self._total} simulations, {rate:.0f}/s"
            left = self._total - self._done
            to_go = f"{left / rate:.0f} s to go" if rate > 0 else f"{left} to go"
            print(f"{self._name}: {how_far}, {to_go}", file=self._stream, flush=True)
