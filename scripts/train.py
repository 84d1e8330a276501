"""Train a model, or the rest of the way if that was interrupted."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from jrflow.config import load_config
from jrflow.eeg.levels import read_levels
from jrflow.inference.campaign import train_model


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--noise", type=Path, required=True, help="noise levels of the model")
    parser.add_argument("--train", type=Path, required=True, help="manifest of the training campaign")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    config = load_config(arguments.config)
    lead_field, levels, _ = read_levels(arguments.noise)
    store = arguments.train.with_suffix(".zarr")
    train_model(store, lead_field, levels, config.inference.training, config.run.seed, arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
