"""What the simulations of a campaign depend on: resolved once, frozen, and with a hash that names it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr

from jrflow.config.campaigns import EXTENDABLE, CampaignConfig
from jrflow.config.config import Config
from jrflow.config.connectome import build_connectome, regions_of
from jrflow.config.load import load_connectome
from jrflow.config.simulation import SimulationConfig
from jrflow.config.suggest import did_you_mean
from jrflow.design import REPLICATES, Prior, make_design
from jrflow.model.connectome import Connectome
from jrflow.model.region_labels import COLUMN
from jrflow.provenance import campaign_seed, content_hash

#: Keys in which two specifications differ, joined by dots, with the two values.
Differences = dict[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Specification:
    """Everything that the simulations of one campaign depend on.

    Two specifications are equal where their texts are. ``Specification.of`` resolves a configuration,
    ``Specification.parse`` reads what an archive holds; both validate it, once.

    Attributes
    ----------
    text
        The specification as JSON with sorted keys: what an archive stores and what ``identity`` hashes. A
        key that an earlier version did not write is absent here too, so that its identity stays.
    campaign
        Name of the campaign.
    settings
        Design, number (n), and preset.
    replicates
        Independent scrambles of a saltelli design.
    seed
        Key of all random numbers, with the id of each simulation.
    prior
        Distribution of the parameters, those of the network among them.
    simulation
        How the model is integrated and recorded; its solver is the one that is used.
    connectome_digest
        Hash of the connectome that the settings led to, by which a file that has changed is noticed; None
        for a single column.
    """

    text: str = field(repr=False)
    campaign: str = field(compare=False)
    settings: CampaignConfig = field(compare=False)
    replicates: int = field(compare=False)
    seed: int = field(compare=False)
    prior: Prior = field(compare=False)
    simulation: SimulationConfig = field(compare=False)
    connectome_digest: str | None = field(compare=False)

    @classmethod
    def of(cls, config: Config, name: str) -> Specification:
        """Resolve a campaign of a configuration.

        Raises
        ------
        ValueError
            If there is no such campaign, or its connectome cannot be read or does not fit.
        """
        if name not in config.campaigns:
            raise ValueError(f"unknown campaign {name!r}{did_you_mean(name, config.campaigns)}")
        campaign = config.campaigns[name]
        simulation = config.simulation.model_dump(mode="json")
        simulation["solver"] = config.simulation.solver_for(campaign.preset)
        connectome = load_connectome(config)
        seed = campaign_seed(config.run.seed, name) if campaign.seed is None else campaign.seed
        return cls.parse(
            {
                "campaign": name,
                "design": campaign.design,
                "n": campaign.n,
                **({"replicates": REPLICATES} if campaign.design == "saltelli" else {}),
                "preset": campaign.preset,
                "seed": seed,
                "prior": prior_of(config, name).describe(),
                "simulation": simulation,
                "connectome_digest": None if connectome is None else connectome.digest,
            }
        )

    @classmethod
    def parse(cls, content: Mapping[str, Any]) -> Specification:
        """Read a specification from the JSON that an archive or a manifest holds.

        Raises
        ------
        ValueError
            If it is not a specification; the message names the key.
        """
        try:
            simulation = SimulationConfig.model_validate(content["simulation"])
            preset = content["preset"]
            return cls(
                text=json.dumps(content, sort_keys=True, allow_nan=False),
                campaign=content["campaign"],
                settings=CampaignConfig(
                    design=content["design"], n=content["n"], preset=preset, prior="prior"
                ),
                # Version 0.1 did not write replicates: its saltelli designs are one scramble.
                replicates=content.get("replicates", 1),
                seed=content["seed"],
                prior=Prior.described(preset, content["prior"], simulation.environment_parameters),
                simulation=simulation,
                connectome_digest=content["connectome_digest"],
            )
        except KeyError as error:
            raise ValueError(
                f"expected the specification of a campaign, found none of its {error}"
            ) from error

    @property
    def content(self) -> dict[str, Any]:
        """The specification as JSON-like mappings."""
        content: dict[str, Any] = json.loads(self.text)
        return content

    @property
    def identity(self) -> str:
        """SHA-256 of the content, which archives hold as ``config_hash``."""
        return content_hash(self.content)

    @property
    def key(self) -> int:
        """31 bits that tell campaigns apart; the same before and after a campaign has been extended."""
        content = self.content
        if self.is_extendable:
            del content["n"]
        return int(content_hash(content)[:8], 16) >> 1

    @property
    def is_extendable(self) -> bool:
        """Whether a larger design of this kind begins with the smaller one."""
        return self.settings.design in EXTENDABLE

    @property
    def n_simulations(self) -> int:
        """Number of simulations."""
        return self.settings.n_simulations(len(self.prior.names))

    @property
    def regions(self) -> list[str]:
        """Names of the regions; raises as ``connectome``."""
        connectome = self.connectome()
        return [COLUMN] if connectome is None else list(connectome.names)

    @property
    def times(self) -> np.ndarray:
        """Time of each sample, s."""
        return self.simulation.timing.times

    def draw(self) -> xr.Dataset:
        """Draw the parameters of all simulations, as ``jrflow.design.make_design``."""
        return make_design(self.settings, self.prior, self.seed, replicates=self.replicates)

    def connectome(self) -> Connectome | None:
        """Make or read the connectome, once for all simulations of a process; None for a single column.

        Raises
        ------
        OSError
            If its file cannot be read.
        ValueError
            If it is not the one that the campaign was started with.
        """
        section = self.simulation.connectome
        if section is None:
            return None
        connectome = build_connectome(section)
        if connectome.digest != self.connectome_digest:
            raise ValueError(
                "the connectome has changed since the campaign was started: expected sha256 "
                f"{str(self.connectome_digest)[:12]}, found {connectome.digest[:12]} with "
                f"{section.model_dump_json()}; restore it, or start another campaign"
            )
        return connectome

    def simulate_arguments(self) -> dict[str, Any]:
        """What ``jrflow.simulate`` is given for every simulation, besides its parameters.

        Raises
        ------
        OSError, ValueError
            As ``connectome``.
        """
        # All settings, by their names: one that simulate does not know is an error, not an oversight.
        settings = dict(self.simulation)
        return settings | {
            "preset": self.settings.preset,
            "seed": self.seed,
            "connectome": self.connectome(),
        }

    def as_begun(self, stored: Specification) -> Specification:
        """Return this specification with the number of scrambles that a stored one was begun with.

        Specifications of version 0.1 do not name it: their saltelli designs are one scramble, and stay so.
        """
        content = self.content
        if "replicates" in stored.content or "replicates" not in content:
            return self
        del content["replicates"]
        return replace(self, text=json.dumps(content, sort_keys=True), replicates=1)

    def differences(self, expected: Specification) -> Differences:
        """Keys, joined by dots, in which this differs from another one, with the values of the two."""
        flat, wanted = dict(_flat(self.content)), dict(_flat(expected.content))
        return {
            key: (flat.get(key, "absent"), wanted.get(key, "absent"))
            for key in sorted(flat.keys() | wanted.keys())
            if flat.get(key) != wanted.get(key)
        }


def prior_of(config: Config, name: str) -> Prior:
    """Distribution of the parameters of a campaign, those of its network among them."""
    campaign = config.campaigns[name]
    prior = config.priors[campaign.prior]
    regions = None
    if any(d.differs for d in prior.distributions.values()):
        connectome = load_connectome(config)
        regions = None if connectome is None else regions_of(connectome)
    return Prior.of(prior, campaign.preset, config.simulation.environment_parameters, regions)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Keys of a nested mapping, joined by dots."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
