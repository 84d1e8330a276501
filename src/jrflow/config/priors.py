"""Prior distributions of the parameters, by name."""

import math
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator, model_validator

from jrflow.config.fault import ContradictionError
from jrflow.config.section import Section
from jrflow.config.suggest import did_you_mean
from jrflow.model import MODEL
from jrflow.space.distributions import Distribution as Resolved, LogNormal, Normal, Uniform


def _known(name: str) -> str:
    if name not in MODEL.simulated:
        raise ValueError(f"unknown parameter {name!r}{did_you_mean(name, MODEL.simulated)}")
    return name


def _column(name: str) -> str:
    if _known(name) not in MODEL.mass:
        whose = MODEL.space[name].acts_on
        raise ValueError(f"parameter {name!r} is the {whose}'s and has no usual range; use kind: independent")
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
_AllNames = WithJsonSchema({"type": "string", "enum": list(MODEL.simulated)})
ParameterName = Annotated[str, AfterValidator(_known), _AllNames]
ColumnName = Annotated[str, AfterValidator(_column), _Names]
PublishedName = Annotated[str, AfterValidator(_published), _Names]


#: Ends of a normal or log-normal distribution for which none are given, in standard deviations from its
#: middle: 0.006 % of the unbounded distribution lie beyond.
_WIDEST = 4.0
#: Fields of each kind of distribution: those that must be given, then those that may be given.
_FIELDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "uniform": (("low", "high"), ()),
    "normal": (("mean", "sd"), ("low", "high")),
    "log-normal": (("median", "log_sd"), ("low", "high")),
    "relative-uniform": (("half_width",), ()),
    "published-range": ((), ()),
}
RegionsOfAll = Literal["shared", "independent"]


class Gradient(Section):
    """A linear change over the coupled regions."""

    axis: Literal["x", "y", "z"]
    """Direction along which the value changes, from the centres of the regions: x (to the right), y (to the
    front) or z (upwards)."""
    low: float
    """Smallest slope, in the parameter's unit. The slope is the difference between the outermost region and
    the middle, and has a uniform distribution."""
    high: float
    """Largest slope, in the parameter's unit."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ContradictionError(f"low ({self.low:g}) must be below high ({self.high:g})", "low", "high")
        return self

    @property
    def slope(self) -> Uniform:
        """Distribution of the slope."""
        return Uniform(self.low, self.high)


class Distribution(Section):
    """Distribution of one parameter."""

    kind: Literal["uniform", "normal", "log-normal", "relative-uniform", "published-range"] | None = None
    """uniform (low, high), normal (mean, sd), log-normal (median, log_sd), relative-uniform (half_width,
    around the preset's default) or published-range (as in a prior of kind published-range). null: normal if
    a mean is given, otherwise uniform."""
    low: float | None = None
    """Lower end, in the parameter's unit. A normal or log-normal distribution is truncated to low..high; an
    end that is not given lies four standard deviations from the mean or median."""
    high: float | None = None
    """Upper end, in the parameter's unit."""
    mean: float | None = None
    """Mean of the normal before truncation, in the parameter's unit; leave out for a uniform
    distribution."""
    sd: float | None = Field(None, gt=0)
    """Standard deviation of the normal before truncation, in the parameter's unit; leave out for a
    uniform distribution."""
    median: float | None = Field(None, gt=0)
    """Median of the log-normal before truncation, in the parameter's unit."""
    log_sd: float | None = Field(None, gt=0)
    """Standard deviation of the natural logarithm of a log-normal before truncation (dimensionless)."""
    half_width: float | None = Field(None, gt=0, lt=1)
    """Half width of a relative-uniform distribution as a fraction of the default."""
    regions: RegionsOfAll = "shared"
    """With a connectome. shared: all regions have the same value; independent: each region has its own."""
    gradient: Gradient | None = None
    """With a connectome: a linear change over the regions that is added to the shared value; null: none."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind is None and (self.mean is None) != (self.sd is None):
            raise ContradictionError(
                "give both mean and sd (truncated normal) or neither (uniform)", "mean", "sd"
            )
        required, optional = _FIELDS[self._kind]
        required = (*required, "low", "high") if self.kind is None else required
        for name in dict.fromkeys(required):
            if getattr(self, name) is None:
                raise ContradictionError(f"a {self._kind} distribution needs {' and '.join(required)}", name)
        for name in ("low", "high", "mean", "sd", "median", "log_sd", "half_width"):
            if getattr(self, name) is not None and name not in (*required, *optional):
                known = ", ".join((*required, *optional)) or "no numbers"
                raise ContradictionError(
                    f"a {self._kind} distribution takes {known}; leave {name} out, or choose another kind",
                    name,
                )
        return self

    @model_validator(mode="after")
    def _one_map(self) -> Self:
        if self.gradient is not None and self.regions == "independent":
            raise ContradictionError(
                "a gradient is added to a value that all regions share; leave one of the two out",
                "regions", "gradient",
            )  # fmt: skip
        return self

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.explicit_ends
        if low is None or high is None:
            return self
        if not low < high:
            raise ContradictionError(f"low ({low:g}) must be below high ({high:g})", "low", "high")
        middle, name = (self.mean, "mean") if self.mean is not None else (self.median, "median")
        if middle is not None and not low <= middle <= high:
            raise ContradictionError(
                f"{name} ({middle:g}) lies outside low..high ({low:g}..{high:g})", name, "low", "high"
            )
        return self

    @property
    def differs(self) -> bool:
        """Whether values differ between regions."""
        return self.regions != "shared" or self.gradient is not None

    @property
    def _kind(self) -> str:
        """Kind, also where it follows from the fields."""
        return self.kind or ("uniform" if self.mean is None else "normal")

    @property
    def explicit_ends(self) -> tuple[float | None, float | None]:
        """Ends as given, or four standard deviations from the middle; None where a default decides."""
        low, high = self.low, self.high
        if self.mean is not None and self.sd is not None:
            low = self.mean - _WIDEST * self.sd if low is None else low
            high = self.mean + _WIDEST * self.sd if high is None else high
        if self.median is not None and self.log_sd is not None:
            low = self.median * math.exp(-_WIDEST * self.log_sd) if low is None else low
            high = self.median * math.exp(_WIDEST * self.log_sd) if high is None else high
        return low, high

    @property
    def centre(self) -> float | None:
        """Middle between the ends; None where a parameter's default or published range decides."""
        low, high = self.explicit_ends
        return None if low is None or high is None else (low + high) / 2

    def ends(self, name: str, default: float) -> tuple[float, float]:
        """Smallest and largest value that any region can have; raises as :meth:`resolve`."""
        low, high = self.resolve(name, default).ends
        steepest = 0.0 if self.gradient is None else max(map(abs, self.gradient.slope.ends))
        return low - steepest, high + steepest

    def resolve(self, name: str, default: float) -> Resolved:
        """The distribution of a parameter of this name and default.

        Raises
        ------
        ValueError
            If the parameter has no published range, or no default that a range could be around.
        """
        low, high = self.explicit_ends
        if self._kind == "published-range":
            return _of_published_range(name)
        if self.half_width is not None:
            low, high = default * (1 - self.half_width), default * (1 + self.half_width)
            if not (low < high and math.isfinite(high)):
                raise ValueError(f"parameter {name!r} has no usual value; give its distribution low and high")
        if low is None or high is None:  # the validators have made sure that both are there
            raise ValueError(f"parameter {name!r}: expected low and high")
        if self.mean is not None and self.sd is not None:
            return Normal(self.mean, self.sd, low, high)
        if self.median is not None and self.log_sd is not None:
            return LogNormal(self.median, self.log_sd, low, high)
        return Uniform(low, high)


def _of_published_range(name: str) -> Normal:
    """Mean mid-range, sd a quarter of the range (Tilwani & O'Reilly), truncated to the range."""
    low, high = MODEL.space[_published(name)].published or (math.nan, math.nan)
    return Normal((low + high) / 2, (high - low) / 4, low, high)


class RelativeUniformPrior(Section):
    """Uniform around the preset's default, within a fraction of the default on either side."""

    kind: Literal["relative-uniform"]
    half_width: float = Field(0.5, gt=0, lt=1)
    """Half width as a fraction of the default; 0.5 means plus and minus 50 %."""
    parameters: tuple[ColumnName, ...] = Field(MODEL.inferred, min_length=1)
    """Parameters that vary; the others stay at the preset's defaults."""
    regions: RegionsOfAll = "shared"
    """With a connectome. shared: all regions have the same value; independent: each region has its own."""

    _once = field_validator("parameters")(_distinct)

    @property
    def distributions(self) -> dict[str, Distribution]:
        """Distribution of each parameter."""
        one = Distribution(kind="relative-uniform", half_width=self.half_width, regions=self.regions)
        return dict.fromkeys(self.parameters, one)


class PublishedRangePrior(Section):
    """The paper's prior: a normal distribution, truncated to the published range.

    Its mean is the middle of the range, its standard deviation a quarter of the range.
    """

    kind: Literal["published-range"]
    parameters: tuple[PublishedName, ...] = Field(MODEL.inferred, min_length=1)
    """Parameters that vary; the others stay at the preset's defaults."""
    regions: RegionsOfAll = "shared"
    """With a connectome. shared: all regions have the same value; independent: each region has its own."""

    _once = field_validator("parameters")(_distinct)

    @property
    def distributions(self) -> dict[str, Distribution]:
        """Distribution of each parameter."""
        return dict.fromkeys(self.parameters, Distribution(kind="published-range", regions=self.regions))


class IndependentPrior(Section):
    """A distribution for each parameter that varies."""

    kind: Literal["independent"]
    parameters: dict[ParameterName, Distribution] = Field(min_length=1)
    """Distribution of each parameter that varies. The input (p, p_sd, stim_rate, stim_latency,
    stim_duration) may vary, too, and with a connectome G and speed. All other parameters keep the values of
    preset, protocol and connectome."""

    @property
    def distributions(self) -> dict[str, Distribution]:
        """Distribution of each parameter."""
        return self.parameters


PriorConfig = Annotated[
    RelativeUniformPrior | PublishedRangePrior | IndependentPrior, Field(discriminator="kind")
]
