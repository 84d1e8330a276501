"""Independent distributions of the parameters that vary, and the targets that are derived from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from jrflow.space.distributions import Distribution
from jrflow.space.parameters import ParameterSpace
from jrflow.space.spatial import Regions, Spatial

#: Smallest distance of the start of a search from an end of a parameter's range, as a fraction of the range.
_MARGIN = 1e-3


@dataclass(frozen=True)
class JointDistribution:
    """Independent distributions of some parameters of a space; the other parameters have fixed values.

    The targets are the parameters that vary, then the products whose factors both vary.

    Attributes
    ----------
    varied
        Distribution of each parameter that varies.
    space
        Table of all parameters.
    preset
        Name of the model's preset, which gives the fixed values.
    defaults
        Default value of each parameter in its unit; the fixed value of parameters that do not vary.
    spatial
        For parameters that differ between regions: map from independent variables to values.
    regions
        Regions of the network; None if no parameter differs between regions.
    """

    varied: Mapping[str, Distribution]
    space: ParameterSpace
    preset: str
    defaults: Mapping[str, float]
    spatial: Mapping[str, Spatial] = field(default_factory=dict)
    regions: Regions | None = None

    @cached_property
    def distributions(self) -> dict[str, Distribution]:
        """Distribution of each independent variable, in the order of the columns of all arrays.

        A parameter with one value per simulation is itself a variable.
        """
        found: dict[str, Distribution] = {}
        for name, distribution in self.varied.items():
            found |= self._variables(name, distribution)
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the independent variables: the parameters that vary, if none differs between regions."""
        return tuple(self.distributions)

    @property
    def product_names(self) -> tuple[str, ...]:
        """Names of the products whose factors both vary."""
        products = self.space.products
        return tuple(name for name in products if set(self.space.factors(name)) <= set(self.distributions))

    @property
    def target_names(self) -> tuple[str, ...]:
        """Names of the targets: parameters that vary, then products."""
        return (*self.names, *self.product_names)

    @property
    def low(self) -> np.ndarray:
        """Lower ends, shape (n_parameters,)."""
        return np.array([d.low for d in self.distributions.values()])

    @property
    def high(self) -> np.ndarray:
        """Upper ends, shape (n_parameters,)."""
        return np.array([d.high for d in self.distributions.values()])

    @cached_property
    def mean(self) -> np.ndarray:
        """Means after truncation, shape (n_parameters,)."""
        return np.array([d.moments[0] for d in self.distributions.values()])

    @cached_property
    def sd(self) -> np.ndarray:
        """Standard deviations after truncation, shape (n_parameters,)."""
        return np.array([d.moments[1] for d in self.distributions.values()])

    @cached_property
    def product_mean(self) -> dict[str, float]:
        """Mean of each product: the product of the means, because the factors are independent."""
        means = {}
        for name in self.product_names:
            (m, _), (m_k, _) = self._moments_of_factors(name)
            means[name] = m * m_k
        return means

    @cached_property
    def product_sd(self) -> dict[str, float]:
        """Standard deviation of each product, exact for independent factors.

        var(XY) = var X var Y + var X (E Y)^2 + var Y (E X)^2 (Goodman 1960, JASA 55:708).
        """
        sd = {}
        for name in self.product_names:
            (m, s), (m_k, s_k) = self._moments_of_factors(name)
            sd[name] = float(np.sqrt((s * s_k) ** 2 + (s * m_k) ** 2 + (s_k * m) ** 2))
        return sd

    @property
    def target_sd(self) -> np.ndarray:
        """Standard deviations of the targets, shape (n_targets,)."""
        return np.array([*self.sd, *self.product_sd.values()])

    @property
    def target_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends of the targets' ranges, each (n_targets,)."""
        low, high = self.targets(np.stack([self.low, self.high]))
        return low, high

    def ppf(self, unit: np.ndarray) -> np.ndarray:
        """Map points of the unit cube to parameters by the inverse distribution functions.

        Parameters
        ----------
        unit
            Probabilities in [0, 1], shape (n, n_parameters).

        Returns
        -------
        Values in the parameters' units, shape (n, n_parameters), within low..high.

        Raises
        ------
        ValueError
            If the number of columns is not the number of parameters that vary.
        """
        unit = np.asarray(unit, dtype=float)
        if unit.ndim != 2 or unit.shape[1] != len(self.names):
            raise ValueError(f"expected shape (n, {len(self.names)}) for {self.names}, got {unit.shape}")
        return np.column_stack([d.ppf(unit[:, j]) for j, d in enumerate(self.distributions.values())])

    def cdf(self, values: np.ndarray) -> np.ndarray:
        """Distribution functions at values of the parameters, both of shape (n, n_parameters)."""
        return np.column_stack([d.cdf(values[:, j]) for j, d in enumerate(self.distributions.values())])

    def within(self, parameters: np.ndarray) -> np.ndarray:
        """Nearest parameters (..., n_parameters) that are not at an end, where a search would get stuck."""
        margin = _MARGIN * (self.high - self.low)
        inside: np.ndarray = np.clip(parameters, self.low + margin, self.high - margin)
        return inside

    def targets(self, parameters: np.ndarray) -> np.ndarray:
        """Targets, shape (n, n_targets), of parameters (n, n_parameters)."""
        products = [np.prod(parameters[:, self.factor_columns(name)], axis=1) for name in self.product_names]
        return np.column_stack([parameters, *products])

    def factor_columns(self, target: str) -> list[int]:
        """Columns of the factors of a target."""
        return [self.names.index(factor) for factor in self.space.factors(target)]

    def target_gradients(self, parameters: np.ndarray) -> np.ndarray:
        """Derivative of each target per prior standard deviation of each parameter.

        Parameters
        ----------
        parameters
            Values of the parameters, shape (n, n_parameters).

        Returns
        -------
        Derivatives, shape (n, n_targets, n_parameters).
        """
        d = len(self.names)
        gradients = np.zeros((len(parameters), len(self.target_names), d))
        gradients[:, np.arange(d), np.arange(d)] = self.sd
        for row, product in enumerate(self.product_names, start=d):
            i, j = self.factor_columns(product)
            gradients[:, row, i] = parameters[:, j] * self.sd[i]
            gradients[:, row, j] = parameters[:, i] * self.sd[j]
        return gradients

    def values(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """Values of the parameters that vary, (n,) or (n, n_regions), from variables (n, n_variables)."""
        found, first = {}, 0
        for name, distribution in self.varied.items():
            n = len(self._variables(name, distribution))
            columns = points[:, first : first + n]
            if name in self.spatial:
                found[name] = self.spatial[name].values(columns, self._regions)
            else:
                found[name] = columns[:, 0]
            first += n
        return found

    def ends(self, name: str) -> tuple[float, float]:
        """Smallest and largest possible value of a parameter that varies."""
        distribution = self.varied[name]
        if name in self.spatial:
            return self.spatial[name].ends(distribution)
        return distribution.ends

    def sample(self, n: int, seed: int) -> np.ndarray:
        """Draw ``n`` points, shape (n, n_parameters); the first m points do not depend on ``n``."""
        return self.ppf(np.random.default_rng(seed).random((n, len(self.names))))

    def describe(self) -> dict[str, Any]:
        """All settings that determine the values, as JSON: distributions, and defaults of the others."""
        varied = {name: d.describe() for name, d in self.varied.items()}
        for name, spatial in self.spatial.items():
            varied[name]["regions"] = spatial.describe()
        # JSON has no infinity: an infinite speed is null.
        fixed = {
            name: value if np.isfinite(value) else None
            for name, value in self.defaults.items()
            if name not in varied
        }
        # The order assigns columns of random numbers to parameters.
        described = {"order": list(self.varied), "varied": varied, "fixed": fixed}
        return described | ({"regions": self._regions.describe()} if self.spatial else {})

    @property
    def _regions(self) -> Regions:
        if self.regions is None:
            raise ValueError(f"{', '.join(self.spatial)}: values for each region need a connectome")
        return self.regions

    def _variables(self, name: str, distribution: Distribution) -> dict[str, Distribution]:
        if name not in self.spatial:
            return {name: distribution}
        return self.spatial[name].variables(name, distribution, self._regions)

    def _moments_of_factors(self, product: str) -> tuple[tuple[float, float], tuple[float, float]]:
        first, second = (self.distributions[name].moments for name in self.space.factors(product))
        return first, second
