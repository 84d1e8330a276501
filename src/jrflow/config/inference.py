"""Networks, their training and test campaigns, and the recordings to which they are applied."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, field_validator

from jrflow.config.networks import BiLSTMConfig, NetworkConfig
from jrflow.config.section import Name, Section


class TrainingConfig(Section):
    """Input and optimisation of all models, unless a model has its own; each model serves all levels."""

    sfreq: float = Field(100.0, gt=0)
    """Sampling frequency of the network's input, Hz: consecutive samples of the evoked response are
    averaged. simulation.sfreq must be a whole multiple of it."""
    tmin: float = 0.0
    """Start of the network's input, s from the onset. Times before 0 add little information: the baseline
    repeats the end of the previous epoch, including its noise."""
    spatial: Literal["projected", "channels"] = "projected"
    """projected: the source estimate, i.e. the noise-weighted projection onto the lead field, which loses
    no information for one source in Gaussian noise; channels: every channel, whitened."""
    noise_margin: float = Field(1.0, ge=1)
    """Widens the range of noise standard deviations in training: from the smallest level divided by this
    factor to the largest level times it (dimensionless). Use more than 1 if the noise of the recordings is
    not well known."""
    batch_size: int = Field(256, ge=2)
    """Simulations per gradient step."""
    max_presentations: int = Field(1_000_000, ge=1)
    """Number of presentations in total; the number of epochs is this divided by the number of training
    simulations."""
    patience: int | None = Field(None, ge=1)
    """Training ends when R2 on the validation part has not risen for this number of epochs (for npe: when
    the validation loss has not fallen). null: training runs to the end of the learning-rate cycle. In both
    cases the weights of the best epoch are kept."""
    validation_fraction: float = Field(0.1, gt=0, lt=0.5)
    """Part of the training campaign that is used for validation and to calibrate intervals, as a fraction."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of the multiplications within a network; weights, the loss and the densities of flows are
    always float32. bfloat16 (mixed precision) is for GPUs."""
    checkpoint_every: int = Field(1, ge=1)
    """Number of epochs between checkpoints."""


class ModelConfig(Section):
    """What is trained: a network, a training campaign and a test campaign."""

    train: str
    """Name of the training campaign."""
    test: str
    """Name of the test campaign."""
    network: str = "bilstm"
    """Name of an entry in 'networks'; the name of the estimator in every table."""
    seeds: int = Field(1, ge=1, le=1_000)
    """Number of training runs; the first has the run's seed s, the next ones s + 1, s + 2, ... and the names
    <model>-seed-1, <model>-seed-2, ... They differ in the split, the order, the noise and the initial
    weights."""
    refine: int = Field(0, ge=0)
    """Number of test simulations whose estimates are also refined with the exact likelihood, and scored
    as <network>+exact. This takes about 1 s on one core for each simulation and noise level. Only the
    first seed is refined."""
    max_presentations: int | None = Field(None, ge=1)
    """Number of presentations in total, for this model; null: training.max_presentations."""
    batch_size: int | None = Field(None, ge=2)
    """Simulations per gradient step, for this model; null: training.batch_size."""


@dataclass(frozen=True)
class Training:
    """One training of a model.

    Attributes
    ----------
    model
        Name of the model.
    train, test
        Names of its campaigns.
    network
        Name of its network.
    shift
        What is added to the run's seed.
    refine
        Test simulations whose estimates are refined; of further seeds none.
    """

    model: str
    train: str
    test: str
    network: str
    shift: int
    refine: int


class LearningCurveConfig(Section):
    """Scores over the number of training simulations, and over epochs at a fixed number."""

    model: str
    """Name of an entry in 'models'."""
    sizes: tuple[Annotated[int, Field(ge=1)], ...] = Field((1250, 5000, 18_000), min_length=2)
    """Numbers of training simulations, in increasing order; all runs have the same number of
    presentations."""
    presentations: int = Field(100_000, ge=1)
    """Number of presentations in each run."""
    more_epochs: int = Field(4, ge=2)
    """The smallest size is also trained for this many times as many epochs."""

    @field_validator("sizes")
    @classmethod
    def _rising(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if any(small >= large for small, large in pairwise(sizes)):
            raise ValueError(f"expected sizes in increasing order, received {', '.join(map(str, sizes))}")
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
    exact: bool = False
    """Whether to sample also the exact posterior of each response that the model explains (about half a
    minute for each response)."""


class InferenceConfig(Section):
    """Models, their training and what they are applied to."""

    networks: dict[Name, NetworkConfig] = Field({"bilstm": BiLSTMConfig()})
    """Named networks (kind: bilstm, lstm, cnn_bilstm, transformer, mlp or npe)."""
    models: dict[Name, ModelConfig] = Field({})
    """Named models (a network with its training and test campaign); if empty, nothing is trained."""
    training: TrainingConfig = TrainingConfig()
    """Settings of all training runs; values given for a single model take precedence."""
    paper_baseline: bool = False
    """Whether the baselines include the paper's network with the paper's settings (1,000 simulations, noise
    drawn once, its loss and its scaling); this takes minutes for each noise level."""
    learning_curve: LearningCurveConfig | None = None
    """Scores against the number of simulations and of epochs; null: no learning curve."""
    apply: ApplyConfig | None = None
    """Recording to which a model is applied; null: none."""

    @cached_property
    def trainings(self) -> dict[str, Training]:
        """Every training by its name: that of the model for the first seed, <model>-seed-<k> for others."""
        return {
            name if k == 0 else f"{name}-seed-{k}": Training(
                name, model.train, model.test, model.network, k, 0 if k else model.refine
            )
            for name, model in self.models.items()
            for k in range(model.seeds)
        }

    def training_of(self, training: str) -> TrainingConfig:
        """Input and optimisation of a training."""
        model = self.models[self.trainings[training].model]
        said = {"max_presentations": model.max_presentations, "batch_size": model.batch_size}
        given = {name: value for name, value in said.items() if value is not None}
        return self.training.model_copy(update=given)

    def network_of(self, training: str) -> NetworkConfig:
        """Network of a training."""
        return self.networks[self.trainings[training].network]

    def experiment(self, training: str) -> str:
        """First training of the same two campaigns: noise levels and limits are those of all of them."""
        wanted = self.trainings[training]
        return next(
            name
            for name, other in self.trainings.items()
            if (other.train, other.test) == (wanted.train, wanted.test)
        )
