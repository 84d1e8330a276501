"""Prior distributions of the parameters, by name."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator, model_validator

from jrflow.config.fault import ContradictionError
from jrflow.config.section import Section
from jrflow.config.suggest import did_you_mean
from jrflow.model import MODEL
from jrflow.space.distributions import Distribution as ResolvedDistribution, Normal, Uniform


def _known(name: str) -> str:
    if name not in MODEL.space:
        raise ValueError(f"unknown parameter {name!r}{did_you_mean(name, MODEL.space)}")
    return name


def _column(name: str) -> str:
    if _known(name) in MODEL.network:
        raise ValueError(f"parameter {name!r} is the network's and has no usual range; use kind: independent")
    return name


def _published(name: str) -> str:
    if MODEL.space[_column(name)].published is None:
        raise ValueError(f"parameter {name!r} has no published range; use kind: independent for it")
    return name


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise ValueError(f"expected each parameter once, received {', '.join(names)}")
    return names


_Names = WithJsonSchema({"type": "string", "enum": list(MODEL.mass)})
_AllNames = WithJsonSchema({"type": "string", "enum": list(MODEL.space)})
ParameterName = Annotated[str, AfterValidator(_known), _AllNames]
ColumnName = Annotated[str, AfterValidator(_column), _Names]
PublishedName = Annotated[str, AfterValidator(_published), _Names]


class RelativeUniformPrior(Section):
    """Uniform within a fraction of the preset's default on either side."""

    kind: Literal["relative-uniform"]
    half_width: float = Field(0.5, gt=0, lt=1)
    """Half width as a fraction of the default; 0.5 means plus and minus 50 %."""
    parameters: tuple[ColumnName, ...] = Field(MODEL.inferred, min_length=1)
    """Parameters that vary; the others stay at the preset's defaults."""

    _once = field_validator("parameters")(_distinct)


class PublishedRangePrior(Section):
    """The paper's: normal, mean mid-range, sd a quarter of the range, truncated to the range."""

    kind: Literal["published-range"]
    parameters: tuple[PublishedName, ...] = Field(MODEL.inferred, min_length=1)
    """Parameters that vary; the others stay at the preset's defaults."""

    _once = field_validator("parameters")(_distinct)


class Distribution(Section):
    """One parameter's distribution: uniform on [low, high], or normal truncated to it."""

    low: float
    """Lower end, in the parameter's unit."""
    high: float
    """Upper end, in the parameter's unit."""
    mean: float | None = None
    """Mean of the normal before truncation, in the parameter's unit; leave out for a uniform
    distribution."""
    sd: float | None = Field(None, gt=0)
    """Standard deviation of the normal before truncation, in the parameter's unit; leave out for a
    uniform distribution."""

    @model_validator(mode="after")
    def _possible(self) -> "Distribution":
        if not self.low < self.high:
            raise ContradictionError(f"low ({self.low:g}) must be below high ({self.high:g})", "low", "high")
        if (self.mean is None) != (self.sd is None):
            raise ContradictionError(
                "give both mean and sd (truncated normal) or neither (uniform)", "mean", "sd"
            )
        if self.mean is not None and not self.low <= self.mean <= self.high:
            raise ContradictionError(
                f"mean ({self.mean:g}) lies outside low..high ({self.low:g}..{self.high:g})",
                "mean",
                "low",
                "high",
            )
        return self

    @property
    def resolved(self) -> ResolvedDistribution:
        """The distribution."""
        if self.mean is None or self.sd is None:
            return Uniform(self.low, self.high)
        return Normal(self.mean, self.sd, self.low, self.high)


class IndependentPrior(Section):
    """A distribution for each parameter that varies."""

    kind: Literal["independent"]
    parameters: dict[ParameterName, Distribution] = Field(min_length=1)
    """Parameter name to distribution; with a connectome also G and speed. The others stay at the preset's
    and the connectome's values."""


PriorConfig = Annotated[
    RelativeUniformPrior | PublishedRangePrior | IndependentPrior, Field(discriminator="kind")
]
