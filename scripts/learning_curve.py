"""Scores over the number of training simulations, and over epochs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from jrflow.config import load_config
from jrflow.eeg.levels import read_levels
from jrflow.inference.campaign import trace_learning_curve


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--noise", type=Path, required=True, help="noise levels of the model")
    parser.add_argument("--train", type=Path, required=True, help="manifest of the training campaign")
    parser.add_argument("--test", type=Path, required=True, help="manifest of the test campaign")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    config = load_config(arguments.config)
    if config.inference.learning_curve is None:
        parser.error(f"{arguments.config} asks for no learning curve (inference.learning_curve)")
    lead_field, levels, _ = read_levels(arguments.noise)
    curve = trace_learning_curve(
        arguments.train.with_suffix(".zarr"),
        arguments.test.with_suffix(".zarr"),
        lead_field,
        levels,
        config.inference.training,
        config.inference.learning_curve,
        config.run.seed,
    )
    curve.to_csv(arguments.out, index=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
