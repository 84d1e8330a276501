"""How the model is integrated and recorded: settings that change results."""

from typing import Literal

from pydantic import Field, model_validator

from jrflow.config.section import Section
from jrflow.model.protocol import EvokedProtocol, Protocol
from jrflow.model.timing import Timing


class SimulationConfig(Section):
    """Protocol, solver and precision shared by the campaigns of a run."""

    protocol: Protocol = EvokedProtocol()
    """What is done to the column and what is recorded (kind: evoked or rest)."""
    solver: Literal["preset", "euler", "exp-ab4"] = "preset"
    """Integration scheme; 'preset' takes the one that belongs to each campaign's preset."""
    dt: float = Field(1e-3, gt=0)
    """Integration step, s."""
    sfreq: float = Field(1000.0, gt=0)
    """Sampling frequency of the recorded source, Hz; a whole number of steps per sample."""
    precision: Literal["float32", "float64"] = "float32"
    """Floating-point precision of the integration; the archive stores float32."""
    max_source: float = Field(10_000.0, gt=0)
    """Largest believable |source|, mV; beyond it a simulation gets status 3 (out of range)."""

    @model_validator(mode="after")
    def _on_the_grid(self) -> "SimulationConfig":
        self.timing.stimulus(self.protocol)
        return self

    @property
    def timing(self) -> Timing:
        """The protocol on this grid of steps and samples."""
        return Timing.of(self.protocol, self.dt, self.sfreq)
