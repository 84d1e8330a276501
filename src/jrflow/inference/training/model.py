"""A trained model on disk: weights in safetensors, everything else in JSON."""

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
#: Channels see the source alike if the cosine between their topographies is at least this.
_SAME_TOPOGRAPHY = 0.99


class Target(BaseModel):
    """One quantity that a model estimates, and the range of its prior."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    unit: str
    low: float
    high: float


class Description(BaseModel):
    """What a model is, and what it was trained on.

    ``prior`` holds the distributions of its parameters, whatever the configuration called them;
    ``processing`` holds filters and baseline of its responses; ``times`` are the centres (s) of the blocks
    that the network observes; ``sd_range`` (mV) is the noise in training and ``source`` the patch of cortex;
    ``calibration_sd`` (mV) and ``calibration_half_width`` tabulate its 90 % intervals (empty for a density,
    which has its own); ``fingerprint`` is a hash of what its weights depend on. Where the network observes
    channels, ``channels`` names them in its order, and ``directions`` (one for each shape of noise) are the
    unit vectors by which the source enters them; both are empty for a projection, which serves any montage.
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
        """The targets that the simulator takes; the others are products of parameters."""
        return tuple(target for target in self.targets if target.name not in MODEL.space.products)

    def check_input(
        self, direction: np.ndarray, n_samples: int, start: float, channels: Sequence[str] = ()
    ) -> None:
        """Make sure that responses are observed as those of the training were.

        Parameters
        ----------
        direction
            Unit vector by which the source enters the inputs (channels, or 1 if projected), (n_inputs,).
        n_samples
            Of a response.
        start
            Centre of the first block, s.
        channels
            Names of the inputs, where they are known.

        Raises
        ------
        ValueError
            If not.
        """
        expected = self.architecture.n_inputs, self.architecture.n_samples, self.times[0]
        received = len(direction), n_samples, start
        if not np.allclose(expected, received, rtol=0, atol=1e-6):
            said = "{} inputs (channels, or 1 if projected) of {} samples from {:g} s".format
            raise ValueError(
                f"model of campaign {self.campaign!r}: expected responses of {said(*expected)}, as in its "
                f"training, received {said(*received)}; take that training's lead field and settings "
                "(inference.training: spatial, sfreq, tmin), or train again"
            )
        if self.directions:
            self._check_topography(direction, channels)

    def _check_topography(self, direction: np.ndarray, channels: Sequence[str]) -> None:
        """Of a network that observes channels: it learnt the topography, which cannot change afterwards."""
        advice = "give that training's lead field, or train again, with spatial: projected for any montage"
        pairs = zip(self.channels, channels, strict=False)
        if channels and tuple(channels) != self.channels:
            ours, theirs = next(((a, b) for a, b in pairs if a != b), (self.channels[-1], channels[-1]))
            raise ValueError(
                f"model of campaign {self.campaign!r}: expected the channels of its training in their order, "
                f"received {theirs!r} in the place of {ours!r}; {advice}"
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
    """Write a model's folder; its description comes last, so that a folder with one is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    write_history(folder, history)
    write_atomically(folder / _WEIGHTS, save(model.network.state_dict()))
    write_atomically(folder / _DESCRIPTION, model.description.model_dump_json(indent=1).encode())


def load_model(folder: Path) -> TrainedModel:
    """Read a model's folder.

    Raises
    ------
    FileNotFoundError
        If the folder holds no complete model.
    ValueError
        If it was made by another version, or weights and architecture do not belong together.
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
            + "\nThe two come from different trainings; train again or restore the folder"
        )
    network.load_state_dict(found)
    return network.eval()


def _shape(tensor: Any) -> Any:
    return "absent" if tensor is None else tuple(tensor.shape)
