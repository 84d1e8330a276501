"""jrflow infer: parameters of measured evoked responses."""

from __future__ import annotations

import argparse
from pathlib import Path

from jrflow.cli.parts import Commands, add_command


def add_infer(commands: Commands) -> None:
    """Add the command to the command line."""
    summary = "infer parameters from measured evoked responses, and say whether the model explains them"
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
        type=float,
        nargs=3,
        metavar=("X", "Y", "Z"),
        help="source, mm, MNI; by default where the model was trained",
    )
    parser.add_argument(
        "--exact",
        action="store_true",
        help="of each response that the model explains, sample the exact posterior, too: half a minute",
    )


def _infer(arguments: argparse.Namespace) -> int:
    from jrflow.config.eeg import CovarianceNoise, RecordingHead
    from jrflow.eeg.head import lead_field
    from jrflow.eeg.noise import noise_level
    from jrflow.inference.model import load_model
    from jrflow.inference.recordings import as_text, infer_recordings

    model = load_model(arguments.model)
    position = arguments.position
    source = model.description.source
    if position is not None:
        source = source.model_copy(update={"position": tuple(position)})
    gain = lead_field(RecordingHead(kind="recording", path=str(arguments.evoked)), source)
    covariance = CovarianceNoise(kind="covariance", path=str(arguments.cov))
    noise = noise_level(covariance, gain, model.description.simulation.timing)
    estimates, _ = infer_recordings(model, arguments.evoked, gain, noise, exact=arguments.exact)
    print(as_text(estimates, model, exact=arguments.exact))
    return 0
