"""How the model is integrated and recorded: settings that change results."""

from typing import Any, Literal

from pydantic import Field, model_validator

from jrflow.config.connectome import ConnectomeConfig
from jrflow.config.fault import ContradictionError
from jrflow.config.section import Section
from jrflow.model import MODEL
from jrflow.model.protocol import EvokedProtocol, Protocol, RestProtocol
from jrflow.model.timing import Timing

#: Most integration steps and recorded samples of one simulation: beyond, no machine could hold or finish it.
_MOST_STEPS, _MOST_SAMPLES = 1e12, 1e8


class SimulationConfig(Section):
    """Network, protocol, solver and precision shared by the campaigns of a run."""

    protocol: Protocol = EvokedProtocol()
    """Stimulation of the column or of the coupled regions, and recording (kind: evoked or rest)."""
    connectome: ConnectomeConfig | None = None
    """Connections between regions (kind: synthetic, tvb-zip or file); null: a single column."""
    solver: Literal["preset", "euler", "heun", "rk4", "exp-ab2", "exp-ab3", "exp-ab4", "strang"] = "preset"
    """Integration scheme; 'preset' uses the scheme of each campaign's preset."""
    dt: float = Field(1e-3, gt=0)
    """Integration step, s."""
    sfreq: float = Field(1000.0, gt=0)
    """Sampling frequency of the recorded source, Hz; a whole number of steps per sample."""
    precision: Literal["float32", "float64"] = "float32"
    """Floating-point precision of the integration; the archive stores float32."""
    backend: Literal["cpu", "cuda"] = "cpu"
    """Processor: cpu, or cuda for an NVIDIA GPU. The last digits of results differ between the two."""
    steady_state_tolerance: float | None = Field(1e-5, ge=0, lt=1)
    """A response has settled when its time course over one trial differs from that of the previous trial by
    at most this fraction of its range. The remaining trials are then equal and are not simulated. null:
    simulate every trial."""
    max_source: float = Field(10_000.0, gt=0)
    """Largest plausible |source|, mV; a simulation that exceeds it gets status 3 (out of range)."""

    @model_validator(mode="after")
    def _on_the_grid(self) -> "SimulationConfig":
        try:
            _require_size(self.protocol, self.dt, self.sfreq)
            _ = self.timing
        except ValueError as error:
            raise ContradictionError(str(error), "dt", "sfreq", "protocol") from error
        return self

    @property
    def timing(self) -> Timing:
        """The protocol on this grid of steps and samples."""
        return Timing.of(self.protocol, self.dt, self.sfreq)

    def solver_for(self, preset: str) -> str:
        """Name of the integration scheme for a campaign of this preset."""
        return MODEL.preset(preset).solver if self.solver == "preset" else self.solver

    def column_arguments(self, preset: str) -> dict[str, Any]:
        """What ``jrflow.simulate`` is given for columns of a preset alone, besides their parameters."""
        # All settings, by their names: one that simulate does not know is an error, not an oversight.
        return dict(self) | {"preset": preset, "solver": self.solver_for(preset), "connectome": None}

    @property
    def network_parameters(self) -> dict[str, float]:
        """G and speed where no prior varies them; empty for one column alone."""
        return {} if self.connectome is None else self.connectome.parameters

    @property
    def environment_parameters(self) -> dict[str, float]:
        """Values of the parameters of network and input where no prior varies them."""
        return self.network_parameters | self.protocol.input_parameters


def _require_size(protocol: EvokedProtocol | RestProtocol, dt: float, sfreq: float) -> None:
    """Refuse numbers of steps or samples that are surely a mistake, before arrays of them are made."""
    duration = protocol.duration + (protocol.transient if isinstance(protocol, RestProtocol) else 0.0)
    interval = protocol.isi if isinstance(protocol, EvokedProtocol) else protocol.duration
    if interval * sfreq < 0.5:
        raise ValueError(
            f"{interval:g} s recorded at {sfreq:g} Hz contain no sample; times are in s, sfreq is in Hz"
        )
    if duration > _MOST_STEPS * dt or sfreq * dt * _MOST_STEPS < 1:
        raise ValueError(
            f"a simulation of {duration:g} s in steps of {dt:g} s, recorded at {sfreq:g} Hz, has more than "
            f"{_MOST_STEPS:g} steps; times are in s, sfreq is in Hz"
        )
    if duration * sfreq > _MOST_SAMPLES:
        raise ValueError(
            f"a simulation of {duration:g} s recorded at {sfreq:g} Hz has more than {_MOST_SAMPLES:g} "
            "samples; times are in s, sfreq is in Hz"
        )
