"""jrflow's kernel beside its peers, step for step, on one core: what benchmarks/README.md describes.

    python benchmarks/kernel.py [--quick] [--only uncoupled,coupled,delays,cores,start] [--core 1]

Peers are an extra: pip install '.[bench]'. One that is missing is a line with the reason.
"""

from __future__ import annotations

import argparse
import os
import platform
import warnings
from collections.abc import Sequence
from importlib import import_module

#: Where each case is, and whether it needs all cores.
CASES = {
    "uncoupled": ("cases.uncoupled", "run", False),
    "coupled": ("cases.networks", "coupled", False),
    "delays": ("cases.networks", "delays", False),
    "cores": ("cases.cores", "run", True),
    "start": ("cases.start", "run", True),
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller and shorter: to see that it runs")
    parser.add_argument("--only", default=",".join(CASES), help="cases, separated by commas")
    parser.add_argument(
        "--core", type=int, default=max(os.sched_getaffinity(0)), help="that all is pinned to"
    )
    arguments = parser.parse_args(argv)
    chosen = arguments.only.split(",")
    if unknown := set(chosen) - set(CASES):
        parser.error(f"--only: expected some of {', '.join(CASES)}, received {', '.join(sorted(unknown))}")
    warnings.filterwarnings("ignore", module="tvb")
    everywhere = os.sched_getaffinity(0)
    # Before NumPy and JAX are imported: they make as many threads as there are cores.
    os.sched_setaffinity(0, {arguments.core})
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    print(
        f"{platform.machine()}, Python {platform.python_version()}, core {arguments.core} of {os.cpu_count()}"
    )
    for case in chosen:
        module, function, unpinned = CASES[case]
        print(f"\n== {case} (load {os.getloadavg()[0]:.1f})", flush=True)
        os.sched_setaffinity(0, everywhere if unpinned else {arguments.core})
        getattr(import_module(module), function)(arguments.quick)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
