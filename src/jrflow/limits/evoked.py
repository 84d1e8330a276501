"""Likelihood of an observed evoked response: the model is deterministic; its noise is Gaussian and known.

The log likelihood uses simulations in double precision, computed until the response is stationary to 1e-10.
The search for modes, the proposals and all moves of the chains use this same log likelihood. Its differences
have an error below 1e-4 at noise levels up to 59 dB (docs/science/inference.md). In single precision the
error would be 1 or more from 49 dB on: moves in single and double precision would have different targets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from jrflow.archive.vocabulary import OK
from jrflow.config.simulation import SimulationConfig
from jrflow.limits.density import Curvature, LogDensity
from jrflow.limits.jacobian import precise_arguments
from jrflow.model.plausible import unremarked
from jrflow.observe.observation import Observation
from jrflow.simulation import simulate
from jrflow.space.joint import JointDistribution
from jrflow.space.scores import Coordinates

#: Largest number of simulations in a batch: 8192 double-precision responses of 1,201 samples are 80 MB.
_AT_ONCE = 8192
#: Largest number of simulations that are compared with all cases in a batch.
_COMPARED_AT_ONCE = 4096
#: Largest number of points that are differentiated in a batch, with d + 1 simulations each; limits memory.
_DIFFERENTIATED_AT_ONCE = 256
#: Step of the forward differences, in coordinates (unit: spread of the prior). The truncation error is of
#: order 1e-5 of a derivative. So is the error of simulations that stop at a steady state of 1e-10.
_DIFFERENCE_STEP = 1e-5


@dataclass(frozen=True)
class EvokedLikelihood(LogDensity):
    """Posterior of the parameters given observed responses.

    Attributes
    ----------
    observed
        Observed data, mV, shape (n_cases, n_inputs, n_samples).
    observation
        Observation model: how sources become data, and the covariance of the noise.
    sd
        Standard deviation of the noise of one sample before baseline correction, mV, shape (n_cases,).
    coordinates
        Coordinates of the parameters.
    simulation
        Protocol, solver and time grid.
    """

    observed: np.ndarray
    observation: Observation
    sd: np.ndarray
    coordinates: Coordinates
    simulation: SimulationConfig

    @classmethod
    def of(
        cls,
        observed: np.ndarray,
        observation: Observation,
        prior: JointDistribution,
        simulation: SimulationConfig,
        sd: float | np.ndarray | None = None,
    ) -> EvokedLikelihood:
        """Check the arguments and construct the likelihood.

        Parameters
        ----------
        observed, observation, simulation
            See the class.
        prior
            Prior distribution of the parameters.
        sd
            Noise of one sample, mV: one value for all cases, or shape (n_cases,). None for the noise of
            ``observation``.

        Raises
        ------
        ValueError
            If shapes do not match, a noise level is not positive, a value is not finite, or ``simulation``
            has a connectome.
        """
        observed = np.asarray(observed, dtype=float)
        expected = observation.n_inputs, len(observation.temporal)
        if observed.ndim != 3 or observed.shape[1:] != expected:
            raise ValueError(
                f"observed: expected shape (n_cases, {expected[0]}, {expected[1]}), the inputs and samples "
                f"of the observation, received {observed.shape}"
            )
        if not np.array_equal(observation.epoch.times, simulation.timing.times):
            theirs, ours = observation.epoch.times, simulation.timing.times
            raise ValueError(
                f"observation: expected an epoch at the {len(ours)} times of the simulation ({ours[0]:g} to "
                f"{ours[-1]:g} s), received one of {len(theirs)} times ({theirs[0]:g} to {theirs[-1]:g} s)"
            )
        sd = np.broadcast_to(np.asarray(observation.sd if sd is None else sd, dtype=float), len(observed))
        if not (np.isfinite(observed).all() and np.isfinite(sd).all() and (sd > 0).all()):
            raise ValueError("expected finite observations (mV) and a noise sd above 0 mV for each case")
        if simulation.connectome is not None:
            raise ValueError(
                "exact posteriors are available for one column only: simulation.connectome must be null"
            )
        return cls(observed, observation, sd, Coordinates.of(prior), simulation)

    @property
    def rank(self) -> int:
        """Degrees of freedom of chi-square at the true parameters."""
        return self.observation.rank

    @property
    def n_cases(self) -> int:
        """Number of observed responses."""
        return len(self.observed)

    @property
    def mean(self) -> np.ndarray:
        """Prior mean of the coordinates."""
        return self.coordinates.mean

    @property
    def precision(self) -> np.ndarray:
        """Prior precision of the coordinates."""
        return self.coordinates.precision

    @property
    def n_scored(self) -> int:
        """Number of parameters whose coordinate is a normal score."""
        return len(self.coordinates.scored)

    def sample_prior(self, n: int, seed: int) -> np.ndarray:
        """Coordinates of draws from the prior, (n, d)."""
        return self.coordinates.of_parameters(self.coordinates.prior.sample(n, seed))

    def log_prior(self, x: np.ndarray) -> np.ndarray:
        """Log prior density in the coordinates, (n,)."""
        return self.coordinates.log_prior(x)

    def take(self, cases: np.ndarray | slice) -> EvokedLikelihood:
        """Select cases by position."""
        return replace(self, observed=self.observed[cases], sd=self.sd[cases])

    def log_likelihood(self, x: np.ndarray, cases: np.ndarray) -> np.ndarray:
        """Log likelihood up to a constant, shape (n,); -inf if the simulation failed.

        Parameters
        ----------
        x
            Coordinates, shape (n, n_coordinates).
        cases
            Case of each point, shape (n,).
        """
        density = np.empty(len(x))
        for first in range(0, len(x), _AT_ONCE):
            rows = slice(first, first + _AT_ONCE)
            difference, ok = self.differences(x[rows], cases[rows])
            density[rows] = self.log_density(self.whitened(difference), ok)
        return density

    def differences(self, x: np.ndarray, cases: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Observed minus simulated responses, in units of the noise of one sample.

        Parameters
        ----------
        x
            Coordinates, shape (n, n_coordinates).
        cases
            Case of each point, shape (n,).

        Returns
        -------
        difference
            Differences, shape (n, n_inputs, n_samples); 0 if the simulation failed.
        ok
            Whether the simulation has status 0, shape (n,).
        """
        clean, ok = self.clean(x)
        left = (self.observed[cases] - clean) / self.sd[cases, None, None]
        return np.where(ok[:, None, None], left, 0), ok

    def whitened(self, difference: np.ndarray) -> np.ndarray:
        """Whiten differences (n, n_inputs, n_samples) in units of the noise: (n, rank), in double precision.

        The product is computed in single precision, which halves its time. Differences are of order 1 if the
        simulation fits, so the error of the log likelihood is at most 2e-5.
        """
        return self.observation.whiten(difference.astype(np.float32)).astype(float)

    @staticmethod
    def log_density(white: np.ndarray, ok: np.ndarray) -> np.ndarray:
        """Log likelihood, (n,), of whitened differences (n, rank); -inf if the simulation failed."""
        return np.where(ok, -0.5 * np.einsum("nr,nr->n", white, white), -np.inf)

    def clean(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Simulate data without noise, mV, (n, n_inputs, n_samples), and say which succeeded, (n,)."""
        prior = self.coordinates.prior
        parameters = dict(zip(prior.names, self.coordinates.representative(x).T, strict=True))
        with unremarked():
            ds = simulate(parameters, **precise_arguments(self.simulation, prior.preset))
        return self.observation.clean(ds["source"].values), ds["status"].values == OK

    def curvature(self, x: np.ndarray, cases: np.ndarray) -> Curvature:
        """Log likelihood, Fisher information and score, by forward differences.

        If a perturbed simulation fails, the derivative along that coordinate is a backward difference. If
        that simulation fails too, the derivative is zero: only the prior determines steps along the
        coordinate.

        Parameters
        ----------
        x
            Coordinates, shape (n, n_coordinates).
        cases
            Case of each point, shape (n,).

        Returns
        -------
        Curvature
            The log likelihood is -inf if the simulation failed.
        """
        n, d = x.shape
        log_likelihood, information, score = np.empty(n), np.zeros((n, d, d)), np.zeros((n, d))
        shifts = _DIFFERENCE_STEP * np.concatenate([np.zeros((1, d)), np.eye(d)])
        for first in range(0, n, _DIFFERENTIATED_AT_ONCE):
            rows = slice(first, first + _DIFFERENTIATED_AT_ONCE)
            points = (x[rows, None] + shifts).reshape(-1, d)
            difference, ok = self.differences(points, np.repeat(cases[rows], d + 1))
            difference = difference.reshape(-1, d + 1, *self.observed.shape[1:])
            ok = ok.reshape(-1, d + 1)
            slope = (difference[:, 1:] - difference[:, :1]) / _DIFFERENCE_STEP
            self._backward(x[rows], cases[rows], difference[:, 0], ok, slope)
            white = self.whitened(np.concatenate([difference[:, :1], slope], axis=1))
            slope = white[:, 1:] * (ok[:, 1:] & ok[:, :1])[..., None]
            information[rows] = slope @ np.swapaxes(slope, 1, 2)
            score[rows] = -np.einsum("npr,nr->np", slope, white[:, 0])
            log_likelihood[rows] = self.log_density(white[:, 0], ok[:, 0])
        return Curvature(log_likelihood, information, score)

    def misfits(self, x: np.ndarray) -> np.ndarray:
        """Squared distances (n_cases, n) of the simulations at points (n, d) from every observed response.

        The distances are known up to a constant and a factor for each case. They are infinite if the
        simulation failed. Each point is simulated once for all cases.
        """
        observed = self.observation.whiten(self.observed.astype(np.float32))
        distance = np.empty((len(observed), len(x)), np.float32)
        for first in range(0, len(x), _COMPARED_AT_ONCE):
            part = slice(first, first + _COMPARED_AT_ONCE)
            clean, ok = self.clean(x[part])
            white = self.observation.whiten(np.where(ok[:, None, None], clean, 0).astype(np.float32))
            # Leave out the square of the observation and the noise: they do not change the order.
            squares = np.einsum("nr,nr->n", white, white) - 2 * observed @ white.T
            distance[:, part] = np.where(ok, squares, np.inf)
        return distance

    def _backward(
        self, x: np.ndarray, cases: np.ndarray, here: np.ndarray, ok: np.ndarray, slope: np.ndarray
    ) -> None:
        """Replace derivatives (n, d, ...) whose forward simulation failed; update ``ok`` (n, 1 + d)."""
        row, column = np.nonzero(~ok[:, 1:] & ok[:, :1])
        if len(row) == 0:
            return
        back = x[row].copy()
        back[np.arange(len(row)), column] -= _DIFFERENCE_STEP
        behind, there = self.differences(back, cases[row])
        slope[row, column] = (here[row] - behind) / _DIFFERENCE_STEP
        ok[row, 1 + column] = there
