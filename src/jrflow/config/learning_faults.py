"""Samples of a response that networks observe, and networks that do not fit them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from jrflow.config.fault import Fault, Key
from jrflow.config.networks import CnnBiLSTMConfig, MLPConfig
from jrflow.model.protocol import EvokedProtocol

if TYPE_CHECKING:
    from jrflow.config.config import Config
    from jrflow.config.networks import NetworkConfig

#: A rate may miss a whole fraction of another by this much (binary rounding of decimals).
_TOLERANCE = 1e-9
#: Settings that decide which samples networks observe.
_SAMPLING: tuple[Key, ...] = (
    ("inference", "training", "sfreq"),
    ("simulation", "sfreq"),
    ("inference", "training", "tmin"),
    ("simulation", "protocol"),
)


def learning_faults(config: Config) -> Iterator[Fault]:
    """Find rates, times and steps that leave a network nothing to observe.

    At rest nothing is found: models at rest are refused as such.
    """
    models, simulation = config.inference.models, config.simulation
    if not models or not isinstance(simulation.protocol, EvokedProtocol):
        return
    training = config.inference.training
    ratio = simulation.sfreq / training.sfreq
    if abs(ratio - round(ratio)) > _TOLERANCE * ratio:
        yield Fault(
            ("inference", "training", "sfreq"),
            f"expected a whole fraction of simulation.sfreq ({simulation.sfreq:g} Hz), so that whole samples "
            f"are averaged, received {training.sfreq:g} Hz",
            _SAMPLING[:2],
        )
        return
    n = samples_observed(config)
    if n < 1:
        yield Fault(
            ("inference", "training", "tmin"),
            f"expected a time before the responses' end (simulation.protocol.tmax is "
            f"{simulation.protocol.tmax:g} s) by one sample of training.sfreq ({training.sfreq:g} Hz) or "
            f"more, received {training.tmin:g} s; choose an earlier tmin or a higher training.sfreq",
            _SAMPLING,
        )
        return
    for name in dict.fromkeys(model.network for model in models.values()):
        yield from _steps(name, config.inference.networks[name], n)


def samples_observed(config: Config) -> int:
    """Samples of an evoked response that networks observe: whole blocks after training.tmin, or 0."""
    return len(observed_times(config)) // _block(config)


def observed_times(config: Config) -> np.ndarray:
    """Times (s) of the model's samples from which networks' samples are averaged, ascending."""
    times = config.simulation.timing.times
    after = times[times > config.inference.training.tmin + _TOLERANCE]
    return after[: len(after) // _block(config) * _block(config)]


def _block(config: Config) -> int:
    """Samples of the model that are averaged to one."""
    return max(1, round(config.simulation.sfreq / config.inference.training.sfreq))


def _steps(name: str, network: NetworkConfig, n_samples: int) -> Iterator[Fault]:
    """Steps longer than a response of ``n_samples``, and convolutions that leave one point of it."""
    if isinstance(network, MLPConfig):
        return
    width = network.samples_per_step
    if width > n_samples:
        yield Fault(
            ("inference", "networks", name, "samples_per_step"),
            f"expected at most {n_samples}, the number of samples of a response that networks observe at "
            f"training.sfreq, received {width}; choose fewer, or a higher training.sfreq",
            (("inference", "networks", name, "samples_per_step"), *_SAMPLING),
        )
    elif isinstance(network, CnnBiLSTMConfig):
        n_points = -(-n_samples // width)
        if network.stride >= n_points:
            yield Fault(
                ("inference", "networks", name, "stride"),
                f"expected fewer than the {n_points} points of the series ({n_samples} samples, {width} a "
                f"point), so that more than one step is left, received {network.stride}; choose a smaller "
                "stride, or fewer samples_per_step",
                (("inference", "networks", name), *_SAMPLING),
            )
