"""Timing side by side: everything is warmed up once, then all take turns, and medians count.

A slow moment of the machine so hits all candidates alike. On one core it is CPU time that counts, which
leaves out most of what others do on the machine meanwhile.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

#: Does its work once and returns the node-steps that it did.
Run = Callable[[], int]
#: A quick candidate runs as often in its turn as fits in this time, s.
TURN = 0.1


@dataclass
class Measured:
    """What was measured of one candidate: node-steps of a run, and seconds of each."""

    node_steps: int
    seconds: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Node-steps per second, median."""
        return self.node_steps / statistics.median(self.seconds)


def in_turns(
    candidates: Mapping[str, Run],
    repeats: int,
    clock: Callable[[], float] = time.process_time,
    turn: float = TURN,
) -> dict[str, Measured]:
    """Run each candidate once, then all of them ``repeats`` times one after the other.

    With a turn of 0 s each runs once in its turn, however quick.
    """
    measured, calls = {}, {}
    for name, run in candidates.items():
        measured[name], calls[name] = Measured(run()), 1
        if turn:
            begin = clock()
            run()
            calls[name] = min(100, max(1, math.floor(turn / max(clock() - begin, 1e-6))))
    for _ in range(repeats):
        for name, run in candidates.items():
            begin = clock()
            for _ in range(calls[name]):
                run()
            measured[name].seconds.append((clock() - begin) / calls[name])
    return measured
