"""Sensitivity analysis and the limit of what could be inferred."""

from pydantic import Field

from jrflow.config.section import Section


class SensitivityConfig(Section):
    """Campaigns analysed and the channel at which the evoked is described."""

    sobol: tuple[str, ...] = ()
    """Campaigns with a saltelli design."""
    one_at_a_time: tuple[str, ...] = ()
    """Campaigns with a one-at-a-time design."""
    channel: str = "strongest"
    """Channel of the features and heat maps; 'strongest' takes the one with the largest lead field."""
    n_bootstrap: int = Field(200, ge=10)
    """Number of resamples behind the confidence intervals of the Sobol indices."""


class LimitsConfig(Section):
    """Fisher information by central finite differences."""

    n_draws: int = Field(200, ge=2)
    """Number of draws from the prior over which the posterior variance is averaged."""
    relative_step: float = Field(1e-5, gt=0, lt=0.1)
    """Half step of the central differences, as a fraction of the parameter's value."""
