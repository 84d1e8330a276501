"""The paper's network, which knows how noisy its input is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from jrflow.inference.scaling import InputScaling, step_index

#: Responses passed through the network at once when it is only applied.
_BATCH = 512


@dataclass(frozen=True)
class Architecture:
    """Everything that the shapes of a network's weights depend on."""

    n_inputs: int
    n_samples: int
    samples_per_step: int
    hidden: int
    n_targets: int
    dropout: float = 0.0


class BiLSTM(nn.Module):
    """Bidirectional LSTM: last state of both directions, linear head.

    After Tilwani & O'Reilly, arXiv 2406.05002 (one layer, 64 units each way). Two things differ: a step
    is several samples, as components (see :mod:`jrflow.inference.scaling`), and every step is also told
    the logarithm of the noise's standard deviation, so that one network serves all noise levels.
    The scaling is kept with the weights. The forget gates start at 1, as they do in Keras, with which the
    paper's was trained.
    """

    index: torch.Tensor
    mean: torch.Tensor
    basis: torch.Tensor
    variance: torch.Tensor
    direction: torch.Tensor
    log_sd: torch.Tensor
    target_mean: torch.Tensor
    target_sd: torch.Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        a = architecture
        width = a.samples_per_step
        self.lstm = nn.LSTM(a.n_inputs * width + 1, a.hidden, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(a.dropout)
        self.head = nn.Linear(2 * a.hidden, a.n_targets)
        index = torch.from_numpy(step_index(a.n_samples, width))
        n_steps = len(index)
        self.register_buffer("index", index)
        self.register_buffer("mean", torch.zeros(n_steps, width))
        self.register_buffer("basis", torch.zeros(n_steps, width, width))
        self.register_buffer("variance", torch.ones(n_steps, width))
        self.register_buffer("direction", torch.ones(a.n_inputs))
        self.register_buffer("log_sd", torch.tensor([0.0, 1.0]))
        self.register_buffer("target_mean", torch.zeros(a.n_targets, dtype=torch.float64))
        self.register_buffer("target_sd", torch.ones(a.n_targets, dtype=torch.float64))
        self._open_forget_gates()

    def set_scaling(
        self, scaling: InputScaling, direction: np.ndarray, sd_range: tuple[float, float], targets: np.ndarray
    ) -> None:
        """Take over the scaling of the input, the range of the noise (mV) and the targets to be learnt."""
        self.mean.copy_(torch.from_numpy(scaling.mean))
        self.basis.copy_(torch.from_numpy(scaling.basis))
        self.variance.copy_(torch.from_numpy(scaling.variance))
        self.direction.copy_(torch.from_numpy(direction))
        low, high = np.log(sd_range)
        # Moments of a uniform distribution; a single noise level is a constant and stays one.
        spread = (high - low) / np.sqrt(12) if high > low else 1.0
        self.log_sd.copy_(torch.tensor([(low + high) / 2, spread]))
        self.target_mean.copy_(torch.from_numpy(targets.mean(axis=0)))
        self.target_sd.copy_(torch.from_numpy(targets.std(axis=0)))

    def forward(self, observed: torch.Tensor, sd: torch.Tensor) -> torch.Tensor:
        """Estimate the standardised targets.

        Parameters
        ----------
        observed
            Observations, mV, shape (n, n_inputs, n_samples).
        sd
            Standard deviation of their noise, mV, shape (n,).

        Returns
        -------
        torch.Tensor
            Shape (n, n_targets).
        """
        steps = self._steps(observed, sd)
        _, (last, _) = self.lstm(steps)
        standardised: torch.Tensor = self.head(self.dropout(torch.cat([last[0], last[1]], dim=1)))
        return standardised

    @torch.no_grad()
    def predict(self, observed: torch.Tensor, sd: torch.Tensor) -> np.ndarray:
        """Estimate the targets in their own units; shapes as in :meth:`forward`, float64."""
        self.eval()
        batches = zip(observed.split(_BATCH), sd.split(_BATCH), strict=True)
        standardised = torch.cat([self(some, noise) for some, noise in batches]).double()
        estimates: np.ndarray = (standardised * self.target_sd + self.target_mean).numpy()
        return estimates

    def standardise(self, targets: np.ndarray) -> torch.Tensor:
        """What :meth:`forward` should return for these targets, float32, on the network's device."""
        return (
            (torch.from_numpy(targets).to(self.target_mean.device) - self.target_mean) / self.target_sd
        ).float()

    def _steps(self, observed: torch.Tensor, sd: torch.Tensor) -> torch.Tensor:
        """Components of each step and the noise: (n, n_steps, n_inputs * samples_per_step + 1)."""
        direction = self.direction[:, None, None]
        centred = observed[..., self.index] - direction * self.mean
        components = torch.einsum("ncsk,skj->ncsj", centred, self.basis)
        size = direction * torch.sqrt(self.variance)
        shrunk = components * (size / (size**2 + sd[:, None, None, None] ** 2))
        flat = shrunk.transpose(1, 2).flatten(2)
        told = (torch.log(sd) - self.log_sd[0]) / self.log_sd[1]
        return torch.cat([flat, told[:, None, None].expand(*flat.shape[:2], 1)], dim=2)

    def _open_forget_gates(self) -> None:
        hidden = self.architecture.hidden
        for name, bias in self.lstm.named_parameters():
            if name.startswith("bias_hh"):
                with torch.no_grad():
                    bias[hidden : 2 * hidden] += 1.0
