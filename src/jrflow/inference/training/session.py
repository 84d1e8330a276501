"""One training run: schedule, epochs, and new noise at every presentation."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from jrflow.config.inference import TrainingConfig
from jrflow.inference.data.dataset import EvokedSet
from jrflow.inference.data.drawing import draw_observations
from jrflow.inference.data.randomness import Stream, entropy, torch_generator
from jrflow.inference.networks.network import BATCH, Network, PointNetwork
from jrflow.inference.training.checkpoint import Checkpoint
from jrflow.inference.training.optimisers import Optimisers
from jrflow.inference.training.parallel import ALONE, Ranks
from jrflow.observe.observation import NoiseLevels

#: Share of the gradient steps over which the learning rate rises to its peak.
_WARM_UP = 0.05

#: Largest norm of the gradient.
_CLIP_NORM = 1.0


@dataclass(frozen=True)
class Plan:
    """Schedule of a training run: number of epochs, batch size and learning rate."""

    n: int
    batch_size: int
    n_epochs: int
    peak: float

    @classmethod
    def of(cls, n: int, config: TrainingConfig, peak: float) -> Plan:
        """Plan whole epochs of ``n`` simulations, as close as possible to the configured presentations."""
        return cls(n, config.batch_size, max(1, round(config.max_presentations / n)), peak)

    @property
    def n_batches(self) -> int:
        """Gradient steps in an epoch; the last batch may be smaller."""
        return -(-self.n // self.batch_size)

    @property
    def n_presentations(self) -> int:
        """Total number of presentations."""
        return self.n * self.n_epochs

    def learning_rate(self, step: int) -> float:
        """Learning rate of a gradient step: linear warm-up times one half cosine."""
        total = self.n_epochs * self.n_batches
        warm = min(1.0, (step + 1) / max(1.0, _WARM_UP * total))
        return self.peak * warm * 0.5 * (1 + math.cos(math.pi * step / total))


@dataclass
class Session:
    """State of a training run, and the steps of an epoch.

    All ranks draw the same order and the same noise for the whole batch, and each rank computes its share.
    The result is therefore that of a single process, except for the rounding of sums. Dropout is different:
    each rank has its own random numbers, so with dropout the number of ranks changes the result in the same
    way as another seed.

    Attributes
    ----------
    epoch, history
        Epochs done; one record for each.
    best
        Weights at the best epoch: that of the largest R2 on the validation part, averaged over the targets,
        or, for a density, of the smallest loss there.
    """

    network: Network
    optimisers: Optimisers
    plan: Plan
    data: EvokedSet
    validation: EvokedSet
    noise: NoiseLevels
    sd_range: tuple[float, float]
    seed: int
    ranks: Ranks = ALONE

    def __post_init__(self) -> None:
        self.epoch = 0
        self.history: list[dict[str, float]] = []
        self.best: dict[str, torch.Tensor] = {}
        self._parallel = self.ranks.wrap(self.network)
        self._source, self._validation = (
            torch.from_numpy(part.source).to(self.ranks.device) for part in (self.data, self.validation)
        )
        self._targets, self._wanted = (
            self.network.standardise(part.targets) for part in (self.data, self.validation)
        )
        self._spread = self._wanted.double().var(dim=0, correction=0)
        self._settle()

    def restore(self, checkpoint: Checkpoint) -> None:
        """Resume from a checkpoint."""
        self.network.load_state_dict(checkpoint.weights)
        self.optimisers.restore(checkpoint.optimiser)
        self.epoch, self.history = checkpoint.epoch, list(checkpoint.history)
        self.best = dict(checkpoint.best)

    def checkpoint(self, fingerprint: str) -> Checkpoint:
        """State after the last epoch."""
        state = self.optimisers.tensors()
        return Checkpoint(fingerprint, self.epoch, self.history, self.network.state_dict(), self.best, state)

    @property
    def report(self) -> str:
        """Progress of the training run, in one line."""
        last = self.history[-1]
        said = f"training loss {last['training_loss']:.3g}, validation loss {last['validation_loss']:.3g}"
        if "validation_r2" in last:
            said += f", validation R2 {last['validation_r2']:.3f}"
        said += f", learning rate {last['learning_rate']:.2g}"
        return f"epoch {self.epoch} of {self.plan.n_epochs}, {said}"

    @property
    def epochs_since_best(self) -> int:
        """Epochs since the best one."""
        merits = [_merit(record) for record in self.history]
        return len(merits) - 1 - int(np.argmax(merits)) if merits else 0

    def run_epoch(self) -> None:
        """Present every training simulation once, then compute losses on the validation part."""
        device = self.ranks.device
        generator = torch_generator(self.seed, Stream.EPOCH, self.epoch, device=device)
        order = torch.randperm(self.plan.n, generator=generator, device=device)
        self.network.train()
        # Sum on the device, so that no step has to wait for the GPU.
        total = torch.zeros((), dtype=torch.float64, device=device)
        key = (self.epoch, 1) if self.ranks.is_alone else (self.epoch, 1, self.ranks.rank)
        # Dropout uses the global random state; the fork keeps the caller's state unchanged.
        with torch.random.fork_rng(devices=self._gpus):
            torch.manual_seed(entropy(self.seed, Stream.EPOCH, *key))
            for batch, index in enumerate(order.split(self.plan.batch_size)):
                total += self._step(batch, index, generator)
        # On different machines, Muon's steps from the same gradients may differ by rounding.
        self.ranks.align(self.network)
        self.epoch += 1
        self._record(float(self.ranks.sum(total)) / self.plan.n)

    def _step(self, batch: int, index: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Make one gradient step and return the sum of this rank's losses, float64."""
        step = self.epoch * self.plan.n_batches + batch
        self.optimisers.set_learning_rate(self.plan.learning_rate(step))
        share, n = self.ranks.share(len(index))
        observed, sd = self._observe(self._source[index], step, generator, share)
        loss = self._parallel(observed, sd, self._targets[index[share]])
        self.optimisers.zero_grad()
        # DDP averages over ranks. This weight makes it the average over the batch; it is 1 for a single rank.
        (loss * (n * self.ranks.world_size / len(index))).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP_NORM)
        self.optimisers.step()
        return loss.detach().double() * n

    def _observe(
        self, source: torch.Tensor, step: int, generator: torch.Generator, share: slice
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add noise whose size is drawn log-uniformly; distinct observations alternate between steps."""
        low, high = np.log(self.sd_range)
        drawn = torch.rand(len(source), generator=generator, device=source.device)
        sd = torch.exp(low + (high - low) * drawn)
        distinct = self.noise.distinct
        observation = distinct[step % len(distinct)]
        return draw_observations(observation, source, sd, generator, share), sd[share]

    @torch.no_grad()
    def _record(self, training_loss: float) -> None:
        losses = self._validate()
        record = {
            "epoch": self.epoch,
            "n_presentations": self.plan.n * self.epoch,
            "learning_rate": self.plan.learning_rate(self.epoch * self.plan.n_batches - 1),
            "training_loss": training_loss,
            "validation_loss": float(losses.mean()),
        }
        if isinstance(self.network, PointNetwork):
            # The losses of a point network are the mean squared errors of the targets.
            record["validation_r2"] = float((1 - losses / self._spread).mean())
        if not self.history or _merit(record) > max(_merit(earlier) for earlier in self.history):
            self.best = copy.deepcopy(self.network.state_dict())
        self.history.append(record)

    def _validate(self) -> torch.Tensor:
        """Mean losses on the validation part, float64."""
        self.network.eval()
        # Use the same noise after every epoch, so that losses can be compared.
        generator = torch_generator(self.seed, Stream.VALIDATION, device=self.ranks.device)
        share, n = self.ranks.share(len(self._validation))
        observed, sd = self._observe(self._validation, 0, generator, share)
        batches = zip(observed.split(BATCH), sd.split(BATCH), self._wanted[share].split(BATCH), strict=True)
        losses = torch.cat([self.network.losses(*batch) for batch in batches])
        return self.ranks.sum(losses[:n].double().sum(dim=0)) / len(self._validation)

    @property
    def _gpus(self) -> list[torch.device]:
        return [self.ranks.device] if self.ranks.device.type == "cuda" else []

    def _settle(self) -> None:
        """Make DDP choose the final order of the gradients, which it does after its first step.

        This order determines the rounding of sums over ranks. Otherwise a resumed training run would differ
        in the last bits from an uninterrupted one.
        """
        if self.ranks.is_alone:
            return
        sd = torch.ones(1, device=self.ranks.device)
        with torch.random.fork_rng(devices=self._gpus):
            source = self._source[:1, None].expand(-1, len(self.network.front.direction), -1)
            (self._parallel(source, sd, self._targets[:1]) * 0).backward()
        self.optimisers.zero_grad()


def _merit(record: dict[str, float]) -> float:
    """Quality of an epoch; the best epoch has the largest value."""
    return record.get("validation_r2", -record["validation_loss"])
