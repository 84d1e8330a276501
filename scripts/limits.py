"""What any method could recover at a model's noise levels."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from jrflow.config import load_config
from jrflow.design import Prior
from jrflow.eeg.levels import read_levels
from jrflow.limits.fisher import recovery_limits


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--noise", type=Path, required=True, help="noise levels of the model")
    parser.add_argument("--gold", type=Path, help="exact posteriors of test simulations")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    config = load_config(arguments.config)
    campaign = config.campaigns[config.inference.models[arguments.model].test]
    prior = Prior.of(config.priors[campaign.prior], campaign.preset)
    lead_field, levels, _ = read_levels(arguments.noise)
    gold = xr.load_dataset(arguments.gold, engine="h5netcdf") if arguments.gold else None
    limits = recovery_limits(
        prior, lead_field, levels, config.simulation, config.limits, config.run.seed, gold
    )
    limits.to_netcdf(arguments.out, engine="h5netcdf")
    return 0


if __name__ == "__main__":
    sys.exit(main())
