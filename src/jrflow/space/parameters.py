"""Parameters and the parameter space: names, units, bounds, products and degeneracies."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

#: Part of the simulation on which a parameter acts: the neural masses, the network that couples them, their
#: input, or the observation of their activity.
ActsOn = Literal["mass", "network", "input", "observation"]
#: Dims of a parameter in addition to the simulation: one value per simulation, or one value per region.
Dims = tuple[()] | tuple[Literal["region"]]


@dataclass(frozen=True)
class Bounds:
    """Possible values of a parameter.

    Attributes
    ----------
    low
        Lower end, in the parameter's unit.
    includes_low
        Whether the lower end itself is possible.
    infinite
        Meaning of an infinite value, if it is possible; None if values must be finite.
    """

    low: float = -math.inf
    includes_low: bool = False
    infinite: str | None = None

    def contains(self, values: np.ndarray | float) -> np.ndarray:
        """Whether values are possible; NaN is never possible."""
        values = np.asarray(values)
        above = values >= self.low if self.includes_low else values > self.low
        return above if self.infinite is not None else above & np.isfinite(values)

    def described(self, unit: str) -> str:
        """Possible values in words, for a message."""
        kind = "values" if self.infinite is not None else "finite values"
        if self.low == -math.inf:
            return kind
        ends = f", {self.low:g} or greater" if self.includes_low else f" above {self.low:g} {unit}"
        return kind + ends + (f" (infinite for {self.infinite})" if self.infinite is not None else "")


#: Bounds of sizes and rates.
POSITIVE, NOT_NEGATIVE = Bounds(0.0), Bounds(0.0, includes_low=True)


@dataclass(frozen=True)
class Parameter:
    """One scalar quantity that simulations or observations depend on.

    Attributes
    ----------
    name, unit, long_name
        Name, unit and description in an archive, such as ``A_e``, ``mV``, ``excitatory synaptic gain``. The
        unit of dimensionless parameters is ``1``.
    default
        Default value in this unit; presets and protocols may change it.
    acts_on
        Part of the simulation on which the parameter acts.
    bounds
        Possible values.
    plausible
        Ends of the plausible values in this unit. A value outside is possible, but probably has another unit
        (``jrflow.model.plausible``).
    source
        Source of the default and the published range.
    dims
        ``("region",)`` if every region may have its own value, ``()`` if all regions share one value.
    published
        Ends of the published range; None if the parameter is fixed in the publication.
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
        Name in tables of scores.
    factor
        Parameter that the common factor multiplies.
    gain
        Parameter that scales the same feedback loop, or None. Responses depend nearly linearly on the sum of
        the logarithms of gain and product.
    unit, long_name
        Unit and description.
    """

    name: str
    factor: str
    gain: str | None = None
    unit: str = "1"
    long_name: str = ""


@dataclass(frozen=True)
class Degeneracy:
    """A common factor that enters the equations only as its products with several other parameters.

    Data determine the products. Given the products, only the prior determines the factors.
    """

    common: str
    products: tuple[Product, ...]

    @property
    def factors(self) -> tuple[str, ...]:
        """Names of the common factor and of the other factors, in the order of the products."""
        return (self.common, *(product.factor for product in self.products))


@dataclass(frozen=True)
class ParameterSpace(Mapping[str, Parameter]):
    """All parameters by name, and the structural degeneracy of some of them, if there is one.

    Raises
    ------
    ValueError
        If parameters or products have the same name, or a factor of a product is not a parameter.
    """

    parameters: tuple[Parameter, ...]
    degeneracy: Degeneracy | None = None

    def __post_init__(self) -> None:
        """Refuse tables with contradictions."""
        names = [*(p.name for p in self.parameters), *self.products]
        if len(set(names)) != len(names):
            raise ValueError(f"expected distinct names of parameters and products, received {names}")
        if self.degeneracy is not None:
            gains = [p.gain for p in self.degeneracy.products if p.gain is not None]
            unknown = [name for name in (*self.degeneracy.factors, *gains) if name not in self]
            if unknown:
                raise ValueError(f"the degeneracy names {unknown[0]!r}, which is not a parameter of {names}")

    @cached_property
    def _by_name(self) -> dict[str, Parameter]:
        return {p.name: p for p in self.parameters}

    def __getitem__(self, name: str) -> Parameter:
        """Look a parameter up by its name."""
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, in the order of the table."""
        return iter(self._by_name)

    def __len__(self) -> int:
        """Return the number of parameters."""
        return len(self.parameters)

    def __hash__(self) -> int:
        """Hash as of a frozen dataclass, because ``Mapping`` has no hash."""
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
        """Parameters that act on one of these; with the degeneracy if all of its factors are included."""
        kept = tuple(p for p in self.parameters if p.acts_on in kinds)
        there = {p.name for p in kept}
        whole = self.degeneracy is not None and set(self.degeneracy.factors) <= there
        return ParameterSpace(kept, self.degeneracy if whole else None)

    def unit(self, target: str) -> str:
        """Unit of a parameter or of a product."""
        return self.products[target].unit if target in self.products else self[target].unit

    def factors(self, target: str) -> tuple[str, ...]:
        """Names of the factors of a target: for a parameter, only its own name."""
        if self.degeneracy is None or target not in self.products:
            return (target,)
        return self.degeneracy.common, self.products[target].factor
