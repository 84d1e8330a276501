"""Sobol indices of the features of the evoked response."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from jrflow.archive import open_archive
from jrflow.config import load_config
from jrflow.sensitivity.campaign import analyse_sobol


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--lead-field", type=Path, required=True)
    parser.add_argument("--campaign", type=Path, required=True, help="manifest of the campaign")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    config = load_config(arguments.config)
    lead_field = xr.load_dataarray(arguments.lead_field, engine="h5netcdf")
    campaign = open_archive(arguments.campaign.with_suffix(".zarr"))
    result = analyse_sobol(campaign, lead_field, config.sensitivity, seed=config.run.seed)
    result.to_netcdf(arguments.out, engine="h5netcdf")
    return 0


if __name__ == "__main__":
    sys.exit(main())
