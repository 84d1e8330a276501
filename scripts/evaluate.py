"""Score a model on its test campaign."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from jrflow.inference.command import trial_of, trial_parser
from jrflow.inference.evaluate import evaluate_model
from jrflow.inference.model import load_model


def main(argv: Sequence[str] | None = None) -> int:
    parser = trial_parser(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--gold", type=Path, help="exact posteriors of test simulations")
    parser.add_argument("--refine", type=int, default=0, help="test simulations whose estimates are refined")
    parser.add_argument("--predictions", type=Path, required=True)
    arguments = parser.parse_args(argv)
    model = load_model(arguments.model)
    trial = trial_of(arguments, model.description.training, model.description.seed)
    gold = xr.load_dataset(arguments.gold, engine="h5netcdf") if arguments.gold else None
    scores, predictions = evaluate_model(
        model, trial, gold=gold, n_refined=arguments.refine, stream=sys.stderr
    )
    scores.to_csv(arguments.scores, index=False)
    predictions.to_netcdf(arguments.predictions, engine="h5netcdf")
    return 0


if __name__ == "__main__":
    sys.exit(main())
