"""Lead field of the configured patch of cortex for the configured head."""

from __future__ import annotations

from jrflow.config.config import Config
from jrflow.config.eeg import Head, SourceConfig
from jrflow.planning.learning_cost import TORCH_S
from jrflow.planning.requests import ONE_CORE, Workers
from jrflow.stages.stage import Files, Settings, Stage

_BYTES = 400e6


class LeadFieldSettings(Settings):
    """What the lead field depends on besides the head's file."""

    head: Head
    source: SourceConfig


class LeadField(Stage[LeadFieldSettings]):
    """The rule ``lead_field``: one file for a run."""

    name = "lead_field"
    inputs = ()
    outputs = ("lead_field",)
    settings_type = LeadFieldSettings

    def settings(self, config: Config, name: str = "") -> LeadFieldSettings:
        """See :class:`~jrflow.stages.stage.Stage`."""
        return LeadFieldSettings(head=config.eeg.head, source=config.eeg.source)

    def seconds(self, config: Config, name: str = "", workers: Workers = ONE_CORE) -> float:
        """See :class:`~jrflow.stages.stage.Stage`."""
        return TORCH_S  # MNE takes as long to load as PyTorch

    def bytes(self, config: Config, name: str = "") -> float:
        """See :class:`~jrflow.stages.stage.Stage`."""
        return _BYTES

    def run(self, settings: LeadFieldSettings, inputs: Files, outputs: Files, threads: int = 1) -> None:
        """See :class:`~jrflow.stages.stage.Stage`."""
        from jrflow.observe.head import lead_field

        lead_field(settings.head, settings.source).to_netcdf(outputs["lead_field"], engine="h5netcdf")
