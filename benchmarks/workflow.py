"""What it takes to plan a run, to have a cluster's scheduler carry it out, and to seal what came of it.

    python benchmarks/workflow.py [--only plan,overhead,sealing] [--repeats 3]
                                  [--blocks 10,100,1000,10000] [--shards 100,1000,4000] [--config FILE]

Wall time: it wants a quiet machine. benchmarks/README.md describes the tables. 'overhead' needs the test
cluster (tests/slurm/cluster.sh up) and is left out, with a line that says so, where there is none.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path

PARTS = ("plan", "overhead", "sealing")
_TINY = Path(__file__).parents[1] / "tests/tiny.yaml"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--blocks", type=_numbers, default=(10, 100, 1_000, 10_000))
    parser.add_argument("--shards", type=_numbers, default=(100, 1_000, 4_000))
    parser.add_argument("--config", type=Path, default=_TINY, help="run whose overhead is measured")
    arguments = parser.parse_args(argv)
    chosen = arguments.only.split(",")
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"--only: expected some of {', '.join(PARTS)}, received {', '.join(sorted(unknown))}")
    print(f"{platform.machine()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="jrflow-workflow-") as temporary:
        folder = Path(temporary)
        if "plan" in chosen:
            from cases import planning

            _begin("plan")
            print(planning.run(folder / "plan", arguments.blocks, arguments.repeats), flush=True)
        if "overhead" in chosen:
            from cases import overhead

            _begin("overhead")
            print(overhead.run(folder / "overhead", arguments.config, arguments.repeats), flush=True)
        if "sealing" in chosen:
            from cases import sealing

            _begin("sealing")
            for table in sealing.run(folder / "sealing", arguments.shards, arguments.repeats):
                print(table, flush=True)
    return 0


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _begin(part: str) -> None:
    print(f"\n== {part} (load {os.getloadavg()[0]:.1f})", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
