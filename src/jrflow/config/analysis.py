"""Sensitivity analysis, and the theoretical limit of inference."""

from pydantic import Field, field_validator

from jrflow.config.section import Section

#: Cases over which a mean posterior variance means something.
_FEWEST_CASES = 10
#: Fewest base samples, and fewest complete groups of simulations, from which Sobol indices are estimated.
FEWEST_GROUPS = 16


class SensitivityConfig(Section):
    """Campaigns to analyse, and the channel whose evoked response is described."""

    sobol: tuple[str, ...] = ()
    """Campaigns with a saltelli design."""
    one_at_a_time: tuple[str, ...] = ()
    """Campaigns with a one-at-a-time design."""
    channel: str = "strongest"
    """Channel of the features and heat maps; 'strongest': the channel with the largest lead field. With
    one region, the indices are the same at every channel."""
    n_bootstrap: int = Field(200, ge=10, le=1_000_000)
    """Number of bootstrap resamples for campaigns of version 0.1, which have one scramble. Newer campaigns
    do not use it: their errors come from independent scrambles."""


class LimitsConfig(Section):
    """How the theoretical limit is computed."""

    n_draws: int = Field(200, ge=2, le=1_000_000)
    """Number of draws from the prior. At each draw the posterior variance is computed by Laplace's
    approximation, from the Fisher information; the limit uses the average."""
    relative_step: float = Field(1e-5, gt=0, lt=0.1)
    """Step to each side in the central differences, as a fraction of the parameter's value."""
    posterior_cases: int = Field(0, ge=0)
    """Number of test simulations whose reference posterior is sampled at every noise level (a few seconds
    for each). The limit is then computed from these posteriors, not from Laplace's approximation; a small
    number gives an imprecise limit. 0: none."""

    @field_validator("posterior_cases")
    @classmethod
    def _enough(cls, value: int) -> int:
        if 0 < value < _FEWEST_CASES:
            raise ValueError(
                f"expected 0, for none, or {_FEWEST_CASES} or more, of which a mean says something, received "
                f"{value}"
            )
        return value
