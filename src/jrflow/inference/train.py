"""Training: clean simulations, noise drawn afresh at every presentation."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import torch

from jrflow.config.inference import TrainingConfig
from jrflow.inference.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from jrflow.inference.dataset import EvokedSet
from jrflow.inference.networks import Architecture, BiLSTM
from jrflow.inference.observation import NoiseLevels, NoiseShape
from jrflow.inference.parallel import ALONE, Ranks, RanksError
from jrflow.inference.randomness import Stream, entropy
from jrflow.inference.scaling import InputScaling
from jrflow.inference.session import Plan, Session
from jrflow.progress import Progress
from jrflow.provenance import content_hash


@dataclass(frozen=True)
class Fit:
    """A trained network (weights of the smallest validation loss, on the CPU) and how it got there."""

    network: BiLSTM
    history: list[dict[str, float]]
    sd_range: tuple[float, float]


def train(
    data: EvokedSet,
    validation: EvokedSet,
    noise: NoiseLevels,
    config: TrainingConfig,
    seed: int,
    *,
    folder: Path | None = None,
    name: str = "training",
    progress: TextIO | None = sys.stderr,
    ranks: Ranks = ALONE,
) -> Fit:
    """Train a network for all noise between the smallest and the largest level.

    The same seed gives the same weights, to the last bit on one machine and number of threads and ranks,
    also after an interruption. The number of ranks changes the rounding of sums; with dropout, also what is
    left out.

    Parameters
    ----------
    data, validation
        Training and validation part of one campaign.
    noise
        Levels that the network is to serve.
    config
        Network and optimisation.
    seed
        Of the initial weights, the order and the noise.
    folder
        Where checkpoints are kept; without one, none are.
    name, progress
        What is said about the progress, and where; None for silence.
    ranks
        This process and those that train with it, each on its device and with the same other arguments. The
        first one writes the checkpoints, which any number of ranks can go on from.

    Raises
    ------
    ValueError
        If there are fewer training simulations than one batch, or the checkpoint is another training's.
    RanksError
        If not all ranks see the same checkpoint.
    """
    _check_size(data, config)
    plan = Plan.of(len(data.sim), config)
    sd_range = noise.sd_range(config.noise_margin)
    network = _network(data, noise, config, sd_range, seed).to(ranks.device)
    optimiser = torch.optim.Adam(network.parameters(), lr=plan.peak, foreach=True)
    session = Session(network, optimiser, plan, data, validation, noise, sd_range, seed, ranks)
    fingerprint = training_fingerprint(data, noise, config, seed)
    if folder is not None and (found := _agreed_checkpoint(folder, fingerprint, ranks)) is not None:
        session.restore(found)
    told = progress if ranks.is_first else None
    with Progress(name, plan.n_presentations, told, done=plan.n * session.epoch) as bar:
        while session.epoch < plan.n_epochs:
            session.run_epoch()
            bar.advance(plan.n, session.report)
            due = session.epoch % config.checkpoint_every == 0 or session.epoch == plan.n_epochs
            if folder is not None and due and ranks.is_first:
                save_checkpoint(folder, session.checkpoint(fingerprint))
    network.load_state_dict(session.best)
    return Fit(network.cpu().eval(), session.history, sd_range)


def training_fingerprint(data: EvokedSet, noise: NoiseLevels, config: TrainingConfig, seed: int) -> str:
    """Hash of what the weights depend on."""
    return content_hash(
        {
            "training": config.model_dump(mode="json", exclude={"checkpoint_every"}),
            "simulations": [data.config_hash, data.sim.tolist()],
            "noise": [noise.sd.tolist(), *(_rounded(shape) for shape in noise.shapes)],
            "seed": seed,
        }
    )


def _agreed_checkpoint(folder: Path, fingerprint: str, ranks: Ranks) -> Checkpoint | None:
    """The latest checkpoint, the same on all ranks."""
    found = load_checkpoint(folder, fingerprint)
    epochs = ranks.gather(found.epoch if found is not None else 0)
    if len(set(epochs)) > 1:
        seen = ", ".join(f"rank {rank} one of epoch {epoch}" for rank, epoch in enumerate(epochs))
        raise RanksError(
            f"{folder}: expected all ranks to find the same checkpoint, but {seen} (0: none). Most likely a "
            "network file system shows on one machine only later what another has written: start again in a "
            "minute. If it stays so, the folder is not one that all machines share: put it on a disk that is"
        )
    return found


def _network(
    data: EvokedSet, noise: NoiseLevels, config: TrainingConfig, sd_range: tuple[float, float], seed: int
) -> BiLSTM:
    shape = noise.distinct_shapes[0]
    architecture = Architecture(
        n_inputs=len(shape.direction),
        n_samples=data.source.shape[1],
        samples_per_step=config.samples_per_step,
        hidden=config.hidden,
        n_targets=len(data.names),
        dropout=config.dropout,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(entropy(seed, Stream.INITIAL_WEIGHTS))
        network = BiLSTM(architecture)
    scaling = InputScaling.fit(data.source, shape.factor @ shape.factor.T, config.samples_per_step)
    network.set_scaling(scaling, shape.direction, sd_range, data.targets)
    return network


def _check_size(data: EvokedSet, config: TrainingConfig) -> None:
    if len(data.sim) < config.batch_size:
        raise ValueError(
            f"too few simulations: {len(data.sim)} to train on, but training.batch_size is "
            f"{config.batch_size}; enlarge campaign {data.specification['campaign']!r} or choose smaller "
            "batches"
        )


def _rounded(shape: NoiseShape) -> list[list[float]]:
    """What a shape of noise consists of, free of the last digits, in which machines differ."""
    parts = (shape.direction[:, None], shape.spread, shape.factor @ shape.factor.T)
    return [np.round(part, 6).ravel().tolist() for part in parts]
