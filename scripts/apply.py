"""What a model says of measured evoked responses."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from jrflow.config import load_config
from jrflow.eeg.levels import read_levels
from jrflow.inference.model import load_model
from jrflow.inference.recordings import failures_as_text, infer_each


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--noise", type=Path, required=True, help="noise levels of the model")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--estimates", type=Path, required=True, help="JSON to write")
    parser.add_argument("--responses", type=Path, required=True, help="netCDF to write")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    config = load_config(arguments.config)
    apply = config.inference.apply
    if apply is None:
        parser.error(f"{arguments.config} names no recording (inference.apply)")
    lead_field, levels, _ = read_levels(arguments.noise)
    found = infer_each(
        load_model(arguments.model), Path(apply.evoked), lead_field, levels[apply.noise], config.run.seed,
        exact=apply.exact,
    )  # fmt: skip
    if found.responses is None:
        parser.error(failures_as_text(found.failures))
    if found.failures:
        print(failures_as_text(found.failures), file=sys.stderr)
    content = {
        "model": apply.model, "evoked": apply.evoked, "noise": apply.noise, "responses": found.estimates,
        "failures": found.failures,
    }  # fmt: skip
    text = json.dumps(content, indent=1, allow_nan=False)
    arguments.estimates.write_text(text, encoding="utf-8")
    found.responses.to_netcdf(arguments.responses, engine="h5netcdf")
    return 0


if __name__ == "__main__":
    sys.exit(main())
