"""The paper's Bi-LSTM with the paper's settings, to find the causes of differences from its results.

This is a PyTorch version of Tilwani & O'Reilly, arXiv 2406.05002, and its public code (package ``deepjr``,
trained with Keras). Data: 1,000 simulations whose noise is drawn once; targets scaled to 0..1; input
multiplied by one constant. Network: one bidirectional LSTM with 64 units in each direction, dropout of 0.1
on its input, the last state of both directions, a linear head; initial weights as in Keras. Training: Adam
at 1e-3, batches of 32, at most 150 epochs, patience of 50; the loss is an inverse signal-to-noise ratio in
dB. As in the paper, 81 % of the simulations are used for training and 10 % for validation. The other 9 %,
which gave the paper's scores, are not used here.

There is one difference in the input. An LSTM with 1,201 steps takes hours on a CPU, and there is little
information before the onset. Therefore the network receives the same input as all estimators of this
package: averages at ``training.sfreq`` after ``training.tmin``. Half of this rate did not reduce its
accuracy (``benchmarks/paper_settings.py``).

Three defects of the public code are not repeated. The scaling of the targets was fitted before the split.
Outliers were also removed from the test part (here only from the training part). All simulations of a noise
level had the same noise, and its size shrank or grew from one simulation to the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from jrflow.inference.data.randomness import Stream, entropy, numpy_generator, torch_generator
from jrflow.inference.networks.network import BATCH
from jrflow.inference.training.paper_training import KerasBiLSTM, PaperSettings, PaperTraining, Redraw

#: Shares of the simulations for training and for validation.
_TRAINED, _WATCHED = 0.81, 0.10

#: A simulation is an outlier if its mean size is this many interquartile ranges beyond the quartiles.
_OUTLIER = 3.0


@dataclass(frozen=True)
class PaperBiLSTM:
    """The paper's network, trained.

    Attributes
    ----------
    network
        Network with the weights of the smallest validation loss.
    factor
        Factor by which observations are multiplied.
    offset, width
        Offset and width of the targets' scaling, in their units, shape (n_targets,).
    history
        Validation loss after every epoch.
    """

    network: KerasBiLSTM
    factor: float
    offset: np.ndarray
    width: np.ndarray
    history: tuple[float, ...]

    @classmethod
    def fit(
        cls,
        observed: np.ndarray,
        targets: np.ndarray,
        *,
        seed: int,
        settings: PaperSettings | None = None,
        redraw: Redraw | None = None,
    ) -> PaperBiLSTM:
        """Train on responses in noise. The same seed gives the same weights; no global random state is used.

        Parameters
        ----------
        observed
            Observations in any unit, shape (n, n_inputs, n_samples): channels, or the projected response as
            one input.
        targets
            Targets, shape (n, n_targets).
        seed
            Seed of the split, the initial weights, the order and the dropout.
        settings
            Settings of the training run; by default those of the paper.
        redraw
            Function that draws observations with new noise at every presentation. None to keep the noise in
            ``observed``, as in the paper. Validation simulations always keep their noise.

        Raises
        ------
        ValueError
            If shapes do not match, or there are fewer training simulations than one batch.
        """
        settings = settings or PaperSettings()
        _check_shapes(observed, targets)
        observed, targets = observed[: settings.n_simulations], targets[: settings.n_simulations]
        trained, watched = _divide(observed, seed, settings)
        offset, width = _target_scaling(targets[trained], settings)
        factor = settings.input_rms / float(np.sqrt(np.mean(observed[trained] ** 2, dtype=float)))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(entropy(seed, Stream.PAPER, 1))
            network = KerasBiLSTM(observed.shape[1], settings.hidden, targets.shape[1])
        wanted = torch.from_numpy((targets - offset) / width).float()
        generator = torch_generator(seed, Stream.PAPER, 2)
        data = torch.from_numpy(observed)
        training = PaperTraining(network, factor, data, wanted, settings, generator, redraw)
        training.run(torch.from_numpy(trained), torch.from_numpy(watched))
        return cls(network, factor, offset, width, tuple(training.history))

    @torch.no_grad()
    def predict(self, observed: np.ndarray) -> np.ndarray:
        """Estimate the targets in their units, float64, shape (n, n_targets); input as in :meth:`fit`."""
        batches = torch.from_numpy(observed).split(BATCH)
        scaled = torch.cat([self.network(self.factor * batch) for batch in batches])
        estimates: np.ndarray = scaled.double().numpy() * self.width + self.offset
        return estimates


def _divide(observed: np.ndarray, seed: int, settings: PaperSettings) -> tuple[np.ndarray, np.ndarray]:
    """Positions of simulations for training, without outliers, and for validation."""
    n = len(observed)
    order = numpy_generator(seed, Stream.PAPER, 0).permutation(n)
    trained, watched = np.split(order, [round(_TRAINED * n), round((_TRAINED + _WATCHED) * n)])[:2]
    size = np.abs(observed[trained]).mean(axis=(1, 2))
    low, high = np.quantile(size, [0.25, 0.75]) if n else (0.0, 0.0)
    reach = _OUTLIER * (high - low)
    usual = trained[(size >= low - reach) & (size <= high + reach)]
    if len(usual) < settings.batch_size:
        raise ValueError(
            f"too few simulations for the paper's network: {len(trained)} of {n} are for training, and "
            f"{len(trained) - len(usual)} of these are outliers; expected at least one batch of "
            f"{settings.batch_size}: give at least {int(np.ceil(settings.batch_size / _TRAINED)) + 1} "
            "simulations that are not outliers"
        )
    return usual, watched


def _target_scaling(targets: np.ndarray, settings: PaperSettings) -> tuple[np.ndarray, np.ndarray]:
    if settings.target_scaling == "standard":
        return targets.mean(axis=0), targets.std(axis=0)
    return targets.min(axis=0), np.ptp(targets, axis=0)


def _check_shapes(observed: np.ndarray, targets: np.ndarray) -> None:
    if observed.ndim != 3 or targets.ndim != 2 or len(observed) != len(targets):
        raise ValueError(
            "expected observations (n, n_inputs, n_samples) and targets (n, n_targets) of the same n, "
            f"received shapes {observed.shape} and {targets.shape}"
        )
