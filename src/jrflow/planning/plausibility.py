"""Values that are possible but not plausible, most often a number in another unit; steps that are too long.

Plausible ranges are those of the model's own tables: see :mod:`jrflow.model.plausible`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jrflow.config.config import Config
from jrflow.config.fault import Fault, Key
from jrflow.config.priors import IndependentPrior
from jrflow.model import MODEL
from jrflow.model.plausible import remark

#: Settings with a plausible range. The last part of a key names the quantity.
_KEYS = (
    *(f"simulation.{name}" for name in ("dt", "sfreq", "max_source")),
    *(f"simulation.protocol.{name}" for name in ("isi", "stim_duration", "stim_rate", "tmin", "tmax")),
    *(f"simulation.protocol.{name}" for name in ("transient", "duration", "background", "noise_sd")),
    "simulation.connectome.speed",
    *(f"eeg.source.{name}" for name in ("extent", "moment")),
    *(f"inference.training.{name}" for name in ("sfreq", "tmin")),
)


def implausible(config: Config) -> Iterator[Fault]:
    """Find values that are likely to be in another unit; they are allowed, but worth a warning."""
    dumped = config.model_dump()
    for dotted in _KEYS:
        key: Key = tuple(dotted.split("."))
        value = _at(dumped, key)
        if isinstance(value, int | float) and value != 0 and (found := remark(str(key[-1]), value)):
            yield Fault(key, found)
    for name in dict.fromkeys(campaign.prior for campaign in config.campaigns.values()):
        prior = config.priors[name]
        if not isinstance(prior, IndependentPrior):
            continue
        for parameter, distribution in prior.parameters.items():
            # A wide prior may reach beyond what is plausible; its centre should not.
            centre = distribution.centre
            if centre is not None and (found := remark(parameter, centre, f"centre of {parameter}")):
                yield Fault(("priors", name, "parameters", parameter), found)


def steps_too_long(config: Config, names: Iterable[str]) -> Iterator[Fault]:
    """Find integration steps that are too long for the fastest rate constants of a campaign."""
    # Loads numba, which takes a second.
    from jrflow.model.solvers import largest_valid_step

    dt = config.simulation.dt
    rates = {name: _fastest_rates(config, name) for name in names}
    longest = {
        name: largest_valid_step(
            config.simulation.solver_for(config.campaigns[name].preset), max(rates[name].values())
        )
        for name in rates
    }
    name = min(longest, key=lambda one: longest[one], default=None)
    if name is not None and dt > longest[name] * (1 + 1e-9):
        fastest = max(rates[name], key=lambda parameter: rates[name][parameter])
        yield Fault(
            ("simulation", "dt"),
            f"{dt:g} s is too long a step for campaign {name!r}, whose {fastest} reaches "
            f"{rates[name][fastest]:g} /s; choose at most {longest[name]:.2g} s",
            (("simulation", "dt"), ("campaigns", name), ("priors", config.campaigns[name].prior)),
        )


def _fastest_rates(config: Config, campaign: str) -> dict[str, float]:
    """Largest inverse time constants that a campaign simulates, 1/s."""
    section = config.campaigns[campaign]
    defaults, varied = MODEL.preset(section.preset).defaults, config.priors[section.prior].distributions
    return {
        name: varied[name].ends(name, defaults[name])[1] if name in varied else defaults[name]
        for name in MODEL.inverse_time_constants
    }


def _at(data: Any, key: Key) -> Any:
    for step in key:
        data = data.get(step) if isinstance(data, Mapping) else None
    return data
