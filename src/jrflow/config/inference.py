"""What is trained on what, and how it is applied to recordings."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, field_validator

from jrflow.config.section import Name, Section


class TrainingConfig(Section):
    """Input, network and optimisation of the Bi-LSTM; one network serves all noise levels."""

    sfreq: float = Field(100.0, gt=0)
    """The evoked is averaged down to this rate before the network sees it, Hz; a whole fraction of
    simulation.sfreq."""
    tmin: float = 0.0
    """The network sees what comes after this time, s from the onset. Little is lost before 0: there the
    baseline repeats the end of the previous epoch, noise included."""
    spatial: Literal["projected", "channels"] = "projected"
    """projected: the noise-weighted projection onto the lead field, which loses nothing for one
    source in Gaussian noise; channels: every channel, whitened."""
    noise_margin: float = Field(1.0, ge=1)
    """Noise met in training reaches by this factor (dimensionless) below the smallest and above the
    largest level's standard deviation; above 1 for recordings whose noise is not known well."""
    samples_per_step: int = Field(20, ge=1)
    """Number of consecutive samples handed to the LSTM at one step; the noise-weighted principal
    components of these samples are what it sees."""
    hidden: int = Field(64, ge=1)
    """Number of LSTM units in each direction."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout before the linear head, as a fraction of its inputs (the paper: 0.1)."""
    batch_size: int = Field(256, ge=2)
    """Simulations per gradient step."""
    max_presentations: int = Field(1_000_000, ge=1)
    """Simulations shown in total; epochs = this over the number of training simulations."""
    learning_rate: float = Field(0.014, gt=0)
    """Peak learning rate of Adam (dimensionless); one cosine cycle with warm-up."""
    validation_fraction: float = Field(0.1, gt=0, lt=0.5)
    """Kept for validation and for calibrating intervals, as a fraction of the training campaign."""
    checkpoint_every: int = Field(1, ge=1)
    """Number of epochs between checkpoints."""


class ModelConfig(Section):
    """One trained model: a training and a test campaign."""

    train: str
    """Name of the training campaign."""
    test: str
    """Name of the test campaign."""


class LearningCurveConfig(Section):
    """Scores over the number of training simulations, and over epochs at a fixed number."""

    model: str
    """Name of an entry in 'models'."""
    sizes: tuple[Annotated[int, Field(ge=1)], ...] = Field((1250, 5000, 18_000), min_length=2)
    """Numbers of training simulations, rising; each run sees the same number of presentations."""
    presentations: int = Field(100_000, ge=1)
    """Simulations shown in each run."""
    more_epochs: int = Field(4, ge=2)
    """The smallest size is also run this many times longer."""

    @field_validator("sizes")
    @classmethod
    def _rising(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if any(small >= large for small, large in pairwise(sizes)):
            raise ValueError(f"expected rising sizes, received {', '.join(map(str, sizes))}")
        return sizes


class ApplyConfig(Section):
    """Measured evoked responses to which a model is applied."""

    model: str
    """Name of an entry in 'models'."""
    evoked: str
    """MNE evoked file (-ave.fif); relative to where jrflow is run."""
    noise: str
    """Name of the noise level that describes the recording; its variance is rescaled to each
    response's own number of averages."""


class InferenceConfig(Section):
    """Models, their training and what they are applied to."""

    models: dict[Name, ModelConfig] = Field({})
    """Named models; none: nothing is trained."""
    training: TrainingConfig = TrainingConfig()
    """Shared by all models."""
    learning_curve: LearningCurveConfig | None = None
    """Scores over the number of simulations and of epochs; left out: no learning curve."""
    apply: ApplyConfig | None = None
    """A recording to which a model is applied; left out: none."""
