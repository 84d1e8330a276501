"""Network of the paper's baseline with initial weights as in Keras, its loss, and its training."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import nn

#: Smallest decrease of the validation loss that counts as better; the paper's 0.01 is in dB.
_MIN_DELTA = {"inverse-snr-db": 0.01, "mse": 0.0}

#: Constant in the denominator of Adam in Keras, and initial value of the paper's biases.
_EPSILON, _BIAS = 1e-7, 1e-3

#: Draws new observations of the simulations at these positions, shape (len(positions), n_inputs, n_samples).
Redraw = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


@dataclass(frozen=True)
class PaperSettings:
    """The paper's settings; each can be changed alone.

    Attributes
    ----------
    n_simulations
        Largest number of simulations; the first ones are used.
    loss
        inverse-snr-db: 10 log10(mean square error / mean square of the scaled targets) for each batch; mse:
        mean square error.
    target_scaling
        min-max: to 0..1 over the training part; standard: to mean 0 and variance 1.
    input_rms
        Root mean square of the scaled input over the training part. The paper multiplies volts by 1e10. With
        its prior and model this gives about 70 for the gain of 1e-9 in the first version of the paper, which
        is used here, and 70,000 for the gain in the second version. Both values saturate the gates of an
        LSTM.
    max_epochs, patience, batch_size, learning_rate, hidden, dropout
        See the documentation of Keras.
    """

    n_simulations: int = 1000
    loss: Literal["inverse-snr-db", "mse"] = "inverse-snr-db"
    target_scaling: Literal["min-max", "standard"] = "min-max"
    input_rms: float = 70.0
    max_epochs: int = 150
    patience: int = 50
    batch_size: int = 32
    learning_rate: float = 1e-3
    hidden: int = 64
    dropout: float = 0.1


class KerasBiLSTM(nn.Module):
    """Bidirectional LSTM with a linear head on the last states; initial weights as in the paper (Keras)."""

    def __init__(self, n_inputs: int, hidden: int, n_targets: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(n_inputs, hidden, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden, n_targets)
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.constant_(self.head.bias, _BIAS)
        for name, weights in self.lstm.named_parameters():
            _begin(name, weights, hidden)

    def forward(self, scaled: torch.Tensor) -> torch.Tensor:
        """Estimate the scaled targets, (n, n_targets), from scaled input, (n, n_inputs, n_steps)."""
        _, (last, _) = self.lstm(scaled.float().transpose(1, 2))
        estimated: torch.Tensor = self.head(torch.cat([last[0], last[1]], dim=1))
        return estimated


def paper_loss(estimated: torch.Tensor, wanted: torch.Tensor, kind: str = "inverse-snr-db") -> torch.Tensor:
    """Loss of a batch of scaled targets: one of ``PaperSettings.loss``."""
    mse = nn.functional.mse_loss(estimated, wanted)
    return mse if kind == "mse" else 10 * torch.log10(mse / (wanted**2).mean())


@dataclass
class PaperTraining:
    """State of a training run.

    Attributes
    ----------
    network
        Network that is trained.
    factor
        Factor by which observations are multiplied.
    observed, wanted
        Observations (n, n_inputs, n_samples) and scaled targets (n, n_targets).
    settings
        Settings of the training run.
    generator
        Random number generator for the order, the dropout and, with ``redraw``, the noise.
    redraw
        Function that draws observations of training simulations with new noise; None to use ``observed``.
    history
        Validation loss after every epoch.
    """

    network: KerasBiLSTM
    factor: float
    observed: torch.Tensor
    wanted: torch.Tensor
    settings: PaperSettings
    generator: torch.Generator
    redraw: Redraw | None = None
    history: list[float] = field(default_factory=list)

    def run(self, trained: torch.Tensor, watched: torch.Tensor) -> None:
        """Train until the validation loss stops decreasing, and keep the best weights.

        Parameters
        ----------
        trained, watched
            Positions of the simulations for training and for validation.
        """
        learnt = [weights for weights in self.network.parameters() if weights.requires_grad]
        adam = torch.optim.Adam(learnt, lr=self.settings.learning_rate, eps=_EPSILON, foreach=True)
        best, weights, waited = float("inf"), self.network.state_dict(), 0
        while len(self.history) < self.settings.max_epochs and waited < self.settings.patience:
            self._epoch(trained, adam)
            self.history.append(self._watch(watched))
            waited += 1
            if self.history[-1] < best - _MIN_DELTA[self.settings.loss]:
                best, weights, waited = self.history[-1], copy.deepcopy(self.network.state_dict()), 0
        self.network.load_state_dict(weights)
        self.network.eval()

    def _epoch(self, trained: torch.Tensor, adam: torch.optim.Optimizer) -> None:
        self.network.train()
        order = torch.randperm(len(trained), generator=self.generator)
        for index in trained[order].split(self.settings.batch_size):
            shown = self.redraw(index, self.generator) if self.redraw else self.observed[index]
            estimated = self.network(self._dropped(self.factor * shown))
            loss = paper_loss(estimated, self.wanted[index], self.settings.loss)
            adam.zero_grad()
            loss.backward()
            adam.step()

    @torch.no_grad()
    def _watch(self, watched: torch.Tensor) -> float:
        """Validation loss: mean over batches, as in Keras."""
        self.network.eval()
        total = 0.0
        for index in watched.split(self.settings.batch_size):
            estimated = self.network(self.factor * self.observed[index])
            total += len(index) * float(paper_loss(estimated, self.wanted[index], self.settings.loss))
        return total / len(watched)

    def _dropped(self, scaled: torch.Tensor) -> torch.Tensor:
        """Set single samples of single inputs to zero, as dropout in Keras 2 does."""
        kept = torch.rand(scaled.shape, generator=self.generator) >= self.settings.dropout
        return scaled * kept / (1 - self.settings.dropout)


def _begin(name: str, weights: nn.Parameter, hidden: int) -> None:
    """Set initial weights of an LSTM. Keras and PyTorch order the gates input, forget, cell, output."""
    if name.startswith("weight_ih"):
        nn.init.xavier_uniform_(weights)
    elif name.startswith("weight_hh"):
        nn.init.orthogonal_(weights)
    elif name.startswith("bias_ih"):
        nn.init.constant_(weights, _BIAS)
        nn.init.ones_(weights.data[hidden : 2 * hidden])  # the forget gates are open
    else:
        # Keras has one bias where PyTorch adds two.
        nn.init.zeros_(weights)
        weights.requires_grad_(False)
