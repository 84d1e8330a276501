"""From a simulated response to its observed samples."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from jrflow.observe.processing import Processing
from jrflow.observe.window import Window


@dataclass(frozen=True, eq=False)
class Epoch:
    """The steps from a simulated response to observed samples.

    The response is filtered, the recorded samples are selected, their baseline is corrected, and averages
    over blocks are computed.

    Attributes
    ----------
    times
        Times of the simulation, s from the onset, shape (n_times,).
    period
        Number of samples from one onset to the next.
    processing
        Filters and baseline of the recording.
    recorded
        Positions in ``times`` of the recorded samples; None for all samples.
    held
        Positions, among the recorded samples, of the samples to average (see
        :func:`jrflow.inference.recordings.matching.held`); None for all samples.
    window
        Blocks over which samples are averaged; None: every sample is observed.
    """

    times: np.ndarray
    period: int
    processing: Processing = field(default_factory=Processing)
    recorded: np.ndarray | None = None
    held: np.ndarray | None = None
    window: Window | None = None

    @property
    def recorded_times(self) -> np.ndarray:
        """Times of the recorded samples, s."""
        return self.times if self.recorded is None else self.times[self.recorded]

    @property
    def observed_times(self) -> np.ndarray:
        """Times of the observed samples, or of the centres of blocks, s, shape (n_observed,)."""
        return self.recorded_times if self.window is None else self.window.times

    @property
    def blocks(self) -> Window:
        """Blocks over which samples are averaged.

        Raises
        ------
        ValueError
            If samples are not averaged over blocks.
        """
        if self.window is None:
            raise ValueError("expected an epoch that is averaged over blocks, received one of single samples")
        return self.window

    def clean(self, source: np.ndarray) -> np.ndarray:
        """Observed samples of responses, without noise.

        Parameters
        ----------
        source
            Responses at the times of the simulation, shape (..., n_times).

        Returns
        -------
        np.ndarray
            Observed samples, shape (..., n_observed), in the unit and precision of ``source``.
        """
        filtered = self.processing.filtered(source, self.times, self.period)
        taken = filtered if self.recorded is None else filtered[..., self.recorded]
        return self.averaged(self.processing.correct(taken, self.recorded_times))

    def averaged(self, recording: np.ndarray) -> np.ndarray:
        """Block averages (..., n_observed) of a recording (..., n_recorded) that was already processed."""
        taken = recording if self.held is None else recording[..., self.held]
        return taken if self.window is None else self.window.average(taken)

    def covariance(self, temporal: np.ndarray) -> np.ndarray:
        """Covariance over observed samples, from the covariance (n_recorded, n_recorded) of the noise."""
        taken = temporal if self.held is None else temporal[np.ix_(self.held, self.held)]
        return taken if self.window is None else self.window.covariance(taken)

    def every_sample(self) -> Epoch:
        """The same recording without averages: every sample is observed."""
        return replace(self, window=None, held=None)
