"""The exact likelihood of an observed source: the model is deterministic, its noise Gaussian and known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from jrflow.archive.status import OK
from jrflow.config.simulation import SimulationConfig
from jrflow.design.priors import Prior
from jrflow.eeg.projection import baseline_correct
from jrflow.limits.coordinates import Coordinates
from jrflow.limits.jacobian import precise_arguments
from jrflow.simulation import simulate

#: Simulations at a time: some 100 MB.
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
        What is observed of baseline-corrected responses, (n, n_times) to (n, n_observed): all samples, or
        averages of some.
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
        prior: Prior,
        simulation: SimulationConfig,
        seen: Callable[[np.ndarray], np.ndarray],
    ) -> Likelihood:
        """Check what is given; ``sd`` may be one for all cases.

        Raises
        ------
        ValueError
            If shapes do not fit, a noise is not positive, a value is not finite, or a network is simulated.
        """
        observed = np.asarray(observed, dtype=float)
        n_times = seen(np.zeros((1, len(simulation.timing.times)))).shape[1]
        if observed.ndim != 2 or observed.shape[1] != n_times:
            raise ValueError(
                f"observed: expected shape (n_cases, {n_times}), the samples seen of an epoch, "
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
        """Degrees of freedom of the noise, as many as chi-square has at the truth."""
        return self.whitener.shape[1]

    def take(self, cases: np.ndarray | slice) -> Likelihood:
        """Some of the cases, by position."""
        return replace(self, observed=self.observed[cases], sd=self.sd[cases])

    def log_likelihood(self, x: np.ndarray, cases: np.ndarray) -> np.ndarray:
        """Log likelihood, but for a constant, shape (n,); -inf where the simulation failed.

        Parameters
        ----------
        x, cases
            Coordinates (n, n_coordinates), and to which case each belongs (n,).
        """
        density = np.empty(len(x))
        for first in range(0, len(x), _AT_ONCE):
            rows = slice(first, first + _AT_ONCE)
            difference, ok = self.differences(x[rows], cases[rows])
            # Subtracted first, whitened then: what is left is small, and single precision serves it well.
            white = self.whiten(difference.astype(np.float32))
            density[rows] = np.where(ok, -0.5 * np.einsum("nr,nr->n", white, white), -np.inf)
        return density

    def differences(
        self, x: np.ndarray, cases: np.ndarray, *, precise: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Observed less simulated responses in units of the noise of a sample.

        Parameters
        ----------
        x, cases
            Coordinates (n, n_coordinates), and to which case each belongs (n,).
        precise
            So that responses nearby can be subtracted, see jrflow.limits.jacobian; else as configured.

        Returns
        -------
        difference
            Shape (n, n_times); 0 where the simulation failed.
        ok
            Shape (n,): simulations with status 0.
        """
        source, ok = self.sources(x, precise=precise)
        return np.where(ok[:, None], (self.observed[cases] - source) / self.sd[cases, None], 0), ok

    def whiten(self, difference: np.ndarray) -> np.ndarray:
        """Whiten differences (.., n_times), in their precision: (.., rank)."""
        return difference @ self.whitener.astype(difference.dtype)

    def sources(self, x: np.ndarray, *, precise: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """What is seen of simulated sources, mV, shape (n, n_observed), and which succeeded, (n,)."""
        prior, simulation = self.coordinates.prior, self.simulation
        arguments = precise_arguments if precise else SimulationConfig.column_arguments
        parameters = dict(zip(prior.names, self.coordinates.representative(x).T, strict=True))
        ds = simulate(parameters, **arguments(simulation, prior.preset))
        source = ds["source"].values[:, 0]
        return self.seen(baseline_correct(source, ds["time"].values)), ds["status"].values == OK
