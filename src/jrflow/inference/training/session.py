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
    """How often, in what order and at what rate the training simulations are shown."""

    n: int
    batch_size: int
    n_epochs: int
    peak: float

    @classmethod
    def of(cls, n: int, config: TrainingConfig, peak: float) -> Plan:
        """Show ``n`` simulations in whole epochs, as many as come closest to the presentations wanted."""
        return cls(n, config.batch_size, max(1, round(config.max_presentations / n)), peak)

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

    Several ranks draw the same order and the same noise for the whole batch, and each takes its share of
    it; so they do what one process would, but for the rounding of sums. Only dropout must differ between
    them: each has a stream of its own, so that with dropout the number of ranks changes the result as another
    seed would.

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
        """Go on from a checkpoint."""
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
        """How far it has come, in a line."""
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
        """Show every training simulation once, then look at the validation part."""
        device = self.ranks.device
        generator = torch_generator(self.seed, Stream.EPOCH, self.epoch, device=device)
        order = torch.randperm(self.plan.n, generator=generator, device=device)
        self.network.train()
        # Summed where it is, so that a GPU need not be waited for at every step.
        total = torch.zeros((), dtype=torch.float64, device=device)
        key = (self.epoch, 1) if self.ranks.is_alone else (self.epoch, 1, self.ranks.rank)
        # Dropout has no generator of its own; the fork leaves the caller's random state alone.
        with torch.random.fork_rng(devices=self._gpus):
            torch.manual_seed(entropy(self.seed, Stream.EPOCH, *key))
            for batch, index in enumerate(order.split(self.plan.batch_size)):
                total += self._step(batch, index, generator)
        # Where machines differ, so does the rounding of what Muon makes of the same gradients.
        self.ranks.align(self.network)
        self.epoch += 1
        self._record(float(self.ranks.sum(total)) / self.plan.n)

    def _step(self, batch: int, index: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """One gradient step; the sum of this rank's losses, float64."""
        step = self.epoch * self.plan.n_batches + batch
        self.optimisers.set_learning_rate(self.plan.learning_rate(step))
        share, n = self.ranks.share(len(index))
        observed, sd = self._observe(self._source[index], step, generator, share)
        loss = self._parallel(observed, sd, self._targets[index[share]])
        self.optimisers.zero_grad()
        # DDP takes the mean over the ranks: by this weight it becomes that over the batch. It is 1 for one.
        (loss * (n * self.ranks.world_size / len(index))).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP_NORM)
        self.optimisers.step()
        return loss.detach().double() * n

    def _observe(
        self, source: torch.Tensor, step: int, generator: torch.Generator, share: slice
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add noise of a size drawn log-uniformly; levels that differ in more than size take turns."""
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
            # Its losses are the mean squared errors of the targets.
            record["validation_r2"] = float((1 - losses / self._spread).mean())
        if not self.history or _merit(record) > max(_merit(earlier) for earlier in self.history):
            self.best = copy.deepcopy(self.network.state_dict())
        self.history.append(record)

    def _validate(self) -> torch.Tensor:
        """Mean losses on the validation part, float64."""
        self.network.eval()
        # The same noise after every epoch, so that losses can be compared.
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
        """Let DDP arrange the gradients as it will for good, which it does after the first step.

        Their order decides how sums over the ranks are rounded: a training that goes on would else differ in
        the last bits from one that never stopped.
        """
        if self.ranks.is_alone:
            return
        sd = torch.ones(1, device=self.ranks.device)
        with torch.random.fork_rng(devices=self._gpus):
            source = self._source[:1, None].expand(-1, len(self.network.front.direction), -1)
            (self._parallel(source, sd, self._targets[:1]) * 0).backward()
        self.optimisers.zero_grad()


def _merit(record: dict[str, float]) -> float:
    """What the best epoch has most of."""
    return record.get("validation_r2", -record["validation_loss"])
