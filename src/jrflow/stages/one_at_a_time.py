"""Heat maps and effects of one parameter at a time."""

from __future__ import annotations

from jrflow.config.config import Config
from jrflow.planning.learning_cost import START_BYTES, START_S, campaign_bytes
from jrflow.planning.requests import ONE_CORE, Workers
from jrflow.stages.stage import Files, Settings, Stage

#: Seconds a simulation; how many copies of the campaign are in memory.
_SIMULATION_S, _COPIES = 0.6e-3, 16.0


class OneAtATimeSettings(Settings):
    """What the effects depend on besides lead field and campaign."""

    channel: str


class OneAtATime(Stage[OneAtATimeSettings]):
    """The rule ``one_at_a_time``: one file for a campaign."""

    name = "one_at_a_time"
    inputs = ("lead_field", "campaign")
    outputs = ("effects",)
    settings_type = OneAtATimeSettings

    def settings(self, config: Config, name: str = "") -> OneAtATimeSettings:
        """See :class:`~jrflow.stages.stage.Stage`."""
        return OneAtATimeSettings(channel=config.sensitivity.channel)

    def seconds(self, config: Config, name: str = "", workers: Workers = ONE_CORE) -> float:
        """See :class:`~jrflow.stages.stage.Stage`."""
        return START_S + _SIMULATION_S * config.n_simulations(name)

    def bytes(self, config: Config, name: str = "") -> float:
        """See :class:`~jrflow.stages.stage.Stage`."""
        return START_BYTES + _COPIES * campaign_bytes(config, name)

    def run(self, settings: OneAtATimeSettings, inputs: Files, outputs: Files, threads: int = 1) -> None:
        """See :class:`~jrflow.stages.stage.Stage`."""
        import xarray as xr

        from jrflow.archive import open_archive
        from jrflow.sensitivity.campaign import analyse_one_at_a_time

        lead_field = xr.load_dataarray(inputs["lead_field"], engine="h5netcdf")
        campaign = open_archive(inputs["campaign"].with_suffix(".zarr"))
        result = analyse_one_at_a_time(campaign, lead_field, settings)
        result.to_netcdf(outputs["effects"], engine="h5netcdf")
