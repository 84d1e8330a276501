"""Trainings as jobs: from files to files, as one process or as one rank of several, safe to run again."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TextIO

import torch

from jrflow.config import load_config
from jrflow.eeg.levels import read_levels
from jrflow.inference.campaign import trace_learning_curve, train_model
from jrflow.inference.parallel import Ranks, joined_ranks

#: So long may ranks wait for one another, s: for the slowest to start, to read the archive, or to fail.
_PATIENCE = 900.0


def train_job(
    config_file: Path,
    noise: Path,
    train: Path,
    threads: int,
    out: Path,
    progress: TextIO | None = sys.stderr,
) -> None:
    """Carry out a training, or the rest of the way if that was interrupted.

    Parameters
    ----------
    config_file
        Configuration of the run.
    noise
        Noise levels of the model.
    train
        Manifest of the training campaign.
    threads
        Threads of this process.
    out
        Folder of the model, called as the training.
    progress
        Where the progress is written; None for silence.
    """
    torch.set_num_threads(threads)
    config = load_config(config_file)
    inference, training = config.inference, config.inference.trainings[out.name]
    network = inference.network_of(out.name)
    lead_field, levels, _ = read_levels(noise)
    with joined_ranks(_PATIENCE) as ranks:
        if progress is not None:
            _say_device(ranks, progress)
        train_model(
            train.with_suffix(".zarr"), lead_field, levels, inference.training_of(out.name), network,
            config.run.seed + training.shift, out, estimator=training.network, progress=progress, ranks=ranks,
            wait=float("inf"),
        )  # fmt: skip


def learning_curve_job(
    config_file: Path, noise: Path, train: Path, test: Path, threads: int, out: Path
) -> None:
    """Train on ever more simulations and write the scores; arguments as of ``train_job``."""
    torch.set_num_threads(threads)
    config = load_config(config_file)
    curve = config.inference.learning_curve
    if curve is None:
        raise ValueError(f"{config_file} asks for no learning curve (inference.learning_curve)")
    lead_field, levels, _ = read_levels(noise)
    table = trace_learning_curve(
        train.with_suffix(".zarr"),
        test.with_suffix(".zarr"),
        lead_field,
        levels,
        config.inference.training_of(curve.model),
        config.inference.network_of(curve.model),
        curve,
        config.run.seed,
    )
    unfinished = out.with_suffix(".partial")
    table.to_csv(unfinished, index=False)
    unfinished.replace(out)


def _say_device(ranks: Ranks, progress: TextIO) -> None:
    """Say where it trains, and when a GPU that Slurm gave is not used."""
    allotted = os.environ.get("SLURM_STEP_GPUS") or os.environ.get("SLURM_JOB_GPUS")
    if allotted and ranks.device.type == "cpu":
        print(
            f"warning: Slurm gave this job GPU {allotted}, but PyTorch {torch.__version__} sees none: is it "
            "a build for CPUs only, or is the driver missing? Training on the CPU",
            file=progress,
            flush=True,
        )
    print(f"rank {ranks.rank} of {ranks.world_size} on {ranks.device}", file=progress, flush=True)
