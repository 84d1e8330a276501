"""Priors that a parameter, its bounds, the network or a design rules out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from jrflow.config.fault import Fault, Key
from jrflow.config.priors import Distribution, IndependentPrior, PriorConfig
from jrflow.model import MODEL
from jrflow.model.protocol import EvokedProtocol

if TYPE_CHECKING:
    from jrflow.config.config import Config

#: Designs that vary one parameter at a time: each must be one value a simulation.
_BY_PARAMETER = ("saltelli", "one-at-a-time")


def prior_faults(config: Config) -> Iterator[Fault]:
    """Find distributions that a parameter cannot have."""
    for name, prior in config.priors.items():
        for parameter, distribution in prior.distributions.items():
            key: Key = ("priors", name)
            if isinstance(prior, IndependentPrior):
                key = (*key, "parameters", parameter)
                yield from _values(parameter, distribution, key)
                if parameter in MODEL.inputs and parameter not in config.simulation.protocol.input_parameters:
                    protocol: Key = ("simulation", "protocol", "kind")
                    yield Fault(
                        key,
                        "a protocol of kind rest has no stimulus; leave this parameter out",
                        (key, protocol),
                    )
            if distribution.differs:
                field = "regions" if distribution.gradient is None else "gradient"
                yield from _regions(config, parameter, (*key, field))
        yield from _overlapping_pulses(config, name, prior)
    for name, campaign in config.campaigns.items():
        regional = _regional(config.priors[campaign.prior])
        if campaign.design in _BY_PARAMETER and regional:
            design: Key = ("campaigns", name, "design")
            yield Fault(
                design,
                f"a {campaign.design} design varies parameters that have one value a simulation, but prior "
                f"{campaign.prior!r} lets {regional[0]} differ between regions; choose the design prior, "
                f"lhs or "
                "sobol-sequence, or use one value for all regions",
                (design, ("priors", campaign.prior)),
            )


def _overlapping_pulses(config: Config, name: str, prior: PriorConfig) -> Iterator[Fault]:
    """Find pulses that may end after the next onset."""
    protocol = config.simulation.protocol
    varied = [p for p in ("stim_latency", "stim_duration") if p in prior.distributions]
    if not isinstance(protocol, EvokedProtocol) or not varied:
        return
    try:
        latest = protocol.input_parameters | {
            p: prior.distributions[p].ends(p, MODEL.space[p].default)[1] for p in varied
        }
    except ValueError:  # reported with the distribution
        return
    try:
        protocol.require_apart(latest["stim_latency"] + latest["stim_duration"])
    except ValueError as error:
        keys: list[Key] = [("priors", name, "parameters", p, "high") for p in varied]
        yield Fault(keys[0], str(error), (*keys, ("simulation", "protocol", "isi")))


def _regional(prior: PriorConfig) -> list[str]:
    return [name for name, d in prior.distributions.items() if d.differs]


def _values(parameter: str, distribution: Distribution, key: Key) -> Iterator[Fault]:
    """Find values that the parameter cannot have."""
    table = MODEL.space[parameter]
    try:
        ends = distribution.ends(parameter, table.default)
    except ValueError as error:
        yield Fault((*key, "kind"), str(error))
        return
    reason = "" if distribution.gradient is None else " (at the end of the gradient)"
    for name, end in zip(("low", "high"), ends, strict=True):
        if not table.bounds.contains(end):
            yield Fault(
                (*key, name),
                f"{parameter}: expected {table.bounds.described(table.unit)}, received {end:g}{reason}",
            )


def _regions(config: Config, parameter: str, key: Key) -> Iterator[Fault]:
    if "region" not in MODEL.space[parameter].dims:
        yield Fault(key, f"{parameter} has one value for all regions; it cannot differ between them")
    elif config.simulation.connectome is None:
        connectome: Key = ("simulation", "connectome")
        message = "a single column has no regions; set simulation.connectome, or leave this out"
        yield Fault(key, message, (key, connectome))
