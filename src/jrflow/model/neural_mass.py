"""What a neural mass model declares of itself; everything outside ``jrflow.model`` reads it from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from jrflow.model.arguments import chosen
from jrflow.space.parameters import ParameterSpace


@dataclass(frozen=True)
class Preset:
    """Defaults of one published way to write a model, and the solver that goes with them.

    Attributes
    ----------
    defaults
        Value of every parameter of the mass.
    note
        What a reader of results must know about the preset; empty if nothing.
    """

    name: str
    defaults: Mapping[str, float]
    solver: str
    description: str
    note: str = ""


@dataclass(frozen=True)
class Quantity:
    """A state variable or the source: name or expression, unit and meaning."""

    name: str
    unit: str
    long_name: str


@dataclass(frozen=True)
class NeuralMass:
    """A neural mass model as the rest of the package knows it.

    Attributes
    ----------
    name, description, reference, references
        Name of the model; what it describes; publication of the ranges; all publications. For the report and
        the archives' attributes.
    space
        Every parameter, of the mass and of what surrounds it.
    inferred
        Parameters that vary by default, in the order of results.
    states
        State variables.
    source
        What is recorded of a mass, and observed.
    inverse_time_constants
        Parameters, 1/s, that limit the integration step.
    largest_rate
        Parameter, 1/s, above which no mass sends a rate to others.
    presets
        By name; the first one is the default.
    """

    name: str
    description: str
    reference: str
    references: str
    space: ParameterSpace
    inferred: tuple[str, ...]
    states: tuple[Quantity, ...]
    source: Quantity
    inverse_time_constants: tuple[str, ...]
    largest_rate: str
    presets: Mapping[str, Preset]

    @cached_property
    def mass(self) -> ParameterSpace:
        """Parameters of the mass itself."""
        return self.space.acting_on("mass")

    @cached_property
    def network(self) -> ParameterSpace:
        """Parameters of the network that couples masses."""
        return self.space.acting_on("network")

    @cached_property
    def inputs(self) -> ParameterSpace:
        """Parameters of the input; a protocol gives their values where nothing else does."""
        return self.space.acting_on("input")

    @cached_property
    def simulated(self) -> ParameterSpace:
        """Parameters that a simulation depends on: all but those of its observation."""
        return self.space.acting_on("mass", "network", "input")

    @property
    def default_preset(self) -> str:
        """Name of the preset that is used where none is named."""
        return next(iter(self.presets))

    def preset(self, name: str) -> Preset:
        """Look a preset up by name.

        Raises
        ------
        ValueError
            If there is no such preset; the message lists those there are.
        """
        return self.presets[chosen("preset", name, self.presets)]
