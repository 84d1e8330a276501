"""Parameters and the space that they span: names, units, bounds, products and degeneracies."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

#: What a parameter acts on: the neural mass itself, the network that couples masses, the input that they
#: receive, or the observation of their activity.
ActsOn = Literal["mass", "network", "input", "observation"]
#: Dims of a parameter in addition to the simulation: one value a simulation, or one for each region.
Dims = tuple[()] | tuple[Literal["region"]]


@dataclass(frozen=True)
class Bounds:
    """Values that are possible.

    Attributes
    ----------
    low
        Lower end, in the parameter's unit.
    includes_low
        Whether the lower end itself is possible.
    infinite
        What infinity means, where it is possible; None where values must be finite.
    """

    low: float = -math.inf
    includes_low: bool = False
    infinite: str | None = None

    def contains(self, values: np.ndarray | float) -> np.ndarray:
        """Where values are possible; NaN never is."""
        values = np.asarray(values)
        above = values >= self.low if self.includes_low else values > self.low
        return above if self.infinite is not None else above & np.isfinite(values)

    def described(self, unit: str) -> str:
        """The possible values in words, for a message."""
        kind = "values" if self.infinite is not None else "finite values"
        if self.low == -math.inf:
            return kind
        ends = f", {self.low:g} or greater" if self.includes_low else f" above {self.low:g} {unit}"
        return kind + ends + (f" (infinite for {self.infinite})" if self.infinite is not None else "")


#: Bounds of what is a size or a rate.
POSITIVE, NOT_NEGATIVE = Bounds(0.0), Bounds(0.0, includes_low=True)


@dataclass(frozen=True)
class Parameter:
    """One scalar quantity that simulations or observations depend on.

    Attributes
    ----------
    name, unit, long_name
        As in an archive: ``A_e``, ``mV``, ``excitatory synaptic gain``; the unit is ``1`` if there is none.
    default
        Value where nothing else is given, in the unit; presets and protocols may change it.
    acts_on
        What the parameter acts on.
    bounds
        Values that are possible.
    plausible
        Ends of the values that are believable in this unit. A value beyond them is possible, but most likely
        given in another unit (``jrflow.model.plausible``).
    source
        Where the default and the published range come from.
    dims
        ``("region",)`` where every region may have its own value, ``()`` where all share one.
    published
        Ends of the published range; None where the publication keeps the parameter fixed.
    """

    name: str
    unit: str
    long_name: str
    default: float
    acts_on: ActsOn
    bounds: Bounds
    plausible: tuple[float, float]
    source: str
    dims: Dims = ()
    published: tuple[float, float] | None = None

    @property
    def attrs(self) -> dict[str, str]:
        """Attributes of the parameter's coordinate in a Dataset."""
        return {"units": self.unit, "long_name": self.long_name}


@dataclass(frozen=True)
class Product:
    """A product of a common factor and one other parameter: a target that data can determine.

    Attributes
    ----------
    name
        As in tables of scores.
    factor
        The parameter that the common factor multiplies.
    gain
        A parameter that scales the same feedback loop, or None: the sum of its logarithm and the product's is
        what responses depend on nearly linearly.
    unit, long_name
        As of a parameter.
    """

    name: str
    factor: str
    gain: str | None = None
    unit: str = "1"
    long_name: str = ""


@dataclass(frozen=True)
class Degeneracy:
    """A common factor that enters the equations only as its products with several other parameters.

    Data determine the products, and the factors only as far as their prior does.
    """

    common: str
    products: tuple[Product, ...]

    @property
    def factors(self) -> tuple[str, ...]:
        """The common factor, then the others in the order of the products."""
        return (self.common, *(product.factor for product in self.products))


@dataclass(frozen=True)
class ParameterSpace(Mapping[str, Parameter]):
    """All parameters by name, and the one structural degeneracy among them, if there is one.

    Raises
    ------
    ValueError
        If two parameters or products have one name, or a product's factor is no parameter.
    """

    parameters: tuple[Parameter, ...]
    degeneracy: Degeneracy | None = None

    def __post_init__(self) -> None:
        """Refuse tables that contradict themselves."""
        names = [*(p.name for p in self.parameters), *self.products]
        if len(set(names)) != len(names):
            raise ValueError(f"expected distinct names of parameters and products, received {names}")
        if self.degeneracy is not None:
            gains = [p.gain for p in self.degeneracy.products if p.gain is not None]
            unknown = [name for name in (*self.degeneracy.factors, *gains) if name not in self]
            if unknown:
                raise ValueError(f"the degeneracy names {unknown[0]!r}, which is no parameter of {names}")

    @cached_property
    def _by_name(self) -> dict[str, Parameter]:
        return {p.name: p for p in self.parameters}

    def __getitem__(self, name: str) -> Parameter:
        """Look a parameter up by its name."""
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        """Go through the names, in the table's order."""
        return iter(self._by_name)

    def __len__(self) -> int:
        """Count the parameters."""
        return len(self.parameters)

    def __hash__(self) -> int:
        """As of a frozen dataclass; ``Mapping`` has none."""
        return hash((self.parameters, self.degeneracy))

    def __eq__(self, other: Any) -> bool:
        """Compare whole tables."""
        return isinstance(other, ParameterSpace) and (self.parameters, self.degeneracy) == (
            other.parameters,
            other.degeneracy,
        )

    @cached_property
    def products(self) -> dict[str, Product]:
        """Products by name; empty without a degeneracy."""
        return {} if self.degeneracy is None else {p.name: p for p in self.degeneracy.products}

    def acting_on(self, *kinds: ActsOn) -> ParameterSpace:
        """The parameters that act on one of these; with the degeneracy if all its factors are among them."""
        kept = tuple(p for p in self.parameters if p.acts_on in kinds)
        there = {p.name for p in kept}
        whole = self.degeneracy is not None and set(self.degeneracy.factors) <= there
        return ParameterSpace(kept, self.degeneracy if whole else None)

    def unit(self, target: str) -> str:
        """Unit of a parameter or of a product."""
        return self.products[target].unit if target in self.products else self[target].unit

    def factors(self, target: str) -> tuple[str, ...]:
        """The parameters whose product a target is: one for a parameter itself."""
        if self.degeneracy is None or target not in self.products:
            return (target,)
        return self.degeneracy.common, self.products[target].factor
