"""Prior distributions of the parameters that vary, as a configuration asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jrflow.config.priors import Distribution, IndependentPrior, PriorConfig
from jrflow.model import MODEL
from jrflow.space.distributions import distribution_from
from jrflow.space.joint import JointDistribution
from jrflow.space.spatial import Gradient, Independent, Regions, Spatial, spatial_from


@dataclass(frozen=True)
class Prior(JointDistribution):
    """Distributions of the model's parameters that a configuration lets vary; the others stay at a preset's.

    Attributes as of :class:`jrflow.space.joint.JointDistribution`.
    """

    @classmethod
    def of(
        cls,
        config: PriorConfig,
        preset_name: str,
        environment: Mapping[str, float] | None = None,
        regions: Regions | None = None,
    ) -> Prior:
        """Resolve a configured prior against a preset's defaults and the published ranges.

        Parameters
        ----------
        config
            The prior.
        preset_name
            Preset that gives the defaults.
        environment
            Values of the parameters of network and input, where the prior does not vary them.
        regions
            Regions of the network, if a parameter differs between them.

        Raises
        ------
        ValueError
            If a parameter has no such distribution, or cannot differ between regions.
        """
        asked = config.distributions
        defaults = _defaults(preset_name, environment, asked)
        varied = {
            name: d.resolve(name, defaults.get(name, MODEL.space[name].default)) for name, d in asked.items()
        }
        spatial = {name: _spatial(d) for name, d in asked.items() if d.differs}
        return cls(varied, MODEL.space, preset_name, defaults, spatial, regions if spatial else None)

    @classmethod
    def described(
        cls, preset_name: str, description: Mapping[str, Any], environment: Mapping[str, float] | None = None
    ) -> Prior:
        """Recreate a prior from what ``describe`` returned; parameters as for ``of``."""
        described = {name: description["varied"][name] for name in description["order"]}
        varied = {name: distribution_from(d) for name, d in described.items()}
        spatial = {name: spatial_from(d["regions"]) for name, d in described.items() if "regions" in d}
        fixed = {name: np.inf if value is None else value for name, value in description["fixed"].items()}
        defaults = _defaults(preset_name, environment, varied) | fixed
        regions = Regions.described(description["regions"]) if spatial else None
        return cls(varied, MODEL.space, preset_name, defaults, spatial, regions)

    def as_config(self) -> IndependentPrior:
        """The same distributions as a configuration writes them; only without differences between regions."""
        described = {name: d.describe() for name, d in self.varied.items()}
        return IndependentPrior.model_validate({"kind": "independent", "parameters": described})


def _defaults(
    preset_name: str, environment: Mapping[str, float] | None, varied: Iterable[str]
) -> dict[str, float]:
    """Defaults of the mass and the network; of the input where it varies: otherwise the protocol has it."""
    around = {
        name: v for name, v in (environment or {}).items() if name not in MODEL.inputs or name in varied
    }
    return {**MODEL.preset(preset_name).defaults, **around}


def _spatial(config: Distribution) -> Spatial:
    gradient = config.gradient
    return Independent() if gradient is None else Gradient(gradient.axis, gradient.slope)
