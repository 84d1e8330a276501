"""What the simulations of a campaign depend on: resolved, as JSON, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import xarray as xr
from pydantic import TypeAdapter

from jrflow.config.campaigns import CampaignConfig
from jrflow.config.config import Config
from jrflow.config.connectome import ConnectomeConfig, build_connectome, regions_of
from jrflow.config.load import load_connectome
from jrflow.config.simulation import SimulationConfig
from jrflow.config.suggest import did_you_mean
from jrflow.design import REPLICATES, Prior, make_design
from jrflow.model.connectome import Connectome
from jrflow.provenance import campaign_seed


def specify(config: Config, name: str) -> dict[str, Any]:
    """Everything that the simulations of a campaign depend on.

    A connectome is there with its settings and, under ``connectome_digest``, the hash of what they led to:
    so that a file which has changed is noticed.

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
    return {
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


def prior_of(config: Config, name: str) -> Prior:
    """Distribution of the parameters of a campaign, those of its network among them."""
    campaign = config.campaigns[name]
    prior = config.priors[campaign.prior]
    regions = None
    if any(d.differs for d in prior.distributions.values()):
        connectome = load_connectome(config)
        regions = None if connectome is None else regions_of(connectome)
    return Prior.of(prior, campaign.preset, config.simulation.environment_parameters, regions)


def prior_from(specification: Mapping[str, Any]) -> Prior:
    """Distribution of the parameters of a campaign, from its specification."""
    settings = SimulationConfig.model_validate(specification["simulation"])
    return Prior.described(specification["preset"], specification["prior"], settings.environment_parameters)


def design_from(specification: Mapping[str, Any]) -> xr.Dataset:
    """Draw the design of a campaign, as ``jrflow.design.make_design``, from its specification."""
    campaign = CampaignConfig(
        design=specification["design"], n=specification["n"], preset=specification["preset"], prior="prior"
    )
    # Specifications of version 0.1 do not name replicates: their saltelli designs are one scramble.
    replicates = specification.get("replicates", 1)
    return make_design(campaign, prior_from(specification), specification["seed"], replicates=replicates)


def connectome_of(specification: Mapping[str, Any]) -> Connectome | None:
    """Make or read the connectome of a campaign; None for a single column.

    Raises
    ------
    OSError
        If its file cannot be read.
    ValueError
        If it is not the one that the campaign was started with.
    """
    section = specification["simulation"]["connectome"]
    if section is None:
        return None
    return _connectome(
        json.dumps(section, sort_keys=True), specification["connectome_digest"], _version(section)
    )


@lru_cache(maxsize=4)
def _connectome(settings: str, expected: str, _: tuple[int, int] | None) -> Connectome:
    """Build a connectome and compare its hash once, for all shards that a process simulates."""
    connectome = build_connectome(TypeAdapter(ConnectomeConfig).validate_json(settings))
    if connectome.digest != expected:
        raise ValueError(
            f"the connectome has changed since the campaign was started: expected sha256 {expected[:12]}, "
            f"found {connectome.digest[:12]} with {settings}; restore it, or start another campaign"
        )
    return connectome


def _version(section: Mapping[str, Any]) -> tuple[int, int] | None:
    """Time and size of a connectome's file, by which a change is noticed; None where there is no file."""
    if section.get("path") is None:
        return None
    found = Path(section["path"]).stat()
    return found.st_mtime_ns, found.st_size


def simulate_arguments(specification: Mapping[str, Any]) -> dict[str, Any]:
    """What ``jrflow.simulate`` is given for every simulation of a campaign, besides its parameters.

    Raises
    ------
    OSError, ValueError
        As in ``connectome_of``.
    """
    # All settings, by their names: one that simulate does not know is an error, not an oversight.
    settings = dict(SimulationConfig.model_validate(specification["simulation"]))
    chosen = {name: specification[name] for name in ("preset", "seed")}
    return settings | chosen | {"connectome": connectome_of(specification)}
