"""What one core can do at most: fused multiply-adds a second, at full vector width.

    python benchmarks/peak.py [--core 1]

Eight vectors stay in registers and each goes through a chain of multiply-adds: two at a time for four
cycles, which is how long one of them takes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence

VECTORS, ROUNDS, CHAIN = 8, 100_000, 16


def _compiled(lanes: int) -> Callable[..., None]:
    from numba import njit

    from jrflow.model.lanes import FASTMATH, inlined, vectorise_fully

    @inlined
    def four(x, m, c):  # type: ignore[no-untyped-def]
        return (((x * m + c) * m + c) * m + c) * m + c

    @njit(fastmath=FASTMATH)
    def chains(x, m, c, rounds):  # type: ignore[no-untyped-def]
        vectorise_fully()
        for _ in range(rounds):
            for lane in range(lanes):
                x[lane] = four(four(four(four(x[lane], m, c), m, c), m, c), m, c)

    return chains


def peak(precision: str, repeats: int = 9) -> float:
    """Floating-point operations per second of this core, in "float32" or "float64"; median over repeats."""
    import numpy as np
    from llvmlite.binding import get_host_cpu_features

    from jrflow.model.lanes import room

    dtype = np.dtype(precision)
    lanes = VECTORS * (64 if get_host_cpu_features().get("avx512f") else 32) // dtype.itemsize
    arguments = (room(lanes, dtype=dtype), dtype.type(0.999999), dtype.type(1e-7), ROUNDS)
    chains = _compiled(lanes)
    chains(*arguments)
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        chains(*arguments)
        seconds.append(time.process_time() - start)
    return 2 * CHAIN * lanes * ROUNDS / statistics.median(seconds)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--core", type=int, default=1)
    os.sched_setaffinity(0, {parser.parse_args(argv).core})
    for precision in ("float32", "float64"):
        print(f"{precision}: {peak(precision) / 1e9:6.1f} GFLOP/s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
