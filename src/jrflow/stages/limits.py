"""What any method could recover at a model's noise levels."""

from __future__ import annotations

from jrflow.config.config import Config
from jrflow.config.priors import PriorConfig
from jrflow.config.shards import simulation_bytes
from jrflow.config.simulation import SimulationConfig
from jrflow.planning.cost import n_varied, precise_simulation_seconds
from jrflow.planning.learning_cost import START_BYTES, START_S, train_of
from jrflow.planning.requests import ONE_CORE, Workers
from jrflow.stages.stage import Files, Settings, Stage

#: Seconds of a draw besides its simulations; copies of their sources in float64.
_DRAW_S, _COPIES = 1e-3, 3.0


class LimitsSettings(Settings):
    """What the limits depend on besides noise levels and reference posteriors."""

    n_draws: int
    relative_step: float
    simulation: SimulationConfig
    prior: PriorConfig
    preset: str
    seed: int


class Limits(Stage[LimitsSettings]):
    """The rule ``limits``: largest attainable R2 of every target, one file for a training."""

    name = "limits"
    inputs = ("noise", "reference")
    outputs = ("limits",)
    settings_type = LimitsSettings

    def settings(self, config: Config, name: str = "") -> LimitsSettings:
        """See :class:`~jrflow.stages.stage.Stage`."""
        campaign = config.campaigns[config.inference.trainings[name].test]
        return LimitsSettings(
            n_draws=config.limits.n_draws, relative_step=config.limits.relative_step,
            simulation=config.simulation, prior=config.priors[campaign.prior], preset=campaign.preset,
            seed=config.run.seed,
        )  # fmt: skip

    def seconds(self, config: Config, name: str = "", workers: Workers = ONE_CORE) -> float:
        """See :class:`~jrflow.stages.stage.Stage`."""
        campaign = train_of(config, name)
        differences = 2 * n_varied(config, campaign) * precise_simulation_seconds(config, campaign)
        return START_S + _n_draws(config) * (_DRAW_S + differences)

    def bytes(self, config: Config, name: str = "") -> float:
        """See :class:`~jrflow.stages.stage.Stage`."""
        n = 2 * n_varied(config, train_of(config, name)) * _n_draws(config)
        return START_BYTES + _COPIES * 2 * n * simulation_bytes(config, 1)

    def run(self, settings: LimitsSettings, inputs: Files, outputs: Files, threads: int = 1) -> None:
        """See :class:`~jrflow.stages.stage.Stage`."""
        import xarray as xr

        from jrflow.design import Prior
        from jrflow.limits.fisher import recovery_limits
        from jrflow.observe.levels import read_levels

        prior = Prior.of(settings.prior, settings.preset)
        lead_field, levels, _ = read_levels(inputs["noise"])
        reference = xr.load_dataset(inputs["reference"], engine="h5netcdf") if "reference" in inputs else None
        limits = recovery_limits(
            prior, lead_field, levels, settings.simulation, settings, settings.seed, reference
        )
        limits.to_netcdf(outputs["limits"], engine="h5netcdf")


def _n_draws(config: Config) -> int:
    """Draws from the prior, and cases with a reference posterior."""
    return config.limits.n_draws + config.limits.posterior_cases
