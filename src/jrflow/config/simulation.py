"""How the model is integrated and recorded: settings that change results."""

from typing import Any, Literal

from pydantic import Field, model_validator

from jrflow.config.connectome import ConnectomeConfig
from jrflow.config.section import Section
from jrflow.model.parameters import preset as preset_named
from jrflow.model.protocol import EvokedProtocol, Protocol
from jrflow.model.timing import Timing


class SimulationConfig(Section):
    """Network, protocol, solver and precision shared by the campaigns of a run."""

    protocol: Protocol = EvokedProtocol()
    """What is done to the column or network and what is recorded (kind: evoked or rest)."""
    connectome: ConnectomeConfig | None = None
    """Couples the regions of a network (kind: synthetic or tvb-zip); null: one column alone."""
    solver: Literal["preset", "euler", "heun", "rk4", "exp-ab2", "exp-ab3", "exp-ab4", "strang"] = "preset"
    """Integration scheme; 'preset' takes the one that belongs to each campaign's preset."""
    dt: float = Field(1e-3, gt=0)
    """Integration step, s."""
    sfreq: float = Field(1000.0, gt=0)
    """Sampling frequency of the recorded source, Hz; a whole number of steps per sample."""
    precision: Literal["float32", "float64"] = "float32"
    """Floating-point precision of the integration; the archive stores float32."""
    backend: Literal["cpu", "cuda"] = "cpu"
    """Where it is computed: cpu, or cuda for an NVIDIA GPU; last digits differ between the two."""
    steady_state_tolerance: float | None = Field(1e-5, ge=0, lt=1)
    """An evoked response has settled when its trace over one trial differs from the one before by no more
    than this fraction of its range; the trials that would follow are known and not simulated. null: every
    trial is simulated."""
    max_source: float = Field(10_000.0, gt=0)
    """Largest believable |source|, mV; beyond it a simulation gets status 3 (out of range)."""

    @model_validator(mode="after")
    def _on_the_grid(self) -> "SimulationConfig":
        _ = self.timing
        return self

    @property
    def timing(self) -> Timing:
        """The protocol on this grid of steps and samples."""
        return Timing.of(self.protocol, self.dt, self.sfreq)

    def solver_for(self, preset: str) -> str:
        """Name of the integration scheme for a campaign of this preset."""
        return preset_named(preset).solver if self.solver == "preset" else self.solver

    def column_arguments(self, preset: str) -> dict[str, Any]:
        """What ``jrflow.simulate`` is given for columns of a preset alone, besides their parameters."""
        # All settings, by their names: one that simulate does not know is an error, not an oversight.
        return dict(self) | {"preset": preset, "solver": self.solver_for(preset), "connectome": None}

    @property
    def network_parameters(self) -> dict[str, float]:
        """G and speed where no prior varies them; empty for one column alone."""
        return {} if self.connectome is None else self.connectome.parameters
