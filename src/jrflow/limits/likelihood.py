"""The likelihood of an observed source: the model is deterministic, its noise Gaussian and known.

There is one log likelihood, of simulations in double precision that are followed until the response is
stationary to 1e-10. Modes, proposals and every move of the chains use it. Its error in log-likelihood
differences is below 1e-4 up to 59 dB (docs/science/inference.md); of simulations in single precision it
would be of order 1 and more from 49 dB on, so that moves that used both would have no common target.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from jrflow.archive.vocabulary import OK
from jrflow.config.simulation import SimulationConfig
from jrflow.eeg.projection import baseline_correct
from jrflow.limits.jacobian import precise_arguments
from jrflow.simulation import simulate
from jrflow.space.joint import JointDistribution
from jrflow.space.scores import Coordinates

#: Simulations at a time: 8192 double-precision responses of 1,201 samples are 80 MB.
_AT_ONCE = 8192


@dataclass(frozen=True)
class Likelihood:
    """Observed sources, and simulations to compare them with.

    Attributes
    ----------
    observed
        Baseline-corrected source estimates, mV, shape (n_cases, n_observed).
    sd
        Noise of a single sample before baseline correction, mV, shape (n_cases,).
    whitener
        W, shape (n_observed, rank), that makes noise of unit sd white; see jrflow.eeg.covariance.whitening.
    coordinates
        Of the parameters.
    simulation
        Protocol, solver and grid.
    seen
        Observation of baseline-corrected responses, (n, n_times) to (n, n_observed): all samples, or
        averages over blocks of samples.
    """

    observed: np.ndarray
    sd: np.ndarray
    whitener: np.ndarray
    coordinates: Coordinates
    simulation: SimulationConfig
    seen: Callable[[np.ndarray], np.ndarray]

    @classmethod
    def of(
        cls,
        observed: np.ndarray,
        sd: float | np.ndarray,
        whitener: np.ndarray,
        prior: JointDistribution,
        simulation: SimulationConfig,
        seen: Callable[[np.ndarray], np.ndarray],
    ) -> Likelihood:
        """Check the arguments; one ``sd`` may serve all cases.

        Raises
        ------
        ValueError
            If shapes do not fit, a noise is not positive, a value is not finite, or a network is simulated.
        """
        observed = np.asarray(observed, dtype=float)
        n_times = seen(np.zeros((1, len(simulation.timing.times)))).shape[1]
        if observed.ndim != 2 or observed.shape[1] != n_times:
            raise ValueError(
                f"observed: expected shape (n_cases, {n_times}), the samples observed of an epoch, "
                f"received {observed.shape}"
            )
        if whitener.ndim != 2 or len(whitener) != n_times:
            raise ValueError(f"whitener: expected shape ({n_times}, rank), received {whitener.shape}")
        sd = np.broadcast_to(np.asarray(sd, dtype=float), len(observed))
        if not (np.isfinite(observed).all() and np.isfinite(sd).all() and (sd > 0).all()):
            raise ValueError("expected finite observations (mV) and a noise sd above 0 mV for each of them")
        if simulation.connectome is not None:
            raise ValueError("the exact posterior is that of one column: simulation.connectome must be null")
        return cls(observed, sd, whitener, Coordinates.of(prior), simulation, seen)

    @property
    def rank(self) -> int:
        """Degrees of freedom of the noise: those of chi-square at the true parameters."""
        return self.whitener.shape[1]

    def take(self, cases: np.ndarray | slice) -> Likelihood:
        """Select cases by position."""
        return replace(self, observed=self.observed[cases], sd=self.sd[cases])

    def log_likelihood(self, x: np.ndarray, cases: np.ndarray) -> np.ndarray:
        """Log likelihood up to a constant, shape (n,); -inf where the simulation failed.

        Parameters
        ----------
        x, cases
            Coordinates (n, n_coordinates), and to which case each belongs (n,).
        """
        density = np.empty(len(x))
        for first in range(0, len(x), _AT_ONCE):
            rows = slice(first, first + _AT_ONCE)
            difference, ok = self.differences(x[rows], cases[rows])
            density[rows] = self.log_density(self.whitened(difference), ok)
        return density

    def differences(self, x: np.ndarray, cases: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Observed less simulated responses in units of the noise of a sample.

        Parameters
        ----------
        x, cases
            Coordinates (n, n_coordinates), and to which case each belongs (n,).

        Returns
        -------
        difference
            Shape (n, n_observed); 0 where the simulation failed.
        ok
            Shape (n,): simulations with status 0.
        """
        source, ok = self.sources(x)
        return np.where(ok[:, None], (self.observed[cases] - source) / self.sd[cases, None], 0), ok

    def whitened(self, difference: np.ndarray) -> np.ndarray:
        """Whiten differences (n, n_observed) in units of the noise: (n, rank), in double precision.

        The product is taken in single precision, which halves its time. What is left of a response that fits
        is of order 1, so that this costs the log likelihood at most 2e-5.
        """
        return self.whiten(difference.astype(np.float32)).astype(float)

    @staticmethod
    def log_density(white: np.ndarray, ok: np.ndarray) -> np.ndarray:
        """Log likelihood, (n,), of whitened differences (n, rank); -inf where the simulation failed."""
        return np.where(ok, -0.5 * np.einsum("nr,nr->n", white, white), -np.inf)

    def whiten(self, difference: np.ndarray) -> np.ndarray:
        """Whiten differences (.., n_observed), in their precision: (.., rank)."""
        return difference @ self.whitener.astype(difference.dtype)

    def sources(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Observed (block-averaged) simulated sources, mV, (n, n_observed), and which succeeded, (n,)."""
        prior = self.coordinates.prior
        parameters = dict(zip(prior.names, self.coordinates.representative(x).T, strict=True))
        ds = simulate(parameters, **precise_arguments(self.simulation, prior.preset))
        source = ds["source"].values[:, 0]
        return self.seen(baseline_correct(source, ds["time"].values)), ds["status"].values == OK
