"""The whole configuration and its sections. Contradictions between sections are found when it is read."""

from collections.abc import Sized
from pathlib import Path

from pydantic import Field

from jrflow.config.analysis import LimitsConfig, SensitivityConfig
from jrflow.config.campaigns import CampaignConfig
from jrflow.config.eeg import EEGConfig
from jrflow.config.execution import ExecutionConfig
from jrflow.config.fault import Key
from jrflow.config.inference import InferenceConfig
from jrflow.config.priors import PriorConfig
from jrflow.config.run import RunConfig
from jrflow.config.section import Name, Section
from jrflow.config.simulation import SimulationConfig


class Config(Section):
    """Everything that a user can choose. Only 'execution' may differ between runs with equal results."""

    run: RunConfig = RunConfig()
    """Name, results folder and seed."""
    simulation: SimulationConfig = SimulationConfig()
    """How the model is integrated and recorded."""
    priors: dict[Name, PriorConfig] = Field(min_length=1)
    """Named priors (kind: relative-uniform, published-range or independent)."""
    campaigns: dict[Name, CampaignConfig] = Field(min_length=1)
    """Named sets of simulations."""
    eeg: EEGConfig = EEGConfig()
    """Head model, source, recording and noise."""
    inference: InferenceConfig = InferenceConfig()
    """Networks, training campaigns and recordings."""
    sensitivity: SensitivityConfig = SensitivityConfig()
    """Sensitivity of the evoked response to each parameter."""
    limits: LimitsConfig = LimitsConfig()
    """Theoretical limit of R2 that any method can reach."""
    execution: ExecutionConfig = ExecutionConfig()
    """Workers and shards. These settings change no result."""

    @property
    def folder(self) -> Path:
        """Where the results of this run go."""
        return Path(self.run.results) / self.run.name

    @property
    def analyses(self) -> dict[Key, Sized]:
        """What is made of one column's evoked responses: key of the setting, and its entries."""
        return {
            ("inference", "models"): self.inference.models,
            ("sensitivity", "sobol"): self.sensitivity.sobol,
            ("sensitivity", "one_at_a_time"): self.sensitivity.one_at_a_time,
        }

    def n_simulations(self, name: str) -> int:
        """Count the simulations of a campaign."""
        campaign = self.campaigns[name]
        return campaign.n_simulations(len(self.priors[campaign.prior].parameters))
