"""Prior distributions of the parameters that vary, with the moments that scores are measured against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import stats

from jrflow.config.priors import Distribution, IndependentPrior, PriorConfig, RelativeUniformPrior
from jrflow.model.parameters import PARAMETERS, PRODUCTS, preset

#: How far from an end of a parameter's range a search starts, as a fraction of the range.
_MARGIN = 1e-3


@dataclass(frozen=True)
class Prior:
    """Independent distributions of some parameters; the others stay at a preset's defaults.

    Attributes
    ----------
    preset
        Name of the preset that gives the defaults.
    defaults
        Default of every parameter of the model, in its own unit.
    distributions
        Distribution of each parameter that varies: uniform, or normal truncated to low..high.
    """

    preset: str
    defaults: Mapping[str, float]
    distributions: Mapping[str, Distribution]

    @classmethod
    def of(cls, config: PriorConfig, preset_name: str, network: Mapping[str, float] | None = None) -> Prior:
        """Resolve a configured prior against a preset's defaults and the published ranges.

        Parameters
        ----------
        config
            The prior.
        preset_name
            Preset that gives the defaults.
        network
            Values of G and speed in a network, where the prior does not vary them.
        """
        defaults = {**preset(preset_name).defaults, **(network or {})}
        if isinstance(config, IndependentPrior):
            return cls(preset_name, defaults, config.parameters)
        if isinstance(config, RelativeUniformPrior):
            distributions = {name: _around(defaults[name], config.half_width) for name in config.parameters}
        else:
            distributions = {name: _published(name) for name in config.parameters}
        return cls(preset_name, defaults, distributions)

    @classmethod
    def described(
        cls, preset_name: str, description: Mapping[str, Any], network: Mapping[str, float] | None = None
    ) -> Prior:
        """Make a prior anew from what ``describe`` said of it; parameters as for ``of``."""
        distributions = {
            name: Distribution.model_validate(description["varied"][name]) for name in description["order"]
        }
        fixed = {name: np.inf if value is None else value for name, value in description["fixed"].items()}
        return cls(preset_name, {**preset(preset_name).defaults, **(network or {}), **fixed}, distributions)

    @property
    def names(self) -> tuple[str, ...]:
        """Parameters that vary; the order of the columns of every array below."""
        return tuple(self.distributions)

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
        return np.array([d.mean() for d in self._frozen])

    @cached_property
    def sd(self) -> np.ndarray:
        """Standard deviations after truncation, shape (n_parameters,)."""
        return np.array([d.std() for d in self._frozen])

    @property
    def product_names(self) -> tuple[str, ...]:
        """Products C_k = C * a_k of which both factors vary."""
        if "C" not in self.distributions:
            return ()
        return tuple(name for name in PRODUCTS if _contact(name) in self.distributions)

    @cached_property
    def product_mean(self) -> dict[str, float]:
        """Mean of each product: the product of the means, for the factors are independent."""
        return {name: self._moments("C")[0] * self._moments(_contact(name))[0] for name in self.product_names}

    @cached_property
    def product_sd(self) -> dict[str, float]:
        """Standard deviation of each product, exact for independent factors.

        var(XY) = var X var Y + var X (E Y)^2 + var Y (E X)^2 (Goodman 1960, JASA 55:708).
        """
        sd = {}
        for name in self.product_names:
            (m, s), (m_k, s_k) = self._moments("C"), self._moments(_contact(name))
            sd[name] = float(np.sqrt((s * s_k) ** 2 + (s * m_k) ** 2 + (s_k * m) ** 2))
        return sd

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
        columns = [d.ppf(unit[:, j]) for j, d in enumerate(self._frozen)]
        # Rounding in the inverse of a far tail may step over the end by one unit in the last place.
        return np.clip(np.column_stack(columns), self.low, self.high)

    def cdf(self, values: np.ndarray) -> np.ndarray:
        """Distribution functions at values of the parameters, both of shape (n, n_parameters)."""
        return np.column_stack([d.cdf(values[:, j]) for j, d in enumerate(self._frozen)])

    def within(self, parameters: np.ndarray) -> np.ndarray:
        """The nearest parameters (..., n_parameters) that are not at an end, where nothing pulls a search."""
        margin = _MARGIN * (self.high - self.low)
        inside: np.ndarray = np.clip(parameters, self.low + margin, self.high - margin)
        return inside

    def targets(self, parameters: np.ndarray) -> np.ndarray:
        """Parameters that vary, (n, n_parameters), then their products: shape (n, n_targets)."""
        named = dict(zip(self.names, np.transpose(parameters), strict=True))
        products = [named["C"] * named[_contact(name)] for name in self.product_names]
        return np.column_stack([parameters, *products])

    def sample(self, n: int, seed: int) -> np.ndarray:
        """Draw ``n`` points, shape (n, n_parameters); the first m of them are the draw of m points."""
        return self.ppf(np.random.default_rng(seed).random((n, len(self.names))))

    def describe(self) -> dict[str, Any]:
        """Everything that the values depend on, as JSON: distributions and the defaults of the rest."""
        varied = {name: d.model_dump(mode="json") for name, d in self.distributions.items()}
        # JSON knows no infinity: an infinite speed is null.
        fixed = {
            name: value if np.isfinite(value) else None
            for name, value in self.defaults.items()
            if name not in varied
        }
        # The order decides which parameter a column of random numbers goes to.
        return {"order": list(self.names), "varied": varied, "fixed": fixed}

    @cached_property
    def _frozen(self) -> list[Any]:
        return [_scipy_distribution(d) for d in self.distributions.values()]

    def _moments(self, name: str) -> tuple[float, float]:
        j = self.names.index(name)
        return float(self.mean[j]), float(self.sd[j])


def _contact(product: str) -> str:
    """Contact probability that enters a product: a_1 for C_1."""
    return product.replace("C", "a")


def _around(default: float, half_width: float) -> Distribution:
    return Distribution(low=default * (1 - half_width), high=default * (1 + half_width))


def _published(name: str) -> Distribution:
    """Mean mid-range, sd a quarter of the range (Tilwani & O'Reilly), truncated to the range."""
    low, high = PARAMETERS[name].low, PARAMETERS[name].high
    if low is None or high is None:
        raise ValueError(f"parameter {name!r} has no published range; use a prior of kind 'independent'")
    return Distribution(low=low, high=high, mean=(low + high) / 2, sd=(high - low) / 4)


def _scipy_distribution(d: Distribution) -> Any:
    if d.mean is None or d.sd is None:
        return stats.uniform(d.low, d.high - d.low)
    return stats.truncnorm((d.low - d.mean) / d.sd, (d.high - d.mean) / d.sd, loc=d.mean, scale=d.sd)
