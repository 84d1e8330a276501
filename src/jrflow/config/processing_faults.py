"""Errors: filters and baselines that do not match the responses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from jrflow.config.fault import Fault
from jrflow.model.protocol import EvokedProtocol

if TYPE_CHECKING:
    from jrflow.config.config import Config

#: A time belongs to the baseline if it misses its end by this (binary rounding of decimals), s.
_EDGE = 1e-6


def processing_faults(config: Config) -> Iterator[Fault]:
    """Find cut-off frequencies that the sampling cannot hold, and baselines without a sample."""
    processing, simulation = config.eeg.processing, config.simulation
    for name in ("highpass", "lowpass"):
        value = getattr(processing, name)
        if value is not None and value >= simulation.sfreq / 2:
            yield Fault(
                ("eeg", "processing", name),
                f"expected less than half of simulation.sfreq ({simulation.sfreq / 2:g} Hz), received "
                f"{value:g} Hz; leave the filter out (null) or raise simulation.sfreq",
            )
    if processing.baseline is None or not isinstance(simulation.protocol, EvokedProtocol):
        return
    times = simulation.timing.times
    start, end = processing.baseline
    low = times[0] if start is None else start - _EDGE
    high = times[-1] if end is None else end + _EDGE
    if not ((times >= low) & (times <= high)).any():
        yield Fault(
            ("eeg", "processing", "baseline"),
            f"expected times within the epoch ({times[0]:g} to {times[-1]:g} s, simulation.protocol), "
            f"received {list(processing.baseline)}; choose another baseline or a longer epoch",
        )
