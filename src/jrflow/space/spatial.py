"""Maps from independent variables to a parameter that differs between regions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from jrflow.space.distributions import Distribution, distribution_from

#: Axes of the regions' centres: right, front, up.
AXES = ("x", "y", "z")
Axis = Literal["x", "y", "z"]


@dataclass(frozen=True)
class Regions:
    """Names and positions of a network's regions.

    Attributes
    ----------
    names
        Names of the regions.
    centres
        Coordinates x (right), y (front) and z (up) of each region, mm; None if unknown.
    """

    names: tuple[str, ...]
    centres: tuple[tuple[float, ...], ...] | None = None

    def coordinate(self, axis: Axis) -> np.ndarray:
        """Position of each region along an axis, from -1 at one end of the network to 1 at the other end.

        Raises
        ------
        ValueError
            If the centres are unknown, or do not differ along this axis.
        """
        if self.centres is None:
            raise ValueError("the connectome has no centres, but a gradient over the regions needs them")
        along = np.array(self.centres)[:, AXES.index(axis)]
        low, high = along.min(), along.max()
        if not high > low:
            raise ValueError(
                f"the centres of the regions do not differ along {axis}: no gradient is possible"
            )
        position: np.ndarray = (2 * along - low - high) / (high - low)
        return position

    def describe(self) -> dict[str, Any]:
        """Names and positions as JSON."""
        centres = None if self.centres is None else [list(centre) for centre in self.centres]
        return {"names": list(self.names), "centres": centres}

    @classmethod
    def described(cls, description: Mapping[str, Any]) -> Regions:
        """Make regions from the result of ``describe``."""
        centres = description["centres"]
        return cls(tuple(description["names"]), None if centres is None else tuple(tuple(c) for c in centres))


class Spatial(ABC):
    """A linear map from independent variables to one parameter's value in every region."""

    @abstractmethod
    def variables(self, name: str, distribution: Distribution, regions: Regions) -> dict[str, Distribution]:
        """Distributions of the variables of a parameter, by name."""

    @abstractmethod
    def values(self, variables: np.ndarray, regions: Regions) -> np.ndarray:
        """Values (n, n_regions) from variables (n, n_variables) in the order of :meth:`variables`."""

    def ends(self, distribution: Distribution) -> tuple[float, float]:
        """Smallest and largest possible value of any region."""
        return distribution.ends

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """The map as JSON; ``spatial_from`` reads it."""


@dataclass(frozen=True)
class Independent(Spatial):
    """Every region has its own value, drawn from the same distribution."""

    def variables(self, name: str, distribution: Distribution, regions: Regions) -> dict[str, Distribution]:
        """See :class:`Spatial`."""
        return {f"{name}[{region}]": distribution for region in regions.names}

    def values(self, variables: np.ndarray, regions: Regions) -> np.ndarray:
        """See :class:`Spatial`."""
        return variables

    def describe(self) -> dict[str, Any]:
        """See :class:`Spatial`."""
        return {"kind": "independent"}


@dataclass(frozen=True)
class Gradient(Spatial):
    """The value changes linearly along an axis: value(region) = middle + slope * position(region).

    The middle has the parameter's distribution. Positions are between -1 and 1 (:meth:`Regions.coordinate`).
    The slope, in the parameter's unit, is the difference between an end of the network and its middle.
    """

    axis: Axis
    slope: Distribution

    def variables(self, name: str, distribution: Distribution, regions: Regions) -> dict[str, Distribution]:
        """See :class:`Spatial`."""
        return {f"{name} middle": distribution, f"{name} slope {self.axis}": self.slope}

    def values(self, variables: np.ndarray, regions: Regions) -> np.ndarray:
        """See :class:`Spatial`."""
        return variables[:, :1] + variables[:, 1:] * regions.coordinate(self.axis)

    def ends(self, distribution: Distribution) -> tuple[float, float]:
        """See :class:`Spatial`."""
        steepest = max(abs(self.slope.low), abs(self.slope.high))
        return distribution.low - steepest, distribution.high + steepest

    def describe(self) -> dict[str, Any]:
        """See :class:`Spatial`."""
        return {"kind": "gradient", "axis": self.axis, "slope": self.slope.describe()}


def spatial_from(description: Mapping[str, Any]) -> Spatial:
    """Make a map from the result of its ``describe``."""
    if description["kind"] == "independent":
        return Independent()
    return Gradient(description["axis"], distribution_from(description["slope"]))
