"""Train a model, or the rest of the way if that was interrupted; here, or as a job of a cluster."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from jrflow.config.config import Config
from jrflow.config.inference import TrainingConfig
from jrflow.config.networks import NetworkConfig
from jrflow.planning.learning_cost import training_bytes, training_seconds
from jrflow.planning.requests import ONE_CORE, Workers
from jrflow.stages.stage import Files, Settings
from jrflow.stages.submitted import SubmittedStage

if TYPE_CHECKING:
    from jrflow.inference.training.parallel import Ranks

#: Longest time that ranks wait for one another, s: for the slowest to start, to read the archive, or to fail.
_PATIENCE = 900.0


class TrainSettings(Settings):
    """What a training depends on besides noise levels and training campaign."""

    training: TrainingConfig
    network: NetworkConfig
    estimator: str
    seed: int


class Train(SubmittedStage[TrainSettings]):
    """The rule ``train``: one folder for a training."""

    name = "train"
    inputs = ("noise", "train")
    outputs = ("model",)
    settings_type = TrainSettings
    several = True

    def settings(self, config: Config, name: str = "") -> TrainSettings:
        """See :class:`~jrflow.stages.stage.Stage`."""
        inference, training = config.inference, config.inference.trainings[name]
        return TrainSettings(
            training=inference.training_of(name), network=inference.network_of(name),
            estimator=training.network, seed=config.run.seed + training.shift,
        )  # fmt: skip

    def seconds(self, config: Config, name: str = "", workers: Workers = ONE_CORE) -> float:
        """See :class:`~jrflow.stages.stage.Stage`."""
        return training_seconds(config, name, workers.devices, workers.device, workers.threads)

    def bytes(self, config: Config, name: str = "") -> float:
        """See :class:`~jrflow.stages.stage.Stage`."""
        return training_bytes(config, name)

    def products(self, outputs: Files) -> tuple[Path, ...]:
        """Checkpoints stand beside the model's file."""
        return (outputs["model"].parent,)

    def run(self, settings: TrainSettings, inputs: Files, outputs: Files, threads: int = 1) -> None:
        """Train as one process, or as one rank of several; see :class:`~jrflow.stages.stage.Stage`."""
        import torch

        from jrflow.inference.from_archives import train_model
        from jrflow.inference.training.parallel import joined_ranks
        from jrflow.observe.levels import read_levels

        torch.set_num_threads(threads)
        lead_field, levels, _ = read_levels(inputs["noise"])
        with joined_ranks(_PATIENCE) as ranks:
            _report_device(ranks, sys.stderr)
            train_model(
                inputs["train"].with_suffix(".zarr"), lead_field, levels, settings.training,
                settings.network, settings.seed, outputs["model"].parent, estimator=settings.estimator,
                progress=sys.stderr, ranks=ranks, wait=float("inf"),
            )  # fmt: skip


def _report_device(ranks: Ranks, progress: TextIO) -> None:
    """Report where the training runs, and when a GPU that Slurm gave is not used."""
    import torch

    allotted = os.environ.get("SLURM_STEP_GPUS") or os.environ.get("SLURM_JOB_GPUS")
    if allotted and ranks.device.type == "cpu":
        print(
            f"warning: Slurm gave this job GPU {allotted}, but PyTorch {torch.__version__} sees none: is it "
            "a build for CPUs only, or is the driver missing? Training on the CPU",
            file=progress,
            flush=True,
        )
    print(f"rank {ranks.rank} of {ranks.world_size} on {ranks.device}", file=progress, flush=True)
