"""Multiplications and additions of a network and of its optimiser, counted from their shapes."""

from __future__ import annotations

from collections.abc import Sequence

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
#: Operations by which Muon makes an m x n matrix orthogonal, m <= n, over m m n: five times 4 + 2 m / n.
_ORTHOGONAL = 30
#: A transformer's four square matrices and its feed-forward layers, in squares of its width.
_SQUARES = 12


def steps_of(network: NetworkConfig, n_samples: float) -> float:
    """Steps in which a network sees ``n_samples`` samples."""
    return 1.0 if isinstance(network, MLPConfig) else max(1.0, n_samples / network.samples_per_step)


def _width(network: NetworkConfig, n_samples: float, n_inputs: int) -> float:
    """Numbers of one step: its samples in all channels, and the noise."""
    return n_inputs * n_samples / steps_of(network, n_samples) + 1


def operations(network: NetworkConfig, n_samples: float, n_inputs: int) -> float:
    """Operations of training on one presentation, forward and backward, but for the optimiser's.

    Parameters
    ----------
    network
        Kind and sizes.
    n_samples, n_inputs
        Samples of a response, and channels.
    """
    body, residual = _body_shapes(network, n_samples, n_inputs), _residual_shapes(network)
    products = _passes(network, n_samples) * _numbers(body) + _numbers(residual)
    return _EACH * (products + _besides(network, n_samples, n_inputs))


def step_operations(network: NetworkConfig, n_samples: float, n_inputs: int) -> float:
    """Operations of one step of the optimiser, whatever the batch: of Muon's, for Adam's are few.

    Parameters
    ----------
    network
        Kind and sizes.
    n_samples, n_inputs
        Samples of a response, and channels.
    """
    if network.optimiser != "muon":
        return 0.0
    shapes = [*_body_shapes(network, n_samples, n_inputs), *_residual_shapes(network)]
    return float(_ORTHOGONAL * sum(min(shape) ** 2 * max(shape) for shape in shapes))


def _body_shapes(network: NetworkConfig, n_samples: float, n_inputs: int) -> Sequence[tuple[float, float]]:
    """Of the matrices of a body, (outputs, inputs)."""
    width = _width(network, n_samples, n_inputs)
    if isinstance(network, MLPConfig):
        h = network.hidden
        return [(h, width), *[(h, h)] * (network.layers - 1)]
    if isinstance(network, TransformerConfig):
        w = network.width
        layer = [(3 * w, w), (w, w), (4 * w, w), (w, 4 * w)]
        return [(w, width), *layer * network.layers]
    h, directions = network.hidden, _directions(network)
    first = float(network.filters if isinstance(network, CnnBiLSTMConfig) else width)
    inputs = [first, *[directions * h] * (network.layers - 1)]
    return [(_GATES * h, n) for below in inputs for n in (below, h)] * directions


def _residual_shapes(network: NetworkConfig) -> Sequence[tuple[float, float]]:
    """Of the matrices between body and head, (outputs, inputs)."""
    if not network.head_layers:
        return []
    w = network.head_width
    return [(w, _n_features(network)), *[(w, w)] * (2 * network.head_layers)]


def _n_features(network: NetworkConfig) -> int:
    """Numbers that a body makes of a response."""
    if isinstance(network, MLPConfig):
        return network.hidden
    return network.width if isinstance(network, TransformerConfig) else _directions(network) * network.hidden


def _passes(network: NetworkConfig, n_samples: float) -> float:
    """How often the matrices of a body are multiplied for one response: once a step."""
    n_steps = steps_of(network, n_samples)
    return n_steps / network.stride / 2 if isinstance(network, CnnBiLSTMConfig) else n_steps


def _numbers(shapes: Sequence[tuple[float, float]]) -> float:
    return sum(rows * columns for rows, columns in shapes)


def _besides(network: NetworkConfig, n_samples: float, n_inputs: int) -> float:
    """Multiplications that are none by matrices before the head: attention, convolutions, a flow."""
    n_steps = steps_of(network, n_samples)
    if isinstance(network, TransformerConfig):
        return 2 * network.layers * network.width * n_steps**2
    if isinstance(network, CnnBiLSTMConfig):
        width, points = _width(network, n_samples, n_inputs), n_steps / network.stride
        return points * network.kernel * network.filters * (width + network.filters / 2)
    return _flow(network) if isinstance(network, NPEConfig) else 0.0


def numbers_kept(network: NetworkConfig, n_samples: float) -> float:
    """Numbers of one simulation's activations that are kept for going backward, roughly."""
    residual = 4.0 * network.head_layers * network.head_width
    if isinstance(network, MLPConfig):
        return residual + 2.0 * network.layers * network.hidden
    n_steps = steps_of(network, n_samples)
    if isinstance(network, TransformerConfig):
        tokens = 2 * _SQUARES * network.width + network.heads * n_steps
        return residual + n_steps * network.layers * tokens
    return residual + 2 * n_steps * network.hidden * network.layers


def _directions(network: BiLSTMConfig | NPEConfig) -> int:
    return 1 if isinstance(network, LSTMConfig) else 2


def _flow(network: NPEConfig) -> float:
    """Masked layers of all transforms; a spline's cost is of the same order."""
    width = network.flow_hidden
    conditions = network.head_width if network.head_layers else _n_features(network)
    return network.transforms * width * (conditions + 2 * width)
