"""Settings that a connectome rules out, and settings that need one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from jrflow.config.connectome import regions_of
from jrflow.config.fault import Fault, Key
from jrflow.config.priors import IndependentPrior
from jrflow.config.suggest import did_you_mean
from jrflow.model import MODEL
from jrflow.model.connectome import Connectome
from jrflow.model.protocol import EvokedProtocol

if TYPE_CHECKING:
    from jrflow.config.config import Config

_CONNECTOME: Key = ("simulation", "connectome")
_STIM_REGIONS: Key = ("simulation", "protocol", "stim_regions")


def network_faults(config: Config) -> Iterator[Fault]:
    """Find settings for networks in a run with one column, and the reverse; the connectome is not read."""
    alone = config.simulation.connectome is None
    for name, prior in config.priors.items():
        if alone and isinstance(prior, IndependentPrior):
            for parameter in [p for p in MODEL.network if p in prior.parameters]:
                yield Fault(
                    ("priors", name, "parameters", parameter),
                    f"{parameter} acts between regions, but there is a single "
                    "column; set simulation.connectome, "
                    "or leave this out",
                    (("priors", name, "parameters", parameter), _CONNECTOME),
                )
    protocol = config.simulation.protocol
    regions = protocol.stim_regions if isinstance(protocol, EvokedProtocol) else None
    if regions is not None and alone:
        message = "a single column has no regions; set simulation.connectome, or leave this out"
        yield Fault(_STIM_REGIONS, message, (_STIM_REGIONS, _CONNECTOME))
    elif regions is not None and not regions:
        yield Fault(_STIM_REGIONS, "expected at least one region, or null for all, received none")
    if not alone:
        yield from _one_column_only(config)


def _one_column_only(config: Config) -> Iterator[Fault]:
    for key, entries in config.analyses.items():
        if entries:
            yield Fault(
                key,
                "lead field, noise and what is computed from them support one column so far, but "
                "simulation.connectome has many regions; leave this empty (the campaigns can still be "
                "simulated), or set simulation.connectome to null",
                (key, _CONNECTOME),
            )


def wiring_faults(config: Config, connectome: Connectome) -> Iterator[Fault]:
    """Find what does not fit the connectome once it is known.

    Parameters
    ----------
    config
        With a connectome.
    connectome
        The one that is configured, made or read.
    """
    protocol = config.simulation.protocol
    if isinstance(protocol, EvokedProtocol):
        for position, region in enumerate(protocol.stim_regions or ()):
            if region not in connectome.names:
                hint = did_you_mean(region, connectome.names)
                hint = hint if "did you mean" in hint else f"; the first are {_first(connectome)}"
                yield Fault(
                    (*_STIM_REGIONS, position),
                    f"no region {region!r} among the connectome's {connectome.n_regions}{hint}",
                    ((*_STIM_REGIONS, position), _CONNECTOME),
                )
    yield from _gradient_faults(config, connectome)
    for solver, key, slowest, fastest in sorted(set(_delayed(config)), key=str):
        about = (key, _CONNECTOME, ("simulation", "solver"), ("simulation", "dt"))
        for fault in _delay_faults(connectome, config.simulation.dt, solver, key, slowest, fastest):
            yield Fault(fault.key, fault.message, about)


def _gradient_faults(config: Config, connectome: Connectome) -> Iterator[Fault]:
    """Find gradients along an axis on which the regions have no positions."""
    regions = regions_of(connectome)
    for name, prior in config.priors.items():
        for parameter, distribution in prior.distributions.items():
            if distribution.gradient is not None:
                try:
                    regions.coordinate(distribution.gradient.axis)
                except ValueError as error:
                    key: Key = ("priors", name, "parameters", parameter, "gradient")
                    yield Fault(key, str(error), (key, _CONNECTOME))


def _first(connectome: Connectome) -> str:
    return ", ".join(connectome.names[:5]) + (", ..." if connectome.n_regions > 5 else "")


def _delayed(config: Config) -> Iterator[tuple[str, Key, float, float]]:
    """Solver, key of the speed, and range of the speed of every campaign with delays."""
    simulation = config.simulation
    for campaign in config.campaigns.values():
        prior = config.priors[campaign.prior]
        key: Key = (*_CONNECTOME, "speed")
        slowest = fastest = simulation.network_parameters["speed"]
        if isinstance(prior, IndependentPrior) and "speed" in prior.parameters:
            key = ("priors", campaign.prior, "parameters", "speed")
            low, high = prior.parameters["speed"].explicit_ends
            slowest, fastest = low or slowest, high or fastest
        if np.isfinite(slowest):
            yield simulation.solver_for(campaign.preset), key, slowest, fastest


def _delay_faults(
    connectome: Connectome, dt: float, solver: str, key: Key, slowest: float, fastest: float
) -> Iterator[Fault]:
    """Ask the model whether it can compute with the delays: the longest, and with the shortest among them."""
    # Solvers are compiled code and slow to load: only runs with delays wait for them.
    from jrflow.model.coupling import Coupling
    from jrflow.model.solvers import SOLVERS

    try:
        longest, shortest = connectome.delays(slowest, dt), connectome.delays(fastest, dt)
    except ValueError as error:
        yield Fault(key, str(error))
        return
    there = connectome.weights != 0
    if there.any():
        nearest = np.unravel_index(np.where(there, shortest, np.inf).argmin(), there.shape)
        mixed = longest.copy()
        mixed[nearest] = shortest[nearest]
        try:
            for delays in (longest, mixed):
                Coupling.of(connectome.weights, delays, SOLVERS[solver].n_stages, np.dtype(np.float32))
        except ValueError as error:
            yield Fault(("simulation", "solver"), f"{solver}: {error}")
