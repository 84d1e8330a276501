"""The neural networks that can be trained, one section for each kind; the same code trains all of them."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from jrflow.config.fault import ContradictionError
from jrflow.config.section import Section

#: Larger networks fit no machine, and their cost could not be computed.
_MOST_LAYERS, _MOST_UNITS = 1_000, 100_000

#: Samples of the response, at training.sfreq, that enter a network at one step.
_Samples = Annotated[int, Field(ge=1)]


class _Trained(Section):
    """What every network has."""

    learning_rate: float = Field(0.003, gt=0)
    """Peak learning rate (dimensionless); one cosine cycle with warm-up."""
    optimiser: Literal["adam", "muon"] = "adam"
    """adam; or muon: Muon for the weight matrices before the head, Adam for all other weights. With Muon
    fewer presentations are needed, but a gradient step takes longer: use batches of about 1,000."""
    head_layers: int = Field(0, ge=0, le=_MOST_LAYERS)
    """Number of residual layers between the body and the linear output (head); 0: none, as in the paper."""
    head_width: int = Field(512, ge=1, le=_MOST_UNITS)
    """Number of units of each residual layer."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout before the head, as a fraction of its inputs."""


class BiLSTMConfig(_Trained):
    """Bidirectional LSTM, the paper's kind: the last state of both directions."""

    kind: Literal["bilstm"] = "bilstm"
    samples_per_step: _Samples = 20
    """Number of consecutive samples that enter the LSTM at one step, as their noise-weighted principal
    components."""
    hidden: int = Field(64, ge=1, le=_MOST_UNITS)
    """Number of units of each layer in each direction (the paper: 64)."""
    layers: int = Field(1, ge=1, le=_MOST_LAYERS)
    """Number of layers, each reading the states of the one below (the paper: 1)."""
    learning_rate: float = Field(0.014, gt=0)
    """Peak learning rate (dimensionless); one cosine cycle with warm-up."""


class LSTMConfig(BiLSTMConfig):
    """Unidirectional LSTM (forwards in time), two layers as in the paper's second version."""

    kind: Literal["lstm"] = "lstm"  # type: ignore[assignment]
    layers: int = Field(2, ge=1, le=_MOST_LAYERS)
    """Number of layers, each reading the states of the one below (the paper: 2)."""


class CnnBiLSTMConfig(BiLSTMConfig):
    """Two convolutions over time, then a bidirectional LSTM over their output."""

    kind: Literal["cnn_bilstm"] = "cnn_bilstm"  # type: ignore[assignment]
    samples_per_step: _Samples = 1
    """Number of consecutive samples that become one point of the series that is convolved."""
    filters: int = Field(32, ge=1, le=_MOST_UNITS)
    """Number of filters of each convolution."""
    kernel: int = Field(7, ge=1, le=_MOST_UNITS)
    """Number of points of the series that a filter covers; an odd number."""
    stride: int = Field(4, ge=1, le=_MOST_UNITS)
    """Stride of the first convolution, as a number of points; at most 'kernel'. The second convolution has
    stride 2; its output points are the steps of the LSTM."""
    learning_rate: float = Field(0.005, gt=0)
    """Peak learning rate (dimensionless); one cosine cycle with warm-up."""

    @model_validator(mode="after")
    def _covering(self) -> "CnnBiLSTMConfig":
        if self.kernel % 2 == 0:
            raise ContradictionError(
                f"expected an odd kernel, since filters are centred on a point, received {self.kernel}; give "
                f"{self.kernel - 1} or {self.kernel + 1}",
                "kernel",
            )
        if self.stride > self.kernel:
            raise ContradictionError(
                f"stride ({self.stride}) is larger than kernel ({self.kernel}), so no filter "
                "would cover the points between two filters; choose a smaller stride or a larger kernel",
                "stride",
                "kernel",
            )
        return self


class TransformerConfig(_Trained):
    """Transformer encoder whose tokens are steps in time."""

    kind: Literal["transformer"] = "transformer"
    samples_per_step: _Samples = 10
    """Number of consecutive samples that make up one token."""
    width: int = Field(64, ge=1, le=_MOST_UNITS)
    """Number of components of a token; a multiple of 'heads'."""
    heads: int = Field(4, ge=1, le=_MOST_UNITS)
    """Number of attention heads."""
    layers: int = Field(2, ge=1, le=_MOST_LAYERS)
    """Number of encoder layers."""
    learning_rate: float = Field(0.002, gt=0)
    """Peak learning rate (dimensionless); one cosine cycle with warm-up."""

    @model_validator(mode="after")
    def _divisible(self) -> "TransformerConfig":
        if self.width % self.heads:
            raise ContradictionError(
                f"expected a width that is a multiple of heads, received {self.width} and {self.heads}",
                "width",
                "heads",
            )
        return self


class MLPConfig(_Trained):
    """Multilayer perceptron on the components of the whole response."""

    kind: Literal["mlp"] = "mlp"
    hidden: int = Field(256, ge=1, le=_MOST_UNITS)
    """Number of units of each layer."""
    layers: int = Field(3, ge=1, le=_MOST_LAYERS)
    """Number of hidden layers."""


class NPEConfig(_Trained):
    """Neural posterior estimation: a normalizing flow of the sbi package with a Bi-LSTM as embedding."""

    kind: Literal["npe"] = "npe"
    flow: Literal["maf", "nsf"] = "maf"
    """maf: masked autoregressive flow; nsf: neural spline flow, slower and more flexible."""
    transforms: int = Field(5, ge=1, le=_MOST_LAYERS)
    """Number of transforms in a row."""
    flow_hidden: int = Field(64, ge=1, le=_MOST_UNITS)
    """Number of units of each layer within a transform."""
    samples_per_step: _Samples = 20
    """Number of consecutive samples that enter the embedding LSTM at one step."""
    hidden: int = Field(64, ge=1, le=_MOST_UNITS)
    """Number of units of the embedding LSTM in each direction."""
    layers: int = Field(1, ge=1, le=_MOST_LAYERS)
    """Number of layers of the embedding LSTM."""
    draws: int = Field(200, ge=20, le=_MOST_UNITS)
    """Number of draws from the posterior of each response; means and intervals are computed from them."""
    learning_rate: float = Field(0.008, gt=0)
    """Peak learning rate (dimensionless); one cosine cycle with warm-up."""


NetworkConfig = Annotated[
    BiLSTMConfig | LSTMConfig | CnnBiLSTMConfig | TransformerConfig | MLPConfig | NPEConfig,
    Field(discriminator="kind"),
]
