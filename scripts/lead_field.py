"""Lead field of the configured patch for the configured head."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from jrflow.config import load_config
from jrflow.eeg.head import lead_field


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    eeg = load_config(arguments.config).eeg
    lead_field(eeg.head, eeg.source).to_netcdf(arguments.out, engine="h5netcdf")
    return 0


if __name__ == "__main__":
    sys.exit(main())
