"""Reference posteriors of test simulations, at every noise level of a model."""

from __future__ import annotations

import sys
from typing import Literal

from jrflow.config.config import Config
from jrflow.planning.cost import precise_simulation_seconds
from jrflow.planning.learning_cost import SHARD_COPIES, TORCH_BYTES, TORCH_S, campaign_bytes, train_of
from jrflow.planning.requests import ONE_CORE, Workers
from jrflow.stages.stage import Files, Settings, Stage

#: Seconds of a noise level, whatever the number of cases.
_LEVEL_S = 25.0
#: Simulations in float64 of each case and level, and those that all cases of a level share.
_SIMULATIONS, _SHARED = 40_000, 16_384
#: Bytes of what is simulated at a time.
_SIMULATED_BYTES = 1e9


class ReferenceSettings(Settings):
    """What the reference posteriors depend on besides noise levels and test campaign."""

    sfreq: float
    tmin: float
    spatial: Literal["projected", "channels"]
    posterior_cases: int
    relative_step: float
    seed: int


class Reference(Stage[ReferenceSettings]):
    """The rule ``reference``: exact posteriors of the first test simulations, one file for a training."""

    name = "reference"
    inputs = ("noise", "test")
    outputs = ("reference",)
    settings_type = ReferenceSettings

    def settings(self, config: Config, name: str = "") -> ReferenceSettings:
        """See :class:`~jrflow.stages.stage.Stage`."""
        training, limits = config.inference.training, config.limits
        return ReferenceSettings(
            sfreq=training.sfreq, tmin=training.tmin, spatial=training.spatial,
            posterior_cases=limits.posterior_cases, relative_step=limits.relative_step, seed=config.run.seed,
        )  # fmt: skip

    def seconds(self, config: Config, name: str = "", workers: Workers = ONE_CORE) -> float:
        """See :class:`~jrflow.stages.stage.Stage`."""
        n = _SIMULATIONS * config.limits.posterior_cases + _SHARED
        level = _LEVEL_S + n * precise_simulation_seconds(config, train_of(config, name))
        return TORCH_S + len(config.eeg.noise) * level

    def bytes(self, config: Config, name: str = "") -> float:
        """See :class:`~jrflow.stages.stage.Stage`."""
        test = config.inference.trainings[name].test
        return TORCH_BYTES + _SIMULATED_BYTES + SHARD_COPIES * campaign_bytes(config, test)

    def run(self, settings: ReferenceSettings, inputs: Files, outputs: Files, threads: int = 1) -> None:
        """See :class:`~jrflow.stages.stage.Stage`."""
        from jrflow.inference.data.dataset import read_evoked_set
        from jrflow.inference.scoring.reference import reference_posteriors
        from jrflow.observe.levels import read_levels
        from jrflow.observe.observation import NoiseLevels, processing_of

        lead_field, levels, _ = read_levels(inputs["noise"])
        store = inputs["test"].with_suffix(".zarr")
        test = read_evoked_set(store, settings.sfreq, settings.tmin, processing_of(levels))
        noise = NoiseLevels.of(settings.spatial, lead_field, levels, test.epoch)
        found = reference_posteriors(
            test, noise, settings.posterior_cases, settings.relative_step, settings.seed, stream=sys.stderr
        )
        found.to_netcdf(outputs["reference"], engine="h5netcdf")
