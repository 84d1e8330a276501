"""The exact posterior of test simulations, at every noise level of a model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from jrflow.config import load_config
from jrflow.eeg.levels import read_levels
from jrflow.inference.dataset import read_evoked_set
from jrflow.inference.gold import gold_standard
from jrflow.inference.observation import NoiseLevels, processing_of


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--noise", type=Path, required=True, help="noise levels of the model")
    parser.add_argument("--test", type=Path, required=True, help="manifest of the test campaign")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    config = load_config(arguments.config)
    training, limits = config.inference.training, config.limits
    lead_field, levels, _ = read_levels(arguments.noise)
    test = read_evoked_set(
        arguments.test.with_suffix(".zarr"), training.sfreq, training.tmin, processing_of(levels)
    )
    noise = NoiseLevels.of(lead_field, levels, test.window, training.spatial)
    found = gold_standard(
        test, noise, limits.posterior_cases, limits.relative_step, config.run.seed, stream=sys.stderr
    )
    found.to_netcdf(arguments.out, engine="h5netcdf")
    return 0


if __name__ == "__main__":
    sys.exit(main())
