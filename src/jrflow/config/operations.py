"""Multiplications and additions of one simulation's pass through a network, counted from its shapes."""

from __future__ import annotations

from jrflow.config.networks import (
    BiLSTMConfig,
    CnnBiLSTMConfig,
    LSTMConfig,
    MLPConfig,
    NetworkConfig,
    NPEConfig,
    TransformerConfig,
)

#: A multiplication and an addition; forward, and twice as much backward.
_EACH = 2 * 3
#: Gates of an LSTM.
_GATES = 4
#: A transformer's four square matrices and its feed-forward layers, in squares of its width.
_SQUARES = 12


def steps_of(network: NetworkConfig, n_samples: float) -> float:
    """Steps in which a network sees ``n_samples`` samples."""
    return 1.0 if isinstance(network, MLPConfig) else max(1.0, n_samples / network.samples_per_step)


def operations(network: NetworkConfig, n_samples: float, n_inputs: int) -> float:
    """Operations of training on one presentation, forward and backward.

    Parameters
    ----------
    network
        Kind and sizes.
    n_samples, n_inputs
        Samples of a response, and channels.
    """
    n_steps = steps_of(network, n_samples)
    width = n_inputs * n_samples / n_steps + 1
    if isinstance(network, MLPConfig):
        return _EACH * network.hidden * (width + (network.layers - 1) * network.hidden)
    if isinstance(network, TransformerConfig):
        token = network.width * (width + network.layers * (_SQUARES * network.width + 2 * n_steps))
        return _EACH * n_steps * token
    if isinstance(network, CnnBiLSTMConfig):
        points = n_steps / network.stride
        convolved = points * network.kernel * network.filters * (width + network.filters / 2)
        return _EACH * convolved + _recurrent(network, points / 2, network.filters)
    return _recurrent(network, n_steps, width) + (_flow(network) if isinstance(network, NPEConfig) else 0.0)


def numbers_kept(network: NetworkConfig, n_samples: float) -> float:
    """Numbers of one simulation's activations that are kept for going backward, roughly."""
    if isinstance(network, MLPConfig):
        return 2.0 * network.layers * network.hidden
    n_steps = steps_of(network, n_samples)
    if isinstance(network, TransformerConfig):
        return n_steps * network.layers * (2 * _SQUARES * network.width + network.heads * n_steps)
    return 2 * n_steps * network.hidden * network.layers


def _recurrent(network: BiLSTMConfig | NPEConfig, n_steps: float, width: float) -> float:
    directions = 1 if isinstance(network, LSTMConfig) else 2
    hidden = network.hidden
    above = (network.layers - 1) * (directions + 1) * hidden
    return _EACH * n_steps * directions * _GATES * hidden * (width + hidden + above)


def _flow(network: NPEConfig) -> float:
    """Masked layers of all transforms; a spline's cost is of the same order."""
    width = network.flow_hidden
    return _EACH * network.transforms * width * (2 * network.hidden + 2 * width)
