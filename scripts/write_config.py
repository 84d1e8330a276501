"""Write the effective configuration of a run, commented, beside its results."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from jrflow.config.commented import commented_yaml
from jrflow.config.load import parse_config


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--content", type=json.loads, required=True, help="configuration as JSON")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    arguments.out.write_text(commented_yaml(parse_config(arguments.content)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
