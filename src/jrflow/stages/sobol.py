"""Sobol indices of the features of the evoked response; here, or as an array of jobs of a cluster."""

from __future__ import annotations

from pathlib import Path

from jrflow.config.config import Config
from jrflow.config.shards import simulation_bytes
from jrflow.planning.learning_cost import START_BYTES, START_S
from jrflow.planning.requests import ONE_CORE, Workers
from jrflow.stages.stage import Files, Settings
from jrflow.stages.submitted import DividedStage

#: Seconds a simulation; simulations in memory at once, and copies of their responses.
_SIMULATION_S, _AT_ONCE, _COPIES = 0.14e-3, 4096, 16.0


class SobolSettings(Settings):
    """What the indices depend on besides lead field and campaign."""

    channel: str
    n_bootstrap: int
    seed: int


class Sobol(DividedStage[SobolSettings]):
    """The rule ``sobol``: one file for a campaign."""

    name = "sobol"
    inputs = ("lead_field", "campaign")
    outputs = ("indices",)
    settings_type = SobolSettings

    def settings(self, config: Config, name: str = "") -> SobolSettings:
        """See :class:`~jrflow.stages.stage.Stage`."""
        sensitivity = config.sensitivity
        return SobolSettings(
            channel=sensitivity.channel, n_bootstrap=sensitivity.n_bootstrap, seed=config.run.seed
        )

    def seconds(self, config: Config, name: str = "", workers: Workers = ONE_CORE) -> float:
        """See :class:`~jrflow.stages.stage.Stage`."""
        return START_S + _SIMULATION_S * config.n_simulations(name)

    def bytes(self, config: Config, name: str = "") -> float:
        """See :class:`~jrflow.stages.stage.Stage`."""
        n = min(config.n_simulations(name), _AT_ONCE)
        return START_BYTES + _COPIES * n * simulation_bytes(config, 1)

    def parts(self, settings: SobolSettings, inputs: Files, n_parts: int) -> tuple[Path, ...]:
        """See :class:`~jrflow.stages.submitted.DividedStage`."""
        from jrflow.sensitivity.parts import parts_of

        return tuple(parts_of(settings, inputs["lead_field"], inputs["campaign"], n_parts))

    def run_part(self, settings: SobolSettings, inputs: Files, part: Path) -> None:
        """See :class:`~jrflow.stages.submitted.DividedStage`."""
        from jrflow.sensitivity.parts import write_part

        write_part(settings, inputs["lead_field"], inputs["campaign"], part)

    def join(self, settings: SobolSettings, inputs: Files, outputs: Files, parts: tuple[Path, ...]) -> None:
        """See :class:`~jrflow.stages.submitted.DividedStage`."""
        from jrflow.sensitivity.parts import join_parts

        join_parts(settings, inputs["lead_field"], inputs["campaign"], parts, outputs["indices"])
