"""Bodies of networks, which convert steps in time to features; one body for each kind of network."""

from __future__ import annotations

import torch
from torch import nn

from jrflow.config.networks import (
    BiLSTMConfig,
    CnnBiLSTMConfig,
    LSTMConfig,
    MLPConfig,
    NetworkConfig,
    NPEConfig,
    TransformerConfig,
)

#: Width of a transformer's feed-forward layers, relative to the width of its tokens.
_FEEDFORWARD = 4


def body(network: NetworkConfig, n_steps: int, width: int) -> tuple[nn.Module, int]:
    """Make the body of a network.

    Parameters
    ----------
    network
        Kind and sizes of the network.
    n_steps
        Number of steps of the input.
    width
        Number of values in each step.

    Returns
    -------
    body
        Module that maps (n, n_steps, width) to (n, n_features).
    n_features
        Number of features.
    """
    if isinstance(network, MLPConfig):
        return perceptron(n_steps * width, network), network.hidden
    if isinstance(network, TransformerConfig):
        return Transformer(n_steps, width, network), network.width
    if isinstance(network, CnnBiLSTMConfig):
        convolved = nn.Sequential(Convolutions(width, network), _lstm(network.filters, network))
        return convolved, 2 * network.hidden
    recurrent = _lstm(width, network)
    return recurrent, recurrent.n_features


def residual_layers(network: NetworkConfig, n_features: int) -> tuple[nn.Module, int]:
    """Make the layers between body and head.

    Parameters
    ----------
    network
        Configuration with the number and width of the layers.
    n_features
        Number of features of the body.

    Returns
    -------
    layers
        Module that maps (n, features of the body) to (n, n_features); the identity if there are no layers.
    n_features
        Number of features of the last layer.
    """
    if not network.head_layers:
        return nn.Identity(), n_features
    width = network.head_width
    return nn.Sequential(
        nn.Linear(n_features, width), *(Residual(width) for _ in range(network.head_layers))
    ), width


class Residual(nn.Module):
    """Perceptron with one hidden layer; its input is normalised, and its output is added to the input.

    He et al. 2016 (arXiv 1603.05027). Sums are float32, whatever the precision of the products.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From (n, width) to (n, width)."""
        added: torch.Tensor = x.float() + self.layers(x).float()
        return added


class LastState(nn.Module):
    """LSTM that returns the last state of its top layer, for one or both directions.

    After Tilwani & O'Reilly, arXiv 2406.05002. The biases of the forget gates start at 1, as in Keras, which
    the paper used.
    """

    def __init__(self, width: int, hidden: int, layers: int, *, both: bool) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, hidden, layers, batch_first=True, bidirectional=both)
        self.n_directions = 2 if both else 1
        self.n_features = self.n_directions * hidden
        for name, bias in self.lstm.named_parameters():
            if name.startswith("bias_hh"):
                with torch.no_grad():
                    bias[hidden : 2 * hidden] += 1.0

    def forward(self, steps: torch.Tensor) -> torch.Tensor:
        """From (n, n_steps, width) to (n, n_directions * hidden)."""
        _, (last, _) = self.lstm(steps)
        return torch.cat(list(last[-self.n_directions :]), dim=1)


class Convolutions(nn.Module):
    """Two convolutions over time; each reduces the number of steps."""

    def __init__(self, width: int, config: CnnBiLSTMConfig) -> None:
        super().__init__()
        padding = config.kernel // 2
        self.layers = nn.Sequential(
            nn.Conv1d(width, config.filters, config.kernel, config.stride, padding),
            nn.GELU(),
            nn.Conv1d(config.filters, config.filters, config.kernel, 2, padding),
            nn.GELU(),
        )

    def forward(self, steps: torch.Tensor) -> torch.Tensor:
        """From (n, n_steps, width) to (n, fewer steps, filters)."""
        convolved: torch.Tensor = self.layers(steps.transpose(1, 2)).transpose(1, 2)
        return convolved


class Transformer(nn.Module):
    """Transformer encoder (Vaswani et al. 2017) over steps in time, with normalisation before each layer.

    Time steps are the tokens. In the paper's public code the axes are exchanged, so that electrodes are the
    tokens.
    """

    def __init__(self, n_steps: int, width: int, config: TransformerConfig) -> None:
        super().__init__()
        self.embedding = nn.Linear(width, config.width)
        self.position = nn.Parameter(0.02 * torch.randn(n_steps, config.width))
        layer = nn.TransformerEncoderLayer(
            config.width, config.heads, _FEEDFORWARD * config.width, config.dropout, "gelu",
            batch_first=True, norm_first=True,
        )  # fmt: skip
        self.encoder = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, steps: torch.Tensor) -> torch.Tensor:
        """From (n, n_steps, width) to (n, width of a token): the mean over tokens."""
        tokens = self.encoder(self.embedding(steps) + self.position)
        mean: torch.Tensor = self.norm(tokens).mean(dim=1)
        return mean


def perceptron(width: int, config: MLPConfig) -> nn.Sequential:
    """Layers of a perceptron, from (n, n_steps, width / n_steps) to (n, hidden)."""
    layers: list[nn.Module] = [nn.Flatten()]
    for before in [width, *[config.hidden] * (config.layers - 1)]:
        layers += [nn.Linear(before, config.hidden), nn.GELU()]
    return nn.Sequential(*layers)


def _lstm(width: int, network: BiLSTMConfig | NPEConfig) -> LastState:
    return LastState(width, network.hidden, network.layers, both=not isinstance(network, LSTMConfig))
