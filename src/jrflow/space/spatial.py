"""How a parameter that differs between regions follows from variables that are drawn independently."""

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
    """Names of a network's regions, and where they are.

    Attributes
    ----------
    centres
        x (right), y (front) and z (up) of each region, mm; None where they are unknown.
    """

    names: tuple[str, ...]
    centres: tuple[tuple[float, ...], ...] | None = None

    def coordinate(self, axis: Axis) -> np.ndarray:
        """Position of each region along an axis, -1 at one end of the network and 1 at the other.

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
        """As JSON."""
        centres = None if self.centres is None else [list(centre) for centre in self.centres]
        return {"names": list(self.names), "centres": centres}

    @classmethod
    def described(cls, description: Mapping[str, Any]) -> Regions:
        """Make regions from what ``describe`` returned."""
        centres = description["centres"]
        return cls(tuple(description["names"]), None if centres is None else tuple(tuple(c) for c in centres))


class Spatial(ABC):
    """A linear map from independent variables to one parameter's value in every region."""

    @abstractmethod
    def variables(self, name: str, distribution: Distribution, regions: Regions) -> dict[str, Distribution]:
        """Variables of a parameter by name, and their distributions."""

    @abstractmethod
    def values(self, variables: np.ndarray, regions: Regions) -> np.ndarray:
        """Values (n, n_regions) of the variables (n, n_variables), in the order of :meth:`variables`."""

    def ends(self, distribution: Distribution) -> tuple[float, float]:
        """Smallest and largest value that any region can have."""
        return distribution.ends

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """As JSON; ``spatial_from`` reads it."""


@dataclass(frozen=True)
class Independent(Spatial):
    """Every region draws its own value from the same distribution."""

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

    The middle has the parameter's own distribution. Positions run from -1 to 1 (:meth:`Regions.coordinate`):
    the slope, in the parameter's unit, is the difference between an end of the network and its middle.
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
    """Make a map from what its ``describe`` returned."""
    if description["kind"] == "independent":
        return Independent()
    return Gradient(description["axis"], distribution_from(description["slope"]))
