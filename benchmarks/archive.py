"""What it takes to fill an archive, at what size, and to find something in it again.

    python benchmarks/archive.py [--only writing,scale,asking] [--simulations 65536] [--whole-brain 0]
                                 [--keep DIR] [--repeats 5] [--workers 2]

Wall time: it wants a quiet machine with as many cores as workers. benchmarks/README.md describes the tables.
Archives are made in a temporary folder; with --keep they stay in a folder of yours, and those of 'scale'
are not made again. --simulations 1000000 --whole-brain 5000 takes 4 GB of it.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

PARTS = ("writing", "scale", "asking")
#: Simulations of 'writing': a campaign of more has the same rates, and takes its turn less often.
_WRITTEN = 131_072


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument("--simulations", type=int, default=65_536, help="of one column")
    parser.add_argument("--whole-brain", type=int, default=0, metavar="N", help="simulations of 200 regions")
    parser.add_argument("--files", type=int, default=2000, help="netCDF files, one for each of so many")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where archives stay, or are")
    arguments = parser.parse_args(argv)
    chosen = arguments.only.split(",")
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"--only: expected some of {', '.join(PARTS)}, received {', '.join(sorted(unknown))}")
    sizes = {"column": arguments.simulations, "network": arguments.whole_brain}
    print(f"{platform.machine()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jrflow-archive-")))
        if "writing" in chosen:
            from cases import writing

            _begin("writing")
            n = min(arguments.simulations, _WRITTEN)
            writing.run(temporary, n, arguments.files, arguments.workers, arguments.repeats)
        if not {"scale", "asking"}.isdisjoint(chosen):
            _at_scale(arguments, chosen, {case: n for case, n in sizes.items() if n}, temporary)
    return 0


def _at_scale(
    arguments: argparse.Namespace, chosen: list[str], sizes: dict[str, int], temporary: Path
) -> None:
    """Make the archives, and ask them."""
    from cases import asking, campaigns

    root = (arguments.keep or temporary).absolute()
    for case, n in sizes.items():
        _begin(f"{case}, {n:,} simulations")
        store, table = campaigns.archive(root, case, n, arguments.workers)
        if table is not None:
            print(table, flush=True)
        if "asking" in chosen:
            print(asking.run(case, store, arguments.repeats), flush=True)


def _begin(part: str) -> None:
    print(f"\n== {part} (load {os.getloadavg()[0]:.1f})", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
