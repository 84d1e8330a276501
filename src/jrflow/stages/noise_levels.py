"""The configured noise levels, resolved against a model's training campaign."""

from __future__ import annotations

from jrflow.config.config import Config
from jrflow.config.eeg import NoiseConfig, ProcessingConfig
from jrflow.config.section import Name
from jrflow.model.protocol import Protocol
from jrflow.planning.learning_cost import START_BYTES, START_S, campaign_bytes, train_of
from jrflow.planning.requests import ONE_CORE, Workers
from jrflow.stages.stage import Files, Settings, Stage

#: Seconds a byte of the training campaign; how many copies of the campaign are in memory.
_BYTE_S, _COPIES = 15e-9, 4.0


class NoiseSettings(Settings):
    """What the noise levels depend on besides lead field, training campaign and covariance files."""

    noise: dict[Name, NoiseConfig]
    processing: ProcessingConfig
    protocol: Protocol
    dt: float
    sfreq: float


class NoiseLevels(Stage[NoiseSettings]):
    """The rule ``noise_levels``: one file for a training."""

    name = "noise_levels"
    inputs = ("lead_field", "train")
    outputs = ("noise",)
    settings_type = NoiseSettings

    def settings(self, config: Config, name: str = "") -> NoiseSettings:
        """See :class:`~jrflow.stages.stage.Stage`."""
        simulation = config.simulation
        return NoiseSettings(
            noise=config.eeg.noise, processing=config.eeg.processing,
            protocol=simulation.protocol, dt=simulation.dt, sfreq=simulation.sfreq,
        )  # fmt: skip

    def seconds(self, config: Config, name: str = "", workers: Workers = ONE_CORE) -> float:
        """See :class:`~jrflow.stages.stage.Stage`."""
        return START_S + _BYTE_S * campaign_bytes(config, train_of(config, name))

    def bytes(self, config: Config, name: str = "") -> float:
        """See :class:`~jrflow.stages.stage.Stage`."""
        return START_BYTES + _COPIES * campaign_bytes(config, train_of(config, name))

    def run(self, settings: NoiseSettings, inputs: Files, outputs: Files, threads: int = 1) -> None:
        """See :class:`~jrflow.stages.stage.Stage`."""
        import xarray as xr

        from jrflow.archive import open_archive
        from jrflow.model.timing import Timing
        from jrflow.observe.levels import noise_levels
        from jrflow.observe.processing import Processing

        lead_field = xr.load_dataarray(inputs["lead_field"], engine="h5netcdf")
        train = open_archive(inputs["train"].with_suffix(".zarr"))
        timing = Timing.of(settings.protocol, settings.dt, settings.sfreq)
        levels = noise_levels(settings.noise, lead_field, timing, train, Processing.of(settings.processing))
        levels.to_netcdf(outputs["noise"], engine="h5netcdf")
