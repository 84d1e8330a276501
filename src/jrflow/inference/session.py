"""One training as it goes: schedule, epochs, noise drawn afresh at every presentation."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from jrflow.config.inference import TrainingConfig
from jrflow.inference.checkpoint import Checkpoint, optimiser_tensors, restore_optimiser
from jrflow.inference.dataset import EvokedSet
from jrflow.inference.networks import BiLSTM
from jrflow.inference.observation import NoiseLevels
from jrflow.inference.randomness import Stream, entropy, torch_generator

#: Share of the gradient steps over which the learning rate rises to its peak.
_WARM_UP = 0.05

#: Largest norm of the gradient.
_CLIP_NORM = 1.0


@dataclass(frozen=True)
class Plan:
    """How often, in what order and at what rate the training simulations are shown."""

    n: int
    batch_size: int
    n_epochs: int
    peak: float

    @classmethod
    def of(cls, n: int, config: TrainingConfig) -> Plan:
        """Show ``n`` simulations in whole epochs, as many as come closest to the presentations wanted."""
        return cls(n, config.batch_size, max(1, round(config.max_presentations / n)), config.learning_rate)

    @property
    def n_batches(self) -> int:
        """Gradient steps in an epoch; the last batch may be smaller."""
        return -(-self.n // self.batch_size)

    @property
    def n_presentations(self) -> int:
        """Simulations shown in all."""
        return self.n * self.n_epochs

    def learning_rate(self, step: int) -> float:
        """Learning rate of a gradient step: linear warm-up times one half cosine."""
        total = self.n_epochs * self.n_batches
        warm = min(1.0, (step + 1) / max(1.0, _WARM_UP * total))
        return self.peak * warm * 0.5 * (1 + math.cos(math.pi * step / total))


@dataclass
class Session:
    """A training under way: what an epoch does, and the state that a checkpoint keeps.

    Attributes
    ----------
    epoch, history
        Epochs done; one record for each.
    best
        Weights at the smallest validation loss.
    """

    network: BiLSTM
    optimiser: torch.optim.Optimizer
    plan: Plan
    data: EvokedSet
    validation: EvokedSet
    noise: NoiseLevels
    sd_range: tuple[float, float]
    seed: int

    def __post_init__(self) -> None:
        self.epoch = 0
        self.history: list[dict[str, float]] = []
        self.best: dict[str, torch.Tensor] = {}
        self._source = torch.from_numpy(self.data.source)
        self._targets = self.network.standardise(self.data.targets)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint."""
        self.network.load_state_dict(checkpoint.weights)
        restore_optimiser(self.optimiser, checkpoint.optimiser)
        self.epoch, self.history = checkpoint.epoch, list(checkpoint.history)
        self.best = dict(checkpoint.best)

    def checkpoint(self, fingerprint: str) -> Checkpoint:
        """State after the last epoch."""
        state = optimiser_tensors(self.optimiser)
        return Checkpoint(fingerprint, self.epoch, self.history, self.network.state_dict(), self.best, state)

    def run_epoch(self) -> None:
        """Show every training simulation once, then look at the validation part."""
        generator = torch_generator(self.seed, Stream.EPOCH, self.epoch)
        order = torch.randperm(self.plan.n, generator=generator)
        self.network.train()
        total = 0.0
        # Dropout has no generator of its own; the fork leaves the caller's random state alone.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(entropy(self.seed, Stream.EPOCH, self.epoch, 1))
            for batch, index in enumerate(order.split(self.plan.batch_size)):
                total += self._step(batch, index, generator) * len(index)
        self.epoch += 1
        self._record(total / self.plan.n)

    def _step(self, batch: int, index: torch.Tensor, generator: torch.Generator) -> float:
        step = self.epoch * self.plan.n_batches + batch
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.learning_rate(step)
        observed, sd = self._observe(self._source[index], step, generator)
        loss = nn.functional.mse_loss(self.network(observed, sd), self._targets[index])
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP_NORM)
        self.optimiser.step()
        return float(loss.detach())

    def _observe(
        self, source: torch.Tensor, step: int, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add noise of a size drawn log-uniformly; levels that differ in shape take turns."""
        low, high = np.log(self.sd_range)
        sd = torch.exp(low + (high - low) * torch.rand(len(source), generator=generator))
        shapes = self.noise.distinct_shapes
        return shapes[step % len(shapes)].observe(source, sd, generator), sd

    @torch.no_grad()
    def _record(self, training_loss: float) -> None:
        self.network.eval()
        # The same noise after every epoch, so that losses can be compared.
        generator = torch_generator(self.seed, Stream.VALIDATION)
        observed, sd = self._observe(torch.from_numpy(self.validation.source), 0, generator)
        wanted = self.network.standardise(self.validation.targets)
        loss = float(nn.functional.mse_loss(self.network(observed, sd), wanted))
        if not self.history or loss < min(record["validation_loss"] for record in self.history):
            self.best = copy.deepcopy(self.network.state_dict())
        self.history.append(
            {
                "epoch": self.epoch,
                "n_presentations": self.plan.n * self.epoch,
                "training_loss": training_loss,
                "validation_loss": loss,
            }
        )
