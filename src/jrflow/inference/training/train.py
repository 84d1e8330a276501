"""Training of a network on simulations without noise, with new noise at every presentation."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import torch

from jrflow.config.inference import TrainingConfig
from jrflow.config.networks import NetworkConfig
from jrflow.inference.data.dataset import EvokedSet
from jrflow.inference.data.randomness import Stream, entropy
from jrflow.inference.networks.build import build_network
from jrflow.inference.networks.network import Architecture, Network
from jrflow.inference.networks.scaling import InputScaling
from jrflow.inference.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from jrflow.inference.training.logs import TrainingLog
from jrflow.inference.training.optimisers import Optimisers
from jrflow.inference.training.parallel import ALONE, Ranks, RanksError
from jrflow.inference.training.session import Plan, Session
from jrflow.observe.observation import NoiseLevels, Observation
from jrflow.observe.processing import Processing
from jrflow.progress import Progress
from jrflow.provenance import content_hash

#: Name of the folder of checkpoints in the folder of a model.
_CHECKPOINT = "checkpoint"


@dataclass(frozen=True)
class Fit:
    """A trained network (weights of the best epoch, on the CPU), its history and its range of noise (mV)."""

    network: Network
    history: list[dict[str, float]]
    sd_range: tuple[float, float]


def train(
    data: EvokedSet,
    validation: EvokedSet,
    noise: NoiseLevels,
    config: TrainingConfig,
    network: NetworkConfig,
    seed: int,
    *,
    folder: Path | None = None,
    name: str = "training",
    progress: TextIO | None = sys.stderr,
    ranks: Ranks = ALONE,
) -> Fit:
    """Train a network for all noise between the smallest and the largest level.

    The same seed gives the same weights to the last bit, on one machine and with the same number of threads
    and ranks, even after an interruption. The number of ranks changes the rounding of sums and the random
    numbers of dropout.

    Parameters
    ----------
    data, validation
        Training and validation part of one campaign.
    noise
        Noise levels for which the network is trained.
    config
        Settings of input and optimisation.
    network
        Kind and sizes of the network.
    seed
        Seed of the initial weights, the order and the noise.
    folder
        Folder of the model, for logs; checkpoints are written to its folder ``checkpoint``. None for no
        files.
    name
        Name of the training run in progress messages.
    progress
        Stream for progress; None for no output.
    ranks
        This process and the processes that train with it. Each has its own device; all other arguments are
        equal. The first rank writes the checkpoints. Any number of ranks can resume from a checkpoint.

    Raises
    ------
    ValueError
        If there are fewer training simulations than one batch, or the checkpoint belongs to another training
        run.
    RanksError
        If the ranks find different checkpoints.
    """
    _check_size(data, config)
    plan = Plan.of(len(data.sim), config, network.learning_rate)
    sd_range = noise.sd_range(config.noise_margin)
    untrained = untrained_network(data, noise, network, sd_range, seed).to(ranks.device)
    untrained.mixed = config.precision == "bfloat16"
    optimisers = Optimisers.of(untrained)
    session = Session(untrained, optimisers, plan, data, validation, noise, sd_range, seed, ranks)
    fingerprint = training_fingerprint(data, noise, config, network, seed)
    kept = folder / _CHECKPOINT if folder is not None else None
    if kept is not None and (found := _agreed_checkpoint(kept, fingerprint, ranks)) is not None:
        session.restore(found)
    shown = progress if ranks.is_first else None
    with (
        TrainingLog(folder if ranks.is_first else None, session.history) as log,
        Progress(name, plan.n_presentations, shown, done=plan.n * session.epoch) as bar,
    ):
        while not _is_over(session, config):
            session.run_epoch()
            bar.advance(plan.n, session.report)
            log.record(session.history[-1])
            due = session.epoch % config.checkpoint_every == 0 or _is_over(session, config)
            if kept is not None and due and ranks.is_first:
                save_checkpoint(kept, session.checkpoint(fingerprint))
    session.network.load_state_dict(session.best)
    return Fit(session.network.cpu().eval(), session.history, sd_range)


def forget_checkpoint(folder: Path) -> None:
    """Remove checkpoints: a complete model does not need them, and they would prevent a new training run."""
    if (folder / _CHECKPOINT).exists():
        shutil.rmtree(folder / _CHECKPOINT)


def training_fingerprint(
    data: EvokedSet, noise: NoiseLevels, config: TrainingConfig, network: NetworkConfig, seed: int
) -> str:
    """Hash of all settings and data on which the weights depend."""
    processing = data.epoch.processing
    return content_hash(
        {
            "training": config.model_dump(mode="json", exclude={"checkpoint_every"}),
            "network": network.model_dump(mode="json"),
            "simulations": [data.config_hash, data.sim.tolist()],
            "noise": [noise.sd.tolist(), *(_rounded(one) for one in noise.observations)],
            "seed": seed,
        }
        | ({} if processing == Processing() else {"processing": str(processing)})
    )


def _agreed_checkpoint(folder: Path, fingerprint: str, ranks: Ranks) -> Checkpoint | None:
    """The latest checkpoint, the same on all ranks."""
    found = load_checkpoint(folder, fingerprint)
    epochs = ranks.gather(found.epoch if found is not None else 0)
    if len(set(epochs)) > 1:
        each = ", ".join(f"rank {rank} one of epoch {epoch}" for rank, epoch in enumerate(epochs))
        raise RanksError(
            f"{folder}: expected all ranks to find the same checkpoint, but found {each} (0: none). Probably "
            "the network file system shows new files late on some machines: start again in a minute. If the "
            "error persists, the machines do not share this folder: use a folder on a shared file system"
        )
    return found


def _is_over(session: Session, config: TrainingConfig) -> bool:
    impatient = config.patience is not None and session.epochs_since_best >= config.patience
    return impatient or session.epoch >= session.plan.n_epochs


def untrained_network(
    data: EvokedSet, noise: NoiseLevels, config: NetworkConfig, sd_range: tuple[float, float], seed: int
) -> Network:
    """Network before the first step: initial weights, and scaling fitted to the training part."""
    observation = noise.distinct[0]
    prior = data.prior
    architecture = Architecture(
        observation.n_inputs, data.source.shape[1], data.names, config, prior.preset, prior.describe()
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(entropy(seed, Stream.INITIAL_WEIGHTS))
        network = build_network(architecture)
    scaling = InputScaling.fit(data.source, observation.temporal, architecture.samples_per_step)
    network.front.set_scaling(scaling, observation.direction, sd_range)
    network.set_targets(data.targets)
    return network


def _check_size(data: EvokedSet, config: TrainingConfig) -> None:
    if len(data.sim) < config.batch_size:
        raise ValueError(
            f"too few simulations: {len(data.sim)} for training, but batch_size is "
            f"{config.batch_size}; enlarge campaign {data.specification.campaign!r} or choose smaller "
            "batches"
        )


def _rounded(observation: Observation) -> list[list[float]]:
    """Noise without its size, rounded because the last digits differ between machines."""
    root = observation.temporal_factor
    parts = (observation.mixing, observation.spatial, root @ root.T)
    return [np.round(part, 6).ravel().tolist() for part in parts]
