"""Stimulus train, background input and epochs: what the column receives and what is recorded from it."""

from __future__ import annotations

from dataclasses import fields
from functools import wraps
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.dataclasses import dataclass

from jrflow.model.arguments import described, faults_of
from jrflow.model.plausible import of_quantities, warn

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
_Class = TypeVar("_Class", bound=type)


def _no_lookalike(value: Any) -> Any:
    """Refuse truth values and text, which pydantic would convert to numbers."""
    for one in value if isinstance(value, list | tuple) else ():
        _no_lookalike(one)
    if isinstance(value, bool | np.bool_ | str | bytes):
        raise ValueError(f"expected a number, received {described(value)}")
    return value


Seconds = Annotated[float, Field(ge=0)]
Rate = Annotated[float, Field(ge=0)]


def plain_errors(cls: _Class) -> _Class:
    """Let a pydantic dataclass report its errors as a plain ``ValueError``, and warn of implausible values.

    Only where it is constructed directly: in a configuration, errors carry the configuration's keys.
    """
    construct = cls.__init__  # type: ignore[misc]

    @wraps(construct)
    def construct_plainly(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            construct(self, *args, **kwargs)
        except ValidationError as error:
            raise ValueError(faults_of(error, cls.__name__)) from None
        warn(of_quantities({f.name: getattr(self, f.name) for f in fields(self)}))

    cls.__init__ = construct_plainly  # type: ignore[misc]
    return cls


@plain_errors
@dataclass(frozen=True, config=_STRICT)
class EvokedProtocol:
    """A train of identical pulses; the source is averaged over stimulus-locked epochs.

    The first onset is at ``transient - tmin``, the last sample one step before
    ``transient - tmin + n_trials * isi``. An epoch holds both its ends, and only complete epochs are
    averaged: at the defaults and 1 kHz the sixtieth is one sample short, so 59 are, as in MNE.

    Source: Tilwani & O'Reilly, arXiv 2406.05002 (1 Hz, 60 trials, 50 ms pulses).
    """

    n_trials: Annotated[int, Field(ge=2, description="number of pulses")] = 60
    isi: Annotated[float, Field(gt=0, description="onset-to-onset interval, s")] = 1.0
    stim_duration: Annotated[Seconds, Field(description="length of a pulse, s")] = 0.05
    stim_rate: Annotated[Rate, Field(description="firing rate of the input during a pulse, 1/s")] = 60.0
    gains: Annotated[
        tuple[float, float, float],
        Field(description="stimulus gains of the pyramidal, excitatory and inhibitory population"),
    ] = (0.56, 1.0, 1.0)
    tmin: Annotated[float, Field(le=0, description="start of an epoch relative to the onset, s")] = -0.2
    tmax: Annotated[float, Field(gt=0, description="end of an epoch relative to the onset, s")] = 1.0
    transient: Annotated[Seconds, Field(description="time before the first epoch, s")] = 0.8
    background: Annotated[Rate, Field(description="mean background input p, 1/s")] = 0.0
    noise_sd: Annotated[
        Rate, Field(description="standard deviation of p when held constant for 1 ms, 1/s")
    ] = 0.0
    noise_distribution: Annotated[
        Literal["normal", "uniform"], Field(description="distribution of p around its mean")
    ] = "normal"
    stim_regions: Annotated[
        tuple[str, ...] | None,
        Field(description="with a connectome: names of the regions that receive the stimulus; null: all"),
    ] = None
    kind: Literal["evoked"] = "evoked"

    _numbers = field_validator(
        "n_trials", "isi", "stim_duration", "stim_rate", "gains", "tmin", "tmax", "transient", "background",
        "noise_sd", mode="before",
    )(_no_lookalike)  # fmt: skip

    @field_validator("stim_regions")
    @classmethod
    def _some(cls, regions: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if regions is not None and not regions:
            raise ValueError(
                "expected at least one region, or null for all, received none: nothing would be stimulated "
                "(in Python, None for all)"
            )
        return regions

    @model_validator(mode="after")
    def _consistent(self) -> EvokedProtocol:
        if self.stim_duration > self.isi:
            raise ValueError(
                f"stim_duration ({self.stim_duration} s) exceeds isi ({self.isi} s): pulses would overlap; "
                "shorten the pulse or lengthen the interval"
            )
        return self

    @property
    def input_parameters(self) -> dict[str, float]:
        """Values of the input's parameters, in their units."""
        return {
            "p": self.background, "p_sd": self.noise_sd, "stim_rate": self.stim_rate,
            "stim_latency": 0.0, "stim_duration": self.stim_duration,
        }  # fmt: skip

    def require_apart(self, end: float) -> None:
        """Raise a ValueError if a pulse that ends this long after its onset, s, reaches the next onset."""
        if end > self.isi:
            raise ValueError(
                f"stim_latency + stim_duration: expected at most isi ({self.isi:g} s), received {end:g} s: "
                "pulses would overlap; make them shorter or earlier, or lengthen the interval"
            )

    @property
    def duration(self) -> float:
        """Simulated time, s."""
        return self.transient - self.tmin + self.n_trials * self.isi


@plain_errors
@dataclass(frozen=True, config=_STRICT)
class RestProtocol:
    """No stimulus; the source is recorded at the sampling frequency after a transient.

    ``noise_sd`` is the standard deviation of the input rate when it is held for 1 ms, as in
    Jansen & Rit 1995; at another step it is scaled by sqrt(1 ms / dt), so that the noise keeps its
    power spectral density and results do not depend on the step.
    """

    duration: Annotated[float, Field(gt=0, description="recorded time after the transient, s")] = 10.0
    transient: Annotated[Seconds, Field(description="time before the recording starts, s")] = 2.0
    background: Annotated[Rate, Field(description="mean background input p, 1/s")] = 120.0
    noise_sd: Annotated[
        Rate, Field(description="standard deviation of p when held constant for 1 ms, 1/s")
    ] = 0.0
    noise_distribution: Annotated[
        Literal["normal", "uniform"], Field(description="distribution of p around its mean")
    ] = "normal"
    kind: Literal["rest"] = "rest"

    _numbers = field_validator("duration", "transient", "background", "noise_sd", mode="before")(
        _no_lookalike
    )

    @property
    def input_parameters(self) -> dict[str, float]:
        """Values of the input's parameters, in their units."""
        return {"p": self.background, "p_sd": self.noise_sd}


Protocol = Annotated[EvokedProtocol | RestProtocol, Field(discriminator="kind")]
