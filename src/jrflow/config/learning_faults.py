"""Networks that do not go with the responses that they are to see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from jrflow.config.fault import Fault
from jrflow.config.networks import CnnBiLSTMConfig, MLPConfig
from jrflow.model.protocol import EvokedProtocol

if TYPE_CHECKING:
    from jrflow.config.config import Config
    from jrflow.config.networks import NetworkConfig

#: A rate may miss a whole fraction of another by this much (binary rounding of decimals).
_TOLERANCE = 1e-9


def learning_faults(config: Config) -> Iterator[Fault]:
    """Find rates, times and steps that leave a network, of a model or of several, nothing to see.

    At rest nothing is found: there models are refused altogether.
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
        )
        return
    n = samples_seen(config)
    if n < 1:
        yield Fault(
            ("inference", "training", "tmin"),
            f"expected a time before the responses' end (simulation.protocol.tmax is "
            f"{simulation.protocol.tmax:g} s) by one sample of training.sfreq ({training.sfreq:g} Hz) or "
            f"more, received {training.tmin:g} s; choose an earlier tmin or a higher training.sfreq",
        )
        return
    for name in dict.fromkeys(model.network for model in models.values()):
        yield from _steps(name, config.inference.networks[name], n)


def samples_seen(config: Config) -> int:
    """Samples of an evoked response that networks see: whole blocks after training.tmin."""
    training, simulation = config.inference.training, config.simulation
    n_after = int((simulation.timing.times > training.tmin + _TOLERANCE).sum())
    return n_after // round(simulation.sfreq / training.sfreq)


def _steps(name: str, network: NetworkConfig, n_samples: int) -> Iterator[Fault]:
    """Steps longer than a response of ``n_samples``, and convolutions that leave one point of it."""
    if isinstance(network, MLPConfig):
        return
    width = network.samples_per_step
    if width > n_samples:
        yield Fault(
            ("inference", "networks", name, "samples_per_step"),
            f"expected at most {n_samples}, all samples of a response that networks see at training.sfreq, "
            f"received {width}; choose fewer, or a higher training.sfreq",
        )
    elif isinstance(network, CnnBiLSTMConfig):
        n_points = -(-n_samples // width)
        if network.stride >= n_points:
            yield Fault(
                ("inference", "networks", name, "stride"),
                f"expected fewer than the {n_points} points of the series ({n_samples} samples, "
                f"{width} a point), of which else one step is left, received {network.stride}; choose a "
                "smaller stride, or fewer samples_per_step",
            )
