"""The report of a run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from jrflow.report.report import build_report


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run, results/<run>")
    arguments = parser.parse_args(argv)
    print(build_report(arguments.run))
    return 0


if __name__ == "__main__":
    sys.exit(main())
