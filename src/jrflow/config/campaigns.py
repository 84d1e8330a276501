"""Campaigns: named sets of simulations."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from jrflow.config.fault import ContradictionError
from jrflow.config.section import Section
from jrflow.model import MODEL

#: Name of a preset of the model.
if TYPE_CHECKING:
    PresetName = str
else:
    PresetName = Literal[tuple(MODEL.presets)]

DesignKind = Literal["prior", "lhs", "sobol-sequence", "saltelli", "one-at-a-time"]

#: Designs whose first rows do not depend on how many there are: a campaign of such a design can be extended.
EXTENDABLE = ("prior", "sobol-sequence", "saltelli")

#: Largest number that can be asked for: ids of simulations are whole numbers that float64 holds exactly.
MOST_SIMULATIONS = 2**53

_POWERS_OF_TWO = ("sobol-sequence", "saltelli")


class CampaignConfig(Section):
    """One campaign: its design, number of simulations, preset and prior."""

    design: DesignKind
    """prior (independent draws), lhs (Latin hypercube), sobol-sequence, saltelli (for Sobol
    indices), one-at-a-time."""
    n: int = Field(ge=1, le=MOST_SIMULATIONS)
    """Number of simulations. For saltelli: number n of base points, of n * (parameters + 2) simulations. For
    one-at-a-time: number of values of each parameter. Must be a power of two for sobol-sequence and
    saltelli."""
    preset: PresetName = MODEL.default_preset
    """Defaults and units of the model."""
    prior: str
    """Name of an entry in 'priors'."""
    seed: int | None = Field(None, ge=0)
    """Seed of this campaign; null: derived from the run's seed and the campaign's name."""

    @model_validator(mode="after")
    def _balanced(self) -> "CampaignConfig":
        if self.design in _POWERS_OF_TWO and self.n.bit_count() != 1:
            below = 1 << (self.n.bit_length() - 1)
            raise ContradictionError(
                f"a {self.design} design is balanced only at powers of two: expected n = {below} or "
                f"{2 * below}, received {self.n}",
                "design",
                "n",
            )
        if self.design == "one-at-a-time" and self.n < 2:
            raise ContradictionError(
                f"a one-at-a-time design needs at least n = 2 steps, received {self.n}", "design", "n"
            )
        return self

    def n_simulations(self, n_varied: int) -> int:
        """Count the simulations when ``n_varied`` parameters vary."""
        if self.design == "saltelli":
            return self.n * (n_varied + 2)
        return self.n * n_varied if self.design == "one-at-a-time" else self.n
