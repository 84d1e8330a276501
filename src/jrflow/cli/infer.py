"""jrflow infer: parameters of measured evoked responses."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from jrflow.cli.parts import Commands, add_command

#: Exit code if some responses have no estimate.
_SOME_FAILED = 2


def _millimetres(text: str) -> float:
    """Read a coordinate of the source, mm, for argparse."""
    value = float(text)
    if not abs(value) <= _LARGEST_MM:
        raise argparse.ArgumentTypeError(
            f"expected a coordinate in mm (at most {_LARGEST_MM:g}), received {text}"
        )
    return value


#: Largest distance of a part of a head from the origin of MNI coordinates, mm.
_LARGEST_MM = 200.0


def add_infer(commands: Commands) -> None:
    """Add the command to the command line."""
    summary = "infer parameters from measured evoked responses, and test whether the model explains them"
    parser = add_command(commands, "infer", _infer, summary)
    parser.add_argument(
        "evoked", type=Path, metavar="EVOKED", help="MNE evoked file with digitised electrodes"
    )
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="folder of a trained model")
    parser.add_argument(
        "--cov", type=Path, required=True, metavar="FILE", help="MNE covariance of raw samples"
    )
    parser.add_argument(
        "--position",
        type=_millimetres,
        nargs=3,
        metavar=("X", "Y", "Z"),
        help="source position, mm, MNI; default: the position used in training",
    )
    parser.add_argument(
        "--exact",
        action="store_true",
        help="also sample the exact posterior of each response that the model explains "
        "(half a minute per response)",
    )
    parser.add_argument("--json", action="store_true", help="print all results as JSON instead of text")


def _infer(arguments: argparse.Namespace) -> int:
    import json

    from jrflow.inference.recordings.files import as_text, failures_as_text, infer_file
    from jrflow.inference.training.model import load_model

    model = load_model(arguments.model)
    found = infer_file(model, arguments.evoked, arguments.cov, arguments.position, exact=arguments.exact)
    if arguments.json:
        content = {"responses": found.estimates, "failures": found.failures}
        print(json.dumps(content, indent=1, allow_nan=False))
    elif found.estimates:
        print(as_text(found.estimates, model, exact=arguments.exact))
    if found.failures:
        print(f"jrflow: {failures_as_text(found.failures)}", file=sys.stderr)
    return _SOME_FAILED if found.failures else 0
