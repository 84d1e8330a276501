"""A trained model on disk: weights in safetensors, all other data in JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save

from jrflow.config.eeg import ProcessingConfig, SourceConfig
from jrflow.config.inference import TrainingConfig
from jrflow.config.priors import IndependentPrior
from jrflow.config.simulation import SimulationConfig
from jrflow.inference.networks.build import build_network
from jrflow.inference.networks.network import Architecture, Network
from jrflow.inference.training.calibration import Calibration
from jrflow.inference.training.checkpoint import write_atomically
from jrflow.inference.training.logs import write_history
from jrflow.model import MODEL

FORMAT = "jrflow-model-3"
_WEIGHTS, _DESCRIPTION = "weights.safetensors", "model.json"
#: Smallest cosine between two topographies of the source that count as equal.
_SAME_TOPOGRAPHY = 0.99


class Target(BaseModel):
    """A target of a model, with the range of its prior."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    unit: str
    low: float
    high: float


class Description(BaseModel):
    """Description of a model and of its training.

    Attributes with a meaning that is not obvious from the name:

    - ``prior``: distributions of the parameters;
    - ``processing``: filters and baseline of the responses;
    - ``times``: centres of the blocks that the network observes, s;
    - ``sd_range``: smallest and largest noise in training, mV;
    - ``source``: patch of cortex;
    - ``calibration_sd`` (mV), ``calibration_half_width``: table of 90 % intervals; empty for a density
      estimator, which has its own intervals;
    - ``fingerprint``: hash of all settings and data on which the weights depend;
    - ``channels``: names of the observed channels, in order; ``directions``: unit vectors of the source's
      contributions to them, one for each shape of noise. Both are empty for a projection, which can be used
      with any montage.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: str = FORMAT
    estimator: str
    architecture: Architecture
    targets: tuple[Target, ...]
    preset: str
    prior: IndependentPrior
    simulation: SimulationConfig
    training: TrainingConfig
    processing: ProcessingConfig = ProcessingConfig()
    times: tuple[float, ...]
    sd_range: tuple[float, float]
    calibration_sd: tuple[float, ...]
    calibration_half_width: tuple[tuple[float, ...], ...]
    noise_levels: dict[str, float]
    source: SourceConfig
    channels: tuple[str, ...] = ()
    directions: tuple[tuple[float, ...], ...] = ()
    n_training: int
    n_validation: int
    excluded: dict[str, int]
    campaign: str
    config_hash: str
    seed: int
    fingerprint: str
    provenance: dict[str, Any]

    @property
    def parameters(self) -> tuple[Target, ...]:
        """Targets that are parameters of the simulation; the other targets are products."""
        return tuple(target for target in self.targets if target.name not in MODEL.space.products)

    def check_input(
        self, direction: np.ndarray, n_samples: int, start: float, channels: Sequence[str] = ()
    ) -> None:
        """Make sure that responses are observed as in training.

        Parameters
        ----------
        direction
            Unit vector of the source's contributions to the inputs, shape (n_inputs,).
        n_samples
            Number of samples of a response.
        start
            Centre of the first block, s.
        channels
            Names of the inputs; empty if unknown.

        Raises
        ------
        ValueError
            If inputs, samples, times, channels or topography differ from those in training.
        """
        expected = self.architecture.n_inputs, self.architecture.n_samples, self.times[0]
        received = len(direction), n_samples, start
        if not np.allclose(expected, received, rtol=0, atol=1e-6):
            said = "{} inputs (channels, or 1 if projected) of {} samples from {:g} s".format
            raise ValueError(
                f"model of campaign {self.campaign!r}: expected responses of {said(*expected)}, as in its "
                f"training, received {said(*received)}; use the lead field and settings of that training "
                "(inference.training: spatial, sfreq, tmin), or train again"
            )
        if self.directions:
            self._check_topography(direction, channels)

    def _check_topography(self, direction: np.ndarray, channels: Sequence[str]) -> None:
        """Check the topography: a network that observes channels can only be used with the one it learnt."""
        advice = (
            "use the lead field of that training, or train again, with spatial: projected for any montage"
        )
        pairs = zip(self.channels, channels, strict=False)
        if channels and tuple(channels) != self.channels:
            ours, theirs = next(((a, b) for a, b in pairs if a != b), (self.channels[-1], channels[-1]))
            raise ValueError(
                f"model of campaign {self.campaign!r}: expected the channels of its training in their order, "
                f"received {theirs!r} instead of {ours!r}; {advice}"
            )
        closest = float((np.array(self.directions) @ direction).max())
        if closest < _SAME_TOPOGRAPHY:
            raise ValueError(
                f"model of campaign {self.campaign!r}: the lead field of the source differs from that of its "
                f"training (cosine between the whitened lead fields {closest:.2f}, at least "
                f"{_SAME_TOPOGRAPHY} expected): the position of the source or the noise covariance differs; "
                f"{advice}"
            )


@dataclass(frozen=True)
class TrainedModel:
    """A network and its description."""

    network: Network
    description: Description

    @property
    def names(self) -> list[str]:
        """Names of the targets."""
        return [target.name for target in self.description.targets]

    @property
    def calibration(self) -> Calibration:
        """Half widths of the 90 % intervals over the noise."""
        d = self.description
        return Calibration(np.array(d.calibration_sd), np.array(d.calibration_half_width))


def save_model(folder: Path, model: TrainedModel, history: list[dict[str, float]]) -> None:
    """Write a model's folder. The description is written last: a folder that has one is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    write_history(folder, history)
    write_atomically(folder / _WEIGHTS, save(model.network.state_dict()))
    write_atomically(folder / _DESCRIPTION, model.description.model_dump_json(indent=1).encode())


def load_model(folder: Path) -> TrainedModel:
    """Read a model's folder.

    Raises
    ------
    FileNotFoundError
        If the folder does not contain a complete model.
    ValueError
        If another version made the model, or weights and architecture do not match.
    """
    path = folder / _DESCRIPTION
    if not path.is_file() or not (folder / _WEIGHTS).is_file():
        raise FileNotFoundError(
            f"{folder}: expected the folder of a trained model ({_WEIGHTS} and {_DESCRIPTION}), as the "
            "pipeline leaves it in results/<run>/models/<model>"
        )
    text = path.read_text(encoding="utf-8")
    found = json.loads(text).get("format")
    if found != FORMAT:
        raise ValueError(
            f"{path}: expected a model of format {FORMAT!r}, found {found!r}: another version of jrflow made "
            "it; train again, or use that version"
        )
    try:
        description = Description.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(
            f"{path}: expected the description of a model of format {FORMAT}: {error}"
        ) from error
    return TrainedModel(_network(folder / _WEIGHTS, description), description)


def _network(path: Path, description: Description) -> Network:
    network = build_network(description.architecture)
    try:
        found = load(path.read_bytes())
    except SafetensorError as error:
        raise ValueError(f"{path}: expected weights in safetensors: {error}") from error
    expected = network.state_dict()
    lines = [
        f"  {name}: {_shape(found.get(name))} in {path.name}, {_shape(expected.get(name))} expected"
        for name in sorted(found.keys() | expected.keys())
        if _shape(found.get(name)) != _shape(expected.get(name))
    ]
    if lines:
        raise ValueError(
            "\n".join([f"{path} does not fit the architecture in {_DESCRIPTION}:", *lines])
            + "\nThe two files come from different training runs; train again or restore the folder"
        )
    network.load_state_dict(found)
    return network.eval()


def _shape(tensor: Any) -> Any:
    return "absent" if tensor is None else tuple(tensor.shape)
