"""Prior distributions of the parameters that vary, as a configuration asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jrflow.config.priors import IndependentPrior, PriorConfig, RelativeUniformPrior
from jrflow.model import MODEL
from jrflow.space.distributions import Distribution, Normal, Uniform, distribution_from
from jrflow.space.joint import JointDistribution


@dataclass(frozen=True)
class Prior(JointDistribution):
    """Distributions of the model's parameters that a configuration lets vary; the others stay at a preset's.

    Attributes as of :class:`jrflow.space.joint.JointDistribution`.
    """

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
            Values of the network's parameters, where the prior does not vary them.
        """
        defaults = {**MODEL.preset(preset_name).defaults, **(network or {})}
        distributions: dict[str, Distribution]
        if isinstance(config, IndependentPrior):
            distributions = {name: d.resolved for name, d in config.parameters.items()}
        elif isinstance(config, RelativeUniformPrior):
            distributions = {name: _around(defaults[name], config.half_width) for name in config.parameters}
        else:
            distributions = {name: _published(name) for name in config.parameters}
        return cls(distributions, MODEL.space, preset_name, defaults)

    @classmethod
    def described(
        cls, preset_name: str, description: Mapping[str, Any], network: Mapping[str, float] | None = None
    ) -> Prior:
        """Recreate a prior from what ``describe`` returned; parameters as for ``of``."""
        distributions = {
            name: distribution_from(description["varied"][name]) for name in description["order"]
        }
        fixed = {name: np.inf if value is None else value for name, value in description["fixed"].items()}
        defaults = {**MODEL.preset(preset_name).defaults, **(network or {}), **fixed}
        return cls(distributions, MODEL.space, preset_name, defaults)

    def as_config(self) -> IndependentPrior:
        """The same distributions as a configuration writes them."""
        described = {name: d.describe() for name, d in self.distributions.items()}
        return IndependentPrior.model_validate({"kind": "independent", "parameters": described})


def _around(default: float, half_width: float) -> Uniform:
    return Uniform(default * (1 - half_width), default * (1 + half_width))


def _published(name: str) -> Normal:
    """Mean mid-range, sd a quarter of the range (Tilwani & O'Reilly), truncated to the range."""
    published = MODEL.space[name].published
    if published is None:
        raise ValueError(f"parameter {name!r} has no published range; use a prior of kind 'independent'")
    low, high = published
    return Normal((low + high) / 2, (high - low) / 4, low, high)
