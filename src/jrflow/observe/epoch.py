"""From a simulated response to the samples of it that are observed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from jrflow.observe.processing import Processing
from jrflow.observe.window import Window


@dataclass(frozen=True, eq=False)
class Epoch:
    """What a recording keeps of a response that the model simulates.

    The response is filtered, the recorded samples are taken, their baseline is corrected, and averages over
    blocks are formed.

    Attributes
    ----------
    times
        Of the simulation, s from the onset, shape (n_times,).
    period
        Samples from one onset to the next.
    processing
        Filters and baseline of the recording.
    recorded
        Positions in ``times`` of the samples that were recorded; None: all.
    held
        Positions in the recorded samples of those that are averaged (see
        :func:`jrflow.inference.recordings.matching.held`); None: all.
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
        """Times of what is observed, s: recorded samples, or centres of blocks; shape (n_observed,)."""
        return self.recorded_times if self.window is None else self.window.times

    @property
    def blocks(self) -> Window:
        """Blocks over which samples are averaged.

        Raises
        ------
        ValueError
            If every sample is observed.
        """
        if self.window is None:
            raise ValueError("expected an epoch that is averaged over blocks, received one of single samples")
        return self.window

    def clean(self, source: np.ndarray) -> np.ndarray:
        """What is observed of responses without noise.

        Parameters
        ----------
        source
            At the times of the simulation, shape (..., n_times).

        Returns
        -------
        np.ndarray
            Shape (..., n_observed), in the unit and precision of ``source``.
        """
        filtered = self.processing.filtered(source, self.times, self.period)
        taken = filtered if self.recorded is None else filtered[..., self.recorded]
        return self.averaged(self.processing.correct(taken, self.recorded_times))

    def averaged(self, recording: np.ndarray) -> np.ndarray:
        """Block averages (..., n_observed) of a recording (..., n_recorded) that is processed already."""
        taken = recording if self.held is None else recording[..., self.held]
        return taken if self.window is None else self.window.average(taken)

    def covariance(self, temporal: np.ndarray) -> np.ndarray:
        """Covariance over observed samples of noise with this covariance (n_recorded, n_recorded)."""
        taken = temporal if self.held is None else temporal[np.ix_(self.held, self.held)]
        return taken if self.window is None else self.window.covariance(taken)

    def every_sample(self) -> Epoch:
        """The same recording, every sample of which is observed."""
        return replace(self, window=None, held=None)
