"""Sensitivity analysis and the limit of what could be inferred."""

from pydantic import Field, field_validator

from jrflow.config.section import Section

#: Cases over which a mean posterior variance means something.
_FEWEST_CASES = 10
#: Fewest base samples, and fewest complete groups of simulations, from which Sobol indices are estimated.
FEWEST_GROUPS = 16


class SensitivityConfig(Section):
    """Campaigns analysed and the channel at which the evoked is described."""

    sobol: tuple[str, ...] = ()
    """Campaigns with a saltelli design."""
    one_at_a_time: tuple[str, ...] = ()
    """Campaigns with a one-at-a-time design."""
    channel: str = "strongest"
    """Channel of the features and heat maps; 'strongest' takes the one with the largest lead field. With
    one region, indices are equal at every channel, up to the sign of the feature."""
    n_bootstrap: int = Field(200, ge=10, le=1_000_000)
    """Number of resamples for campaigns of one scramble (version 0.1); not used for others, whose errors
    come from independent scrambles."""


class LimitsConfig(Section):
    """How the limit of what could be inferred is found."""

    n_draws: int = Field(200, ge=2, le=1_000_000)
    """Number of draws from the prior over which the posterior variance of Laplace's approximation, by Fisher
    information, is averaged."""
    relative_step: float = Field(1e-5, gt=0, lt=0.1)
    """Half step of the central differences, as a fraction of the parameter's value."""
    posterior_cases: int = Field(0, ge=0)
    """Number of test simulations whose exact posterior is sampled at every noise level, some seconds each;
    the limit is then theirs, not Laplace's approximation. 0 for none; with few it is rough."""

    @field_validator("posterior_cases")
    @classmethod
    def _enough(cls, value: int) -> int:
        if 0 < value < _FEWEST_CASES:
            raise ValueError(
                f"expected 0, for none, or {_FEWEST_CASES} or more, of which a mean says something, received "
                f"{value}"
            )
        return value
