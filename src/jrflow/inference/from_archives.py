"""From campaigns' archives to a trained model, its scores and its learning curve."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, TextIO

import pandas as pd
import xarray as xr

from jrflow.config.eeg import ProcessingConfig, SourceConfig
from jrflow.config.inference import LearningCurveConfig, TrainingConfig
from jrflow.config.networks import NetworkConfig
from jrflow.inference.data.dataset import EvokedSet, read_evoked_set, split
from jrflow.inference.scoring.comparison import Comparison, Parts
from jrflow.inference.scoring.learning import learning_curve
from jrflow.inference.training.calibration import Calibration
from jrflow.inference.training.model import Description, Target, TrainedModel, load_model, save_model
from jrflow.inference.training.parallel import ALONE, Ranks
from jrflow.inference.training.train import Fit, forget_checkpoint, train, training_fingerprint
from jrflow.lock import Claim, hold
from jrflow.model import MODEL
from jrflow.observe.channels import channel_names
from jrflow.observe.noise import EvokedNoise
from jrflow.observe.observation import ElectrodeKind, NoiseLevels, processing_of
from jrflow.observe.processing import Processing
from jrflow.provenance import git_commit, versions


class Preparation(Protocol):
    """Settings that determine the observations of all estimators; ``TrainingConfig`` has them."""

    @property
    def sfreq(self) -> float:
        """Sampling rate of the observation, Hz."""
        ...

    @property
    def tmin(self) -> float:
        """Time after which responses are observed, s from the onset."""
        ...

    @property
    def spatial(self) -> ElectrodeKind:
        """Kind of observation: 'projected' onto the source, or 'channels'."""
        ...

    @property
    def validation_fraction(self) -> float:
        """Share of the training campaign that is kept for validation."""
        ...


def train_model(
    train_store: Path,
    lead_field: xr.DataArray,
    levels: Mapping[str, EvokedNoise],
    config: TrainingConfig,
    network: NetworkConfig,
    seed: int,
    folder: Path,
    *,
    estimator: str = "network",
    progress: TextIO | None = sys.stderr,
    ranks: Ranks = ALONE,
    wait: float = 0.0,
) -> TrainedModel:
    """Train a network on a campaign and save it; an interrupted training run is resumed.

    If the folder already contains the complete model of the same training run, it is returned. The folder is
    locked during the training run.

    Parameters
    ----------
    train_store
        Archive of the training campaign.
    lead_field
        Dims (channel, region), uV/mV.
    levels
        Noise levels of the averaged response, by name.
    config
        Settings of the training run.
    network
        Kind and sizes of the network.
    seed
        Seed of all random numbers.
    folder
        Folder of the model. Checkpoints are kept in its folder ``checkpoint`` until the model is complete.
    estimator
        Name of the network in tables.
    progress
        Stream for progress; None for no output.
    ranks
        This process and the processes that train with it; see
        :func:`jrflow.inference.training.train.train`. All ranks return the model after the first rank has
        saved it.
    wait
        Longest time to wait for another process that trains in the same folder, s. Afterwards this process
        does the remaining work.

    Raises
    ------
    BusyError
        If another process still trains in the same folder after this time.
    ValueError, RanksError
        In the cases of :func:`jrflow.inference.training.train.train`.
    """
    data = read_evoked_set(train_store, config.sfreq, config.tmin, processing_of(levels))
    training, validation = split(data, config.validation_fraction, seed)
    noise = NoiseLevels.of(config.spatial, lead_field, levels, data.epoch)
    name = f"training on {train_store.stem}"
    expected = training_fingerprint(training, noise, config, network, seed), _source(lead_field), noise.names
    with ExitStack() as held:

        def claim() -> bool:
            claimed = Claim(folder / ".lock", str(folder), name)
            held.enter_context(hold(claimed, wait=wait, remove=True, progress=progress))
            return _is_complete(folder, *expected)

        def save() -> bool:
            save_model(folder, model, fit.history)
            forget_checkpoint(folder)
            return True

        if ranks.ask_first(claim):
            return load_model(folder)
        fit = train(
            training, validation, noise, config, network, seed,
            folder=folder, name=name, progress=progress, ranks=ranks,
        )  # fmt: skip
        table = Calibration.fit(fit.network, validation, noise.distinct, fit.sd_range, seed, ranks)
        description = _describe(
            estimator, training, len(validation.sim), noise, lead_field, fit, table, config, seed
        )
        model = TrainedModel(fit.network, description)
        ranks.ask_first(save)
    return model


def read_comparison(
    train_store: Path,
    test_store: Path,
    lead_field: xr.DataArray,
    levels: Mapping[str, EvokedNoise],
    snr_db: Mapping[str, float],
    limits: xr.Dataset,
    config: Preparation,
    seed: int,
) -> Comparison:
    """Read the data with which estimators are compared.

    Raises
    ------
    ValueError
        If the two archives are of different experiments.
    """
    parts = read_parts(train_store, test_store, config, seed, processing_of(levels))
    noise = NoiseLevels.of(config.spatial, lead_field, levels, parts.train.epoch)
    return Comparison(parts, noise, snr_db, limits["r2_limit"], seed)


def trace_learning_curve(
    train_store: Path,
    test_store: Path,
    lead_field: xr.DataArray,
    levels: Mapping[str, EvokedNoise],
    training: TrainingConfig,
    network: NetworkConfig,
    curve: LearningCurveConfig,
    seed: int,
    *,
    progress: TextIO | None = sys.stderr,
) -> pd.DataFrame:
    """Learning curve of a model; see :func:`jrflow.inference.scoring.learning.learning_curve`."""
    parts = read_parts(train_store, test_store, training, seed, processing_of(levels))
    noise = NoiseLevels.of(training.spatial, lead_field, levels, parts.train.epoch)
    return learning_curve(parts, noise, training, network, curve, seed, progress=progress)


def read_parts(
    train_store: Path,
    test_store: Path,
    config: Preparation,
    seed: int,
    processing: Processing | None = None,
) -> Parts:
    """Read both campaigns of a model; the training campaign is divided as in its training run."""
    data = read_evoked_set(train_store, config.sfreq, config.tmin, processing)
    training, validation = split(data, config.validation_fraction, seed)
    test = read_evoked_set(test_store, config.sfreq, config.tmin, processing)
    return Parts(training, validation, test)


def _is_complete(folder: Path, fingerprint: str, source: SourceConfig, levels: tuple[str, ...]) -> bool:
    """Whether a folder contains the complete model of the same training run."""
    try:
        found = load_model(folder).description
    except (FileNotFoundError, ValueError):
        return False
    if (found.fingerprint, found.source, tuple(found.noise_levels)) != (fingerprint, source, levels):
        return False
    forget_checkpoint(folder)
    return True


def _describe(
    estimator: str,
    data: EvokedSet,
    n_validation: int,
    noise: NoiseLevels,
    lead_field: xr.DataArray,
    fit: Fit,
    calibration: Calibration,
    config: TrainingConfig,
    seed: int,
) -> Description:
    bounds = zip(data.names, *data.prior.target_bounds, strict=True)
    return Description(
        estimator=estimator,
        architecture=fit.network.architecture,
        targets=tuple(
            Target(name=name, unit=MODEL.space.unit(name), low=low, high=high) for name, low, high in bounds
        ),
        preset=data.prior.preset,
        prior=data.prior.as_config(),
        simulation=data.specification.simulation,
        training=config,
        processing=ProcessingConfig(
            highpass=data.epoch.processing.highpass,
            lowpass=data.epoch.processing.lowpass,
            baseline=data.epoch.processing.baseline,
        ),
        times=tuple(data.epoch.observed_times),
        sd_range=fit.sd_range,
        calibration_sd=tuple(calibration.sd),
        calibration_half_width=tuple(map(tuple, calibration.half_width)),
        noise_levels=dict(zip(noise.names, noise.sd.tolist(), strict=True)),
        source=_source(lead_field),
        **_inputs_of(lead_field, noise, config),
        n_training=len(data.sim),
        n_validation=n_validation,
        excluded=data.excluded,
        campaign=data.specification.campaign,
        config_hash=data.config_hash,
        seed=seed,
        fingerprint=training_fingerprint(data, noise, config, fit.network.architecture.network, seed),
        provenance={"git_commit": git_commit(), "versions": versions()},
    )


def _inputs_of(lead_field: xr.DataArray, noise: NoiseLevels, config: TrainingConfig) -> dict[str, Any]:
    """Channels that a network observes, and contributions of the source to them; empty for a projection."""
    if config.spatial == "projected":
        return {}
    directions = tuple(tuple(one.direction.tolist()) for one in noise.distinct)
    return {"channels": tuple(channel_names(lead_field)), "directions": directions}


def _source(lead_field: xr.DataArray) -> SourceConfig:
    """Patch of a lead field, from its attributes."""
    attrs = lead_field.attrs
    x, y, z = attrs["position_requested"]
    return SourceConfig(
        position=(float(x), float(y), float(z)),
        extent=float(attrs["extent_mm"]),
        moment=float(attrs["moment_nAm_per_mV"]),
    )
